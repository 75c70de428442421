// stb_image.c - the only place that compiles stb_image: PNG and JPEG for builds without their libraries, and inflate.
#include "picture/internal.h"

#include <limits.h>
#include <stdlib.h>

#if defined(_MSC_VER)
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL _Thread_local
#endif

// stb's inflate grows its output as long as the stream says so; a 1x1 picture could ask for gigabytes.
static THREAD_LOCAL size_t max_allocation;

// Zeroed: stb 2.27 decodes with Huffman tables that the file never defined, and all-zero ones are harmless.
static void *bounded_malloc(size_t size) { return size <= max_allocation ? calloc(1, size) : NULL; }
static void *bounded_realloc(void *p, size_t size) { return size <= max_allocation ? realloc(p, size) : NULL; }

#define STBI_MALLOC(size) bounded_malloc(size)
#define STBI_REALLOC(p, size) bounded_realloc(p, size)
#define STBI_FREE(p) free(p)

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_PNG
#ifndef CARDINAL_HAVE_JPEG
#define STBI_ONLY_JPEG
#endif

#if defined(__GNUC__) // to the end of the file, where gcc reports what went unused
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#endif
#include <stb/stb_image.h>

bool picture_stb_decode(const struct picture_source *s, const struct picture_layout *layout, const char *kind,
                        uint64_t max_alloc, struct picture *out) {
    if (s->size > INT_MAX)
        return picture_fail(s, "the file is too large");
    int width = 0, height = 0, channels = 0;
    max_allocation = max_alloc <= SIZE_MAX ? (size_t)max_alloc : SIZE_MAX;
    out->rgba = stbi_load_from_memory(s->data, (int)s->size, &width, &height, &channels, 4);
    max_allocation = 0;
    if (!out->rgba) {
        const char *reason = stbi_failure_reason();
        return picture_fail(s, "corrupt or unsupported %s (%s)", kind, reason && reason[0] ? reason : "no reason");
    }
    if (width != layout->width || height != layout->height)
        return picture_fail(s, "corrupt %s (two sizes)", kind);
    out->width = width;
    out->height = height;
    return true;
}

size_t picture_stb_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t out_size) {
    if (size > INT_MAX || out_size > INT_MAX)
        return 0;
    int n = stbi_zlib_decode_buffer((char *)out, (int)out_size, (const char *)data, (int)size);
    return n > 0 ? (size_t)n : 0;
}
