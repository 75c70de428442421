// webp.c - WebP by libwebp: the first frame on its canvas, as Pillow shows it.
#include "picture/internal.h"

#ifdef CARDINAL_HAVE_WEBP

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

// The demuxer leads into the source and copies nothing. NULL: the file is truncated or no WebP.
static WebPDemuxer *open_demuxer(const struct picture_source *s) {
    WebPData data = {.bytes = s->data, .size = s->size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer && s->size >= 12 && (uint64_t)picture_le32(s->data + 4) + 8 > s->size)
        picture_fail_truncated(s, "WebP", "it is shorter than its header says");
    else if (!demuxer)
        picture_fail(s, "corrupt or truncated WebP; copy or download it again");
    return demuxer;
}

static void find_exif(const WebPDemuxer *demuxer, struct picture_layout *out) {
    WebPChunkIterator chunk;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        out->exif = chunk.chunk.bytes;
        out->exif_size = chunk.chunk.size;
        WebPDemuxReleaseChunkIterator(&chunk);
    }
}

bool picture_webp_layout(const struct picture_source *s, struct picture_layout *out) {
    WebPDemuxer *demuxer = open_demuxer(s);
    if (!demuxer)
        return false;
    bool ok = picture_check_size(s, WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                                 WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), out);
    find_exif(demuxer, out);
    WebPDemuxDelete(demuxer);
    return ok;
}

static bool decode_frame(const struct picture_source *s, const WebPIterator *frame, struct picture *out) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return picture_fail(s, "this libwebp is not the one that Cardinal was built for");
    VP8StatusCode status = WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input);
    if (status == VP8_STATUS_OK &&
        (config.input.width != frame->width || config.input.height != frame->height || frame->x_offset < 0 ||
         frame->y_offset < 0 || frame->width > out->width - frame->x_offset ||
         frame->height > out->height - frame->y_offset))
        return picture_fail(s, "corrupt WebP (two sizes)");
    if (status == VP8_STATUS_OK) {
        size_t stride = (size_t)out->width * 4;
        size_t begin = (size_t)frame->y_offset * stride + (size_t)frame->x_offset * 4;
        config.output.colorspace = MODE_RGBA;
        config.output.is_external_memory = 1;
        config.output.u.RGBA.rgba = out->rgba + begin;
        config.output.u.RGBA.stride = (int)stride;
        config.output.u.RGBA.size = stride * (size_t)out->height - begin;
        status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
        WebPFreeDecBuffer(&config.output);
    }
    if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED)
        return picture_fail_truncated(s, "WebP", "pixels missing");
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return picture_fail(s, "not enough memory to decode it");
    return status == VP8_STATUS_OK ? true : picture_fail(s, "corrupt WebP (error %d of libwebp)", (int)status);
}

bool picture_webp_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    WebPDemuxer *demuxer = open_demuxer(s);
    if (!demuxer)
        return false;
    WebPIterator frame;
    bool ok = picture_allocate(s, layout, out);
    if (ok && !WebPDemuxGetFrame(demuxer, 1, &frame)) {
        ok = picture_fail(s, "corrupt WebP (no picture in it)");
    } else if (ok) {
        bool whole = frame.width == out->width && frame.height == out->height;
        if (!whole) // what an animation's first frame leaves free is black, and transparent
            memset(out->rgba, 0, (size_t)out->width * (size_t)out->height * 4);
        ok = frame.complete ? decode_frame(s, &frame, out) : picture_fail_truncated(s, "WebP", "pixels missing");
        WebPDemuxReleaseIterator(&frame);
    }
    WebPDemuxDelete(demuxer);
    return ok;
}

#endif
