// What a model's metadata says beside its weights: input size, normalisation, labels, stem and strides.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/model.h"

enum { MAX_INPUT_SIZE = 4096, MAX_RESIZE_SIZE = 16384, MAX_LABELS = 1 << 20 };

static const char DEFAULT_MEAN[] = "0.485,0.456,0.406", DEFAULT_STD[] = "0.229,0.224,0.225";

// Where a value came from, for its error message.
struct source {
    const char *what;        // a file, or "parameters"
    const char *labels_from; // where its labels come from
    bool is_caller;          // whose keys are ours, so that an unknown one may be mistyped
    cdl_result error;        // of a malformed value
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

static bool set_mean(struct cdl_recipe *recipe, const char *value) {
    if (!parse_three_floats(value, recipe->mean))
        return false;
    for (int i = 0; i < 3; i++) {
        if (!(recipe->mean[i] >= 0 && recipe->mean[i] <= 1))
            return false;
    }
    return true;
}

static bool set_std(struct cdl_recipe *recipe, const char *value) {
    if (!parse_three_floats(value, recipe->std))
        return false;
    for (int i = 0; i < 3; i++) {
        // Pixels are divided by it: the quotient of values in 0...1 must stay finite.
        if (!(recipe->std[i] >= 1e-6f && recipe->std[i] <= 1))
            return false;
    }
    return true;
}

static bool set_interpolation(struct cdl_recipe *recipe, const char *value) {
    const bool bicubic = strcmp(value, "bicubic") == 0;
    recipe->interpolation = bicubic ? CDL_INTERPOLATION_BICUBIC : CDL_INTERPOLATION_BILINEAR;
    return bicubic || strcmp(value, "bilinear") == 0;
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
    {"mean", set_mean, "three numbers in 0...1 as in \"0.485,0.456,0.406\""},
    {"std", set_std, "three numbers above 0 and up to 1 as in \"0.229,0.224,0.225\""},
    {"labels", NULL, "a JSON array of strings"},
    {"interpolation", set_interpolation, "\"bilinear\" or \"bicubic\""},
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

const char *cdl_model_metadata_key(int i) { return i >= 0 && (size_t)i < CDL_COUNT(KEYS) ? KEYS[i].name : NULL; }

// ---- what was probably meant

// What other programs call the keys, where spelling does not lead there.
static const char *const OTHER_NAMES[][2] = {
    {"resize", "resize_size"},   {"crop", "input_size"},     {"crop_size", "input_size"},
    {"size", "input_size"},      {"img_size", "input_size"}, {"image_size", "input_size"},
    {"crop_pct", "resize_size"}, {"classes", "labels"},      {"class_names", "labels"},
    {"label_names", "labels"},   {"id2label", "labels"},     {"resample", "interpolation"},
    {"filter", "interpolation"}, {"image_mean", "mean"},     {"image_std", "std"},
    {"stddev", "std"},           {"deviation", "std"},       {"arch", "architecture"},
};

enum { MAX_KEY = 31 };

// In lower case, with '_' for '-' and ' '. false: longer than any key that could be meant.
static bool normalise_key(const char *name, char out[MAX_KEY + 1]) {
    const size_t length = strlen(name);
    if (length > MAX_KEY)
        return false;
    for (size_t i = 0; i <= length; i++)
        out[i] = (char)(name[i] == '-' || name[i] == ' ' ? '_' : tolower((unsigned char)name[i]));
    return true;
}

// Insertions, deletions, replacements and swaps of neighbours that make b of a ("optimal string alignment").
static int edit_distance(const char *a, const char *b) {
    int rows[3][MAX_KEY + 2];
    const int n = (int)strlen(a), m = (int)strlen(b);
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int least = last[j - 1] + (a[i - 1] != b[j - 1]);
            least = last[j] + 1 < least ? last[j] + 1 : least;
            least = now[j - 1] + 1 < least ? now[j - 1] + 1 : least;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < least)
                least = before[j - 2] + 1;
            now[j] = least;
        }
    }
    return rows[n % 3][m];
}

const char *cdl_model_nearest_key(const char *name) {
    char wanted[MAX_KEY + 1];
    const char *best = NULL;
    int least = MAX_KEY;
    if (!name || !normalise_key(name, wanted))
        return NULL;
    for (size_t i = 0; i < CDL_COUNT(OTHER_NAMES); i++) {
        if (strcmp(wanted, OTHER_NAMES[i][0]) == 0)
            return OTHER_NAMES[i][1];
    }
    for (size_t i = 0; i < CDL_COUNT(KEYS); i++) {
        const int length = (int)strlen(KEYS[i].name), distance = edit_distance(wanted, KEYS[i].name);
        if (distance < least && (distance <= 1 || distance <= length / 4)) {
            least = distance;
            best = KEYS[i].name;
        }
    }
    return best;
}

