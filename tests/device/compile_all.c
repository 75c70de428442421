// compile_all.c - compiles every kernel of the case table and of the large networks' plans for the current device, and
// runs none: for drivers that have a compiler here but no hardware.
//
//   compile_all [-v] [PART]    -v: one line a pipeline; PART: only kernels whose name contains it
// Exit status 0: all compiled; 1: some did not; another: the driver crashed, after a line that names the kernel.
#include <signal.h>
#include <time.h>

#include "graph/resnet.h"
#include "support/op_instance.h"
#include "support/device_batch.h"
#include "train/program.h"

static struct {
    struct cdl_program *done; // what was compiled already
    int num_done, capacity, failed;
    double slowest;
    char slowest_name[CDL_PROGRAM_TEXT];
    bool verbose;
    const char *only;
} t;

static char current[CDL_PROGRAM_TEXT + 2]; // read by the signal handler
static int current_length;

static void on_crash(int signal_number) {
    static const char text[] = "the driver crashed while compiling ";
    // write and _Exit are safe in a handler, printf is not; one line, then the status a crash would have had
    if (fwrite(text, 1, sizeof text - 1, stderr) && fwrite(current, 1, (size_t)current_length, stderr))
        fflush(stderr);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static double now(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    if (level == CDL_LOG_ERR)
        printf("  %s\n", msg);
}

static void compile(struct cdl_device *dev, const struct cdl_program *program) {
    VkPipeline pipeline;
    char name[CDL_PROGRAM_TEXT];
    for (int i = 0; i < t.num_done; i++)
        if (cdl_program_equal(&t.done[i], program))
            return;
    if (t.num_done == t.capacity) {
        t.capacity = t.capacity ? 2 * t.capacity : 1024;
        t.done = realloc(t.done, (size_t)t.capacity * sizeof *t.done);
        if (!t.done)
            exit(2);
    }
    t.done[t.num_done++] = *program;
    cdl_program_text(program, name);
    if (t.only && !strstr(name, t.only))
        return;
    current_length = snprintf(current, sizeof current, "%s\n", name);
    const double start = now();
    const cdl_result r = cdl_pipeline_create(&pipeline, dev, program);
    const double seconds = now() - start;
    if (t.verbose)
        printf("  %7.1f ms  %s\n", 1e3 * seconds, name);
    if (r != CDL_OK) {
        printf("  %s: %s\n", name, cdl_result_str(r));
        t.failed++;
        return;
    }
    dev->vkd.DestroyPipeline(dev->handle, pipeline, NULL);
    if (seconds > t.slowest) {
        t.slowest = seconds;
        snprintf(t.slowest_name, sizeof t.slowest_name, "%s", name);
    }
}

// Every legal kernel for the gradient of a convolution's weights.
static void compile_dw(struct cdl_device *dev, const struct cdl_graph *graph, const struct cdl_op *op, bool fp16) {
    struct cdl_dw_kernel kernels[CDL_MAX_DW_KERNELS];
    const struct cdl_shape shape = cdl_shape_of(graph, op, &dev->caps, 32, fp16);
    const int count = op->kind == CDL_OP_CONV ? cdl_dw_kernels(&shape, kernels) : 0;
    for (int k = 0; k < count; k++)
        compile(dev, &kernels[k].program);
}

static void compile_cases(struct cdl_device *dev) {
    static struct cdl_kernel kernels[2 * CDL_MAX_KERNELS];
    for (int i = 0; i < num_op_cases; i++)
        for (int fp16 = 0; op_cases[i].kind <= CASE_AVG_POOL_LINEAR && fp16 < 2; fp16++) {
            struct op_instance op;
            op_instance_init_shape(&op, &op_cases[i], fp16);
            const int count = legal_kernels(&op, &dev->caps, kernels);
            for (int k = 0; k < count; k++)
                compile(dev, &kernels[k].program);
            compile_dw(dev, &op.graph, &op.graph.ops[op.graph.num_ops - 1], fp16);
            op_instance_free(&op);
        }
}

static void compile_around(struct cdl_device *dev) {
    for (int i = 0; i < CDL_NUM_FIXED_PROGRAMS; i++)
        for (int fp16 = 0; fp16 < 2; fp16++) {
            const struct cdl_program program = cdl_fixed_program(i, fp16);
            compile(dev, &program);
        }
    for (int i = 0; i < CDL_NUM_TRAIN_EXTRAS; i++)
        for (int fp16 = 0; fp16 < 2; fp16++) {
            const struct cdl_program program = cdl_train_extra(i, fp16);
            compile(dev, &program);
        }
}

// The kernels of a training step in both precisions, those of inference as rank has them.
static bool compile_training(struct cdl_device *dev, const cdl_model *model, const cdl_log *log) {
    bool ok = true;
    for (int fp16 = 0; ok && fp16 < 2; fp16++) {
        struct cdl_train_program p;
        const struct cdl_train_program_params params = {
            .batch = 32, .height = 224, .width = 224, .fp16 = fp16, .averages = true, .caps = &dev->caps};
        ok = cdl_train_program_create(&p, model, &params, log) == CDL_OK;
        for (int i = 0; ok && i < p.num_steps; i++)
            compile(dev, &p.steps[i].kernel.program);
        for (int i = 0; ok && i < p.graph.num_ops; i++)
            compile_dw(dev, &p.graph, &p.graph.ops[i], fp16);
        if (ok)
            cdl_train_program_destroy(&p);
    }
    return ok;
}

// Every legal kernel of every layer, folded and not, in both storage types: what a tuner may try; and training's.
static bool compile_network(struct cdl_device *dev, const char *arch) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    const cdl_log log = {on_log, NULL, CDL_LOG_WARN};
    cdl_model *model;
    if (cdl_model_random(&model, arch, 1, cdl_model_params(.log = log)) != CDL_OK)
        return false;
    bool ok = true;
    for (int fold = 0; ok && fold < 2; fold++) {
        struct cdl_graph g;
        ok = cdl_graph_create(&g, model, 224, 224, fold, &log) == CDL_OK;
        for (int i = 0; ok && i < g.num_ops; i++)
            for (int fp16 = 0; fp16 < 2; fp16++) {
                for (int num_ops = 1; num_ops <= CDL_MAX_FUSED && i + num_ops <= g.num_ops; num_ops++) {
                    const struct cdl_work work = {&g, &g.ops[i], num_ops};
                    const int count = cdl_kernels_for(&work, 1, &dev->caps, fp16, kernels);
                    for (int k = 0; k < count; k++)
                        compile(dev, &kernels[k].program);
                }
            }
        if (ok)
            cdl_graph_destroy(&g);
    }
    ok = ok && compile_training(dev, model, &log);
    cdl_model_destroy(&model);
    return ok;
}

