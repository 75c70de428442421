// layers.c - see layers.h.
#include "commands/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__) || defined(_WIN32)
#include <jansson.h>

// A manifest names an environment variable and its value by an object with one member. false: there is none.
static bool environment_pair(const json_t *object, const char **name, const char **value) {
    void *it = json_object_iter((json_t *)(size_t)object);
    if (!it)
        return false;
    *name = json_object_iter_key(it);
    *value = json_string_value(json_object_iter_value(it));
    return *value != NULL;
}

static void read_layer(const json_t *layer, struct layer_info *out) {
    const char *name = json_string_value(json_object_get(layer, "name")), *key, *value;
    snprintf(out->name, sizeof out->name, "%s", name ? name : "unnamed");
    const char *disabled = getenv("VK_LOADER_LAYERS_DISABLE");
    out->active = !disabled || (!strstr(disabled, "~all~") && !strstr(disabled, "~implicit~"));
    if (environment_pair(json_object_get(layer, "enable_environment"), &key, &value)) {
        const char *set = getenv(key);
        out->active = out->active && set && !strcmp(set, value);
    }
    if (environment_pair(json_object_get(layer, "disable_environment"), &key, &value)) {
        snprintf(out->disable, sizeof out->disable, "%s=%s", key, value[0] ? value : "1");
        out->active = out->active && !getenv(key);
    }
}

static int read_manifest(const char *path, struct layer_info *out, int cap) {
    json_t *root = json_load_file(path, 0, NULL);
    const json_t *list = json_object_get(root, "layers"), *layer = json_object_get(root, "layer");
    int n = 0;
    for (size_t i = 0; i < json_array_size(list) && n < cap; i++)
        read_layer(json_array_get(list, i), &out[n++]);
    if (layer && n < cap)
        read_layer(layer, &out[n++]);
    json_decref(root);
    return n;
}

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

// There a key of the registry has the manifests' paths as names of its values; a value other than 0 switches one off.
static int read_key(HKEY root, struct layer_info *out, int cap) {
    char path[4096];
    HKEY key;
    int n = 0;
    if (RegOpenKeyExA(root, "SOFTWARE\\Khronos\\Vulkan\\ImplicitLayers", 0, KEY_READ, &key) != ERROR_SUCCESS)
        return 0;
    for (DWORD i = 0; n < cap; i++) {
        DWORD length = sizeof path, type = 0, off = 1, size = sizeof off;
        const LSTATUS status = RegEnumValueA(key, i, path, &length, NULL, &type, (BYTE *)&off, &size);
        if (status != ERROR_SUCCESS && status != ERROR_MORE_DATA)
            break;
        if (status != ERROR_SUCCESS || type != REG_DWORD || off != 0)
            continue;
        memset(&out[n], 0, sizeof *out * (size_t)(cap - n));
        n += read_manifest(path, out + n, cap - n);
    }
    RegCloseKey(key);
    return n;
}

int find_implicit_layers(struct layer_info *out, int cap) {
    const int n = read_key(HKEY_LOCAL_MACHINE, out, cap);
    return n + read_key(HKEY_CURRENT_USER, out + n, cap - n);
}
#else
#include <dirent.h>

#include "system/text.h"

static int read_folder(const char *folder, struct layer_info *out, int cap) {
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir)) && n < cap;) {
        char path[4096];
        if (!ends_in(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        memset(&out[n], 0, sizeof *out * (size_t)(cap - n));
        n += read_manifest(path, out + n, cap - n);
    }
    if (dir)
        closedir(dir);
    return n;
}

int find_implicit_layers(struct layer_info *out, int cap) {
    static const char *const system_folders[] = {
        "/etc/vulkan/implicit_layer.d", "/usr/local/etc/vulkan/implicit_layer.d",
        "/usr/local/share/vulkan/implicit_layer.d", "/usr/share/vulkan/implicit_layer.d"};
    int n = 0;
    for (size_t i = 0; i < sizeof system_folders / sizeof *system_folders; i++)
        n += read_folder(system_folders[i], out + n, cap - n);
    const char *home = getenv("HOME");
    if (home) {
        char folder[4096];
        snprintf(folder, sizeof folder, "%s/.local/share/vulkan/implicit_layer.d", home);
        n += read_folder(folder, out + n, cap - n);
    }
    return n;
}
#endif
#else
int find_implicit_layers(struct layer_info *out, int cap) {
    (void)out;
    (void)cap;
    return 0;
}
#endif
