// test_train_program.c - training programs without a device: places in the arena, where the update begins, what is
// computed again, and how much memory a large network takes.
#include "support/harness.h"
#include "train/program.h"

static const struct cdl_caps gpu = {.subgroup_size = 32,
                                    .subgroup_shuffle = true,
                                    .max_workgroup_size = 1024,
                                    .max_shared_bytes = 49152,
                                    .processors = 128};
static const struct cdl_caps cpu = {.subgroup_size = 8,
                                    .subgroup_shuffle = true,
                                    .software = true,
                                    .max_workgroup_size = 1024,
                                    .max_shared_bytes = 32768};

static struct cdl_train_program make_program(const cdl_model *model, const struct cdl_train_program_params *params) {
    struct cdl_train_program p;
    harness_expect_ok(cdl_train_program_create(&p, model, params, &harness_shared_log), "program");
    return p;
}

static bool touch(const struct cdl_train_value *a, const struct cdl_train_value *b) {
    return a->at < b->at + b->bytes && b->at < a->at + a->bytes;
}

static bool alive_at_once(const struct cdl_train_value *a, const struct cdl_train_value *b) {
    return a->first <= b->last && b->first <= a->last;
}

// Values of the arena that are alive at once lie apart; each is written before it is read.
static void check_arena(const struct cdl_train_program *p) {
    bool *written = must_alloc((size_t)p->num_values, sizeof *written);
    for (int v = 0; v < p->num_values; v++)
        written[v] = v == p->input || p->values[v].room != CDL_ROOM_ARENA;
    for (int i = 0; i < p->num_steps; i++) {
        const struct cdl_train_step *step = &p->steps[i];
        for (int role = 0; role < CDL_NUM_TRAIN_ROLES; role++)
            if (step->values[role] >= 0 && !(step->writes >> role & 1))
                assert_true(written[step->values[role]]);
        for (int role = 0; role < CDL_NUM_TRAIN_ROLES; role++)
            if (step->values[role] >= 0 && step->writes >> role & 1)
                written[step->values[role]] = true;
    }
    free(written);
    for (int a = 0; a < p->num_values; a++) {
        const struct cdl_train_value *x = &p->values[a];
        if (x->room != CDL_ROOM_ARENA)
            continue;
        assert_true(x->at % 256 == 0 && x->at + x->bytes <= p->arena_bytes);
        for (int b = 0; b < a; b++)
            if (p->values[b].room == CDL_ROOM_ARENA && alive_at_once(x, &p->values[b]) && touch(x, &p->values[b]))
                fail_msg("values %d and %d are alive at once and overlap", a, b);
    }
    assert_true(p->live_bytes <= p->arena_bytes);
}

// No step writes what another one touches that runs at once, by the places of their values.
static void check_barriers(const struct cdl_train_program *p) {
    int at_once = 0;
    for (int i = 1; i < p->num_steps; i++)
        for (int j = i - 1; j >= 0 && !p->steps[j + 1].barrier_before; j--, at_once++)
            for (int a = 0; a < CDL_NUM_TRAIN_ROLES; a++)
                for (int b = 0; b < CDL_NUM_TRAIN_ROLES; b++) {
                    const int x = p->steps[i].values[a], y = p->steps[j].values[b];
                    if (x >= 0 && y >= 0 && ((p->steps[i].writes >> a | p->steps[j].writes >> b) & 1) &&
                        p->values[x].room == p->values[y].room && touch(&p->values[x], &p->values[y]))
                        fail_msg("steps %d and %d run at once on the same memory", j, i);
                }
    assert_true(at_once > p->num_steps / 3);
    // A convolution's two gradients do; but the last layer's, whose weights are packed when its gradient is there.
    for (int i = 0, dw = 0; i < p->num_steps; i++) {
        const enum cdl_train_kind kind = p->steps[i].kind;
        dw = kind == CDL_TRAIN_DW ? i : dw;
        for (int k = dw + 1; k <= i && (kind == CDL_TRAIN_DX || kind == CDL_TRAIN_DX_STRIDED); k++)
            if (p->steps[dw].op == p->steps[i].op && p->steps[i].op < p->graph.num_ops - 1 &&
                p->steps[k].barrier_before)
                fail_msg("step %d waits for step %d", i, dw);
    }
}

