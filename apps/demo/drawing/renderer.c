// renderer.c - one frame after another; see renderer.h.
#include "drawing/renderer.h"

#include <stdlib.h>
#include <string.h>

#include "picture/overlay.h"

enum { DRAW_BEGIN, DRAW_END, WORK_BEGIN, WORK_END, NUM_QUERIES };

struct picture_push { // picture.glsl
    float rect[4], seen[4], viewport[2], strength;
    int32_t orientation, nv12;
};

VkResult renderer_create(struct gpu *gpu, VkSurfaceKHR surface, int width, int height, struct renderer *out) {
    memset(out, 0, sizeof *out);
    out->gpu = gpu;
    out->surface = surface;
    out->wanted_width = width;
    out->wanted_height = height;
    out->resized = true; // the target is made by the first frame
    return renderer_setup(out);
}

void renderer_destroy(struct renderer *r) {
    struct gpu *gpu = r->gpu;
    if (!gpu)
        return;
    gpu_wait_idle(gpu);
    target_destroy(gpu, &r->target);
    target_destroy(gpu, &r->shot);
    gpu_buffer_destroy(gpu, &r->shot_pixels);
    for (int i = 0; i < FRAMES_IN_FLIGHT; i++) {
        struct renderer_frame *f = &r->frames[i];
        gpu->vkd.vkDestroyFence(gpu->device, f->fence, NULL);
        gpu->vkd.vkDestroySemaphore(gpu->device, f->acquired, NULL);
        gpu->vkd.vkDestroyQueryPool(gpu->device, f->queries, NULL);
        gpu_buffer_destroy(gpu, &f->picture);
        gpu_buffer_destroy(gpu, &f->small);
        gpu_buffer_destroy(gpu, &f->quads);
    }
    struct gpu_image *const images[] = {&r->luma, &r->chroma, &r->map, &r->colours, &r->atlas};
    for (int i = 0; i < 5; i++)
        gpu_image_destroy(gpu, images[i]);
    gpu->vkd.vkDestroySampler(gpu->device, r->linear, NULL);
    gpu->vkd.vkDestroySampler(gpu->device, r->nearest, NULL);
    gpu->vkd.vkDestroyPipeline(gpu->device, r->picture_pipeline, NULL);
    gpu->vkd.vkDestroyPipeline(gpu->device, r->ui_pipeline, NULL);
    gpu->vkd.vkDestroyPipelineLayout(gpu->device, r->layout, NULL);
    gpu->vkd.vkDestroyDescriptorPool(gpu->device, r->descriptors, NULL);
    gpu->vkd.vkDestroyDescriptorSetLayout(gpu->device, r->set_layout, NULL);
    gpu->vkd.vkDestroyCommandPool(gpu->device, r->pool, NULL);
    memset(r, 0, sizeof *r);
}

void renderer_resize(struct renderer *r, int width, int height) {
    r->resized = r->resized || width != r->wanted_width || height != r->wanted_height;
    r->wanted_width = width;
    r->wanted_height = height;
}

// ---- what is finished

