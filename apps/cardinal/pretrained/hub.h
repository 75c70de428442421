// hub.h - models of a Hugging Face hub by name: "timm/resnext50_32x4d.a1_in1k".
//
// What such a name stands for is a folder: model.safetensors (or pytorch_model.bin) and config.json. It is looked for
// in the cache folder, models/hub/OWNER--NAME; in Hugging Face's own cache ($HF_HUB_CACHE, else $HF_HOME/hub, else
// ~/.cache/huggingface/hub), where Python's programs leave what they download; and then fetched from the server that
// $CARDINAL_HUB names, such as https://huggingface.co or a mirror of it.
#ifndef CARDINAL_HUB_H_
#define CARDINAL_HUB_H_

#include <stdbool.h>
#include <stddef.h>

// A model of timm's that Cardinal runs. Accuracies are timm's, in per cent on ImageNet-1K, by the folder's recipe.
struct hub_model {
    const char *name; // "resnext50_32x4d.a1_in1k", of the owner timm
    int crop_size, resize_size;
    const char *interpolation; // "bicubic"
    double acc1, acc5;
    double millions;     // of parameters
    const char *license; // of the weights, as timm names it
};
extern const struct hub_model hub_models[]; // the generated table, hub_table.c
extern const int hub_model_count;

// "OWNER/NAME" for a name that can be one of a hub's: as it is, behind "hf-hub:" as timm writes it, or a name of
// hub_models without its owner. false: it is none.
bool hub_full_name(const char *name, char *full, size_t size);

// Puts into folder[] the folder of a model by its full name, fetched if need be, as pretrained_fetch does. Blocks.
// false: a line in error[].
bool hub_fetch(const char *full_name, bool quiet, char *folder, size_t folder_size, char *error, size_t error_size);
// Whether it would need no network; if not, folder[] gets where it would lie.
bool hub_is_cached(const char *full_name, char *folder, size_t folder_size);

// The weights in a folder. false: a line in error[].
bool hub_find_weights(const char *folder, char *path, size_t path_size, char *error, size_t error_size);

#endif // CARDINAL_HUB_H_
