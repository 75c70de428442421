// pixels.h - writes pictures into a slot's staging buffer: jobs of the preprocess kernel, their coefficient tables, and
// pixels. Nothing is recorded or submitted here.
#ifndef CDL_PIXELS_H_
#define CDL_PIXELS_H_

#include "kernels/pixel_rows.h"
#include "session/session.h"

// How far a slot's staging buffer is filled.
struct cdl_stage {
    struct cdl_session *s;
    struct cdl_slot *slot;
    size_t used, jobs_bytes;
    int num_jobs, max_rows;
};
struct cdl_stage cdl_stage_begin(struct cdl_session *s, struct cdl_slot *slot);

// A picture on its way: what does not depend on the band.
struct cdl_source {
    int stored_width, stored_height, orientation;
    int width, height; // upright
    struct cdl_geometry geometry;
    int column_taps, row_taps;
};
cdl_result cdl_describe_source(const struct cdl_session *s, int stored_width, int stored_height, int orientation,
                               struct cdl_source *out);

// A job for output rows [row, row + count) of a picture, while it is made: where it writes, and its tables, whose first
// source columns and rows the caller may shift; the caller tells where the pixels are.
struct cdl_job_draft {
    struct preprocess_job job;
    int32_t *columns, *rows; // in the session's own memory, until the next draft
    size_t columns_at, columns_bytes, rows_at, rows_bytes;
};
// Takes the tables' place, which must be there.
struct cdl_job_draft cdl_stage_draft(struct cdl_stage *stage, const struct cdl_source *source, int image, int row,
                                     int count);
// Appends it.
void cdl_stage_job(struct cdl_stage *stage, const struct cdl_job_draft *draft);
// What cdl_stage_draft takes for the whole height of a picture.
size_t cdl_stage_job_bytes(const struct cdl_session *s, const struct cdl_source *source);

// Stages as much of images[count] as fits, in place of what was staged. *image and *row, a row of the network's input,
// tell where it begins, and are moved to where the next part begins: to image `count` when all is staged.
cdl_result cdl_stage_pictures(struct cdl_stage *stage, const struct cdl_pixels *images, int count, int *image,
                              int *row);

// Stages as many tensors of images[count] as fit, from `image` on, and returns how many; *out is the dispatch that
// imports them.
int cdl_stage_tensors(struct cdl_stage *stage, const struct cdl_pixels *images, int count, int image,
                      struct cdl_launch *out);

// The dispatch of `count` staged jobs from `first` on.
void cdl_stage_launch(const struct cdl_stage *stage, int first, int count, struct cdl_launch *out);

#endif // CDL_PIXELS_H_