static void read_times(struct renderer *r, const struct renderer_frame *f) {
    uint64_t ticks[NUM_QUERIES];
    const uint32_t count = f->has_work ? 4 : 2;
    if (!f->queries || r->gpu->vkd.vkGetQueryPoolResults(r->gpu->device, f->queries, 0, count, sizeof ticks, ticks,
                                                         sizeof *ticks, VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
        return;
    r->times.draw_ms =
        (double)((ticks[DRAW_END] - ticks[DRAW_BEGIN]) & r->gpu->timestamp_mask) * r->gpu->timestamp_ns / 1e6;
    r->times.work_ms = 0;
    if (f->has_work)
        r->times.work_ms =
            (double)((ticks[WORK_END] - ticks[WORK_BEGIN]) & r->gpu->timestamp_mask) * r->gpu->timestamp_ns / 1e6;
    r->times.work_sum_ms += r->times.work_ms;
}

static VkResult finish(struct renderer *r, struct renderer_frame *f, uint64_t timeout_ns) {
    if (!f->pending)
        return VK_SUCCESS;
    const VkResult result = r->gpu->vkd.vkWaitForFences(r->gpu->device, 1, &f->fence, VK_TRUE, timeout_ns);
    if (result != VK_SUCCESS)
        return result == VK_TIMEOUT ? VK_NOT_READY : result;
    read_times(r, f);
    f->pending = false;
    if (f->serial > r->finished)
        r->finished = f->serial;
    return VK_SUCCESS;
}

void renderer_poll(struct renderer *r) {
    for (uint64_t serial = r->serial < FRAMES_IN_FLIGHT ? 0 : r->serial - FRAMES_IN_FLIGHT; serial <= r->serial;
         serial++) {
        struct renderer_frame *f = &r->frames[serial % FRAMES_IN_FLIGHT];
        if (f->pending && f->serial == serial && finish(r, f, 0) != VK_SUCCESS)
            return;
    }
}

void renderer_wait(struct renderer *r) {
    gpu_wait_idle(r->gpu);
    renderer_poll(r);
}

// ---- images

static void image_barrier(struct renderer *r, VkCommandBuffer commands, struct gpu_image *image, bool to_write) {
    const VkPipelineStageFlags readers = VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    const VkImageMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
        .image = image->image,
        .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
        .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .srcAccessMask = to_write ? 0 : VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = to_write ? VK_ACCESS_TRANSFER_WRITE_BIT : VK_ACCESS_SHADER_READ_BIT,
        .oldLayout = !to_write        ? VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL
                     : image->written ? VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL
                                      : VK_IMAGE_LAYOUT_UNDEFINED,
        .newLayout = to_write ? VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
    };
    r->gpu->vkd.vkCmdPipelineBarrier(commands, to_write ? readers : VK_PIPELINE_STAGE_TRANSFER_BIT,
                                     to_write ? VK_PIPELINE_STAGE_TRANSFER_BIT : readers, 0, 0, NULL, 0, NULL, 1,
                                     &barrier);
    image->written = true;
}

// Rows from first_row on; `rows` 0: none, the layout alone.
static void upload(struct renderer *r, VkCommandBuffer commands, struct gpu_image *image, const struct gpu_buffer *from,
                   VkDeviceSize offset, int first_row, int rows) {
    const VkBufferImageCopy copy = {
        .bufferOffset = offset,
        .imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
        .imageOffset = {0, first_row, 0},
        .imageExtent = {(uint32_t)image->width, (uint32_t)rows, 1},
    };
    image_barrier(r, commands, image, true);
    if (rows > 0)
        r->gpu->vkd.vkCmdCopyBufferToImage(commands, from->buffer, image->image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                                           1, &copy);
    image_barrier(r, commands, image, false);
}

static struct renderer_frame *current(struct renderer *r) { return &r->frames[r->serial % FRAMES_IN_FLIGHT]; }

VkResult renderer_set_picture(struct renderer *r, const struct frame *frame) {
    struct renderer_frame *f = current(r);
    const size_t bytes = frame_bytes(frame), luma_bytes = (size_t)frame->width * (size_t)frame->height;
    const bool nv12 = frame->format == FRAME_NV12;
    const size_t chroma_at = (luma_bytes + 15) / 16 * 16;
    VkResult result = VK_SUCCESS;
    if (r->shape.width != frame->width || r->shape.height != frame->height || r->shape.format != frame->format) {
        gpu_wait_idle(r->gpu);
        r->shape.width = 0;
        result = renderer_replace_image(r, &r->luma, nv12 ? VK_FORMAT_R8_UNORM : VK_FORMAT_R8G8B8A8_UNORM, frame->width,
                                        frame->height);
        if (result >= 0)
            result = renderer_replace_image(r, &r->chroma, VK_FORMAT_R8G8_UNORM, nv12 ? (frame->width + 1) / 2 : 1,
                                            nv12 ? (frame->height + 1) / 2 : 1);
        if (result < 0)
            return result;
        renderer_write_descriptors(r);
    }
    if (f->picture.size < bytes + 16) {
        gpu_buffer_destroy(r->gpu, &f->picture);
        result = gpu_buffer_create(r->gpu, bytes + 16, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, false, &f->picture);
        if (result < 0)
            return result;
    }
    r->shape = (struct frame_shape){frame->format, frame->width, frame->height, frame->orientation};
    memcpy(f->picture.mapped, frame->data, nv12 ? luma_bytes : bytes);
    upload(r, f->draw, &r->luma, &f->picture, 0, 0, frame->height);
    if (nv12) {
        memcpy((uint8_t *)f->picture.mapped + chroma_at, frame->data + luma_bytes, bytes - luma_bytes);
        upload(r, f->draw, &r->chroma, &f->picture, chroma_at, 0, r->chroma.height);
    }
    return VK_SUCCESS;
}

void renderer_set_map(struct renderer *r, const uint8_t *map) {
    struct renderer_frame *f = current(r);
    const size_t bytes = OVERLAY_SIDE * OVERLAY_SIDE, at = (size_t)ATLAS_SIZE * ATLAS_SIZE;
    memcpy((uint8_t *)f->small.mapped + at, map, bytes);
    upload(r, f->draw, &r->map, &f->small, at, 0, OVERLAY_SIDE);
}

// Images that the frame's shaders may read but that have no content yet.
static void upload_first(struct renderer *r) {
    struct renderer_frame *f = current(r);
    struct gpu_image *const images[] = {&r->luma, &r->chroma, &r->map};
    for (int i = 0; i < 3; i++)
        if (!images[i]->written)
            upload(r, f->draw, images[i], &f->small, 0, 0, 0);
    if (!r->colours.written) {
        const size_t at = (size_t)ATLAS_SIZE * ATLAS_SIZE + (1 << 17);
        uint8_t colours[OVERLAY_COLOURS][4];
        overlay_colours(colours);
        memcpy((uint8_t *)f->small.mapped + at, colours, sizeof colours);
        upload(r, f->draw, &r->colours, &f->small, at, 0, 1);
    }
}

static void upload_atlas(struct renderer *r, struct text *text) {
    struct renderer_frame *f = current(r);
    const uint8_t *pixels;
    int first, rows;
    if (!r->atlas.written)
        text_touch_all(text);
    if (!text_take_dirty(text, &first, &rows, &pixels))
        return;
    memcpy(f->small.mapped, pixels, (size_t)rows * ATLAS_SIZE);
    upload(r, f->draw, &r->atlas, &f->small, 0, first, rows);
}

// ---- a frame

static VkResult make_target(struct renderer *r) {
    gpu_wait_idle(r->gpu);
    target_destroy(r->gpu, &r->target);
    VkResult result =
        target_create(r->gpu, r->surface, VK_FORMAT_R8G8B8A8_UNORM, r->wanted_width, r->wanted_height, &r->target);
    if (result != VK_SUCCESS)
        return result;
    if (r->pipeline_format != r->target.format)
        result = renderer_create_pipelines(r);
    r->resized = result < 0;
    return result;
}

static VkResult acquire(struct renderer *r, struct renderer_frame *f) {
    for (int i = 0; i < 2; i++) {
        VkResult result = r->resized ? make_target(r) : VK_SUCCESS;
        if (result != VK_SUCCESS)
            return result;
        r->image = 0;
        if (!r->surface)
            return VK_SUCCESS;
        result = r->gpu->vkd.vkAcquireNextImageKHR(r->gpu->device, r->target.swapchain, 100000000, f->acquired,
                                                   VK_NULL_HANDLE, &r->image);
        if (result == VK_SUBOPTIMAL_KHR)
            return VK_SUCCESS; // shown all the same; presenting says it again
        if (result != VK_ERROR_OUT_OF_DATE_KHR)
            return result == VK_TIMEOUT ? VK_NOT_READY : result;
        r->resized = true;
    }
    return VK_NOT_READY;
}

static VkResult begin_commands(struct renderer *r, VkCommandBuffer commands) {
    const VkCommandBufferBeginInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    return r->gpu->vkd.vkBeginCommandBuffer(commands, &info);
}

static void stamp(struct renderer *r, VkCommandBuffer commands, bool begin, uint32_t query) {
    if (current(r)->queries)
        r->gpu->vkd.vkCmdWriteTimestamp(
            commands, begin ? VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT : VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
            current(r)->queries, query);
}

VkResult renderer_begin(struct renderer *r) {
    struct renderer_frame *f = &r->frames[(r->serial + 1) % FRAMES_IN_FLIGHT];
    VkResult result = finish(r, f, 2000000000);
    if (result == VK_SUCCESS)
        result = acquire(r, f);
    if (result != VK_SUCCESS)
        return result;
    f->serial = ++r->serial;
    f->has_work = false;
    result = begin_commands(r, f->draw);
    if (result < 0)
        return result;
    if (f->queries)
        r->gpu->vkd.vkCmdResetQueryPool(f->draw, f->queries, 0, NUM_QUERIES);
    stamp(r, f->draw, true, DRAW_BEGIN);
    return VK_SUCCESS;
}

VkCommandBuffer renderer_work(struct renderer *r) {
    struct renderer_frame *f = current(r);
    if (!f->has_work && begin_commands(r, f->work) >= 0) {
        f->has_work = true;
        stamp(r, f->work, true, WORK_BEGIN);
    }
    return f->has_work ? f->work : VK_NULL_HANDLE;
}

static void draw_picture(struct renderer *r, VkCommandBuffer commands, const struct target *t,
                         const struct placed_picture *p) {
    const struct picture_push push = {
        .rect = {p->x, p->y, p->width, p->height},
        .seen = {p->seen.x, p->seen.y, p->seen.width, p->seen.height},
        .viewport = {(float)t->width, (float)t->height},
        .strength = p->strength,
        .orientation = r->shape.orientation,
        .nv12 = r->shape.format == FRAME_NV12,
    };
    r->gpu->vkd.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, r->picture_pipeline);
    r->gpu->vkd.vkCmdPushConstants(commands, r->layout, VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT, 0,
                                   sizeof push, &push);
    r->gpu->vkd.vkCmdDraw(commands, 4, 1, 0, 0);
}

