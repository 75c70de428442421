// fuzz_findings.c - the text of a tuning cache. What was read of it, written and read again, stays the same.
#include "fuzz/fuzz.h"

#include "tune/findings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cdl_findings first = {0}, second = {0};
    size_t length, again;
    cdl_findings_parse(&first, (const char *)data, size);
    char *text = cdl_findings_format(&first, &length);
    FUZZ_REQUIRE(text);
    cdl_findings_parse(&second, text, length);
    FUZZ_REQUIRE(second.count == first.count);
    char *same = cdl_findings_format(&second, &again);
    FUZZ_REQUIRE(same && again == length && memcmp(text, same, length) == 0);
    for (int i = 0; i < first.count; i++)
        FUZZ_REQUIRE(cdl_findings_find(&second, first.items[i].key));
    free(text);
    free(same);
    cdl_findings_free(&first);
    cdl_findings_free(&second);
    return 0;
}
