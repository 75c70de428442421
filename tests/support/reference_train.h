// reference_train.h - a training step in plain C with doubles: the loss of a network in training mode, and its
// gradients.
#ifndef CDL_REFERENCE_TRAIN_H_
#define CDL_REFERENCE_TRAIN_H_

#include "graph/graph.h"
#include "train/parameters.h"

struct train_case {
    const struct cdl_graph *graph; // batch norm apart
    const struct cdl_parameters *parameters;
    int images;
    const double *input; // [images][height][width][channels]
    const int *labels;   // [images]
    double smoothing;
    bool fp16; // values and convolutions' weights rounded to halves, where training in mixed precision stores them so
};

// The mean loss with these parameters, [parameters->size]. gradients: as many, or NULL. *kink: how near a ReLU came to
// 0, or a max-pool to a tie; nearer than rounding, gradients of another precision may differ.
double reference_train(const struct train_case *c, const double *parameters, double *gradients, double *kink);

#endif // CDL_REFERENCE_TRAIN_H_