static void draw_into(struct renderer *r, const struct target *t, uint32_t image, const struct canvas *canvas,
                      const struct placed_picture *picture) {
    struct renderer_frame *f = current(r);
    const VkClearValue background = {.color = {.float32 = {0.047f, 0.055f, 0.071f, 1}}};
    const VkRenderPassBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
        .renderPass = t->pass,
        .framebuffer = t->framebuffers[image],
        .renderArea = {{0, 0}, {(uint32_t)t->width, (uint32_t)t->height}},
        .clearValueCount = 1,
        .pClearValues = &background,
    };
    const VkViewport viewport = {0, 0, (float)t->width, (float)t->height, 0, 1};
    const float size[2] = {viewport.width, viewport.height};
    const VkDeviceSize zero = 0;
    r->gpu->vkd.vkCmdBeginRenderPass(f->draw, &begin, VK_SUBPASS_CONTENTS_INLINE);
    r->gpu->vkd.vkCmdSetViewport(f->draw, 0, 1, &viewport);
    r->gpu->vkd.vkCmdSetScissor(f->draw, 0, 1, &begin.renderArea);
    r->gpu->vkd.vkCmdBindDescriptorSets(f->draw, VK_PIPELINE_BIND_POINT_GRAPHICS, r->layout, 0, 1, &f->set, 0, NULL);
    if (picture && r->shape.width > 0)
        draw_picture(r, f->draw, t, picture);
    if (canvas->num_quads > 0) {
        r->gpu->vkd.vkCmdBindPipeline(f->draw, VK_PIPELINE_BIND_POINT_GRAPHICS, r->ui_pipeline);
        r->gpu->vkd.vkCmdPushConstants(f->draw, r->layout, VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT, 0,
                                       sizeof size, size);
        r->gpu->vkd.vkCmdBindVertexBuffers(f->draw, 0, 1, &f->quads.buffer, &zero);
        r->gpu->vkd.vkCmdDraw(f->draw, 4, (uint32_t)canvas->num_quads, 0, 0);
    }
    r->gpu->vkd.vkCmdEndRenderPass(f->draw);
}

