// source.h - where pictures come from: cameras, video files, streams, picture files. Each open source has a thread of
// its own that reads, decodes and converts; the newest frame alone is kept. No function blocks but sources_finish.
#ifndef DEMO_SOURCE_H_
#define DEMO_SOURCE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum source_kind {
    SOURCE_PICTURES, // files, shown one after another
    SOURCE_VIDEO,    // a file, repeated without end
    SOURCE_STREAM,   // an address; opened anew when it breaks
    SOURCE_CAMERA,   // waited for when it is gone
};

struct source_spec {
    enum source_kind kind;
    char name[256];  // as people call it
    char url[1024];  // what FFmpeg opens; a camera's may change while its name stays
    char format[16]; // FFmpeg's input device ("v4l2"), else ""
    char **files;    // SOURCE_PICTURES: malloc'd strings, malloc'd; the spec owns them
    int num_files;
};

// What an argument, a dropped or a pasted text means. A folder is its pictures. Cameras: "camera", "camera:PART OF ITS
// NAME", "lavfi:GRAPH" (FFmpeg's test sources). false: one line in error[]. The caller frees *out.
bool source_parse(const char *text, struct source_spec *out, char *error, size_t error_size);
bool source_of_files(const char *const *files, int count, struct source_spec *out); // false: no memory
bool source_copy(const struct source_spec *spec, struct source_spec *out);
void source_spec_free(struct source_spec *spec);

enum frame_format { FRAME_RGBA, FRAME_NV12 }; // NV12: BT.709, limited range

struct frame {
    enum frame_format format;
    int width, height; // as stored
    int orientation;   // EXIF 1..8
    uint8_t *data; // tight rows: RGBA; or luma, then pairs of chroma, (width + 1) / 2 in each of (height + 1) / 2 rows
    size_t capacity;
    uint64_t number;   // 1, 2, ... of its source
    bool cut;          // has nothing to do with the frame before
    double capture_ms; // reading, decoding and converting
    double ready_at;   // now_ms
    char title[256];   // a picture's file
};
size_t frame_bytes(const struct frame *f);
void frame_free(struct frame *f);

enum source_state { SOURCE_OPENING, SOURCE_RUNNING, SOURCE_LOST /* trying again */, SOURCE_FAILED /* for good */ };

struct source_status {
    enum source_state state;
    char message[512];        // why it is lost or failed, or which picture was passed over
    int message_number;       // grows with each message
    uint64_t frames, dropped; // made; never shown because a newer one came
    double rate;              // frames a second, as the source tells; 0: unknown, or pictures
    int width, height;
};

struct source;

// Opens and runs in the background. on_frame is called on the source's thread when a frame or another status is ready.
struct source *source_open(const struct source_spec *spec, double seconds_per_picture, void (*on_frame)(void *ctx),
                           void *ctx); // NULL: no memory
// Asks it to end. The thread goes by itself, be its device stuck or not.
void source_close(struct source **source);
// The newest frame, if there is one that was not taken; exchanged with what *frame held before.
bool source_take(struct source *source, struct frame *frame);
void source_status(struct source *source, struct source_status *out);
void source_pause(struct source *source, bool paused);
void source_skip(struct source *source, int pictures); // SOURCE_PICTURES: forwards or back

// Waits until all closed sources' threads are gone, at most so long. false: one is stuck in a driver.
bool sources_finish(unsigned timeout_ms);

// ---- cameras

enum { MAX_CAMERAS = 16 };
// Those that the system lists. Blocks; a broken driver may take seconds.
int cameras_list(struct source_spec *out, int cap);
bool cameras_supported(void); // false: this FFmpeg cannot list any

#endif // DEMO_SOURCE_H_
