// fuzz_exif.c - the TIFF structure of EXIF, for the orientation in it.
#include "fuzz/fuzz.h"

#include "picture/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int orientation = picture_exif_orientation(data, size);
    FUZZ_REQUIRE(orientation >= 1 && orientation <= 8);
    return 0;
}
