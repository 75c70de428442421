// shader_stats.c - what the current device's compiler makes of every kernel that ResNeXt's layers may use, and of
// those that train it.
//
//   shader_stats [PART]    only kernels whose name contains PART
//
// One line of markdown table a kernel, sorted by name: registers, spills, shared memory, occupancy, instructions,
// cycles, as the driver counts them (VK_KHR_pipeline_executable_properties); "-" where it does not. Exit status 1 when
// a kernel spills to memory or does not compile; 77 when the driver has no statistics.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/resnet.h"
#include "session/session.h"
#include "train/program.h"

enum { MAX_PIPELINES = 2048, NUM_COLUMNS = 6 };

static const char *const columns[NUM_COLUMNS] = {"registers", "spills",       "shared bytes",
                                                 "occupancy", "instructions", "cycles"};

// What drivers call them, ours first. An unlisted statistic is of no interest.
static const struct {
    const char *name;
    int column;
} statistic_names[] = {
    {"Number of GPRs", 0},
    {"Register Count", 0},
    {"VGPRs", 0},
    {"Allocated VGPRs", 0},
    {"Registers", 0},
    {"GPRs", 0},
    {"Register Pressure", 0},
    {"Max live registers", 0},
    {"Full registers", 0},
    {"Spills to memory", 1},
    {"Scratch size", 1},
    {"Scratch memory size", 1},
    {"Spilled VGPRs", 1},
    {"Spills", 1},
    {"Local memory size", 1},
    {"Stack size", 1},
    {"SLM size", 1},
    {"SLM Size", 1},
    {"Private memory size", 1},
    {"Fills from memory", 1},
    {"Fills", 1},
    {"Shared memory size", 2},
    {"LDS size", 2},
    {"LDS Size", 2},
    {"Shared size", 2},
    {"Workgroup memory size", 2},
    {"Maximum warps/SM", 3},
    {"Max warps/SM", 3},
    {"Occupancy", 3},
    {"Subgroups per SIMD", 3},
    {"Threads", 3},
    {"Threads per core", 3},
    {"Max Waves", 3},
    {"Max waves per core", 3},
    {"Instruction count", 4},
    {"Instruction Count", 4},
    {"Instructions", 4},
    {"Static cycle count", 5},
    {"Latency", 5},
    {"Cycles", 5},
    {"Cycle count", 5},
    {"Max dispatch width", 3},
};

struct row {
    struct cdl_program program;
    char kernel[CDL_PROGRAM_NAME + 8]; // its name and storage
    char layer[64];
    uint64_t value[NUM_COLUMNS];
    bool known[NUM_COLUMNS];
    bool failed;
};

static struct row rows[MAX_PIPELINES];
static int num_rows;
static bool raw; // also print every statistic as the driver names it

static void on_log(void *ctx, cdl_log_level level, const char *message) {
    (void)ctx;
    if (level == CDL_LOG_ERR)
        fprintf(stderr, "%s\n", message);
}

static void take(struct row *row, const VkPipelineExecutableStatisticKHR *s) {
    const uint64_t value =
        s->format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR ? (uint64_t)s->value.f64 : s->value.u64;
    if (raw)
        fprintf(stderr, "    %s = %" PRIu64 "\n", s->name, value);
    for (size_t i = 0; i < CDL_COUNT(statistic_names); i++) {
        const int column = statistic_names[i].column;
        if (strcmp(statistic_names[i].name, s->name) != 0 || (row->known[column] && row->value[column] >= value))
            continue;
        row->value[column] = value;
        row->known[column] = true;
    }
}

static void read_statistics(struct cdl_device *dev, VkPipeline pipeline, struct row *row) {
    PFN_vkGetPipelineExecutableStatisticsKHR get =
        (PFN_vkGetPipelineExecutableStatisticsKHR)dev->instance.vki.GetDeviceProcAddr(
            dev->handle, "vkGetPipelineExecutableStatisticsKHR");
    VkPipelineExecutableStatisticKHR statistics[96];
    uint32_t count = CDL_COUNT(statistics);
    const VkPipelineExecutableInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                              .pipeline = pipeline};
    for (uint32_t i = 0; i < count; i++)
        statistics[i] =
            (VkPipelineExecutableStatisticKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    if (!get || get(dev->handle, &info, &count, statistics) < 0)
        return;
    if (raw)
        fprintf(stderr, "%s\n", row->kernel);
    for (uint32_t i = 0; i < count; i++)
        take(row, &statistics[i]);
}

static void add(struct cdl_device *dev, const struct cdl_program *program, const char *layer, const char *only) {
    struct row row = {.program = *program};
    char name[CDL_PROGRAM_NAME];
    VkPipeline pipeline;
    cdl_program_name(program, name);
    cdl_format_text(row.kernel, sizeof row.kernel, "%s %s", name, program->fp16 ? "fp16" : "fp32");
    for (int i = 0; i < num_rows; i++)
        if (cdl_program_equal(&rows[i].program, program))
            return;
    if (num_rows == MAX_PIPELINES || (only && !strstr(row.kernel, only)))
        return;
    cdl_format_text(row.layer, sizeof row.layer, "%s", layer);
    row.failed = cdl_pipeline_create(&pipeline, dev, program) != CDL_OK;
    if (!row.failed) {
        read_statistics(dev, pipeline, &row);
        dev->vkd.DestroyPipeline(dev->handle, pipeline, NULL);
    }
    rows[num_rows++] = row;
}

