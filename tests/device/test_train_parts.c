// test_train_parts.c - training in other ways than picture by picture in one process: a step in parts, the exchange of
// gradients, mixtures of pictures, changed colours.
#include <math.h>

#include "support/trainers.h"

// ---- parts, and other processes

// What freezes all batch norms, so that a picture's gradient does not depend on the others'.
static void freeze_norms(const char *network, char *list, size_t size) {
    cdl_trainer *t = make_trainer(network, cdl_trainer_params(.batch = 1));
    size_t length = 0;
    for (int i = 0; i < t->program.parameters.count; i++) {
        const struct cdl_parameter *p = &t->program.parameters.items[i];
        const int path = (int)(strrchr(p->tensor->name, '.') - p->tensor->name);
        if (p->kind == CDL_PARAMETER_NORM)
            length += (size_t)snprintf(list + length, size - length, "%.*s,", path, p->tensor->name);
    }
    assert_true(length < size);
    cdl_trainer_destroy(&t);
}

static double largest_difference(cdl_trainer *a, cdl_trainer *b) {
    float *x = download(a, &a->parameters), *y = download(b, &b->parameters);
    double worst = 0;
    for (size_t i = 0; i < a->program.parameters.size; i++)
        worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
    free(x);
    free(y);
    return worst;
}

// misuse: cdl_trainer_accumulate
static void parts_are_one_batch(void **state) {
    (void)state;
    char freeze[2048];
    freeze_norms("bottleneck_g4", freeze, sizeof freeze);
    cdl_trainer *whole = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES, .freeze = freeze));
    cdl_trainer *parts[2];
    struct batch batch = make_batch(whole);
    for (int i = 0; i < 2; i++)
        parts[i] = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = 3, .freeze = freeze, .accumulate = true));
    for (int step = 1; step <= 3; step++) {
        harness_expect_ok(cdl_trainer_step(whole, batch.pictures, IMAGES, 0, 0.05f), "step");
        const struct cdl_train_result one = take(whole);
        for (int i = 0; i < 2; i++) { // in one of them, the last part is none
            const int last = i ? 0 : 2;
            for (int at = 0; at < IMAGES - last; at += 3)
                harness_expect_ok(cdl_trainer_accumulate(parts[i], batch.pictures + at,
                                                         at + 3 < IMAGES - last ? 3 : IMAGES - last - at, 0),
                                  "part");
            struct cdl_train_result r;
            assert_int_equal(cdl_trainer_result(parts[i], true, &r), CDL_NOT_READY);
            harness_expect_ok(cdl_trainer_step(parts[i], batch.pictures + IMAGES - last, last, 0, 0.05f), "step");
            r = take(parts[i]);
            assert_int_equal(r.step, step);
            assert_int_equal(r.images, IMAGES);
            assert_int_equal(r.correct, one.correct);
            assert_true(r.gpu_ns == 0); // nobody took the time of all parts
            assert_true(fabsf(r.loss - one.loss) <= 1e-5f * one.loss);
            const double off = largest_difference(whole, parts[i]);
            if (!(off <= 1e-5))
                fail_msg("step %d: a weight is off by %g", step, off);
        }
    }
    harness_expect_ok(cdl_trainer_accumulate(parts[0], batch.pictures, 3, 0), "part");
    harness_expect_failure(cdl_trainer_save_state(parts[0], "state", NULL), CDL_ERR_INVALID, "in the middle of a step");
    harness_expect_failure(cdl_trainer_accumulate(parts[0], batch.pictures, 0, 0), CDL_ERR_INVALID, "no pictures");
    harness_expect_failure(cdl_trainer_accumulate(whole, batch.pictures, 3, 0), CDL_ERR_INVALID, "without memory");
    harness_expect_failure(cdl_trainer_step(whole, NULL, 0, 0, 0.1f), CDL_ERR_INVALID, "an empty step");
    free(batch.pixels);
    cdl_trainer_destroy(&whole);
    for (int i = 0; i < 2; i++)
        cdl_trainer_destroy(&parts[i]);
}

// One of two processes, played one after the other: the first keeps what it would send, the second adds that.
struct peer {
    float *sent; // shared
    size_t at;
    float share;
    bool second, fails;
    int begun, finished, progressed;
};