int main(int argc, char **argv) {
    static const char *const networks[] = {"resnext50_32x4d", "resnext101_32x8d", "resnet18", "wide_resnet50_2"};
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "-v"))
            t.verbose = true;
        else
            t.only = argv[i];
    const cdl_log log = {on_log, NULL, CDL_LOG_ERR};
    cdl_device *dev;
    struct cdl_device_info info;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (cdl_device_create(&dev, cdl_device_params(.log = log, .name = getenv("CARDINAL_DEVICE"))) != CDL_OK)
        return 1;
    signal(SIGSEGV, on_crash);
    signal(SIGILL, on_crash);
    signal(SIGFPE, on_crash);
    signal(SIGABRT, on_crash);
    cdl_device_get_info(dev, &info);
    if (!dev->info.software && dev->caps.processors < 64) // what stands in for a chip may tell of one
        dev->caps.processors = 64;
    const double start = now();
    compile_around(dev);
    compile_cases(dev);
    printf("%s: %d pipelines of the case table\n", info.name, t.num_done);
    bool ok = true;
    for (size_t i = 0; i < CDL_COUNT(networks); i++)
        ok = compile_network(dev, networks[i]) && ok;
    printf("%s: %d pipelines, %d failed, %.1f s; slowest %.0f ms, %s\n", info.name, t.num_done, t.failed, now() - start,
           1e3 * t.slowest, t.slowest_name);
    free(t.done);
    cdl_device_destroy(&dev);
    return ok && !t.failed ? 0 : 1;
}
