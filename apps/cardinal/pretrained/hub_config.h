// hub_config.h - what the texts in a Hugging Face hub folder say of the weights beside them, as metadata.
//
// Two programs write such folders. timm: config.json with `pretrained_cfg`, or its older form without that level.
// transformers: config.json with `id2label`, and preprocessor_config.json.
#ifndef CARDINAL_HUB_CONFIG_H_
#define CARDINAL_HUB_CONFIG_H_

#include <stdbool.h>
#include <stddef.h>

#include "cdl/cdl.h"

enum { HUB_CONFIG_PAIRS = 8 };

struct hub_config {
    struct cdl_pair pairs[HUB_CONFIG_PAIRS]; // for cdl_model_params.defaults; the values are malloc'd
    int num_pairs;
    int num_classes; // 0: not told
    char file[4096]; // the path of config.json, for messages
};

// Reads FOLDER/config.json and, where that is transformers', FOLDER/preprocessor_config.json; without the first, which
// is no error, there are no pairs. given: metadata that the caller has already, which is not asked of the files.
// false: one line in error[]. hub_config_free in either case.
bool hub_config_read(struct hub_config *out, const char *folder, const struct cdl_pair *given, int num_given,
                     char *error, size_t error_size);
void hub_config_free(struct hub_config *config);

#endif // CARDINAL_HUB_CONFIG_H_
