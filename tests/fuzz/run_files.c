// run_files.c - the main function of a fuzzer that is built without libFuzzer: runs it once on each file named.
#include "fuzz/fuzz.h"

int main(int argc, char **argv) {
    enum { MOST = 16 << 20 };
    int files = 0;
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        uint8_t *read = malloc(MOST);
        FUZZ_REQUIRE(file && read);
        const size_t size = fread(read, 1, MOST, file);
        fclose(file);
        uint8_t *data = malloc(size + !size); // of that size: a sanitizer sees what is read beyond
        FUZZ_REQUIRE(data);
        memcpy(data, read, size);
        free(read);
        fprintf(stderr, "%s, %zu bytes\n", argv[i], size); // before: it may not come back
        LLVMFuzzerTestOneInput(data, size);
        free(data);
        files++;
    }
    printf("%d files, all survived\n", files);
    return files == 0;
}
