// What a model's metadata says beside its weights: input size, normalisation, labels, stem and strides.
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/model.h"

enum { MAX_INPUT_SIZE = 4096, MAX_RESIZE_SIZE = 16384, MAX_LABELS = 1 << 20 };

static const char DEFAULT_MEAN[] = "0.485,0.456,0.406", DEFAULT_STD[] = "0.229,0.224,0.225";

// Where a value came from, for its error message.
struct source {
    const char *what; // file or "params"
    cdl_result error; // of a malformed value
    const cdl_log *log;
};

// ---- lists in text

// Splits "a,b,c" at `separator` in place; the number of parts, or -1 when above max.
static int split(char *text, char separator, char *parts[], int max) {
    int count = 0;
    for (char *p = text; p;) {
        if (count == max)
            return -1;
        parts[count++] = p;
        p = strchr(p, separator);
        if (p)
            *p++ = 0;
    }
    return count;
}

static char *trim(char *text) {
    while (*text == ' ')
        text++;
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ')
        text[--length] = 0;
    return text;
}

static bool parse_ints(const char *value, char separator, int min, int max, int *out, int cap, int *count) {
    char copy[64], *parts[8];
    if (strlen(value) >= sizeof(copy) || cap > (int)CDL_COUNT(parts))
        return false;
    cdl_format_text(copy, sizeof(copy), "%s", value);
    *count = split(copy, separator, parts, cap);
    for (int i = 0; i < *count; i++) {
        if (!cdl_parse_int(trim(parts[i]), min, max, &out[i]))
            return false;
    }
    return *count > 0;
}

static bool parse_three_floats(const char *value, float out[3]) {
    char copy[256], *parts[3];
    if (strlen(value) >= sizeof(copy))
        return false;
    cdl_format_text(copy, sizeof(copy), "%s", value);
    if (split(copy, ',', parts, 3) != 3)
        return false;
    for (int i = 0; i < 3; i++) {
        if (!cdl_parse_float(trim(parts[i]), &out[i]))
            return false;
    }
    return true;
}

// Names and labels go to terminals and logs, where control characters do harm.
static bool is_plain_text(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    }
    return true;
}

// ---- one setter for each key; false: the value is malformed

static bool set_architecture(struct cdl_recipe *recipe, const char *value) {
    if (!value[0] || strlen(value) >= sizeof(recipe->architecture) || !is_plain_text(value))
        return false;
    cdl_format_text(recipe->architecture, sizeof(recipe->architecture), "%s", value);
    return true;
}

static bool set_input_size(struct cdl_recipe *recipe, const char *value) {
    int size[2], count;
    if (!parse_ints(value, 'x', 1, MAX_INPUT_SIZE, size, 2, &count))
        return false;
    recipe->input_height = size[0];
    recipe->input_width = size[count - 1];
    return true;
}

static bool set_resize_size(struct cdl_recipe *recipe, const char *value) {
    return cdl_parse_int(value, 1, MAX_RESIZE_SIZE, &recipe->resize_size);
}

static bool set_mean(struct cdl_recipe *recipe, const char *value) { return parse_three_floats(value, recipe->mean); }

static bool set_std(struct cdl_recipe *recipe, const char *value) {
    if (!parse_three_floats(value, recipe->std))
        return false;
    for (int i = 0; i < 3; i++) {
        // Pixels are divided by it: the quotient of values in 0...1 must stay finite.
        if (!(recipe->std[i] >= 1e-6f))
            return false;
    }
    return true;
}

static bool set_interpolation(struct cdl_recipe *recipe, const char *value) {
    (void)recipe;
    return strcmp(value, "bilinear") == 0;
}

static bool set_stem_stride(struct cdl_recipe *recipe, const char *value) {
    return cdl_parse_int(value, 1, 2, &recipe->stem_stride);
}

static bool set_stem_pool(struct cdl_recipe *recipe, const char *value) {
    recipe->stem_pool = strcmp(value, "true") == 0;
    return recipe->stem_pool || strcmp(value, "false") == 0;
}

