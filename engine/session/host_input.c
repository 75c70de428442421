// host_input.c - see host_input.h.
#include "session/host_input.h"

#include "session/pixels.h"
#include "session/preprocess.h"

struct cdl_part cdl_part_of(const struct cdl_vk_input *in) {
    const struct cdl_part whole = {0, 0, in->width, in->height};
    const bool cropped = in->crop.x || in->crop.y || in->crop.width || in->crop.height;
    return cropped ? (struct cdl_part){in->crop.x, in->crop.y, in->crop.width, in->crop.height} : whole;
}

size_t cdl_stride_of(const struct cdl_vk_input *in) { return in->stride ? in->stride : (size_t)in->width * 4; }

// Whether shaders read the format as floats through a plain view. VkFormat numbers the formats of a layout in the order
// UNORM, SNORM, USCALED, SSCALED, UINT, SINT and one more, from 8 to 16 bits; then UINT, SINT, SFLOAT.
static bool reads_as_floats(VkFormat format) {
    const int f = (int)format;
    _Static_assert(VK_FORMAT_R8_UINT - VK_FORMAT_R8_UNORM == 4 && VK_FORMAT_R8G8_UNORM - VK_FORMAT_R8_UNORM == 7 &&
                       VK_FORMAT_A8B8G8R8_UINT_PACK32 - VK_FORMAT_A8B8G8R8_UNORM_PACK32 == 4 &&
                       VK_FORMAT_A2B10G10R10_SINT_PACK32 - VK_FORMAT_A2R10G10B10_UNORM_PACK32 == 11 &&
                       VK_FORMAT_R16G16B16A16_SFLOAT - VK_FORMAT_R16_UNORM == 27 &&
                       VK_FORMAT_R64G64B64A64_SFLOAT - VK_FORMAT_R32_UINT == 23,
                   "as Vulkan numbers them");
    if (f >= VK_FORMAT_R8_UNORM && f <= VK_FORMAT_A8B8G8R8_SRGB_PACK32)
        return (f - VK_FORMAT_R8_UNORM) % 7 < 2 || (f - VK_FORMAT_R8_UNORM) % 7 == 6;
    if (f >= VK_FORMAT_A2R10G10B10_UNORM_PACK32 && f <= VK_FORMAT_A2B10G10R10_SINT_PACK32)
        return (f - VK_FORMAT_A2R10G10B10_UNORM_PACK32) % 6 < 2;
    if (f >= VK_FORMAT_R16_UNORM && f <= VK_FORMAT_R16G16B16A16_SFLOAT)
        return (f - VK_FORMAT_R16_UNORM) % 7 < 2 || (f - VK_FORMAT_R16_UNORM) % 7 == 6;
    if (f >= VK_FORMAT_R32_UINT && f <= VK_FORMAT_R64G64B64A64_SFLOAT) // doubles are no floats
        return f <= VK_FORMAT_R32G32B32A32_SFLOAT && (f - VK_FORMAT_R32_UINT) % 3 == 2;
    return f != VK_FORMAT_UNDEFINED && !(f >= VK_FORMAT_D16_UNORM && f <= VK_FORMAT_D32_SFLOAT_S8_UINT);
}

// What the host told of the view's making; Vulkan itself has no way to ask.
static cdl_result check_making(const cdl_log *log, const struct cdl_vk_input *in, int index) {
    const VkImageCreateInfo *image = in->image_info;
    const VkImageViewCreateInfo *view = in->view_info;
    const VkFormat format = view ? view->format : image ? image->format : VK_FORMAT_R8G8B8A8_UNORM;
    const uint32_t level = view ? view->subresourceRange.baseMipLevel : 0;
    if (view && view->viewType != VK_IMAGE_VIEW_TYPE_2D)
        return cdl_fail(log, CDL_ERR_INVALID, "inputs[%d].view_info: viewType is %d, not VK_IMAGE_VIEW_TYPE_2D", index,
                        (int)view->viewType);
    if (!reads_as_floats(format))
        return cdl_fail(log, CDL_ERR_INVALID,
                        "inputs[%d].%s: shaders do not read format %d as floats; UNORM, SNORM, SFLOAT and SRGB formats "
                        "of colours will do",
                        index, view ? "view_info" : "image_info", (int)format);
    if (!image)
        return CDL_OK;
    if (image->samples != VK_SAMPLE_COUNT_1_BIT)
        return cdl_fail(log, CDL_ERR_INVALID,
                        "inputs[%d].image_info: samples is %d; a multisampled image must be resolved first", index,
                        (int)image->samples);
    if (!(image->usage & VK_IMAGE_USAGE_SAMPLED_BIT))
        return cdl_fail(log, CDL_ERR_INVALID,
                        "inputs[%d].image_info: usage lacks VK_IMAGE_USAGE_SAMPLED_BIT; create the image with it, or "
                        "copy it to one that has it",
                        index);
    const uint32_t width = image->extent.width >> level, height = image->extent.height >> level;
    if ((uint32_t)in->width != (width ? width : 1) || (uint32_t)in->height != (height ? height : 1))
        return cdl_fail(log, CDL_ERR_INVALID, "inputs[%d]: width and height are %dx%d, those of the view %ux%u", index,
                        in->width, in->height, (unsigned)(width ? width : 1), (unsigned)(height ? height : 1));
    return CDL_OK;
}

