// heif.c - HEIC and AVIF by libheif: the primary picture, upright as the file's own transformations say. EXIF in it
// repeats these and is not heeded, as the format's standard wants.
#include "picture/internal.h"

#ifdef CARDINAL_HAVE_HEIF

#include <libheif/heif.h>
#include <string.h>

struct opened {
    struct heif_context *context;
    struct heif_image_handle *primary;
};

static void close_heif(struct opened *h) {
    heif_image_handle_release(h->primary);
    heif_context_free(h->context);
    memset(h, 0, sizeof(*h));
}

static bool fail_heif(const struct picture_source *s, struct heif_error e) {
    bool no_codec = e.code == heif_error_Unsupported_filetype || e.code == heif_error_Decoder_plugin_error ||
                    e.subcode == heif_suberror_Unsupported_codec;
    if (e.subcode == heif_suberror_End_of_data)
        return picture_fail_truncated(s, "HEIF", e.message ? e.message : "it ends too early");
    if (e.code == heif_error_Memory_allocation_error)
        return picture_fail(s, "too large, or not enough memory to decode it (%s)", e.message ? e.message : "");
    return picture_fail(s, "corrupt or unsupported HEIF or AVIF (%s)%s", e.message ? e.message : "no reason",
                        no_codec ? "; libheif may need a package with a decoder: libheif-plugin-libde265 for HEIC, "
                                   "libheif-plugin-dav1d for AVIF"
                                 : "");
}

// On true, the caller closes *h.
static bool open_heif(const struct picture_source *s, struct opened *h) {
    memset(h, 0, sizeof(*h));
    h->context = heif_context_alloc();
    if (!h->context)
        return picture_fail(s, "not enough memory to decode it");
    heif_context_set_maximum_image_size_limit(h->context, s->limits.max_side);
#if LIBHEIF_HAVE_VERSION(1, 19, 0)
    struct heif_security_limits *limits = heif_context_get_security_limits(h->context);
    limits->max_image_size_pixels = s->limits.max_pixels;
#endif
    struct heif_error e = heif_context_read_from_memory_without_copy(h->context, s->data, s->size, NULL);
    if (e.code == heif_error_Ok)
        e = heif_context_get_primary_image_handle(h->context, &h->primary);
    if (e.code == heif_error_Ok)
        return true;
    fail_heif(s, e); // its text belongs to the context
    close_heif(h);
    return false;
}

bool picture_heif_layout(const struct picture_source *s, struct picture_layout *out) {
    struct opened h;
    if (!open_heif(s, &h))
        return false;
    bool ok =
        picture_check_size(s, heif_image_handle_get_width(h.primary), heif_image_handle_get_height(h.primary), out);
    close_heif(&h);
    return ok;
}

static bool copy_rows(const struct picture_source *s, const struct picture_layout *layout,
                      const struct heif_image *image, struct picture *out) {
    int stride = 0;
    const uint8_t *rows = heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    int width = heif_image_get_width(image, heif_channel_interleaved);
    int height = heif_image_get_height(image, heif_channel_interleaved);
    if (!rows || width != layout->width || height != layout->height)
        return picture_fail(s, "corrupt HEIF or AVIF (two sizes)");
    if (!picture_allocate(s, layout, out))
        return false;
    for (int y = 0; y < height; ++y)
        memcpy(out->rgba + (size_t)y * (size_t)width * 4, rows + (size_t)y * (size_t)stride, (size_t)width * 4);
    return true;
}

bool picture_heif_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct opened h;
    if (!open_heif(s, &h))
        return false;
    struct heif_image *image = NULL;
    struct heif_decoding_options *options = heif_decoding_options_alloc();
    bool ok = false;
    if (!options) {
        picture_fail(s, "not enough memory to decode it");
    } else {
        options->convert_hdr_to_8bit = 1;
        struct heif_error e =
            heif_decode_image(h.primary, &image, heif_colorspace_RGB, heif_chroma_interleaved_RGBA, options);
        ok = e.code == heif_error_Ok ? copy_rows(s, layout, image, out) : fail_heif(s, e);
        heif_decoding_options_free(options);
    }
    heif_image_release(image);
    close_heif(&h);
    return ok;
}

#endif