static bool set_stage_strides(struct cdl_recipe *recipe, const char *value) {
    int strides[4], count;
    if (!parse_ints(value, ',', 1, 2, strides, 4, &count))
        return false;
    for (int i = 0; i < 4; i++)
        recipe->stage_strides[i] = i < count ? strides[i] : 0;
    return true;
}

static bool set_shortcut(struct cdl_recipe *recipe, const char *value) {
    recipe->shortcut = strcmp(value, "a") == 0 ? CDL_SHORTCUT_A : CDL_SHORTCUT_A_END;
    return recipe->shortcut == CDL_SHORTCUT_A || strcmp(value, "a-end") == 0;
}

// pth.c and names.c have heeded it: files may keep something else under this name.
static bool set_weights(struct cdl_recipe *recipe, const char *value) {
    (void)recipe;
    (void)value;
    return true;
}

static const struct key {
    const char *name;
    bool (*set)(struct cdl_recipe *recipe, const char *value); // NULL: labels, which are no part of the recipe
    const char *expected;
} KEYS[] = {
    {"architecture", set_architecture, "1 to 63 printable characters"},
    {"input_size", set_input_size, "\"224\" or \"HEIGHTxWIDTH\", each 1 to 4096"},
    {"resize_size", set_resize_size, "1 to 16384"},
    {"mean", set_mean, "three numbers as in \"0.485,0.456,0.406\""},
    {"std", set_std, "three positive numbers as in \"0.229,0.224,0.225\""},
    {"labels", NULL, "a JSON array of strings"},
    {"interpolation", set_interpolation, "\"bilinear\", the only filter there is"},
    {"stem_stride", set_stem_stride, "1 or 2"},
    {"stem_pool", set_stem_pool, "true or false"},
    {"stage_strides", set_stage_strides, "one to four numbers as in \"1,2,2,2\", each 1 or 2"},
    {"shortcut", set_shortcut, "a or a-end: where shortcuts without weights put their zeros"},
    {"weights", set_weights, "ema, or the name under which the file keeps the copy of the weights that is meant"},
};

static const struct key *find_key(const char *name) {
    for (size_t i = 0; i < CDL_COUNT(KEYS); i++) {
        if (strcmp(KEYS[i].name, name) == 0)
            return &KEYS[i];
    }
    return NULL;
}

// ---- labels

static void free_labels(char **labels, int count) {
    for (int i = 0; i < count; i++)
        free(labels[i]);
    free(labels);
}

// Replaces the model's labels by those of the JSON text.
static cdl_result set_labels(struct cdl_model *model, const char *value, const struct source *source) {
    struct cdl_json_error error;
    struct cdl_json *array;
    if (cdl_json_read(&array, value, strlen(value), &error) == CDL_ERR_NOMEM)
        return cdl_fail(source->log, CDL_ERR_NOMEM, "%s: out of memory for labels", source->what);
    const size_t count = array ? array->count : 0;
    if (!array || array->type != CDL_JSON_ARRAY || count > MAX_LABELS) {
        free(array);
        return cdl_fail(source->log, source->error,
                        "%s: metadata labels is no JSON array of at most %d strings; correct it", source->what,
                        MAX_LABELS);
    }
    char **labels = calloc(count + 1, sizeof(*labels)); // one more, as calloc(0) may be NULL
    cdl_result r = labels ? CDL_OK : cdl_fail(source->log, CDL_ERR_NOMEM, "%s: out of memory for labels", source->what);
    for (size_t i = 0; i < count && r == CDL_OK; i++) {
        const char *text = cdl_json_text(&array[1 + i]); // all before it are strings
        if (!text || !is_plain_text(text)) {
            r = cdl_fail(source->log, source->error,
                         "%s: metadata labels[%zu] is no string free of control characters; correct it", source->what,
                         i);
            break;
        }
        labels[i] = cdl_copy_text(text);
        if (!labels[i])
            r = cdl_fail(source->log, CDL_ERR_NOMEM, "%s: out of memory for labels", source->what);
    }
    free(array);
    if (r != CDL_OK) {
        if (labels)
            free_labels(labels, (int)count);
        return r;
    }
    free_labels(model->labels, model->num_labels);
    model->labels = labels;
    model->num_labels = (int)count;
    return CDL_OK;
}