static float peer_share(void *ctx, int images) {
    (void)images;
    return ((struct peer *)ctx)->share;
}

static bool peer_reduce(void *ctx, float *data, size_t count) {
    struct peer *p = ctx;
    if (p->fails && p->begun == 1)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (p->second)
            data[i] += p->sent[p->at + i];
        else
            p->sent[p->at + i] = data[i];
    }
    p->at += count;
    p->begun++;
    return true;
}

static void peer_progress(void *ctx) { ((struct peer *)ctx)->progressed++; }

static bool peer_finish(void *ctx) {
    struct peer *p = ctx;
    return ++p->finished <= p->begun;
}

static bool peer_broadcast(void *ctx, void *data, size_t bytes) {
    struct peer *p = ctx;
    memcpy(p->second ? data : p->sent, p->second ? p->sent : data, bytes);
    return !p->fails;
}

static cdl_trainer *make_peer(struct peer *p, const char *freeze) {
    const struct cdl_train_exchange exchange = {.ctx = p,
                                                .share = peer_share,
                                                .reduce = peer_reduce,
                                                .progress = peer_progress,
                                                .finish = peer_finish,
                                                .broadcast = peer_broadcast,
                                                .bucket_bytes = 4096};
    return make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES, .freeze = freeze, .accumulate = true,
                                                            .exchange = &exchange));
}

// Two processes with 5 and 3 pictures, and with 8 in two parts and none, learn what one learns from all 8.
// misuse: cdl_trainer_align
static void processes_learn_together(void **state) {
    (void)state;
    char freeze[2048];
    freeze_norms("bottleneck_g4", freeze, sizeof freeze);
    cdl_trainer *alone = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES, .freeze = freeze));
    float *sent = must_alloc((size_t)(alone->parameters.size + alone->momentum.size) + 4096, 1);
    struct peer peers[] = {{.sent = sent}, {.sent = sent, .second = true}};
    cdl_trainer *t[] = {make_peer(&peers[0], freeze), make_peer(&peers[1], freeze)};
    struct batch batch = make_batch(alone);
    assert_true(t[0]->exchange.buckets.count > 2);
    for (int step = 0; step < 2; step++) {
        const int own[] = {step ? IMAGES : 5, step ? 0 : 3};
        harness_expect_ok(cdl_trainer_step(alone, batch.pictures, IMAGES, 0, 0.05f), "step");
        for (int i = 0; i < 2; i++) {
            peers[i].at = 0;
            peers[i].share = (float)own[i] / IMAGES;
            if (own[i] == IMAGES)
                harness_expect_ok(cdl_trainer_accumulate(t[i], batch.pictures, 4, 0), "part");
            const int first = i ? own[0] : own[i] == IMAGES ? 4 : 0, rest = own[i] == IMAGES ? 4 : own[i];
            harness_expect_ok(cdl_trainer_step(t[i], batch.pictures + first, rest, 0, 0.05f), "step");
            assert_int_equal(take(t[i]).images, own[i]);
        }
        assert_int_equal(peers[0].at, peers[1].at);
        assert_int_equal(peers[1].finished, (step + 1) * t[1]->exchange.buckets.count);
        const double off = largest_difference(alone, t[1]);
        if (!(off <= 1e-5))
            fail_msg("step %d: a weight is off by %g", step + 1, off);
        peers[0].second = true; // which has not heard of the other
        peers[1].second = false;
        for (int i = 1; i >= 0; i--)
            harness_expect_ok(cdl_trainer_align(t[i]), "align");
        expect_same(t[0], t[1]);
        peers[0].second = false;
        peers[1].second = true;
    }
    harness_expect_failure(cdl_trainer_align(alone), CDL_ERR_INVALID, "no other processes");

    const uint64_t before = t[0]->step;
    peers[0].fails = true;
    peers[0].at = (size_t)(peers[0].begun = peers[0].finished = 0);
    harness_expect_failure(cdl_trainer_step(t[0], batch.pictures, IMAGES, 0, 0.05f), CDL_ERR_IO, "a broken connection");
    assert_int_equal(peers[0].finished, 1); // what was begun is waited for
    assert_int_equal(t[0]->step, before);
    harness_expect_failure(cdl_trainer_align(t[0]), CDL_ERR_IO, "a broken connection");
    peers[1].share = -1;
    harness_expect_failure(cdl_trainer_step(t[1], batch.pictures, IMAGES, 0, 0.05f), CDL_ERR_IO, "a broken connection");
    free(sent);
    free(batch.pixels);
    cdl_trainer_destroy(&alone);
    for (int i = 0; i < 2; i++)
        cdl_trainer_destroy(&t[i]);
}

