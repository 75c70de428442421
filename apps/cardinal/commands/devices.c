// devices.c - cardinal devices: lists the Vulkan devices, and the implicit layers between programs and drivers.
#include "commands/layers.h"
#include "commands/report.h"

#include <stdlib.h>

enum { MAX_DEVICES = 64 };

static const char *type_name(enum cdl_device_type type) {
    static const char *const names[] = {"other", "integrated GPU", "discrete GPU", "virtual GPU", "CPU driver"};
    return names[type];
}

static void print_text(const struct cdl_device_info *d, int index) {
    printf("%d: %s\n", index, d->name);
    printf("   %s, %s, Vulkan %s\n", type_name(d->type), d->driver[0] ? d->driver : "unnamed driver",
           version_text(d->api_version).text);
    printf("   UUID %s, memory %.1f GB, subgroup %u\n", d->uuid, (double)d->memory_bytes / 1e9, d->subgroup_size);
    printf("   fp16 arithmetic %s, 16-bit storage %s, int8 dot product %s, cooperative matrices %s, timestamps %s\n",
           d->fp16 ? "yes" : "no", d->storage16 ? "yes" : "no", d->int8_dot ? "yes" : "no",
           d->coop_matrix2  ? "yes (NV2)"
           : d->coop_matrix ? "yes"
                            : "no",
           d->timestamps ? "yes" : "no");
    if (d->unusable[0])
        printf("   cannot be used: %s\n", d->unusable);
}

static json_t *device_json(const struct cdl_device_info *d, int index) {
    json_t *o = json_object();
    json_object_set_new(o, "index", json_integer(index));
    json_object_set_new(o, "name", json_text(d->name));
    json_object_set_new(o, "type", json_text(type_name(d->type)));
    json_object_set_new(o, "driver", json_text(d->driver));
    json_object_set_new(o, "api_version", json_text(version_text(d->api_version).text));
    json_object_set_new(o, "uuid", json_text(d->uuid));
    json_object_set_new(o, "usable", json_boolean(!d->unusable[0]));
    if (d->unusable[0])
        json_object_set_new(o, "reason", json_text(d->unusable));
    json_object_set_new(o, "memory_bytes", json_integer((json_int_t)d->memory_bytes));
    json_object_set_new(o, "free_bytes", d->free_bytes ? json_integer((json_int_t)d->free_bytes) : json_null());
    json_object_set_new(o, "subgroup_size", json_integer(d->subgroup_size));
    const struct {
        const char *name;
        bool value;
    } flags[] = {
        {"software", d->software},         {"fp16", d->fp16},
        {"storage16", d->storage16},       {"storage8", d->storage8},
        {"int8_dot", d->int8_dot},         {"coop_matrix", d->coop_matrix},
        {"coop_matrix2", d->coop_matrix2}, {"timestamps", d->timestamps},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        json_object_set_new(o, flags[i].name, json_boolean(flags[i].value));
    return o;
}

int command_devices(const struct options *options) {
    static struct cdl_device_info devices[MAX_DEVICES];
    struct diagnostics d = {.level = options->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN};
    const cdl_log log = diagnostics_log(&d);
    struct layer_info layers[32];
    int count = 0;
    if (cdl_device_list(devices, MAX_DEVICES, &count, &log) != CDL_OK)
        return EXIT_NO_DEVICE;
    count = count < MAX_DEVICES ? count : MAX_DEVICES;
    const int num_layers = find_implicit_layers(layers, 32);
    if (options->format == FORMAT_JSON) {
        json_t *list = json_array(), *layer_list = json_array();
        for (int i = 0; i < count; i++)
            json_array_append_new(list, device_json(&devices[i], i));
        for (int i = 0; i < num_layers; i++)
            json_array_append_new(layer_list, json_pack("{s:o, s:b, s:o}", "name", json_text(layers[i].name), "active",
                                                        layers[i].active, "disable", json_text(layers[i].disable)));
        json_line(stdout, json_pack("{s:o, s:o}", "devices", list, "implicit_layers", layer_list));
    } else {
        for (int i = 0; i < count; i++)
            print_text(&devices[i], i);
        for (int i = 0; i < num_layers; i++)
            if (layers[i].active)
                printf("implicit layer %s is active%s%s\n", layers[i].name,
                       layers[i].disable[0] ? "; to disable it set " : "", layers[i].disable);
    }
    for (int i = 0; i < count; i++)
        if (!devices[i].unusable[0])
            return EXIT_ALL_DONE;
    return EXIT_NO_DEVICE;
}
