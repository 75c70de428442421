// choice.h - what can be chosen to classify with, and what is chosen.
#ifndef DEMO_CHOICE_H_
#define DEMO_CHOICE_H_

#include <stdbool.h>

#include "cdl/cdl.h"

enum { MAX_MODELS = 64 };

struct choice {
    int gpu;          // in vulkan.gpus
    char model[1024]; // a file or a published name; "": the bundled one
    cdl_precision precision;
};

struct choices {
    char models[MAX_MODELS][1024]; // the bundled one, given and dropped files, published names; as in struct choice
    int num_models;
    struct choice current; // of what is running, or under preparation
    struct choice worked;  // of what is running
    struct choice queued;  // what comes after the preparation under way
    bool has_queued;
};

void choices_open(struct choices *c, const char *model, cdl_precision precision); // model NULL: the bundled one
void choices_add_model(struct choices *c, const char *name); // unless it is there, or there is no room

#endif // DEMO_CHOICE_H_
