// hub.c - see hub.h.
#include "pretrained/hub.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pretrained/pretrained.h"
#include "system/files.h"
#include "system/text.h"

#define HUB_ADDRESS "https://huggingface.co"

enum { MAX_PART = 96, PATH_SIZE = 1024 };

static const char *const weight_files[] = {"model.safetensors", "pytorch_model.bin"};
enum { NUM_WEIGHT_FILES = sizeof weight_files / sizeof *weight_files };

// ---- names

// One side of the slash: what a hub allows, which is no path that leads elsewhere.
static bool is_part(const char *text, size_t length) {
    if (length == 0 || length > MAX_PART || text[0] == '.' || text[0] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
            return false;
    return true;
}

bool hub_full_name(const char *name, char *full, size_t size) {
    static const char *const files[] = {".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".tar", ".json", NULL};
    static const char *const prefixes[] = {"hf-hub:", "hf_hub:"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            name += strlen(prefixes[i]);
    for (int i = 0; i < hub_model_count; i++)
        if (!strcmp(name, hub_models[i].name))
            return (size_t)snprintf(full, size, "timm/%s", name) < size;
    const char *slash = strchr(name, '/');
    return slash && !has_extension(name, files) && is_part(name, (size_t)(slash - name)) &&
           is_part(slash + 1, strlen(slash + 1)) && (size_t)snprintf(full, size, "%s", name) < size;
}

// "timm--resnext50_32x4d.a1_in1k", as one name of a folder
static void flat_name(const char *full_name, char flat[2 * MAX_PART + 4]) {
    const char *slash = strchr(full_name, '/');
    snprintf(flat, 2 * MAX_PART + 4, "%.*s--%s", (int)(slash - full_name), full_name, slash + 1);
}

// ---- folders

bool hub_find_weights(const char *folder, char *path, size_t path_size, char *error, size_t error_size) {
    struct file_status status;
    for (int i = 0; i < NUM_WEIGHT_FILES; i++)
        if ((size_t)snprintf(path, path_size, "%s/%s", folder, weight_files[i]) < path_size &&
            get_file_status(path, &status) && status.kind == FILE_REGULAR)
            return true;
    snprintf(error, error_size, "%s: a folder without %s or %s, which a model's folder holds; name the weights' file",
             folder, weight_files[0], weight_files[1]);
    return false;
}

static bool has_weights(const char *folder) {
    char path[PATH_SIZE + 64], error[PATH_SIZE + 256];
    return hub_find_weights(folder, path, sizeof path, error, sizeof error);
}

static bool own_folder(const char *full_name, char *folder, size_t size, char *error, size_t error_size) {
    char models[PATH_SIZE], flat[2 * MAX_PART + 4];
    flat_name(full_name, flat);
    if (!pretrained_folder(models, sizeof models, error, error_size))
        return false;
    if ((size_t)snprintf(folder, size, "%s/hub/%s", models, flat) < size)
        return true;
    snprintf(error, error_size, "the cache folder's path is too long");
    return false;
}

// The folder in Hugging Face's cache: models--OWNER--NAME/snapshots/COMMIT, the commit being in refs/main.
static bool foreign_folder(const char *full_name, char *folder, size_t size) {
    const char *cache = getenv("HF_HUB_CACHE"), *hf_home = getenv("HF_HOME"), *home = getenv("HOME");
    if (!home || !home[0])
        home = getenv("USERPROFILE"); // Windows
    char flat[2 * MAX_PART + 4], root[PATH_SIZE], path[2 * PATH_SIZE], commit[65] = "";
    flat_name(full_name, flat);
    int n = -1;
    if (cache && cache[0])
        n = snprintf(root, sizeof root, "%s/models--%s", cache, flat);
    else if (hf_home && hf_home[0])
        n = snprintf(root, sizeof root, "%s/hub/models--%s", hf_home, flat);
    else if (home && home[0])
        n = snprintf(root, sizeof root, "%s/.cache/huggingface/hub/models--%s", home, flat);
    if (n < 0 || (size_t)n >= sizeof root)
        return false;
    snprintf(path, sizeof path, "%s/refs/main", root);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    const bool read = fscanf(file, "%64[0-9a-f]", commit) == 1;
    fclose(file);
    return read && (size_t)snprintf(folder, size, "%s/snapshots/%s", root, commit) < size;
}

bool hub_is_cached(const char *full_name, char *folder, size_t folder_size) {
    char error[256];
    if (own_folder(full_name, folder, folder_size, error, sizeof error) && has_weights(folder))
        return true;
    if (foreign_folder(full_name, folder, folder_size) && has_weights(folder))
        return true;
    if (!own_folder(full_name, folder, folder_size, error, sizeof error))
        folder[0] = 0;
    return false;
}

// ---- fetching

// One file of a model's folder.
static bool fetch_file(const char *full_name, const char *file, const char *address, const char *folder, bool quiet,
                       bool *missing, char *error, size_t error_size) {
    char base[PATH_SIZE], path[PATH_SIZE + 128];
    const size_t length = strlen(address);
    const int n = snprintf(base, sizeof base, "%.*s/%s/resolve/main",
                           (int)(address[length - 1] == '/' ? length - 1 : length), address, full_name);
    if (n < 0 || (size_t)n >= sizeof base) {
        snprintf(error, error_size, "CARDINAL_HUB: the address is too long");
        return false;
    }
    const struct pretrained p = {.name = full_name, .file = file, .url = ""};
    const struct pretrained_options o = {.folder = folder, .base_url = base, .quiet = quiet, .missing = missing};
    return pretrained_fetch(&p, &o, path, sizeof path, error, error_size);
}

bool hub_fetch(const char *full_name, bool quiet, char *folder, size_t folder_size, char *error, size_t error_size) {
    if (hub_is_cached(full_name, folder, folder_size))
        return true;
    if (!own_folder(full_name, folder, folder_size, error, error_size))
        return false;
    const char *address = getenv("CARDINAL_HUB");
    if (!address || !address[0]) {
        snprintf(error, error_size,
                 "%s: no such file or folder, and not in the cache. Set CARDINAL_HUB=" HUB_ADDRESS
                 " (or a mirror) to fetch it, or put model.safetensors and config.json of " HUB_ADDRESS "/%s into %s",
                 full_name, full_name, folder);
        return false;
    }
    if (strncmp(address, "http://", 7) != 0 && strncmp(address, "https://", 8) != 0) {
        snprintf(error, error_size, "CARDINAL_HUB: \"%s\" does not begin with http:// or https://", address);
        return false;
    }
    bool missing;
    if (!fetch_file(full_name, "config.json", address, folder, quiet, &missing, error, error_size)) {
        if (missing)
            snprintf(error, error_size, "%s: %s has no model of that name, or none with a config.json", full_name,
                     address);
        return false;
    }
    for (int i = 0; i < NUM_WEIGHT_FILES; i++) {
        if (fetch_file(full_name, weight_files[i], address, folder, quiet, &missing, error, error_size))
            return true;
        if (!missing)
            return false;
    }
    snprintf(error, error_size, "%s: %s has neither %s nor %s of it; weights in several files cannot be used",
             full_name, address, weight_files[0], weight_files[1]);
    return false;
}
