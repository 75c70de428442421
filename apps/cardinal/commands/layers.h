// layers.h - implicit Vulkan layers: overlays, recorders and the like that sit between every program and
// its driver, and are the cause when a compute program crashes on one machine alone.
#ifndef CARDINAL_LAYERS_H_
#define CARDINAL_LAYERS_H_

#include <stdbool.h>

struct layer_info {
    char name[256];
    char disable[256]; // "NAME=1", the environment that switches it off; empty: none
    bool active;       // as the loader decides by the manifest's enable_environment and disable_environment
};

// Reads the manifests that the loader reads, by their folders (Linux) or the registry (Windows); elsewhere 0. Returns
// how many entries of out[cap] were filled.
int find_implicit_layers(struct layer_info *out, int cap);

#endif // CARDINAL_LAYERS_H_
