// video.c - cameras, video files and streams through FFmpeg.
#include "sources/internal.h"

#include <stdio.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavdevice/avdevice.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "app.h"

enum { OPEN_MS = 10000, FIRST_FRAME_MS = 6000, READ_MS = 5000, RETRY_MS = 1000 };

struct video {
    struct source *source;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *decoded;
    struct SwsContext *scale;
    // what `scale` was made for
    enum AVPixelFormat scale_from;
    int scale_width, scale_height, scale_space, scale_range;
    int stream;
    double deadline;                 // of the call into FFmpeg under way
    double busy_since;               // of the frame under way
    double clock_start, clock_first; // a file's pace: this moment (ms) is that time stamp (s)
    bool any_frame;
    char reason[256];
};

// FFmpeg asks while it waits for a network or a file system.
static int should_stop(void *ctx) {
    const struct video *v = ctx;
    return source_stopping(v->source) || now_ms() > v->deadline;
}

static void fail(struct video *v, int error, const char *what) {
    if (error == AVERROR_EXIT || error == AVERROR(ETIMEDOUT)) {
        snprintf(v->reason, sizeof v->reason, "%s: no answer", what);
    } else {
        char text[AV_ERROR_MAX_STRING_SIZE] = "";
        av_strerror(error, text, sizeof text);
        snprintf(v->reason, sizeof v->reason, "%s: %s", what,
                 error == AVERROR(EBUSY) ? "in use by another program" : text);
    }
}

static void close_video(struct video *v) {
    sws_freeContext(v->scale);
    v->scale = NULL;
    avcodec_free_context(&v->codec);
    av_frame_free(&v->decoded);
    av_packet_free(&v->packet);
    v->deadline = now_ms() + 1000; // closing may talk to a server
    avformat_close_input(&v->format);
}

// ---- opening

static int open_input(struct video *v, const struct source_spec *spec, bool ask) {
    const bool camera = spec->kind == SOURCE_CAMERA;
    AVDictionary *options = NULL;
    v->format = avformat_alloc_context();
    if (!v->format)
        return AVERROR(ENOMEM);
    v->format->interrupt_callback = (AVIOInterruptCB){should_stop, v};
    v->deadline = now_ms() + OPEN_MS;
    if (camera)
        v->format->flags |= AVFMT_FLAG_NONBLOCK; // else a camera that is silent keeps the thread for ever
    if (camera && ask && strcmp(spec->format, "lavfi") != 0) {
        av_dict_set(&options, "framerate", "30", 0);
        av_dict_set(&options, "video_size", "1280x720", 0);
        if (!strcmp(spec->format, "v4l2"))
            av_dict_set(&options, "input_format", "mjpeg", 0); // what USB carries at that size
    }
    const int result = avformat_open_input(&v->format, spec->url,
                                           spec->format[0] ? av_find_input_format(spec->format) : NULL, &options);
    av_dict_free(&options);
    return result; // on failure the context is freed and NULL
}

