// augment.h - what the network sees of a picture, by a counter-based generator: no state, so that any thread, rank or
// resumed run gets the same. Pure; no Vulkan.
#ifndef CDL_TRAIN_AUGMENT_H_
#define CDL_TRAIN_AUGMENT_H_

#include "cdl/cdl_train.h"
#include "kernels/pixel_rows.h"
#include "train_params.h"

// The rectangle of the upright picture that is resized, the size that it is resized to, and where the input lies in
// that: a crop that reaches beyond it is black there.
struct cdl_train_view {
    struct cdl_rectangle part;
    int resized_width, resized_height;
    int left, top;
    bool flip;                  // left and right exchanged, after all
    struct train_jitter jitter; // of the colours, then
};

struct cdl_train_sight {
    cdl_augment augment;
    uint64_t seed;
    int width, height, resize_size; // of the input; of the short side, for what is not torchvision's random crop
    float brightness, contrast, saturation; // how far colours may be changed: see cdl_trainer_params
};

// width, height: of the upright picture. false: a side is out of range.
bool cdl_train_view(const struct cdl_train_sight *sight, int width, int height, int epoch, uint64_t index,
                    struct cdl_train_view *out);

// The share that mixup leaves each picture of a batch, which begins with picture `index`: of a symmetric beta
// distribution, 0 < alpha <= 1.
float cdl_train_mixup_share(uint64_t seed, int epoch, uint64_t index, double alpha);

#endif // CDL_TRAIN_AUGMENT_H_