static cdl_result add_network(struct cdl_device *dev, const char *architecture, bool fp16, const char *only) {
    cdl_model *model = NULL;
    struct cdl_graph graph;
    const cdl_log log = {on_log, NULL, CDL_LOG_ERR};
    cdl_result r = cdl_model_random(&model, architecture, 1, NULL);
    if (r != CDL_OK)
        return r;
    if ((r = cdl_graph_create(&graph, model, 224, 224, true, &log)) == CDL_OK) {
        for (int i = 0; i < graph.num_ops; i++) {
            struct cdl_kernel kernels[CDL_MAX_KERNELS];
            char layer[128];
            cdl_format_text(layer, sizeof layer, "%s %s", strrchr(architecture, '_') + 1, graph.ops[i].name);
            for (int num_ops = 1; num_ops <= CDL_MAX_FUSED && i + num_ops <= graph.num_ops; num_ops++) {
                const struct cdl_work work = {&graph, &graph.ops[i], num_ops};
                const int count = cdl_kernels_for(&work, 1, &dev->caps, fp16, kernels);
                for (int k = 0; k < count; k++)
                    add(dev, &kernels[k].program, layer, only);
            }
        }
        cdl_graph_destroy(&graph);
    }
    cdl_model_destroy(&model);
    return r;
}

// What a training step of the network runs beside those.
static cdl_result add_training(struct cdl_device *dev, const char *architecture, bool fp16, const char *only) {
    cdl_model *model = NULL;
    struct cdl_train_program p;
    const cdl_log log = {on_log, NULL, CDL_LOG_ERR};
    const struct cdl_train_program_params params = {
        .batch = 32, .height = 224, .width = 224, .fp16 = fp16, .averages = true, .caps = &dev->caps};
    cdl_result r = cdl_model_random(&model, architecture, 1, NULL);
    if (r == CDL_OK && (r = cdl_train_program_create(&p, model, &params, &log)) == CDL_OK) {
        for (int i = 0; i < p.num_steps; i++) {
            char layer[128];
            cdl_format_text(layer, sizeof layer, "%s %s", strrchr(architecture, '_') + 1, cdl_train_step_name(&p, i));
            add(dev, &p.steps[i].kernel.program, layer, only);
            if (p.steps[i].kind != CDL_TRAIN_DW)
                continue;
            const struct cdl_shape shape =
                cdl_shape_of(&p.graph, &p.graph.ops[p.steps[i].op], &dev->caps, p.batch, p.fp16);
            struct cdl_dw_kernel kernels[CDL_MAX_DW_KERNELS];
            for (int k = 0, count = cdl_dw_kernels(&shape, kernels); k < count; k++)
                add(dev, &kernels[k].program, layer, only);
        }
        for (int i = 0; i < CDL_NUM_TRAIN_EXTRAS; i++) {
            const struct cdl_program program = cdl_train_extra((enum cdl_train_extra)i, fp16);
            add(dev, &program, "gradients and pictures", only);
        }
        cdl_train_program_destroy(&p);
    }
    cdl_model_destroy(&model);
    return r;
}

static int by_kernel(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    const int names = strcmp(x->kernel, y->kernel);
    return names ? names : strcmp(x->layer, y->layer);
}

static bool print_row(const struct row *row) {
    printf("| %s | %s |", row->kernel, row->layer);
    if (row->failed) {
        printf(" did not compile |\n");
        return false;
    }
    for (int c = 0; c < NUM_COLUMNS; c++) {
        if (row->known[c])
            printf(" %" PRIu64 " |", row->value[c]);
        else
            printf(" - |");
    }
    printf("\n");
    return row->value[1] == 0;
}

int main(int argc, char **argv) {
    cdl_device *dev;
    bool ok = true;
    raw = getenv("SHADER_STATS_RAW") != NULL;
    if (cdl_device_create(&dev, cdl_device_params(.log = {on_log, NULL, CDL_LOG_ERR})) != CDL_OK)
        return 1;
    if (!dev->executable_statistics) {
        fprintf(stderr, "%s: the driver has no pipeline statistics\n", dev->info.name);
        cdl_device_destroy(&dev);
        return 77;
    }
    dev->capture_statistics = true;
    if (!dev->info.software && dev->caps.processors < 64) // what stands in for a chip may tell of one
        dev->caps.processors = 64;
    for (int fp16 = 0; fp16 < 2 && ok; fp16++)
        ok = add_network(dev, "resnext50_32x4d", fp16, argc > 1 ? argv[1] : NULL) == CDL_OK &&
             add_network(dev, "resnext101_32x8d", fp16, argc > 1 ? argv[1] : NULL) == CDL_OK &&
             add_training(dev, "resnext50_32x4d", fp16, argc > 1 ? argv[1] : NULL) == CDL_OK &&
             add_training(dev, "resnext101_32x8d", fp16, argc > 1 ? argv[1] : NULL) == CDL_OK;
    qsort(rows, (size_t)num_rows, sizeof *rows, by_kernel);
    printf("| kernel | first layer |");
    for (int c = 0; c < NUM_COLUMNS; c++)
        printf(" %s |", columns[c]);
    printf("\n|---|---|---:|---:|---:|---:|---:|---:|\n");
    for (int i = 0; i < num_rows; i++)
        ok = print_row(&rows[i]) && ok;
    cdl_device_destroy(&dev);
    return ok ? 0 : 1;
}
