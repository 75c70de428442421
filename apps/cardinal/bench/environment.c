// environment.c - describes the machine that the figures come from. What cannot be read is "not available", never 0.
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "commands/layers.h"
#include "commands/report.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#define popen _popen
#define pclose _pclose
#else
#include <sys/utsname.h>
#endif

#ifndef CARDINAL_COMMIT
#define CARDINAL_COMMIT ""
#endif

static const char *const not_available = "not available";

// First line of a file or of what a command prints, without the line break; false: there is none.
static bool first_line(FILE *file, char *out, size_t size) {
    const bool ok = file && fgets(out, (int)size, file);
    if (ok)
        out[strcspn(out, "\r\n")] = 0;
    return ok && out[0];
}

static bool read_file_line(const char *path, char *out, size_t size) {
    FILE *file = fopen(path, "r");
    const bool ok = first_line(file, out, size);
    if (file)
        fclose(file);
    return ok;
}

static void describe_system(char *os, char *kernel, size_t size) {
    snprintf(os, size, "%s", not_available);
    snprintf(kernel, size, "%s", not_available);
#ifdef _WIN32
    // The registry, because GetVersionEx reports an older Windows to programs that do not declare a newer one.
    char build[64] = "";
    DWORD bytes = sizeof build;
    snprintf(os, size, "Windows");
    if (RegGetValueA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", "CurrentBuildNumber",
                     RRF_RT_REG_SZ, NULL, build, &bytes) == ERROR_SUCCESS)
        snprintf(kernel, size, "build %s", build);
#else
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(os, size, "%s", name.sysname);
        snprintf(kernel, size, "%s %s", name.release, name.machine);
    }
    FILE *file = fopen("/etc/os-release", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (strncmp(line, "PRETTY_NAME=", 12) != 0)
            continue;
        char *text = line + 12;
        const size_t length = strlen(text);
        if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
            text[length - 1] = 0;
            text++;
        }
        snprintf(os, size, "%s", text);
    }
    if (file)
        fclose(file);
#endif
}

#ifdef _WIN32
static void describe_processor(char *out, size_t size) {
    DWORD bytes = (DWORD)size;
    if (RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", "ProcessorNameString",
                     RRF_RT_REG_SZ, NULL, out, &bytes) != ERROR_SUCCESS)
        snprintf(out, size, "%s", not_available);
}
#else
static void describe_processor(char *out, size_t size) {
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "%s", not_available);
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\r\n")] = 0;
        snprintf(out, size, "%s", colon + 2);
        break;
    }
    if (file)
        fclose(file);
}
#endif

struct bench_sensors bench_read_sensors(const struct cdl_device_info *device) {
    struct bench_sensors s = {-1, -1, -1, -1};
    char line[256];
    if (device->software) {
        int khz;
        if (read_file_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", line, sizeof line) &&
            sscanf(line, "%d", &khz) == 1)
            s.clock_mhz = khz / 1e3;
    } else if (device->vendor_id == 0x10de) { // NVIDIA's tool takes the UUID that its Vulkan driver tells
        char command[256];
        snprintf(command, sizeof command,
                 "nvidia-smi --id=GPU-%.36s --query-gpu=clocks.sm,clocks.mem,power.draw,temperature.gpu "
#ifdef _WIN32
                 "--format=csv,noheader,nounits 2>NUL",
                 device->uuid);
#else
                 "--format=csv,noheader,nounits 2>/dev/null",
                 device->uuid);
#endif
        FILE *pipe = popen(command, "r");
        double values[4];
        if (first_line(pipe, line, sizeof line) &&
            sscanf(line, "%lf, %lf, %lf, %lf", &values[0], &values[1], &values[2], &values[3]) == 4)
            s = (struct bench_sensors){values[0], values[1], values[2], values[3]};
        if (pipe)
            pclose(pipe);
    }
    return s;
}

static void active_layers(char *out, size_t size) {
    struct layer_info layers[32];
    const int count = find_implicit_layers(layers, 32);
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < count && n + 1 < size; i++)
        if (layers[i].active)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", layers[i].name);
    if (!out[0])
        snprintf(out, size, "none");
}

json_t *bench_device_json(const struct bench_target *t) {
    json_t *o = json_object();
    json_object_set_new(o, "device", json_text(t->info.name));
    json_object_set_new(o, "uuid", json_text(t->info.uuid));
    json_object_set_new(o, "driver", json_text(t->info.driver));
    json_object_set_new(o, "vulkan", json_text(version_text(t->info.api_version).text));
    json_object_set_new(o, "software", json_boolean(t->info.software));
    json_object_set_new(o, "memory_bytes", json_integer((json_int_t)t->info.memory_bytes));
    json_object_set_new(o, "subgroup_size", json_integer(t->info.subgroup_size));
    return o;
}

json_t *bench_environment_json(const struct bench_target *t) {
    char os[256], kernel[256], processor[256], layers[1024];
    json_t *o = bench_device_json(t), *precisions = json_array();
    describe_system(os, kernel, sizeof os);
    describe_processor(processor, sizeof processor);
    active_layers(layers, sizeof layers);
    json_object_set_new(o, "version", json_text(CARDINAL_VERSION));
    json_object_set_new(o, "commit", json_text(CARDINAL_COMMIT[0] ? CARDINAL_COMMIT : not_available));
    json_object_set_new(o, "os", json_text(os));
    json_object_set_new(o, "kernel", json_text(kernel));
    json_object_set_new(o, "processor", json_text(processor));
    json_object_set_new(o, "layers", json_text(layers));
    for (int i = 0; i < t->options->precisions.count; i++)
        json_array_append_new(precisions, json_text(precision_name((cdl_precision)t->options->precisions.items[i])));
    json_object_set_new(o, "precision", precisions);
    json_object_set_new(o, "tune", json_text(tune_names[t->options->tune]));
    json_object_set_new(o, "seconds_per_measurement", json_real(t->options->duration_ms / 1e3));
    return o;
}

void bench_print_environment(FILE *file, const struct bench_target *t) {
    char os[256], kernel[256], processor[256], layers[1024];
    describe_system(os, kernel, sizeof os);
    describe_processor(processor, sizeof processor);
    active_layers(layers, sizeof layers);
    fprintf(file, "cardinal %s%s%s on %s, %s; %s\n", CARDINAL_VERSION, CARDINAL_COMMIT[0] ? ", " : "", CARDINAL_COMMIT,
            os, kernel, processor);
    fprintf(file, "%s%s\n  driver %s, Vulkan %s; UUID %s; implicit layers: %s\n", t->info.name,
            t->info.software ? ", a CPU driver: no GPU is used" : "", t->info.driver,
            version_text(t->info.api_version).text, t->info.uuid, layers);
    const struct {
        const char *name;
        double value;
        const char *unit;
    } peaks[] = {
        {"fp32", t->peaks.fp32_gflops, "GFLOP/s"},     {"fp16", t->peaks.fp16_gflops, "GFLOP/s"},
        {"matrix", t->peaks.matrix_gflops, "GFLOP/s"}, {"int8 dot", t->peaks.int8_gops, "GOP/s"},
        {"memory", t->peaks.memory_gbytes, "GB/s"},
    };
    fprintf(file, "  measured peaks:");
    for (size_t i = 0; i < sizeof peaks / sizeof *peaks; i++) {
        fprintf(file, "%s %s ", i ? "," : "", peaks[i].name);
        if (peaks[i].value > 0)
            fprintf(file, "%.4g %s", peaks[i].value, peaks[i].unit);
        else
            fprintf(file, "unsupported");
    }
    fprintf(file, "\n\n");
}
