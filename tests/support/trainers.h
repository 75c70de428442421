// trainers.h - trainers for tests, and a batch that they learn from.
#ifndef CARDINAL_TEST_TRAINERS_H_
#define CARDINAL_TEST_TRAINERS_H_

#include "support/harness.h"
#include "train/trainer.h"

enum { IMAGES = 8 };

// Tensors and labels as golden/make_gradients.py has them.
struct batch {
    float *pixels; // [IMAGES][3][height][width]; to be freed
    struct cdl_train_picture pictures[IMAGES];
};
struct batch make_batch(const struct cdl_trainer *t);

cdl_trainer *make_trainer(const char *network, const struct cdl_trainer_params *params);
struct cdl_train_result take(cdl_trainer *t);                   // of the oldest step
float *download(cdl_trainer *t, const struct cdl_buffer *from); // all of it, to be freed
float *input_of(cdl_trainer *t); // what lies in value 0 after a step, [IMAGES][height][width][4], to be freed
void expect_same(cdl_trainer *a, cdl_trainer *b); // all that lasts from step to step

#endif // CARDINAL_TEST_TRAINERS_H_