// The frame once more, into an image that can be read.
static VkResult draw_shot(struct renderer *r, const struct canvas *canvas, const struct placed_picture *picture) {
    struct renderer_frame *f = current(r);
    gpu_wait_idle(r->gpu); // an earlier one may be under way
    target_destroy(r->gpu, &r->shot);
    gpu_buffer_destroy(r->gpu, &r->shot_pixels);
    VkResult result =
        target_create(r->gpu, VK_NULL_HANDLE, r->target.format, r->target.width, r->target.height, &r->shot);
    if (result >= 0)
        result = gpu_buffer_create(r->gpu, (VkDeviceSize)r->shot.width * (VkDeviceSize)r->shot.height * 4,
                                   VK_BUFFER_USAGE_TRANSFER_DST_BIT, true, &r->shot_pixels);
    if (result < 0)
        return result;
    draw_into(r, &r->shot, 0, canvas, picture);
    const VkBufferImageCopy copy = {
        .imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
        .imageExtent = {(uint32_t)r->shot.width, (uint32_t)r->shot.height, 1},
    };
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT,
    };
    r->gpu->vkd.vkCmdCopyImageToBuffer(f->draw, r->shot.own.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                                       r->shot_pixels.buffer, 1, &copy);
    r->gpu->vkd.vkCmdPipelineBarrier(f->draw, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                                     &barrier, 0, NULL, 0, NULL);
    r->shot_serial = r->serial;
    return VK_SUCCESS;
}

