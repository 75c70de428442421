// fuzz_picture.c - any bytes as a picture: every format that the program decodes, each by its first bytes.
#include "fuzz/fuzz.h"

#include "picture/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct picture_limits limits = {.max_side = 4096, .max_pixels = 1 << 18};
    char error[512] = "";
    struct picture_header header;
    struct picture p;
    const bool known = picture_read_header(data, size, "input", &limits, &header, error, sizeof error);
    FUZZ_REQUIRE(known == !error[0]);
    error[0] = 0;
    const bool decoded = picture_decode(data, size, "input", &limits, &p, error, sizeof error);
    FUZZ_REQUIRE(decoded == !error[0] && !strchr(error, '\n'));
    FUZZ_REQUIRE(decoded == (p.rgba != NULL));
    if (decoded) {
        FUZZ_REQUIRE(known && p.width == header.width && p.height == header.height);
        FUZZ_REQUIRE(p.orientation >= 1 && p.orientation <= 8);
        FUZZ_REQUIRE(p.width > 0 && p.height > 0 && p.width <= limits.max_side && p.height <= limits.max_side);
        unsigned sum = 0; // a sanitizer sees what is not there
        for (size_t i = 0; i < (size_t)p.width * (size_t)p.height * 4; i++)
            sum += p.rgba[i];
        static volatile unsigned seen;
        seen = sum;
        (void)seen;
    }
    picture_free(&p);
    return 0;
}
