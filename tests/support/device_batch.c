// device_batch.c - see device_batch.h.
#include "support/device_batch.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

#include "system/thread.h"

enum { GUARD = 256 };                      // bytes before and after each region; also their alignment, the arena's
static const uint32_t poison = 0x7fc17fc1; // NaN as one float, and NaN as two halves

static void begin(struct device_batch *b) {
    cdl_result r = CDL_OK;
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    CDL_VK(b->dev, BeginCommandBuffer(b->commands, &info));
error:
    harness_expect_ok(r, "vkBeginCommandBuffer");
}

static void spoil(uint8_t *from, size_t size) {
    for (size_t i = 0; i + 4 <= size; i += 4)
        memcpy(from + i, &poison, 4);
}

void batch_reset(struct device_batch *b) {
    spoil(b->buffer.mapped, b->used + GUARD);
    spoil(b->expected, b->used + GUARD);
    b->used = GUARD;
    b->num_regions = b->num_dispatches = 0;
    begin(b);
}

struct device_batch *batch_open(struct cdl_device *dev) {
    struct device_batch *b = must_alloc(1, sizeof *b);
    b->dev = dev;
    b->expected = must_alloc(BATCH_BYTES, 1);
    cdl_result r = cdl_buffer_create(&b->buffer, dev, BATCH_BYTES, CDL_MEMORY_READBACK, "test data");
    harness_expect_ok(r, "a buffer for test data");
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = dev->queue_family,
    };
    CDL_VK(dev, CreateCommandPool(dev->handle, &pool, NULL, &b->pool));
    const VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = b->pool,
        .commandBufferCount = 1,
    };
    CDL_VK(dev, AllocateCommandBuffers(dev->handle, &commands, &b->commands));
    r = cdl_fence_create(&b->done, dev);
error:
    harness_expect_ok(r, "a command buffer for tests");
    b->used = BATCH_BYTES - GUARD;
    batch_reset(b);
    return b;
}

void batch_close(struct device_batch **batch) {
    struct device_batch *b = *batch;
    struct cdl_device *dev = b->dev;
    for (int i = 0; i < b->num_pipelines; i++)
        if (b->pipelines[i].pipeline)
            dev->vkd.DestroyPipeline(dev->handle, b->pipelines[i].pipeline, NULL);
    dev->vkd.DestroyFence(dev->handle, b->done, NULL);
    dev->vkd.DestroyCommandPool(dev->handle, b->pool, NULL);
    cdl_buffer_destroy(&b->buffer, dev);
    free(b->expected);
    free(b);
    *batch = NULL;
}

bool batch_fits(const struct device_batch *b, size_t bytes, int regions) {
    return b->used + bytes + (size_t)regions * 2 * GUARD + GUARD <= BATCH_BYTES &&
           b->num_regions + regions <= BATCH_MAX_REGIONS;
}

size_t batch_add(struct device_batch *b, size_t size, const void *content) {
    const size_t at = b->used;
    if (!batch_fits(b, size, 1))
        fail_msg("a region of %zu bytes does not fit", size);
    if (content) {
        memcpy((uint8_t *)b->buffer.mapped + at, content, size);
        memcpy(b->expected + at, content, size);
    }
    b->regions[b->num_regions++] = (struct batch_region){at, size, content == NULL};
    b->used = cdl_align_up(at + size, GUARD) + GUARD;
    return at;
}

uint64_t batch_address(const struct device_batch *b, size_t at) { return b->buffer.address + at; }
const void *batch_at(const struct device_batch *b, size_t at) { return (const uint8_t *)b->buffer.mapped + at; }

static int find_pipeline(const struct device_batch *b, const struct cdl_program *p) {
    for (int i = 0; i < b->num_pipelines; i++)
        if (cdl_program_equal(&b->pipelines[i].program, p))
            return i;
    return -1;
}