// ---- all keys

static cdl_result apply(struct cdl_model *model, const char *name, const char *value, const struct source *source) {
    const struct key *key = find_key(name);
    if (!key)
        return CDL_OK;
    if (!key->set)
        return set_labels(model, value, source);
    if (key->set(&model->recipe, value))
        return CDL_OK;
    return cdl_fail(source->log, source->error, "%s: metadata %s is \"%.80s\"; it must be %s", source->what, name,
                    value, key->expected);
}

static bool is_overridden(const struct cdl_model_params *params, const char *key) {
    for (int i = 0; i < params->num_metadata; i++) {
        if (strcmp(params->metadata[i].key, key) == 0)
            return true;
    }
    return false;
}

static void set_defaults(struct cdl_recipe *recipe) {
    memset(recipe, 0, sizeof(*recipe));
    recipe->input_width = recipe->input_height = 224;
    parse_three_floats(DEFAULT_MEAN, recipe->mean);
    parse_three_floats(DEFAULT_STD, recipe->std);
    recipe->stem_pool = -1;
}

cdl_result cdl_model_apply_metadata(struct cdl_model *model, const struct cdl_model_params *params) {
    set_defaults(&model->recipe);
    const struct source file = {model->what, CDL_ERR_FORMAT, &params->log};
    for (int i = 0; i < model->list.num_metadata; i++) {
        const struct cdl_metadata_entry *entry = &model->list.metadata[i];
        if (is_overridden(params, entry->key)) // so that a bad value of the file can be corrected
            continue;
        const cdl_result r = apply(model, entry->key, entry->value, &file);
        if (r != CDL_OK)
            return r;
    }
    const struct source caller = {"parameters", CDL_ERR_INVALID, &params->log};
    for (int i = 0; i < params->num_metadata; i++) {
        const struct cdl_pair *entry = &params->metadata[i];
        cdl_result r = apply(model, entry->key, entry->value, &caller);
        if (r == CDL_OK)
            r = cdl_tensor_list_set_metadata(&model->list, entry->key, entry->value, &params->log);
        if (r != CDL_OK)
            return r;
    }
    struct cdl_recipe *recipe = &model->recipe;
    if (recipe->resize_size == 0) { // ImageNet's margin around the crop: 256 for 224
        const int side = recipe->input_width < recipe->input_height ? recipe->input_width : recipe->input_height;
        recipe->resize_size = (side * 256 + 112) / 224;
    }
    return CDL_OK;
}

cdl_result cdl_model_collect_metadata(const struct cdl_model *model, struct cdl_tensor_list *out, const cdl_log *log) {
    const struct cdl_recipe *recipe = &model->recipe;
    char input_size[32], resize_size[16];
    if (recipe->input_width == recipe->input_height)
        cdl_format_text(input_size, sizeof(input_size), "%d", recipe->input_width);
    else
        cdl_format_text(input_size, sizeof(input_size), "%dx%d", recipe->input_height, recipe->input_width);
    cdl_format_text(resize_size, sizeof(resize_size), "%d", recipe->resize_size);
    const struct cdl_pair defaults[] = {
        {"architecture", recipe->architecture},
        {"input_size", input_size},
        {"resize_size", resize_size},
        {"mean", DEFAULT_MEAN},
        {"std", DEFAULT_STD},
        {"interpolation", "bilinear"},
    };
    cdl_result r = CDL_OK;
    for (size_t i = 0; i < CDL_COUNT(defaults) && r == CDL_OK; i++)
        r = cdl_tensor_list_set_metadata(out, defaults[i].key, defaults[i].value, log);
    // What was given is saved as it was written: printed from their numbers, mean and std would have a decimal comma in
    // some locales.
    for (int i = 0; i < model->list.num_metadata && r == CDL_OK; i++)
        r = cdl_tensor_list_set_metadata(out, model->list.metadata[i].key, model->list.metadata[i].value, log);
    return r;
}
