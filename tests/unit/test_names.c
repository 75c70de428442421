// test_names.c - the network that runs is the one in the file: ResNets under many names give the same tensors to the
// bit, checkpoints load whatever lies beside the weights, and what the network has no use for is named in an error.
#include "model/schemes.h"
#include "support/harness.h"

// ---- files made here: a golden network's tensors under other names

struct text {
    char *data;
    size_t size;
};

static void put(struct text *t, const void *bytes, size_t size) {
    t->data = realloc(t->data, t->size + size);
    assert_non_null(t->data);
    memcpy(t->data + t->size, bytes, size);
    t->size += size;
}

static void put_text(struct text *t, const char *text) { put(t, text, strlen(text)); }

struct extra { // a tensor beside the network's, of zeros
    const char *name, *shape, *dtype;
    size_t bytes;
};

struct file {
    const char *prefix, *rules; // from torchvision's names to the file's; what no rule fits keeps its name
    const struct extra *extras;
    int num_extras;
    bool alphabetic;
    const char *copy; // prefix of a second copy of the network, with other numbers
};

static int compare_order(const void *a, const void *b) {
    const struct cdl_tensor *const *x = a, *const *y = b;
    return (*x)->order - (*y)->order;
}

struct item {
    char name[300];
    const struct cdl_tensor *tensor; // NULL: an extra
    const struct extra *extra;
    bool changed;
};