// ---- what changes pictures

static double clamped(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

static double grey_of(const double *v) { return 0.2989 * v[0] + 0.587 * v[1] + 0.114 * v[2]; }

// torchvision's adjust_brightness, adjust_contrast, adjust_saturation of tensors, on v[pixels][3].
static void change_colours(double *v, int pixels, const struct train_jitter *j) {
    for (int i = 0; i < 3; i++) {
        const int what = j->order >> 2 * i & 3;
        const double f = (double)(what == 0 ? j->brightness : what == 1 ? j->contrast : j->saturation);
        double mean = 0;
        for (int k = 0; k < pixels; k++)
            mean += grey_of(v + 3 * k) / pixels;
        for (int k = 0; k < pixels; k++) {
            const double other = what == 0 ? 0 : what == 1 ? mean : grey_of(v + 3 * k);
            for (int c = 0; c < 3; c++)
                v[3 * k + c] = clamped(f * v[3 * k + c] + (1 - f) * other);
        }
    }
}

static void colours_are_changed(void **state) {
    (void)state;
    struct random r = random_of(8);
    uint8_t *bytes = random_bytes(&r, 40 * 30 * 4 * IMAGES);
    struct cdl_train_picture pictures[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        pictures[i] = (struct cdl_train_picture){
            .pixels = {.data = bytes + (size_t)(4800 * i), .width = 40, .height = 30, .format = CDL_FORMAT_RGBA8},
            .index = (uint64_t)i};
    cdl_trainer *t[] = {
        make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES)),
        make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES, .staging_bytes = 40000, .brightness = 0.4f,
                                                     .contrast = 1.5f, .saturation = 0.9f))};
    float *inputs[2];
    for (int i = 0; i < 2; i++) {
        harness_expect_ok(cdl_trainer_step(t[i], pictures, IMAGES, 3, 0.0f), "step");
        inputs[i] = input_of(t[i]);
    }
    const struct cdl_recipe *recipe = &t[0]->model->recipe;
    const int pixels = t[0]->sight.width * t[0]->sight.height;
    double *v = must_alloc((size_t)pixels * 3, sizeof *v), worst = 0, moved = 0;
    int orders = 0;
    for (int i = 0; i < IMAGES; i++) {
        struct cdl_train_view view;
        assert_true(cdl_train_view(&t[1]->sight, 40, 30, 3, (uint64_t)i, &view));
        assert_true(view.jitter.brightness >= 0.6f && view.jitter.brightness <= 1.4f);
        assert_true(view.jitter.contrast >= 0 && view.jitter.contrast <= 2.5f);
        orders |= 1 << view.jitter.order / 4; // which of the six
        for (int k = 0; k < 3 * pixels; k++)
            v[k] = (double)inputs[0][(i * pixels + k / 3) * 4 + k % 3] * (double)recipe->std[k % 3] +
                   (double)recipe->mean[k % 3];
        change_colours(v, pixels, &view.jitter);
        for (int k = 0; k < 3 * pixels; k++) {
            const int at = (i * pixels + k / 3) * 4 + k % 3;
            const double wanted = (v[k] - (double)recipe->mean[k % 3]) / (double)recipe->std[k % 3];
            worst = fmax(worst, fabs((double)inputs[1][at] - wanted));
            moved = fmax(moved, fabs((double)(inputs[1][at] - inputs[0][at])));
        }
    }
    if (!(worst <= 1e-4) || moved < 0.5)
        fail_msg("a colour is off by %g, was moved by up to %g", worst, moved);
    assert_true((orders & (orders - 1)) != 0);
    free(v);
    free(bytes);
    for (int i = 0; i < 2; i++) {
        free(inputs[i]);
        cdl_trainer_destroy(&t[i]);
    }
}