static VkResult submit(struct renderer *r, struct renderer_frame *f) {
    static const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
    const VkSubmitInfo submits[2] = {
        {
            .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
            .commandBufferCount = 1,
            .pCommandBuffers = &f->draw,
            .waitSemaphoreCount = r->surface ? 1 : 0,
            .pWaitSemaphores = &f->acquired,
            .pWaitDstStageMask = &stage,
            .signalSemaphoreCount = r->surface ? 1 : 0,
            .pSignalSemaphores = &r->target.drawn[r->image],
        },
        {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &f->work},
    };
    VkResult result = r->gpu->vkd.vkResetFences(r->gpu->device, 1, &f->fence);
    if (result >= 0)
        result = gpu_submit(r->gpu, f->has_work ? 2 : 1, submits, f->fence);
    f->pending = result >= 0;
    return result;
}

static VkResult present(struct renderer *r) {
    const VkPresentInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PRESENT_INFO_KHR,
        .waitSemaphoreCount = 1,
        .pWaitSemaphores = &r->target.drawn[r->image],
        .swapchainCount = 1,
        .pSwapchains = &r->target.swapchain,
        .pImageIndices = &r->image,
    };
    SDL_LockMutex(r->gpu->lock);
    const VkResult result = r->gpu->vkd.vkQueuePresentKHR(r->gpu->queue, &info);
    SDL_UnlockMutex(r->gpu->lock);
    if (result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_SUBOPTIMAL_KHR) {
        r->resized = true;
        return VK_SUCCESS;
    }
    return result;
}

VkResult renderer_end(struct renderer *r, struct canvas *canvas, const struct placed_picture *picture) {
    struct renderer_frame *f = current(r);
    upload_first(r);
    upload_atlas(r, canvas->text);
    memcpy(f->quads.mapped, canvas->quads, sizeof *canvas->quads * (size_t)canvas->num_quads);
    draw_into(r, &r->target, r->image, canvas, picture);
    VkResult result = VK_SUCCESS;
    if (r->shot_wanted) {
        r->shot_wanted = false;
        result = draw_shot(r, canvas, picture);
    }
    stamp(r, f->draw, false, DRAW_END);
    if (f->has_work)
        stamp(r, f->work, false, WORK_END);
    if (result >= 0)
        result = r->gpu->vkd.vkEndCommandBuffer(f->draw);
    if (result >= 0 && f->has_work)
        result = r->gpu->vkd.vkEndCommandBuffer(f->work);
    if (result >= 0)
        result = submit(r, f);
    return result < 0 || !r->surface ? result : present(r);
}

// ---- screenshots

void renderer_want_shot(struct renderer *r) { r->shot_wanted = true; }

bool renderer_take_shot(struct renderer *r, uint8_t **rgba, int *width, int *height) {
    if (r->shot_serial == 0 || r->finished < r->shot_serial)
        return false;
    r->shot_serial = 0;
    *width = r->shot.width;
    *height = r->shot.height;
    const size_t pixels = (size_t)*width * (size_t)*height;
    *rgba = malloc(pixels * 4);
    if (!*rgba)
        return false;
    memcpy(*rgba, r->shot_pixels.mapped, pixels * 4);
    for (size_t i = 0; r->shot.format == VK_FORMAT_B8G8R8A8_UNORM && i < pixels; i++) {
        const uint8_t blue = (*rgba)[4 * i];
        (*rgba)[4 * i] = (*rgba)[4 * i + 2];
        (*rgba)[4 * i + 2] = blue;
    }
    return true;
}
