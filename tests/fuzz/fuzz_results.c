// fuzz_results.c - a result file of `cardinal bench`: beside itself, in every form that `cardinal compare` prints.
#include "fuzz/fuzz.h"

#include "bench/results.h"

static const enum output_format formats[] = {FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_CSV, FORMAT_JSON, FORMAT_HTML};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    FUZZ_REQUIRE(nowhere);
    json_t *document = json_loadb((const char *)data, size, 0, NULL);
    if (!document)
        return 0;
    struct results results = {0};
    if (results_add(&results, document, "first.json") && results_add(&results, document, "second.json")) {
        FUZZ_REQUIRE(results.num_columns > 0 && results.num_documents == 2);
        for (int i = 0; i < results.num_rows; i++)
            FUZZ_REQUIRE(results.rows[i].column >= 0 && results.rows[i].column < results.num_columns);
        for (size_t i = 0; i < CDL_COUNT(formats); i++)
            (void)results_print(nowhere, &results, formats[i]);
    }
    results_free(&results);
    json_decref(document);
    return 0;
}
