// fuzz.h - what the fuzzers share. Each fuzz_NAME.c is a libFuzzer target for one reader of bytes that are not trusted;
// tests/fuzz.sh runs them all, and as tests they run over their seeds (run_files.c).
#ifndef CARDINAL_FUZZ_H_
#define CARDINAL_FUZZ_H_

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What must hold whatever the input.
#define FUZZ_REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

// A log that counts errors in *(int *)ctx, and requires every message to be one line of text.
void fuzz_log_line(void *ctx, cdl_log_level level, const char *msg);
static inline cdl_log fuzz_log(int *errors) { return (cdl_log){fuzz_log_line, errors, CDL_LOG_DEBUG}; }

// A golden file's bytes, malloc'd; the folder is CDL_GOLDEN_DIR.
uint8_t *fuzz_read_golden(const char *name, size_t *size);

#endif // CARDINAL_FUZZ_H_