static bool open_codec(struct video *v) {
    const AVCodec *decoder = NULL;
    v->stream = av_find_best_stream(v->format, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
    if (v->stream < 0 || !decoder) {
        snprintf(v->reason, sizeof v->reason,
                 v->stream == AVERROR_DECODER_NOT_FOUND ? "this FFmpeg has no decoder for it" : "holds no video");
        return false;
    }
    AVStream *stream = v->format->streams[v->stream];
    for (unsigned i = 0; i < v->format->nb_streams; i++)
        v->format->streams[i]->discard = (int)i == v->stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    v->codec = avcodec_alloc_context3(decoder);
    v->packet = av_packet_alloc();
    v->decoded = av_frame_alloc();
    if (!v->codec || !v->packet || !v->decoded) {
        snprintf(v->reason, sizeof v->reason, "out of memory");
        return false;
    }
    int error = avcodec_parameters_to_context(v->codec, stream->codecpar);
    v->codec->pkt_timebase = stream->time_base;
    v->codec->thread_count = 2;
    v->codec->thread_type = v->source->spec.kind == SOURCE_VIDEO ? FF_THREAD_FRAME | FF_THREAD_SLICE
                                                                 : FF_THREAD_SLICE; // live: no frames of delay
    if (error >= 0)
        error = avcodec_open2(v->codec, decoder, NULL);
    if (error < 0)
        fail(v, error, "cannot be decoded");
    AVRational rate = av_guess_frame_rate(v->format, stream, NULL);
    if (rate.num <= 0)
        rate = av_inv_q(stream->time_base); // FFmpeg's test sources tell it so
    if (av_q2d(rate) > 240)
        rate.num = 0; // no camera is so fast: this is the unit of its time stamps
    SDL_LockMutex(v->source->lock);
    v->source->status.rate = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
    SDL_UnlockMutex(v->source->lock);
    return error >= 0;
}

static bool open_video(struct video *v, const struct source_spec *spec) {
    int error = open_input(v, spec, true);
    if (error < 0 && spec->kind == SOURCE_CAMERA && !source_stopping(v->source))
        error = open_input(v, spec, false); // at whatever size it likes
    if (error < 0) {
        fail(v, error, "cannot be opened");
        return false;
    }
    if (spec->kind != SOURCE_CAMERA) { // a camera tells at once, and would be waited for
        error = avformat_find_stream_info(v->format, NULL);
        if (error < 0) {
            fail(v, error, "cannot be read");
            return false;
        }
    }
    return open_codec(v);
}

// ---- frames

static int orientation_of(const struct video *v) {
    const uint8_t *matrix = av_stream_get_side_data(v->format->streams[v->stream], AV_PKT_DATA_DISPLAYMATRIX, NULL);
    if (!matrix)
        return 1;
    const double angle = av_display_rotation_get((const int32_t *)(const void *)matrix); // counterclockwise
    return angle > 45 && angle < 135 ? 8 : angle < -45 && angle > -135 ? 6 : angle >= 135 || angle <= -135 ? 3 : 1;
}

// Pictures of 8-bit BT.709 with limited range go as they are, NV12; all others are converted to RGB with their own
// matrix.
static bool is_video_standard(const AVFrame *f) {
    const bool planar = f->format == AV_PIX_FMT_YUV420P || f->format == AV_PIX_FMT_NV12 || f->format == AV_PIX_FMT_NV21;
    const bool hd = f->colorspace == AVCOL_SPC_BT709 || (f->colorspace == AVCOL_SPC_UNSPECIFIED && f->height >= 720);
    return planar && hd && f->color_range != AVCOL_RANGE_JPEG;
}

// The old names of full-range formats, which swscale warns of.
static enum AVPixelFormat modern(enum AVPixelFormat format, bool *full) {
    switch (format) {
    case AV_PIX_FMT_YUVJ420P: *full = true; return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P: *full = true; return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P: *full = true; return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P: *full = true; return AV_PIX_FMT_YUV440P;
    default: return format;
    }
}

static bool prepare_scaler(struct video *v, const AVFrame *f, enum AVPixelFormat to) {
    bool full = f->color_range == AVCOL_RANGE_JPEG;
    const enum AVPixelFormat from = modern((enum AVPixelFormat)f->format, &full);
    const int space =
        f->colorspace == AVCOL_SPC_UNSPECIFIED ? f->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601 : (int)f->colorspace;
    if (v->scale && v->scale_from == from && v->scale_width == f->width && v->scale_height == f->height &&
        v->scale_space == space && v->scale_range == full)
        return true;
    sws_freeContext(v->scale);
    // Bilinear halves chroma well enough; the sides stay as they are.
    v->scale = sws_getContext(f->width, f->height, from, f->width, f->height, to,
                              SWS_BILINEAR | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!v->scale)
        return false;
    const int *matrix = sws_getCoefficients(space);
    sws_setColorspaceDetails(v->scale, matrix, full,
                             to == AV_PIX_FMT_NV12 ? matrix : sws_getCoefficients(SWS_CS_DEFAULT),
                             to != AV_PIX_FMT_NV12, 0, 1 << 16, 1 << 16);
    v->scale_from = from;
    v->scale_width = f->width;
    v->scale_height = f->height;
    v->scale_space = space;
    v->scale_range = full;
    return true;
}

static bool convert(struct video *v) {
    struct source *s = v->source;
    const AVFrame *f = v->decoded;
    const bool nv12 = is_video_standard(f);
    if (f->width < 1 || f->height < 1 || f->width > 16384 || f->height > 16384)
        return false;
    if (!source_prepare_frame(s, nv12 ? FRAME_NV12 : FRAME_RGBA, f->width, f->height) ||
        !prepare_scaler(v, f, nv12 ? AV_PIX_FMT_NV12 : AV_PIX_FMT_RGBA))
        return false;
    uint8_t *const planes[4] = {s->back.data, nv12 ? s->back.data + (size_t)f->width * (size_t)f->height : NULL};
    const int strides[4] = {nv12 ? f->width : 4 * f->width, (f->width + 1) / 2 * 2};
    if (sws_scale(v->scale, (const uint8_t *const *)f->data, f->linesize, 0, f->height, planes, strides) != f->height)
        return false;
    s->back.orientation = orientation_of(v);
    s->back.title[0] = 0;
    return true;
}

// The frames of a file, or of FFmpeg's test sources, wait for their time. false: stopping.
static bool keep_pace(struct video *v) {
    const int64_t stamp = v->decoded->best_effort_timestamp;
    const bool paced = v->source->spec.kind == SOURCE_VIDEO || !strcmp(v->source->spec.format, "lavfi");
    if (!paced || stamp == AV_NOPTS_VALUE)
        return !source_stopping(v->source);
    const double time = (double)stamp * av_q2d(v->format->streams[v->stream]->time_base);
    const double at = v->clock_start + 1000 * (time - v->clock_first), now = now_ms();
    if (v->clock_start == 0 || at < now - 500 || at > now + 5000) { // the first one, too slow a machine, or a jump
        v->clock_start = now;
        v->clock_first = time;
        return !source_stopping(v->source);
    }
    return source_wait_until(v->source, at);
}

// All frames that the decoder has ready. < 0: an error, or AVERROR(EAGAIN): it wants more.
static int receive(struct video *v) {
    for (;;) {
        const int error = avcodec_receive_frame(v->codec, v->decoded);
        if (error < 0)
            return error;
        const bool live = v->source->spec.kind != SOURCE_VIDEO;
        if ((!live || !source_is_paused(v->source)) && convert(v)) {
            const double took = now_ms() - v->busy_since;
            if (!keep_pace(v))
                return AVERROR_EXIT;
            source_publish(v->source, took);
            v->any_frame = true;
        }
        v->busy_since = now_ms();
        if (!live && source_is_paused(v->source)) {
            if (!source_wait_while_paused(v->source))
                return AVERROR_EXIT;
            v->busy_since = now_ms();
            v->clock_start = 0;
        }
    }
}

// Reads until the end or an error.
static int play(struct video *v, bool camera) {
    double quiet_since = now_ms();
    v->busy_since = now_ms();
    while (!source_stopping(v->source)) {
        v->deadline = now_ms() + READ_MS;
        int error = av_read_frame(v->format, v->packet);
        if (error == AVERROR(EAGAIN)) { // a camera has nothing yet
            const double limit = v->any_frame ? READ_MS : FIRST_FRAME_MS;
            if (camera && now_ms() - quiet_since > limit)
                return AVERROR(ETIMEDOUT);
            SDL_Delay(2);
            v->busy_since = now_ms();
            continue;
        }
        if (error < 0) {
            if (error == AVERROR_EOF) { // what the decoder still holds
                avcodec_send_packet(v->codec, NULL);
                receive(v);
            }
            return error;
        }
        quiet_since = now_ms();
        if (v->packet->stream_index == v->stream) {
            error = avcodec_send_packet(v->codec, v->packet); // a damaged packet costs its frame alone
            av_packet_unref(v->packet);
            if (error >= 0)
                error = receive(v);
            if (error == AVERROR_EXIT || error == AVERROR_EOF)
                return error;
        } else {
            av_packet_unref(v->packet);
        }
    }
    return AVERROR_EXIT;
}

// From the beginning again; false: it cannot, or holds no frame at all.
static bool rewind_file(struct video *v) {
    if (!v->any_frame)
        return false;
    avcodec_flush_buffers(v->codec);
    v->clock_start = 0;
    v->source->cut = true;
    v->deadline = now_ms() + OPEN_MS;
    return av_seek_frame(v->format, -1, v->format->start_time == AV_NOPTS_VALUE ? 0 : v->format->start_time,
                         AVSEEK_FLAG_BACKWARD) >= 0;
}

// A camera that was plugged in again may have another number.
static void find_again(struct source_spec *spec) {
    if (spec->kind != SOURCE_CAMERA || !strcmp(spec->format, "lavfi"))
        return;
    struct source_spec found[MAX_CAMERAS];
    const int count = cameras_list(found, MAX_CAMERAS);
    for (int i = 0; i < count; i++)
        if (!strcmp(found[i].name, spec->name)) {
            memcpy(spec->url, found[i].url, sizeof spec->url);
            return;
        }
}

void source_run_video(struct source *s) {
    const enum source_kind kind = s->spec.kind;
    struct video v = {.source = s};
    bool ever = false;
    while (!source_stopping(s)) {
        v.any_frame = false;
        v.reason[0] = 0;
        v.clock_start = 0;
        if (open_video(&v, &s->spec)) {
            int error;
            do
                error = play(&v, kind == SOURCE_CAMERA);
            while (error == AVERROR_EOF && kind == SOURCE_VIDEO && !source_stopping(s) && rewind_file(&v));
            if (error == AVERROR_EOF)
                snprintf(v.reason, sizeof v.reason, v.any_frame ? "it ended" : "holds no picture");
            else
                fail(&v, error, v.any_frame ? "it stopped" : "gives no picture");
        }
        ever = ever || v.any_frame;
        const bool seekless = kind == SOURCE_VIDEO && v.any_frame; // a file that cannot be rewound is opened again
        close_video(&v);
        if (source_stopping(s))
            break;
        if (seekless)
            continue;
        if (kind == SOURCE_VIDEO || !ever) { // what never worked is not waited for
            source_set_state(s, SOURCE_FAILED, "%s: %s", s->spec.name, v.reason);
            break;
        }
        source_set_state(s, SOURCE_LOST, "%s: %s; waiting for it", s->spec.name, v.reason);
        s->cut = true;
        source_wait_until(s, now_ms() + RETRY_MS);
        find_again(&s->spec);
    }
    close_video(&v);
}