static int compare_items(const void *a, const void *b) {
    return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static void foreign_name(const struct cdl_scheme *scheme, const char *prefix, const char *name, char out[300]) {
    char module[CDL_MAX_NAME], mapped[CDL_MAX_NAME];
    const char *dot = strrchr(name, '.');
    snprintf(module, sizeof module, "%.*s", (int)(dot - name), name);
    if (cdl_scheme_map(scheme, module, mapped) != CDL_PLACE_FOUND)
        snprintf(mapped, sizeof mapped, "%s", module);
    snprintf(out, 300, "%s%s%s", prefix ? prefix : "", mapped, dot);
}

static void put_values(struct text *data, const struct item *item) {
    if (!item->tensor) {
        for (size_t i = 0; i < item->extra->bytes; i++)
            put(data, "", 1);
        return;
    }
    const int64_t rows = cdl_tensor_rows(item->tensor), size = cdl_tensor_row_size(item->tensor);
    float *row = must_alloc((size_t)size, sizeof *row);
    for (int64_t k = 0; k < rows; k++) {
        cdl_tensor_read_row(item->tensor, k, row);
        for (int64_t i = 0; item->changed && i < size; i++)
            row[i] += 1;
        put(data, row, (size_t)size * sizeof *row);
    }
    free(row);
}

// The .safetensors file of `model` as described.
static struct text make_file(const cdl_model *model, const struct file *f) {
    struct cdl_scheme scheme;
    harness_expect_ok(cdl_scheme_read(&scheme, f->rules ? f->rules : "", "test", &harness_shared_log), "rules");
    const int count = model->list.count, total = count * (f->copy ? 2 : 1) + f->num_extras;
    const struct cdl_tensor **sorted = must_alloc((size_t)count, sizeof(*sorted));
    struct item *items = must_alloc((size_t)total, sizeof *items);
    for (int i = 0; i < count; i++)
        sorted[i] = &model->list.items[i];
    qsort(sorted, (size_t)count, sizeof *sorted, compare_order);
    for (int i = 0; i < total; i++) {
        const bool tensor = i < total - f->num_extras;
        items[i] = (struct item){.tensor = tensor ? sorted[i % count] : NULL, .changed = tensor && i >= count};
        if (tensor) {
            foreign_name(&scheme, i < count ? f->prefix : f->copy, sorted[i % count]->name, items[i].name);
        } else {
            items[i].extra = &f->extras[i - (total - f->num_extras)];
            snprintf(items[i].name, sizeof items[i].name, "%s", items[i].extra->name);
        }
    }
    if (f->alphabetic)
        qsort(items, (size_t)total, sizeof *items, compare_items);
    struct text header = {0}, data = {0}, file = {0};
    put_text(&header, "{\"__metadata__\":{");
    for (int i = 0; i < model->list.num_metadata; i++) {
        char line[200];
        snprintf(line, sizeof line, "%s\"%s\":\"%s\"", i ? "," : "", model->list.metadata[i].key,
                 model->list.metadata[i].value);
        put_text(&header, line);
    }
    put_text(&header, "}");
    for (int i = 0; i < total; i++) {
        char line[600], shape[100] = "";
        const size_t start = data.size;
        put_values(&data, &items[i]);
        const struct cdl_tensor *t = items[i].tensor;
        for (int d = 0; t && d < t->num_dims; d++)
            snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%d", d ? "," : "", (int)t->shape[d]);
        snprintf(line, sizeof line, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                 items[i].name, t ? "F32" : items[i].extra->dtype, t ? shape : items[i].extra->shape, start, data.size);
        put_text(&header, line);
    }
    put_text(&header, "}");
    for (int i = 0; i < 8; i++)
        put(&file, &(uint8_t){(uint8_t)(header.size >> 8 * i)}, 1);
    put(&file, header.data, header.size);
    put(&file, data.data, data.size);
    free(header.data);
    free(data.data);
    free(items);
    free(sorted);
    cdl_scheme_free(&scheme);
    return file;
}

// ---- what comes of them

static char said[4000]; // all lines of the last call
static int num_errors, num_warnings;

static void keep_line(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    num_errors += level == CDL_LOG_ERR;
    num_warnings += level == CDL_LOG_WARN;
    const size_t used = strlen(said);
    snprintf(said + used, sizeof said - used, "%s\n", msg);
}

static cdl_log quiet(void) {
    said[0] = 0;
    num_errors = num_warnings = 0;
    return (cdl_log){keep_line, NULL, CDL_LOG_INFO};
}

static cdl_result load(cdl_model **out, const struct text *file, const char *weights, const char *names) {
    const struct cdl_pair pair = {"weights", weights};
    const cdl_result r = cdl_model_load_memory(
        out, file->data, file->size, NULL, NULL,
        cdl_model_params(.log = quiet(), .metadata = &pair, .num_metadata = weights ? 1 : 0, .names = names));
    if (num_errors != (r != CDL_OK))
        fail_msg("result %d with %d error lines: %s", r, num_errors, said);
    return r;
}

// The same names, shapes and bits, and so the same answers.
static void expect_same(const cdl_model *wanted, const cdl_model *found, const char *what, float difference) {
    if (wanted->list.count != found->list.count)
        fail_msg("%s: %d tensors instead of %d", what, found->list.count, wanted->list.count);
    for (int i = 0; i < wanted->list.count; i++) {
        const struct cdl_tensor *a = &wanted->list.items[i], *b = &found->list.items[i];
        if (strcmp(a->name, b->name) || a->num_dims != b->num_dims || memcmp(a->shape, b->shape, sizeof a->shape))
            fail_msg("%s: %s instead of %s", what, b->name, a->name);
        const int64_t rows = cdl_tensor_rows(a), size = cdl_tensor_row_size(a);
        float *x = must_alloc((size_t)size, sizeof *x), *y = must_alloc((size_t)size, sizeof *y);
        for (int64_t k = 0; k < rows; k++) {
            cdl_tensor_read_row(a, k, x);
            cdl_tensor_read_row(b, k, y);
            for (int64_t j = 0; j < size; j++)
                if (x[j] + difference != y[j])
                    fail_msg("%s: %s: %g instead of %g", what, a->name, (double)y[j], (double)x[j]);
        }
        free(x);
        free(y);
    }
    assert_memory_equal(&wanted->recipe, &found->recipe, sizeof wanted->recipe);
    assert_true(wanted->num_parameters == found->num_parameters);
}

static void expect_loads(const char *network, const struct file *f, const char *names, bool warned, const char *what) {
    cdl_model *wanted = harness_load(network), *found;
    struct text file = make_file(wanted, f);
    if (load(&found, &file, NULL, names) != CDL_OK)
        fail_msg("%s of %s: %s", what, network, said);
    expect_same(wanted, found, what, 0);
    if ((num_warnings > 0) != warned)
        fail_msg("%s of %s: %d warnings: %s", what, network, num_warnings, said);
    cdl_model_destroy(&found);
    cdl_model_destroy(&wanted);
    free(file.data);
}

static void expect_refused(const char *network, const struct file *f, const char *part) {
    cdl_model *model = harness_load(network), *found;
    struct text file = make_file(model, f);
    if (load(&found, &file, NULL, NULL) != CDL_ERR_FORMAT || !strstr(said, part))
        fail_msg("expected a refusal naming '%s': %s", part, said);
    cdl_model_destroy(&model);
    free(file.data);
}

// ---- names

// Rules as of the table, the other way round.
static const struct {
    const char *what, *prefix, *rules;
} schemes[] = {
    {"torchvision", "", ""},
    {"nested prefixes", "module.model.backbone.", ""},
    {"linear", "", "fc linear"},
    {"classifier", "net.", "fc classifier"},
    {"kuangliu", "module.", "fc linear\nlayer{s}.{b}.* layer{s}.{b}.*\n*.downsample.{k} *.shortcut.{k}"},
    {"conv and bn", "", "conv1 conv\nbn1 bn\nfc linear"},
    {"Hugging Face", "",
     "conv1 resnet.embedder.embedder.convolution\nbn1 resnet.embedder.embedder.normalization\nfc classifier.1\n"
     "layer{s}.{b}.* resnet.encoder.stages.{s-1}.layers.{b}.*\n*.conv{k} *.layer.{k-1}.convolution\n"
     "*.bn{k} *.layer.{k-1}.normalization\n*.downsample.0 *.shortcut.convolution\n"
     "*.downsample.1 *.shortcut.normalization"},
    {"MMClassification", "",
     "fc head.fc\nconv1 backbone.conv1\nbn1 backbone.bn1\nlayer{s}.{b}.* backbone.layer{s}.{b}.*\n"
     "*.conv{k} *.conv{k}\n*.bn{k} *.bn{k}\n*.downsample.{k} *.downsample.{k}"},
    {"timm's and others' stages", "encoder.",
     "layer{s}.{b}.* stages.{s-1}.{b}.*\n*.conv{k} *.conv{k}.conv\n*.bn{k} *.conv{k}.bn\n*.downsample.{k} *.skip.{k}\n"
     "conv1 stem.conv\nbn1 stem.bn\nfc head"},
    {"FFFATTACK", "",
     "fc fc_out\nlayer1.{b}.* layers_2n.{b}.*\nlayer2.{b}.* layers_4n.{b}.*\n"
     "layer3.{b}.* layers_6n.{b}.*\n*.conv{k} *.conv{k}\n*.bn{k} *.bn{k}\n"
     "*.downsample.{k} *.downsample.{k}"},
};

static void test_schemes(void **state) {
    (void)state;
    static const char *const networks[] = {"basic_3x3", "bottleneck_g4", "bottleneck_g2", "basic_bias"};
    for (size_t i = 0; i < CDL_COUNT(schemes); i++)
        for (size_t n = 0; n < CDL_COUNT(networks); n++)
            for (int alphabetic = 0; alphabetic < 2; alphabetic++)
                expect_loads(networks[n],
                             &(struct file){schemes[i].prefix, schemes[i].rules, NULL, 0, alphabetic, NULL}, NULL,
                             false, schemes[i].what);
    static const char prlz77[] =
        "conv1 conv_1_3x3\nbn1 bn_1\nfc classifier\nlayer{s}.{b}.* stage_{s}.stage_{s}_bottleneck_{b}.*\n"
        "*.conv1 *.conv_reduce\n*.bn1 *.bn_reduce\n*.conv2 *.conv_conv\n*.bn2 *.bn\n*.conv3 *.conv_expand\n"
        "*.bn3 *.bn_expand\n*.downsample.0 *.shortcut.shortcut_conv\n*.downsample.1 *.shortcut.shortcut_bn";
    static const char weiaicunzai[] =
        "conv1 conv1.0\nbn1 conv1.1\nlayer{s}.{b}.* conv{s+1}_x.{b}.*\n*.conv1 *.residual_function.0\n"
        "*.bn1 *.residual_function.1\n*.conv2 *.residual_function.3\n*.bn2 *.residual_function.4\n"
        "*.conv3 *.residual_function.6\n*.bn3 *.residual_function.7\n*.downsample.{k} *.shortcut.{k}";
    expect_loads("bottleneck_g4", &(struct file){.prefix = "module.", .rules = prlz77}, NULL, false, "prlz77");
    expect_loads("bottleneck_g8", &(struct file){.rules = prlz77}, NULL, false, "prlz77");
    expect_loads("bottleneck_g1", &(struct file){.rules = weiaicunzai}, NULL, false, "weiaicunzai");
    expect_loads("basic_7x7", &(struct file){.rules = weiaicunzai, .alphabetic = true}, NULL, false, "weiaicunzai");
}

// Names that no table has: the order of modules tells, or of numbers where a file is sorted by name.
static void test_by_order(void **state) {
    (void)state;
    static const char strange[] =
        "conv1 entry.kernel\nbn1 entry.scale\nfc verdict\nlayer{s}.{b}.* body.{s}.unit{b}.*\n"
        "*.conv{k} *.kernel{k}\n*.bn{k} *.scale{k}\n*.downsample.0 *.way.kernel\n*.downsample.1 *.way.scale";
    static const char flat[] = // one row of layers, as a VGG has it
        "conv1 features.0\nbn1 features.1\nlayer{s}.{b}.conv{k} features.{s}{b}{k}0\nlayer{s}.{b}.bn{k} "
        "features.{s}{b}{k}1\nlayer{s}.{b}.downsample.{k} features.{s}{b}9{k}\nfc classifier";
    static const char *const networks[] = {"basic_3x3", "basic_7x7", "bottleneck_g1", "bottleneck_g32", "basic_bias"};
    for (size_t n = 0; n < CDL_COUNT(networks); n++)
        for (int alphabetic = 0; alphabetic < 2; alphabetic++)
            expect_loads(networks[n], &(struct file){NULL, strange, NULL, 0, alphabetic, NULL}, NULL, true, "by order");
    expect_loads("option_a", &(struct file){.rules = strange}, NULL, true, "option A, by its key");
    expect_refused("basic_3x3", &(struct file){.rules = flat},
                   "do not form residual blocks; its tensors are features.0");
    expect_refused("bottleneck_g4", &(struct file){.rules = flat}, "do not form residual blocks");
    expect_refused("basic_3x3", &(struct file){.rules = flat, .alphabetic = true}, "VGG");
    const struct extra second = {"other.weight", "2,12", "F32", 96};
    expect_refused("basic_3x3", &(struct file){.rules = strange, .extras = &second, .num_extras = 1},
                   "several matrices could be the classifier");
}

static void test_plain_networks(void **state) {
    (void)state;
    static const char strange[] = "conv1 entry.kernel\nbn1 entry.scale\nfc verdict\nlayer{s}.{b}.* body.{s}.unit{b}.*\n"
                                  "*.conv{k} *.kernel{k}\n*.bn{k} *.scale{k}";
    static const struct {
        const char *rules, *part;
    } cases[] = {
        {"", "no weights for its shortcut, layer2.0.downsample.0.weight"},
        {"fc classifier", "shortcut=a-end"},
        {strange, "do not form residual blocks"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        cdl_model *model = harness_load("option_a"), *found;
        for (int k = 0; k < model->list.num_metadata; k++) // the key is what makes it a residual network
            if (!strcmp(model->list.metadata[k].key, "shortcut"))
                memcpy(model->list.metadata[k].key, "shortkey", 8);
        struct text file = make_file(model, &(struct file){.rules = cases[i].rules});
        if (load(&found, &file, NULL, NULL) != CDL_ERR_FORMAT || !strstr(said, cases[i].part))
            fail_msg("expected a refusal naming '%s': %s", cases[i].part, said);
        free(file.data);
        file = make_file(model, &(struct file){.rules = "fc linear"}); // one that names tell, with a word
        harness_expect_ok(load(&found, &file, NULL, NULL), said);
        assert_int_equal(found->recipe.shortcut, CDL_SHORTCUT_A);
        assert_int_equal(num_warnings, 1);
        cdl_model_destroy(&found);
        cdl_model_destroy(&model);
        free(file.data);
    }
}

static void test_own_names(void **state) {
    (void)state;
    static const char rules[] =
        "conv1 a\nbn1 b\nfc z\nlayer{s}.{b}.* row{s}.{b}.*\n*.conv{k} *.{k}.p\n*.bn{k} *.{k}.q\n"
        "*.downsample.0 *.w\n*.downsample.1 *.v";
    static const char names[] = "# ours\r\n\r\na conv1\nb bn1\nz   fc # the end\n row{s}.{b}.* layer{s}.{b}.*\n"
                                "*.{k}.p\t*.conv{k}\n*.{k}.q *.bn{k}\n*.w *.downsample.0\n*.v *.downsample.1\naux.* -";
    const struct extra aux = {"aux.3.weight", "2,2", "F32", 16};
    expect_loads("bottleneck_g4", &(struct file){NULL, rules, &aux, 1, true, NULL}, names, false, "own names");
    expect_loads("basic_3x3", &(struct file){"x.", rules, NULL, 0, false, NULL}, names, false, "own names");
    expect_loads("basic_3x3", &(struct file){NULL, NULL, &aux, 1, false, NULL}, "aux.3 -", false, "left out");
    static const char *const bad[] = {"a", "a b c", "a{b", "{1} fc", "a{s+1} fc", "x.* y", "a *.b", "a b}"};
    cdl_model *model = harness_load("basic_3x3"), *found;
    struct text file = make_file(model, &(struct file){0});
    for (size_t i = 0; i < CDL_COUNT(bad); i++) {
        char text[80];
        snprintf(text, sizeof text, "fc fc\n%s\n", bad[i]);
        if (load(&found, &file, NULL, text) != CDL_ERR_INVALID || !strstr(said, "names, line 2"))
            fail_msg("'%s': %s", bad[i], said);
    }
    cdl_model_destroy(&model);
    free(file.data);
}

// ---- tensors that have no place, and those that need none

static void test_unused_tensors(void **state) {
    (void)state;
    static const struct {
        struct extra extra;
        const char *part;
    } cases[] = {
        {{"layer1.0.se.fc1.weight", "2,8,1,1", "F32", 64}, "layer1.0.se.fc1.weight): squeeze-and-excitation"},
        {{"layer2.0.se_module.fc1.bias", "2", "F32", 8}, "layer2.0.se_module.fc1.bias): squeeze"},
        {{"layer1.0.eca.conv.weight", "1,1,3", "F32", 12}, "channel attention (ECA"},
        {{"layer1.0.prelu.weight", "8", "F32", 32}, "layer1.0.prelu.weight): learned activations"},
        {{"layer1.0.act1.weight", "1", "F32", 4}, "layer1.0.act1.weight"},
        {{"layer3.0.conv1.weight", "12,12,3,3", "F32", 5184}, "layer3.0.bn1.weight is missing"},
        {{"layer1.5.conv1.weight", "8,8,3,3", "F32", 2304}, "layer1.5.conv1.weight"},
        {{"layer5.0.conv1.weight", "12,12,3,3", "F32", 5184}, "layer5.0.conv1.weight): residual networks of at most"},
        {{"layer1.0.scale", "", "I64", 8}, "layer1.0.scale"},
        {{"head.weight", "2,12", "F32", 96}, "head.weight"},
        {{"attention.weight", "2,2", "F16", 8}, "attention.weight"},
        {{"mean", "3", "F64", 24}, "(mean)"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++)
        for (int prefix = 0; prefix < 2; prefix++)
            expect_refused("basic_3x3",
                           &(struct file){prefix && i < 9 ? "" : NULL, NULL, &cases[i].extra, 1, prefix, NULL},
                           cases[i].part);
    static const struct extra harmless[] = {
        {"class_weights", "2", "F64", 16},
        {"layer1.0.total_ops", "1", "F64", 8},
        {"criterion.weight", "2", "F32", 8},
        {"loss.margin", "", "F8_E4M3", 1},
        {"queue", "2,2", "I8", 4},
        {"bn1.num_batches_tracked", "", "I64", 8},
        {"layer1.0.observer.min", "0", "F32", 0},
        {"optimizer.state.0.exp_avg", "2", "BOOL", 2},
        {"ema.step", "1", "Q7", 3},
        {"n_averaged", "", "U64", 8},
    };
    expect_loads("basic_3x3", &(struct file){NULL, NULL, harmless, CDL_COUNT(harmless), false, NULL}, NULL, false,
                 "harmless");
    assert_non_null(
        strstr(said, "beside the network were passed over: class_weights, criterion.weight, loss.margin, ..."));
    expect_loads("bottleneck_g4", &(struct file){"model.net.", NULL, &harmless[2], 3, true, NULL}, NULL, false,
                 "beside");
    assert_non_null(strstr(said, "3 tensors beside"));
}

static void test_copies(void **state) {
    (void)state;
    static const struct {
        const char *first, *second, *weights;
        int taken; // 0, 1; -1: refused
        const char *said;
    } cases[] = {
        {"model.", "model_ema.", NULL, 0, "the plain one is taken"},
        {"model.", "model_ema.", "ema", 1, ""},
        {"student.net.", "teacher.net.", NULL, 0, "plain one"},
        {"student.net.", "teacher.net.", "teacher", 1, ""},
        {"a.", "b.", "b", 1, ""},
        {"a.", "b.", NULL, -1, "several networks, a, b; choose one with metadata weights=NAME"},
        {"a.", "b.", "c", -1, "weights=c fits 0 copies of the weights, out of: a, b"},
        {"a.", NULL, "ema", -1, "weights=ema fits 0 copies"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        cdl_model *model = harness_load("basic_3x3"), *found;
        struct text file = make_file(model, &(struct file){.prefix = cases[i].first, .copy = cases[i].second});
        const cdl_result r = load(&found, &file, cases[i].weights, NULL);
        if ((r == CDL_OK) != (cases[i].taken >= 0) || !strstr(said, cases[i].said))
            fail_msg("case %zu: %s", i, said);
        if (found) {
            expect_same(model, found, cases[i].first, (float)cases[i].taken);
            assert_null(cdl_model_metadata(found, "weights"));
        }
        cdl_model_destroy(&found);
        cdl_model_destroy(&model);
        free(file.data);
    }
}

// ---- checkpoints that PyTorch wrote (tests/golden/make_models.py)

static cdl_result load_golden(cdl_model **out, const char *name, const char *weights) {
    char path[512];
    const struct cdl_pair pairs[] = {{"input_size", "32"}, {"weights", weights}};
    snprintf(path, sizeof path, "%s/models/%s", CDL_GOLDEN_DIR, name);
    const cdl_result r = cdl_model_load_file(
        out, path, cdl_model_params(.log = quiet(), .metadata = pairs, .num_metadata = weights ? 2 : 1));
    if (num_errors != (r != CDL_OK))
        fail_msg("%s: result %d with %d error lines: %s", name, r, num_errors, said);
    return r;
}

static void test_checkpoints(void **state) {
    (void)state;
    static const struct {
        const char *name, *weights;
        float difference; // from zip.pth, the same network
        const char *said;
    } cases[] = {
        {"train_torchvision.pth", NULL, 0, "those under model; metadata weights=ema takes their average, model_ema"},
        {"train_torchvision.pth", "ema", 1, "optimizer, lr_scheduler, args"},
        {"train_torchvision.pth", "model_ema", 1, ""},
        {"train_timm.pth", NULL, 0, "those under state_dict; metadata weights=ema"},
        {"train_timm.pth", "ema", 1, ""},
        {"lightning.pth", NULL, 0, "1 tensors beside the network were passed over: criterion.weight"},
        {"copies_legacy.pth", NULL, 0, "the plain one is taken"},
        {"copies_legacy.pth", "ema", 1, ""},
        {"unread.pth", NULL, 0, "class_weights, queue, criterion.mask"},
        {"unread_legacy.pth", NULL, 0, "4 tensors beside"},
        {"float64.pth", NULL, 0, ""},
    };
    cdl_model *wanted;
    harness_expect_ok(load_golden(&wanted, "zip.pth", NULL), "zip.pth");
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        cdl_model *found;
        if (load_golden(&found, cases[i].name, cases[i].weights) != CDL_OK || !strstr(said, cases[i].said))
            fail_msg("%s: %s", cases[i].name, said);
        expect_same(wanted, found, cases[i].name, cases[i].difference);
        cdl_model_destroy(&found);
    }
    static const char *const expanded[] = {"expanded.pth", "expanded_legacy.pth"};
    for (size_t i = 0; i < 2; i++) {
        cdl_model *found;
        float row[8], first[8];
        harness_expect_ok(load_golden(&found, expanded[i], NULL), said);
        cdl_tensor_read_row(cdl_model_find(found, "layer1.0.bn2.running_var"), 0, row);
        cdl_tensor_read_row(cdl_model_find(wanted, "layer1.0.bn2.running_var"), 0, first);
        for (int c = 0; c < 8; c++)
            assert_true(row[c] == first[0]);
        cdl_model_destroy(&found);
    }
    cdl_model_destroy(&wanted);
    static const struct {
        const char *name, *part;
    } refused[] = {
        {"repeated.pth", "tensor.contiguous()"},
        {"quantized.pth", "quantized weights, which are not supported; take the file of the float network"},
        {"quantized_legacy.pth", "quantized weights"},
        {"module.pth", "a whole Python object, __main__.Net, of which nothing was executed"},
        {"module_legacy.pth", "torch.save(torch.load(FILE, weights_only=False)[\"model\"].state_dict(), OTHER)"},
    };
    for (size_t i = 0; i < CDL_COUNT(refused); i++) {
        cdl_model *found;
        if (load_golden(&found, refused[i].name, NULL) != CDL_ERR_FORMAT || !strstr(said, refused[i].part))
            fail_msg("%s: %s", refused[i].name, said);
    }
}

// ---- pictures' size, grey pictures, other kinds of networks

static void test_small_stem(void **state) {
    (void)state;
    static const struct {
        const char *network;
        int size, resize, warnings;
    } cases[] = {{"basic_3x3", 224, 256, 1},
                 {"bottleneck_g2", 32, 32, 1},
                 {"bottleneck_g8", 32, 32, 1},
                 {"basic_7x7", 224, 256, 0}};
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        cdl_model *model = harness_load(cases[i].network), *found;
        const int num_metadata = model->list.num_metadata;
        model->list.num_metadata = 0; // a file without recipe
        struct text file = make_file(model, &(struct file){0});
        model->list.num_metadata = num_metadata;
        harness_expect_ok(load(&found, &file, NULL, NULL), said);
        if (found->recipe.input_width != cases[i].size || found->recipe.resize_size != cases[i].resize ||
            num_warnings != cases[i].warnings)
            fail_msg("%s: %d, %d, %d warnings: %s", cases[i].network, found->recipe.input_width,
                     found->recipe.resize_size, num_warnings, said);
        cdl_model_destroy(&found);
        cdl_model_destroy(&model);
        free(file.data);
    }
}

static void test_likenesses(void **state) {
    (void)state;
    static const struct {
        struct extra extras[2];
        const char *part;
    } cases[] = {
        {{{"conv1.weight", "8,1,3,3", "F32", 288}, {"fc.weight", "2,8", "F32", 64}},
         "no matrix with a bias could be the classifier; its tensors are conv1.weight"},
        {{{"features.denseblock1.denselayer1.norm1.weight", "2", "F32", 8}, {"a.b", "1", "F32", 4}}, "DenseNet"},
        {{{"blocks.0.attn.qkv.weight", "2,2", "F32", 16}, {"cls_token", "1", "F32", 4}}, "vision transformer"},
        {{{"features.0.weight", "2,3,3,3", "F32", 216}, {"classifier.weight", "2,2", "F32", 16}},
         "its tensors are features.0.weight, classifier.weight (2 in all)"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        cdl_model *model = harness_load("basic_3x3"), empty = *model, *found;
        empty.list.count = 0;
        struct text file = make_file(&empty, &(struct file){.extras = cases[i].extras, .num_extras = 2});
        if (load(&found, &file, NULL, NULL) != CDL_ERR_FORMAT || !strstr(said, cases[i].part))
            fail_msg("expected '%s': %s", cases[i].part, said);
        cdl_model_destroy(&model);
        free(file.data);
    }
    static const char *const grey[] = {"takes pictures of 1 channel (conv1.weight)", "of 2 channels", "of 4 channels"};
    for (int i = 0; i < 3; i++) {
        cdl_model *model = harness_load("basic_7x7"), *found;
        struct cdl_tensor *conv1 = (struct cdl_tensor *)cdl_model_find(model, "conv1.weight");
        float zeros[3 * 4 * 49] = {0};
        *conv1 = (struct cdl_tensor){.name = conv1->name,
                                     .num_dims = 4,
                                     .shape = {3, (int64_t[]){1, 2, 4}[i], 7, 7},
                                     .data = (const uint8_t *)zeros};
        struct text file = make_file(model, &(struct file){0});
        if (load(&found, &file, NULL, NULL) != CDL_ERR_FORMAT || !strstr(said, grey[i]))
            fail_msg("expected '%s': %s", grey[i], said);
        cdl_model_destroy(&model);
        free(file.data);
    }
    static const char preactivation[] = "fc linear\nbn1 norm_at_the_end\nlayer{s}.{b}.* layer{s}.{b}.*\n"
                                        "*.conv{k} *.conv{k}\n*.bn{k} *.bn{k}\n*.downsample.{k} *.shortcut.{k}";
    static const char *const early[] = {"layer2.0.bn1", "layer3.0.bn1", "layer4.0.bn1"};
    for (int i = 0; i < 3; i++) { // the batch norm of the channels that come in
        cdl_model *model = harness_load("basic_7x7"), *found;
        for (int k = 0; k < model->list.count; k++)
            if (!strncmp(model->list.items[k].name, early[i], strlen(early[i])))
                model->list.items[k].shape[0] = (int64_t[]){3, 6, 9}[i];
        struct text file = make_file(model, &(struct file){.rules = preactivation});
        if (load(&found, &file, NULL, NULL) != CDL_ERR_FORMAT ||
            !strstr(said, "this resembles a pre-activation ResNet"))
            fail_msg("pre-activation, %s: %s", early[i], said);
        cdl_model_destroy(&model);
        free(file.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schemes),        cmocka_unit_test(test_by_order),
        cmocka_unit_test(test_plain_networks), cmocka_unit_test(test_own_names),
        cmocka_unit_test(test_unused_tensors), cmocka_unit_test(test_copies),
        cmocka_unit_test(test_checkpoints),    cmocka_unit_test(test_small_stem),
        cmocka_unit_test(test_likenesses),
    };
    cdl_mutex_init(&harness.lock);
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