// What mixup learns from a batch is what two batches of the mixed pictures teach, one with the pictures' own labels and
// one with those of the pictures before them, by their shares.
static void pictures_are_mixed(void **state) {
    (void)state;
    const float alpha = 0.8f;
    cdl_trainer *mixed = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES, .mixup = alpha));
    cdl_trainer *plain = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES));
    struct batch batch = make_batch(mixed), other = make_batch(mixed);
    const size_t image = 3 * (size_t)mixed->sight.height * (size_t)mixed->sight.width;
    const double share = (double)cdl_train_mixup_share(0, 5, 0, (double)alpha);
    assert_true(share > 0.02 && share < 0.98);
    for (size_t i = 0; i < IMAGES * image; i++)
        other.pixels[i] = (float)(share * (double)batch.pixels[i] +
                                  (1 - share) * (double)batch.pixels[(i + (IMAGES - 1) * image) % (IMAGES * image)]);
    harness_expect_ok(cdl_trainer_step(mixed, batch.pictures, IMAGES, 5, 0.0f), "mixed");
    float *found = download(mixed, &mixed->gradients), *parts[2];
    double loss = 0;
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < IMAGES; k++)
            other.pictures[k].label = batch.pictures[i ? (k + IMAGES - 1) % IMAGES : k].label;
        harness_expect_ok(cdl_trainer_step(plain, other.pictures, IMAGES, 5, 0.0f), "plain");
        loss += (i ? 1 - share : share) * (double)take(plain).loss;
        parts[i] = download(plain, &plain->gradients);
    }
    const double off = fabs((double)take(mixed).loss - loss);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < mixed->program.parameters.trainable; i++) {
        const double wanted = share * (double)parts[0][i] + (1 - share) * (double)parts[1][i];
        worst = fmax(worst, fabs((double)found[i] - wanted));
        largest = fmax(largest, fabs(wanted));
    }
    if (!(off <= 1e-5 * loss) || !(worst <= 1e-4 * largest))
        fail_msg("the loss %g is off by %g, a gradient by %g of %g", loss, off, worst, largest);
    // Of a beta distribution of 0.2 and 0.2: mean 1/2, variance 1 / (4 (2 0.2 + 1)) = 0.1786.
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        const double x = (double)cdl_train_mixup_share(1, 2, i, 0.2) - 0.5;
        sum += x / 4000;
        squares += x * x / 4000;
    }
    assert_true(fabs(sum) < 0.03 && fabs(squares - 0.1786) < 0.01);
    free(found);
    for (int i = 0; i < 2; i++)
        free(parts[i]);
    free(batch.pixels);
    free(other.pixels);
    cdl_trainer_destroy(&mixed);
    cdl_trainer_destroy(&plain);
}

// Two that see the same, batch norms and all, learn what one does.
static void processes_that_see_the_same(void **state) {
    (void)state;
    cdl_trainer *alone = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES));
    float *sent = must_alloc((size_t)(alone->parameters.size + alone->momentum.size) + 4096, 1);
    struct peer peers[] = {{.sent = sent, .share = 0.5f}, {.sent = sent, .share = 0.5f, .second = true}};
    cdl_trainer *t[] = {make_peer(&peers[0], NULL), make_peer(&peers[1], NULL)};
    struct batch batch = make_batch(alone);
    harness_expect_ok(cdl_trainer_step(alone, batch.pictures, IMAGES, 0, 0.05f), "step");
    for (int i = 0; i < 2; i++)
        harness_expect_ok(cdl_trainer_step(t[i], batch.pictures, IMAGES, 0, 0.05f), "step");
    expect_same(alone, t[1]); // halves of a float are exact
    free(sent);
    free(batch.pixels);
    cdl_trainer_destroy(&alone);
    for (int i = 0; i < 2; i++)
        cdl_trainer_destroy(&t[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_one_batch),         cmocka_unit_test(processes_learn_together),
        cmocka_unit_test(processes_that_see_the_same), cmocka_unit_test(colours_are_changed),
        cmocka_unit_test(pictures_are_mixed),
    };
    return cmocka_run_group_tests(tests, harness_open, harness_close);
}