static int add_pipeline(struct device_batch *b, const struct cdl_program *p) {
    if (b->num_pipelines == BATCH_MAX_PIPELINES)
        fail_msg("more than %d pipelines", BATCH_MAX_PIPELINES);
    b->pipelines[b->num_pipelines].program = *p;
    b->pipelines[b->num_pipelines].pipeline = VK_NULL_HANDLE;
    return b->num_pipelines++;
}

struct compilers {
    struct device_batch *b;
    thread_mutex lock;
    int next;
}; // next: pipeline without a thread

static void compile_some(void *ctx) {
    struct compilers *c = ctx;
    for (;;) {
        thread_mutex_lock(&c->lock);
        const int i = c->next++;
        thread_mutex_unlock(&c->lock);
        if (i >= c->b->num_pipelines)
            return;
        if (!c->b->pipelines[i].pipeline) // a failure is told where the pipeline is used
            (void)cdl_pipeline_create(&c->b->pipelines[i].pipeline, c->b->dev, &c->b->pipelines[i].program);
    }
}

void batch_compile(struct device_batch *b, const struct cdl_program *programs, int count) {
    struct compilers c = {.b = b};
    thread_handle threads[16];
    const int wanted = thread_cpu_count() < 16 ? thread_cpu_count() : 16;
    int running = 0;
    for (int i = 0; i < count; i++)
        if (find_pipeline(b, &programs[i]) < 0)
            add_pipeline(b, &programs[i]);
    thread_mutex_init(&c.lock);
    while (running < wanted - 1 && thread_create(&threads[running], compile_some, &c))
        running++;
    compile_some(&c);
    while (running > 0)
        thread_join(&threads[--running]);
    thread_mutex_destroy(&c.lock);
    if (harness_take_errors())
        fail_msg("pipelines that do not compile; the last: %s", harness.last);
}

static VkPipeline pipeline_of(struct device_batch *b, const struct cdl_program *p) {
    char name[CDL_PROGRAM_NAME];
    int i = find_pipeline(b, p);
    if (i < 0) {
        i = add_pipeline(b, p);
        cdl_program_name(p, name);
        harness_expect_ok(cdl_pipeline_create(&b->pipelines[i].pipeline, b->dev, p), name);
    }
    return b->pipelines[i].pipeline;
}

void batch_dispatch(struct device_batch *b, const struct cdl_program *program, const struct cdl_launch *launch) {
    cdl_dispatch(b->dev, b->commands, pipeline_of(b, program), launch);
    b->num_dispatches++;
}

void batch_barrier(struct device_batch *b) {
    cdl_barrier(b->dev, b->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

// The first byte outside the outputs that is not as it was, or SIZE_MAX.
static size_t first_damage(const struct device_batch *b) {
    const uint8_t *now = b->buffer.mapped;
    size_t at = 0;
    for (int i = 0; i <= b->num_regions; i++) {
        while (i < b->num_regions && !b->regions[i].output)
            i++;
        const size_t end = i < b->num_regions ? b->regions[i].at : b->used + GUARD;
        if (memcmp(now + at, b->expected + at, end - at))
            for (; at < end; at++)
                if (now[at] != b->expected[at])
                    return at;
        if (i < b->num_regions)
            at = b->regions[i].at + b->regions[i].size;
    }
    return SIZE_MAX;
}

bool batch_run(struct device_batch *b, size_t *damaged_at) {
    struct cdl_device *dev = b->dev;
    cdl_result r = CDL_OK;
    cdl_barrier(dev, b->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    CDL_VK(dev, EndCommandBuffer(b->commands));
    r = cdl_buffer_flush(&b->buffer, dev);
    if (r == CDL_OK)
        r = cdl_queue_submit(dev, &b->commands, 1, NULL, b->done);
    if (r == CDL_OK)
        r = cdl_fence_wait(dev, b->done, UINT64_MAX);
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&b->buffer, dev);
error:
    harness_expect_ok(r, "a submission");
    *damaged_at = first_damage(b);
    return *damaged_at == SIZE_MAX;
}
