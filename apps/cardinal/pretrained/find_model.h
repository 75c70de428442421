// find_model.h - what --model names: a file, a folder of a Hugging Face hub, or a published model.
#ifndef CARDINAL_FIND_MODEL_H_
#define CARDINAL_FIND_MODEL_H_

#include "pretrained/hub_config.h"

struct found_model {
    char path[4096]; // of the weights
    char name[512];  // to show
    // For cdl_model_params: what lies beside the weights, or is published with them.
    const struct cdl_pair *defaults;
    int num_defaults;
    const char *defaults_from;
    struct hub_config config; // `defaults` may lead into it
};

// given: metadata that the user gave, which a folder's texts need not know. false: one line in error[].
// found_model_free in either case; `out` must not be moved meanwhile.
bool find_model(struct found_model *out, const char *name, bool quiet, const struct cdl_pair *given, int num_given,
                char *error, size_t error_size);
void found_model_free(struct found_model *found);

#endif // CARDINAL_FIND_MODEL_H_