static cdl_result check_buffer(const struct cdl_device *dev, const struct cdl_vk_input *in, int index) {
    const cdl_log *log = &dev->log;
    CDL_EXPECT(log, !in->chroma_view, "inputs[%d].chroma_view: goes with a view, not with a buffer", index);
    CDL_EXPECT(log, in->format == CDL_FORMAT_RGBA8 || in->format == CDL_FORMAT_BGRA8,
               "inputs[%d].format is %d; a buffer holds CDL_FORMAT_RGBA8 or CDL_FORMAT_BGRA8", index, (int)in->format);
    CDL_EXPECT(log, in->offset % 4 == 0, "inputs[%d].offset is %llu, no multiple of 4", index,
               (unsigned long long)in->offset);
    CDL_EXPECT(log, in->stride % 4 == 0 && cdl_stride_fits(in->format, in->width, in->stride),
               "inputs[%d].stride is %zu; a multiple of 4 is possible, of at least %d bytes, or 0", index, in->stride,
               4 * in->width);
    if (cdl_stride_of(in) * (uint64_t)in->height > dev->max_storage_range - dev->storage_align)
        return cdl_fail(log, CDL_ERR_UNSUPPORTED, "%s: a buffer of %dx%d pixels; shaders reach %llu MB of one",
                        dev->info.name, in->width, in->height, (unsigned long long)dev->max_storage_range >> 20);
    return CDL_OK;
}

cdl_result cdl_check_input(const struct cdl_device *dev, const struct cdl_vk_input *in, int index) {
    const cdl_log *log = &dev->log;
    const struct cdl_part part = cdl_part_of(in);
    CDL_EXPECT(log, in->width >= 1 && in->width <= CDL_MAX_PICTURE_SIDE, "inputs[%d].width is %d; 1 to %d are possible",
               index, in->width, CDL_MAX_PICTURE_SIDE);
    CDL_EXPECT(log, in->height >= 1 && in->height <= CDL_MAX_PICTURE_SIDE,
               "inputs[%d].height is %d; 1 to %d are possible", index, in->height, CDL_MAX_PICTURE_SIDE);
    CDL_EXPECT(log,
               part.x >= 0 && part.y >= 0 && part.width >= 1 && part.height >= 1 && part.width <= in->width - part.x &&
                   part.height <= in->height - part.y,
               "inputs[%d].crop: %dx%d at %d,%d does not lie inside the picture's %dx%d", index, part.width,
               part.height, part.x, part.y, in->width, in->height);
    CDL_EXPECT(log, in->orientation >= 0 && in->orientation <= 8, "inputs[%d].orientation is %d; 0 to 8 are possible",
               index, in->orientation);
    CDL_EXPECT(log, (in->view != VK_NULL_HANDLE) != (in->buffer != VK_NULL_HANDLE),
               "inputs[%d]: one of view and buffer is needed, and not both", index);
    if (in->buffer)
        return check_buffer(dev, in, index);
    CDL_EXPECT(log, in->layout == VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL || in->layout == VK_IMAGE_LAYOUT_GENERAL,
               "inputs[%d].layout is %d; SHADER_READ_ONLY_OPTIMAL and GENERAL are possible", index, (int)in->layout);
    return check_making(log, in, index);
}