// In front of the update all gradients are written, once each, and none is read.
static void check_boundary(const struct cdl_train_program *p) {
    uint8_t *written = must_alloc(p->parameters.trainable, 1);
    memset(written, 0, p->parameters.trainable);
    assert_true(p->first_update > p->first_backward && p->first_update < p->num_steps);
    for (int i = 0; i < p->first_update; i++)
        for (int role = 0; role < CDL_NUM_TRAIN_ROLES; role++) {
            const struct cdl_train_step *step = &p->steps[i];
            const struct cdl_train_value *v = step->values[role] >= 0 ? &p->values[step->values[role]] : NULL;
            if (!v || v->room != CDL_ROOM_GRADIENTS)
                continue;
            assert_true(step->writes >> role & 1);
            for (size_t k = v->at / sizeof(float); k < (v->at + v->bytes) / sizeof(float); k++)
                assert_int_equal(written[k]++, 0);
        }
    for (int i = 0; i < p->parameters.count; i++) {
        const struct cdl_parameter *t = &p->parameters.items[i];
        for (size_t k = t->at; t->trainable && k < t->at + t->count; k++)
            assert_int_equal(written[k], 1);
    }
    free(written);
}

static void test_small_networks(void **state) {
    (void)state;
    static const char *const names[] = {"basic_7x7",     "basic_3x3",      "bottleneck_g1",
                                        "bottleneck_g4", "bottleneck_g32", "option_a"};
    for (size_t n = 0; n < CDL_COUNT(names); n++) {
        cdl_model *model = harness_load(names[n]);
        for (int i = 0; i < 16; i++) {
            struct cdl_train_program p = make_program(model, &(struct cdl_train_program_params){
                                                                 .batch = 5,
                                                                 .height = 33,
                                                                 .width = 22,
                                                                 .fp16 = i & 1,
                                                                 .recompute = i & 2,
                                                                 .averages = i & 4,
                                                                 .freeze = i & 4 ? "stem,layer1" : NULL,
                                                                 .caps = i & 8 ? &gpu : &cpu,
                                                             });
            check_arena(&p);
            check_barriers(&p);
            check_boundary(&p);
            cdl_train_program_destroy(&p);
        }
        cdl_model_destroy(&model);
    }
}

// Of all that a step of ResNeXt-50 keeps on the device, without averages.
static double planned_gigabytes(const cdl_model *model, bool fp16, bool recompute) {
    struct cdl_train_program p = make_program(
        model, &(struct cdl_train_program_params){
                   .batch = 32, .height = 224, .width = 224, .fp16 = fp16, .recompute = recompute, .caps = &gpu});
    check_arena(&p);
    check_barriers(&p);
    const double parameters = (double)(p.parameters.size + 2 * p.parameters.trainable) * sizeof(float);
    const double all = ((double)p.arena_bytes + parameters) / 1e9;
    print_message("resnext50_32x4d, batch 32, 224x224, %s%s: %.2f GB, of which %.2f GB parameters; arena %.3f of the "
                  "largest live set; %d steps\n",
                  fp16 ? "fp16" : "fp32", recompute ? ", stages computed again" : "", all, parameters / 1e9,
                  (double)p.arena_bytes / (double)p.live_bytes, p.num_steps);
    cdl_train_program_destroy(&p);
    return all;
}

static void test_memory_of_resnext50(void **state) {
    (void)state;
    cdl_model *model = harness_random_model("resnext50_32x4d");
    const double fp32 = planned_gigabytes(model, false, false), mixed = planned_gigabytes(model, true, false);
    assert_true(mixed <= 4.0 && mixed < 0.65 * fp32);
    assert_true(planned_gigabytes(model, true, true) <= 2.5);
    cdl_model_destroy(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_networks),
        cmocka_unit_test(test_memory_of_resnext50),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
