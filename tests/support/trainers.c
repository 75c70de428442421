// trainers.c - see trainers.h.
#include "support/trainers.h"

#include "base/random.h"

enum { PIXEL_SEED = 1, LABEL_SEED = 2 };

struct batch make_batch(const struct cdl_trainer *t) {
    const size_t image = 3 * (size_t)t->sight.height * (size_t)t->sight.width;
    struct batch b = {.pixels = must_alloc(IMAGES * image, sizeof(float))};
    for (size_t i = 0; i < IMAGES * image; i++)
        b.pixels[i] = (float)((double)(cdl_random_bits(PIXEL_SEED, i) >> 40) / (1 << 22) - 2);
    for (int i = 0; i < IMAGES; i++)
        b.pictures[i] = (struct cdl_train_picture){
            .pixels = {.data = b.pixels + (size_t)i * image,
                       .width = t->sight.width,
                       .height = t->sight.height,
                       .format = CDL_FORMAT_TENSOR_F32},
            .label = (int)(cdl_random_bits(LABEL_SEED, (uint64_t)i) % (uint64_t)t->program.graph.num_classes),
            .index = (uint64_t)i,
        };
    return b;
}

cdl_trainer *make_trainer(const char *network, const struct cdl_trainer_params *params) {
    cdl_model *model = harness_load(network);
    cdl_trainer *t;
    harness_expect_ok(cdl_trainer_create(&t, harness.dev, model, params), network);
    cdl_model_destroy(&model);
    return t;
}

struct cdl_train_result take(cdl_trainer *t) {
    struct cdl_train_result result;
    harness_expect_ok(cdl_trainer_result(t, true, &result), "result");
    return result;
}

float *download(cdl_trainer *t, const struct cdl_buffer *from) {
    float *out = must_alloc((size_t)from->size / sizeof(float), sizeof(float));
    harness_expect_ok(cdl_train_download(t, from, out, (size_t)from->size), "download");
    return out;
}

void expect_same(cdl_trainer *a, cdl_trainer *b) {
    const struct cdl_buffer *pairs[][2] = {{&a->parameters, &b->parameters},
                                           {&a->momentum, &b->momentum},
                                           {&a->scaling, &b->scaling},
                                           {&a->averages, &b->averages}};
    for (size_t i = 0; i < CDL_COUNT(pairs); i++) {
        if (!pairs[i][0]->size)
            continue;
        float *x = download(a, pairs[i][0]), *y = download(b, pairs[i][1]);
        assert_int_equal(pairs[i][0]->size, pairs[i][1]->size);
        assert_memory_equal(x, y, (size_t)pairs[i][0]->size);
        free(x);
        free(y);
    }
}

float *input_of(cdl_trainer *t) {
    const struct cdl_train_value *v = &t->program.values[t->program.input];
    float *arena = download(t, &t->arena), *out = must_alloc(v->bytes, 1);
    memcpy(out, (const uint8_t *)arena + v->at, v->bytes);
    free(arena);
    return out;
}
