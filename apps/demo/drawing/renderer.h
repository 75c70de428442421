// renderer.h - draws frames: the picture under its map, the user interface over it. Each frame is two command buffers,
// the drawing and, behind it, a piece of classification, so that a frame is shown before that piece is done.
//
// One thread. Functions that return VkResult: 0, VK_NOT_READY where there is nothing to draw into now, or an error.
#ifndef DEMO_RENDERER_H_
#define DEMO_RENDERER_H_

#include "drawing/canvas.h"
#include "sources/source.h"
#include "drawing/target.h"

enum { FRAMES_IN_FLIGHT = 2 };

struct renderer_frame { // of the two in flight
    VkCommandBuffer draw, work;
    VkFence fence;
    VkSemaphore acquired;
    VkQueryPool queries;
    VkDescriptorSet set;
    struct gpu_buffer picture; // grows with pictures
    struct gpu_buffer small;   // the atlas's rows, and the map
    struct gpu_buffer quads;
    uint64_t serial; // of the frame that it is, or was
    bool pending, has_work;
};

struct renderer_times { // of the last finished frames, ms; 0: the queue has no timestamps
    double draw_ms;
    double work_ms;     // of the last frame; 0: it had none
    double work_sum_ms; // of all frames
};

struct placed_picture {        // where the picture is drawn
    float x, y, width, height; // on the target
    struct cdl_region seen;    // of the upright picture, 0 ... 1
    float strength;            // of the overlay
};

struct renderer {
    struct gpu *gpu;
    VkSurfaceKHR surface;
    struct target target, shot;
    bool resized;
    int wanted_width, wanted_height;
    VkCommandPool pool;
    VkDescriptorSetLayout set_layout;
    VkDescriptorPool descriptors;
    VkPipelineLayout layout;
    VkPipeline picture_pipeline, ui_pipeline;
    VkFormat pipeline_format;
    VkSampler linear, nearest;
    struct gpu_image luma, chroma, map, colours, atlas;
    struct frame_shape {
        enum frame_format format;
        int width, height, orientation;
    } shape; // of luma and chroma; width 0: no picture
    struct renderer_frame frames[FRAMES_IN_FLIGHT];
    uint64_t serial;   // of the frame being recorded
    uint64_t finished; // all frames up to this one are done
    uint32_t image;    // of the target
    struct renderer_times times;
    // a screenshot
    bool shot_wanted;
    uint64_t shot_serial; // 0: none under way
    struct gpu_buffer shot_pixels;
};

// *out is large and must not move. On failure it is to be destroyed all the same.
VkResult renderer_create(struct gpu *gpu, VkSurfaceKHR surface, int width, int height, struct renderer *out);
void renderer_destroy(struct renderer *r);
void renderer_resize(struct renderer *r, int width, int height); // before the next frame

// What follows belongs between begin and end.
VkResult renderer_begin(struct renderer *r);
VkResult renderer_set_picture(struct renderer *r, const struct frame *frame);
void renderer_set_map(struct renderer *r, const uint8_t *map); // [OVERLAY_SIDE * OVERLAY_SIDE]
VkCommandBuffer renderer_work(struct renderer *r);             // for a piece of classification
VkResult renderer_end(struct renderer *r, struct canvas *canvas,
                      const struct placed_picture *picture); // NULL: no picture

void renderer_poll(struct renderer *r); // brings `finished` and `times` up to date
void renderer_wait(struct renderer *r); // until all is finished

// The next frame is also kept as pixels; they can be taken once it is finished. true: malloc'd RGBA, once.
void renderer_want_shot(struct renderer *r);
bool renderer_take_shot(struct renderer *r, uint8_t **rgba, int *width, int *height);

// renderer_setup.c
VkResult renderer_setup(struct renderer *r);
VkResult renderer_create_pipelines(struct renderer *r);
VkResult renderer_replace_image(struct renderer *r, struct gpu_image *image, VkFormat format, int width,
                                int height);         // a sampled one
void renderer_write_descriptors(struct renderer *r); // nothing is under way

#endif // DEMO_RENDERER_H_