// Whether mean or std is one of pixels in 0...255, as some programs have them; `out` then gets it for 0...1.
static bool is_of_bytes(const char *name, const char *value, char *out, size_t size) {
    float v[3];
    if ((strcmp(name, "mean") != 0 && strcmp(name, "std") != 0) || !parse_three_floats(value, v))
        return false;
    for (int i = 0; i < 3; i++) {
        if (!(v[i] >= 0 && v[i] <= 255))
            return false;
    }
    if (v[0] <= 1 && v[1] <= 1 && v[2] <= 1)
        return false;
    int n[3]; // ten-thousandths, as a host's locale may print fractions with a comma
    for (int i = 0; i < 3; i++)
        n[i] = (int)((double)v[i] / 255 * 10000 + 0.5);
    cdl_format_text(out, size, "%d.%04d,%d.%04d,%d.%04d", n[0] / 10000, n[0] % 10000, n[1] / 10000, n[1] % 10000,
                    n[2] / 10000, n[2] % 10000);
    return true;
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
    cdl_format_text(model->labels_from, sizeof(model->labels_from), "%s", source->labels_from);
    return CDL_OK;
}

// ---- all keys

static cdl_result apply(struct cdl_model *model, const char *name, const char *value, const struct source *source) {
    const struct key *key = find_key(name);
    const char *meant = !key && source->is_caller ? cdl_model_nearest_key(name) : NULL;
    char bytes[64];
    if (meant) {
        return cdl_fail(source->log, source->error, "%s: metadata %s is no key of the recipe; did you mean %s?",
                        source->what, name, meant);
    }
    if (!key)
        return CDL_OK;
    if (!key->set)
        return set_labels(model, value, source);
    if (key->set(&model->recipe, value))
        return CDL_OK;
    if (is_of_bytes(name, value, bytes, sizeof(bytes))) {
        return cdl_fail(source->log, source->error,
                        "%s: metadata %s is \"%.80s\", of pixels in 0...255; Cardinal's are in 0...1: "
                        "divide both mean and std by 255 (%s=%s)",
                        source->what, name, value, name, bytes);
    }
    return cdl_fail(source->log, source->error, "%s: metadata %s is \"%.80s\"; it must be %s", source->what, name,
                    value, key->expected);
}

static bool is_among(const struct cdl_pair *pairs, int count, const char *key) {
    for (int i = 0; i < count; i++) {
        if (strcmp(pairs[i].key, key) == 0)
            return true;
    }
    return false;
}

// Applies pairs that are not the file's, and keeps them for saving.
static cdl_result apply_pair(struct cdl_model *model, const struct cdl_pair *pair, const struct source *source) {
    const cdl_result r = apply(model, pair->key, pair->value, source);
    return r == CDL_OK ? cdl_tensor_list_set_metadata(&model->list, pair->key, pair->value, source->log) : r;
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
    cdl_result r = CDL_OK;
    const struct source file = {model->what, model->what, false, CDL_ERR_FORMAT, &params->log};
    for (int i = 0; i < model->list.num_metadata && r == CDL_OK; i++) {
        const struct cdl_metadata_entry *entry = &model->list.metadata[i];
        if (!is_among(params->metadata, params->num_metadata, entry->key)) // so that a bad value can be corrected
            r = apply(model, entry->key, entry->value, &file);
    }
    const char *name = params->defaults_from ? params->defaults_from : "default metadata";
    const struct source defaults = {name, name, false, CDL_ERR_FORMAT, &params->log};
    for (int i = 0; i < params->num_defaults && r == CDL_OK; i++) {
        const struct cdl_pair *entry = &params->defaults[i];
        if (!is_among(params->metadata, params->num_metadata, entry->key) && !cdl_model_metadata(model, entry->key))
            r = apply_pair(model, entry, &defaults);
    }
    const char *labels_from = params->labels_from ? params->labels_from : "parameters";
    const struct source caller = {"parameters", labels_from, true, CDL_ERR_INVALID, &params->log};
    for (int i = 0; i < params->num_metadata && r == CDL_OK; i++)
        r = apply_pair(model, &params->metadata[i], &caller);
    if (r != CDL_OK)
        return r;
    struct cdl_recipe *recipe = &model->recipe;
    const int side = recipe->input_width < recipe->input_height ? recipe->input_width : recipe->input_height;
    if (recipe->resize_size == 0) { // ImageNet's margin around the crop: 256 for 224
        recipe->resize_size = (side * 256 + 112) / 224;
    } else if (recipe->resize_size < side) {
        cdl_logf(&params->log, CDL_LOG_WARN,
                 "%s: pictures are resized to %d pixels, less than the input of %dx%d, which gets black borders; "
                 "set resize_size, too",
                 model->what, recipe->resize_size, recipe->input_height, recipe->input_width);
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
        {"interpolation", recipe->interpolation == CDL_INTERPOLATION_BICUBIC ? "bicubic" : "bilinear"},
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
