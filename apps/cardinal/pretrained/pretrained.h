// pretrained.h - torchvision's published ImageNet weights by name: where they are, how to fetch and
// check them, and the recipe their accuracy was measured with.
//
// A file is downloaded once into the user's cache folder ($CARDINAL_CACHE, else $XDG_CACHE_HOME/cardinal,
// else ~/.cache/cardinal; on Windows %LOCALAPPDATA%\cardinal), subfolder models/, and used from there ever
// after without network. One put there by hand is taken too. $CARDINAL_MODEL_URL names another server
// (http or https) that holds the same file names: a mirror, or a test.
#ifndef CARDINAL_PRETRAINED_H_
#define CARDINAL_PRETRAINED_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdl/cdl.h"

enum { PRETRAINED_RECIPE_PAIRS = 6 };

struct pretrained {
    const char *name;           // "resnext50_32x4d@v1"
    const char *arch;           // "resnext50_32x4d"
    const char *version;        // "v1", torchvision's IMAGENET1K_V1
    bool is_default;            // what the name without version means: torchvision's DEFAULT, the most accurate
    const char *url;            // torchvision's
    const char *file;           // "resnext50_32x4d-7cdf4587.pth"
    char sha256_prefix[9];      // of the file's SHA-256, as in its name; "": what the server tells, if it does
    int resize_size, crop_size; // pixels
    double acc1, acc5;          // per cent on ImageNet-1K, as published
    uint64_t num_parameters;
    // For cdl_model_params.metadata: architecture, input_size, resize_size, mean, std, interpolation.
    struct cdl_pair recipe[PRETRAINED_RECIPE_PAIRS];
};

const struct pretrained *pretrained_at(int i); // NULL when i is out of range; versions of a name follow each other

// "resnext50_32x4d" or "resnext50_32x4d@v2". NULL: no such name or version.
const struct pretrained *pretrained_find(const char *name);

// The entry whose file name ends `path`, for a file that was fetched by other means: V2 weights resize
// differently. NULL: none, or the name was changed.
const struct pretrained *pretrained_find_file(const char *path);

struct pretrained_options {
    const char *folder;   // NULL: pretrained_folder's
    const char *base_url; // NULL: $CARDINAL_MODEL_URL, else torchvision's address
    int stall_seconds;    // gives up when nothing arrives for so long; 0: 30
    bool quiet;           // nothing on stderr
    bool *missing;        // NULL, or set to whether the server said that it has no such file
};

// Puts the path of the verified file into path[]; downloads it when absent, with a progress bar on stderr where that
// is a terminal. Blocks; safe against other processes doing the same. options NULL: defaults.
// false: one line in error[].
bool pretrained_fetch(const struct pretrained *p, const struct pretrained_options *options, char *path,
                      size_t path_size, char *error, size_t error_size);

// Whether it would need no network, as far as can be told without reading it; path[] gets where it would lie.
bool pretrained_is_cached(const struct pretrained *p, char *path, size_t path_size);

// The folder files lie in, whether it exists or not. false: one line in error[].
bool pretrained_folder(char *folder, size_t folder_size, char *error, size_t error_size);

// The generated table, table.c.
extern const struct pretrained pretrained_table[];
extern const int pretrained_table_count;

#endif // CARDINAL_PRETRAINED_H_
