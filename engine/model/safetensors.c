// .safetensors: u64 header length, JSON header, tensor bytes. All little-endian; see
// https://github.com/huggingface/safetensors#format
#include <stdlib.h>
#include <string.h>

#include "base/file_write.h"
#include "base/json.h"
#include "model/model.h"

enum { PREFIX_SIZE = 8, MAX_HEADER = 100000000, MAX_METADATA = 4096 };

static const char METADATA_KEY[] = "__metadata__";

// ---- reading

static uint64_t header_length(const uint8_t *data) { return cdl_load_little_endian(data, PREFIX_SIZE); }

bool cdl_is_safetensors(const uint8_t *data, size_t size) {
    // Where the length would be 2^40 or more, these bytes are no length, and the file is of another format.
    return size > PREFIX_SIZE && data[PREFIX_SIZE] == '{' && header_length(data) < (uint64_t)1 << 40;
}

static const struct type {
    const char *name;
    int size;
    int dtype;
} TYPES[] = {
    {"F32", 4, CDL_DTYPE_F32},    {"F16", 2, CDL_DTYPE_F16},       {"BF16", 2, CDL_DTYPE_BF16},
    {"F64", 8, CDL_DTYPE_F64},    {"F8_E4M3", 1, CDL_DTYPE_OTHER}, {"F8_E5M2", 1, CDL_DTYPE_OTHER},
    {"BOOL", 1, CDL_DTYPE_OTHER}, {"U8", 1, CDL_DTYPE_OTHER},      {"I8", 1, CDL_DTYPE_OTHER},
    {"U16", 2, CDL_DTYPE_OTHER},  {"I16", 2, CDL_DTYPE_OTHER},     {"U32", 4, CDL_DTYPE_OTHER},
    {"I32", 4, CDL_DTYPE_OTHER},  {"U64", 8, CDL_DTYPE_OTHER},     {"I64", 8, CDL_DTYPE_OTHER},
};

struct reader {
    struct cdl_tensor_list *list;
    const uint8_t *bytes; // after the header
    size_t size;          // of `bytes`
    const char *what;
    const cdl_log *log;
};

struct span { // of one entry, within reader.bytes
    size_t begin, end;
    const char *name;
};

// A malformed entry: one line naming it.
static cdl_result bad_entry(const struct reader *r, const char *name, const char *problem) {
    return cdl_fail(r->log, CDL_ERR_FORMAT, "%s: tensor %.200s: %s; the file is damaged, convert or download it again",
                    r->what, name, problem);
}

static cdl_result read_shape(const struct reader *r, const char *name, const struct cdl_json *shape,
                             struct cdl_tensor *t, size_t *count) {
    if (!shape || shape->type != CDL_JSON_ARRAY)
        return bad_entry(r, name, "its shape is missing or no array");
    const size_t num_dims = shape->count;
    if (num_dims > CDL_MAX_DIMS)
        return bad_entry(r, name, "it has more than 8 dimensions");
    *count = 1;
    for (size_t d = 0; d < num_dims; d++) {
        const struct cdl_json *extent = &shape[1 + d]; // all before it are numbers
        if (extent->type != CDL_JSON_INTEGER || extent->value.integer < 0)
            return bad_entry(r, name, "its shape holds something other than numbers from 0");
        t->shape[d] = extent->value.integer;
        if ((uint64_t)t->shape[d] > SIZE_MAX || !cdl_mul_size(*count, (size_t)t->shape[d], count) || *count > INT64_MAX)
            return bad_entry(r, name, "its shape is too large");
    }
    t->num_dims = (int)num_dims;
    int64_t stride = 1;
    for (int d = t->num_dims - 1; d >= 0; d--) {
        t->stride[d] = stride;
        stride *= *count ? t->shape[d] : 0; // an empty tensor's other extents may overflow
    }
    return CDL_OK;
}

static cdl_result read_entry(const struct reader *r, const char *name, const struct cdl_json *entry,
                             struct span *span) {
    const char *type_name = cdl_json_text(cdl_json_member(entry, "dtype"));
    const struct cdl_json *offsets = cdl_json_member(entry, "data_offsets");
    const struct type *type = NULL;
    for (size_t i = 0; type_name && i < CDL_COUNT(TYPES); i++) {
        if (strcmp(TYPES[i].name, type_name) == 0)
            type = &TYPES[i];
    }
    if (!type_name)
        return bad_entry(r, name, "its dtype is missing");
    struct cdl_tensor t = {.name = name, .dtype = type ? type->dtype : CDL_DTYPE_OTHER};
    size_t count, bytes;
    const cdl_result shape_result = read_shape(r, name, cdl_json_member(entry, "shape"), &t, &count);
    if (shape_result != CDL_OK)
        return shape_result;
    if (!offsets || offsets->type != CDL_JSON_ARRAY || offsets->count != 2 || offsets[1].type != CDL_JSON_INTEGER ||
        offsets[2].type != CDL_JSON_INTEGER)
        return bad_entry(r, name, "its data_offsets are no pair of numbers");
    const int64_t begin = offsets[1].value.integer, end = offsets[2].value.integer;
    if (begin < 0 || end < begin || (uint64_t)end > r->size)
        return bad_entry(r, name, "its data_offsets lie outside the file");
    if (type && (!cdl_mul_size(count, (size_t)type->size, &bytes) || bytes != (size_t)(end - begin)))
        return bad_entry(r, name, "its data_offsets do not fit its shape and dtype");
    *span = (struct span){(size_t)begin, (size_t)end, name};
    if (t.dtype != CDL_DTYPE_OTHER && count > 0)
        t.data = r->bytes + begin;
    return cdl_tensor_list_add(r->list, &t, r->log);
}

static cdl_result read_metadata(const struct reader *r, const struct cdl_json *metadata) {
    if (metadata->type != CDL_JSON_OBJECT || metadata->count > MAX_METADATA) {
        return cdl_fail(r->log, CDL_ERR_FORMAT,
                        "%s: __metadata__ is no object of at most %d strings; convert the file again", r->what,
                        MAX_METADATA);
    }
    const struct cdl_json *value = metadata + 1;
    for (uint32_t i = 0; i < metadata->count; i++, value += value->extent) {
        if (value->type != CDL_JSON_STRING) {
            return cdl_fail(r->log, CDL_ERR_FORMAT, "%s: __metadata__ %.200s is no string; convert the file again",
                            r->what, value->key);
        }
        const cdl_result result = cdl_tensor_list_set_metadata(r->list, value->key, value->value.text, r->log);
        if (result != CDL_OK)
            return result;
    }
    return CDL_OK;
}

static int compare_spans(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

// The entries must cover the bytes exactly. An overlap means damage or an attack; the format forbids gaps so that no
// file can be valid in two formats.
static cdl_result check_coverage(const struct reader *r, struct span *spans, size_t count) {
    qsort(spans, count, sizeof(*spans), compare_spans);
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin < end)
            return bad_entry(r, spans[i].name, "its bytes overlap another tensor's");
        if (spans[i].begin > end)
            return bad_entry(r, spans[i].name, "there is a gap before its bytes");
        end = spans[i].end;
    }
    if (end == r->size)
        return CDL_OK;
    return cdl_fail(r->log, CDL_ERR_FORMAT,
                    "%s: %zu bytes follow the last tensor; the file is damaged, convert or download it again", r->what,
                    r->size - end);
}

static cdl_result read_header(const struct reader *r, const struct cdl_json *header) {
    const size_t capacity = (size_t)header->count + 1;
    struct span *spans = calloc(capacity, sizeof(*spans));
    if (!spans)
        return cdl_fail(r->log, CDL_ERR_NOMEM, "%s: out of memory for %zu tensors", r->what, capacity);
    size_t count = 0;
    cdl_result result = CDL_OK;
    const struct cdl_json *entry = header + 1;
    for (uint32_t i = 0; i < header->count; i++, entry += entry->extent) {
        if (strcmp(entry->key, METADATA_KEY) == 0)
            result = read_metadata(r, entry);
        else
            result = read_entry(r, entry->key, entry, &spans[count++]);
        if (result != CDL_OK)
            break;
    }
    if (result == CDL_OK)
        result = check_coverage(r, spans, count);
    free(spans);
    return result;
}

cdl_result cdl_parse_safetensors(struct cdl_tensor_list *list, const uint8_t *data, size_t size, const char *what,
                                 const cdl_log *log) {
    const uint64_t length = size >= PREFIX_SIZE ? header_length(data) : 0;
    if (length > MAX_HEADER) {
        return cdl_fail(log, CDL_ERR_FORMAT,
                        "%s: its header of %llu bytes is above the limit of %d; the file is damaged", what,
                        (unsigned long long)length, MAX_HEADER);
    }
    if (size < PREFIX_SIZE || length > size - PREFIX_SIZE)
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: ends within its header; the file was cut short, download it again",
                        what);
    struct cdl_json_error error = {"another value", 0};
    struct cdl_json *header;
    const cdl_result read = cdl_json_read(&header, (const char *)data + PREFIX_SIZE, (size_t)length, &error);
    if (read == CDL_ERR_NOMEM)
        return cdl_fail(log, read, "%s: out of memory for its header of %llu bytes", what, (unsigned long long)length);
    if (read != CDL_OK || header->type != CDL_JSON_OBJECT) {
        free(header);
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: its header is no JSON object: %s at byte %zu; the file is damaged",
                        what, error.problem, PREFIX_SIZE + error.at);
    }
    const struct reader r = {
        .list = list,
        .bytes = data + PREFIX_SIZE + length,
        .size = size - PREFIX_SIZE - (size_t)length,
        .what = what,
        .log = log,
    };
    const cdl_result result = read_header(&r, header);
    free(header);
    return result;
}

// ---- writing

static const char *dtype_name(cdl_dtype dtype) {
    return dtype == CDL_DTYPE_F32 ? "F32" : dtype == CDL_DTYPE_F16 ? "F16" : "BF16";
}

static void put_member(struct cdl_json_writer *w, const char *key, bool first) {
    cdl_json_put(w, first ? "" : ",");
    cdl_json_put_string(w, key);
    cdl_json_put(w, ":");
}

static void put_header(struct cdl_json_writer *w, const struct cdl_model *model, const struct cdl_tensor_list *metadata,
                       cdl_dtype dtype) {
    cdl_json_put(w, "{");
    put_member(w, METADATA_KEY, true);
    cdl_json_put(w, "{");
    for (int i = 0; i < metadata->num_metadata; i++) {
        put_member(w, metadata->metadata[i].key, i == 0);
        cdl_json_put_string(w, metadata->metadata[i].value);
    }
    cdl_json_put(w, "}");
    int64_t offset = 0;
    for (int i = 0; i < model->list.count; i++) {
        const struct cdl_tensor *t = &model->list.items[i];
        const int64_t end = offset + cdl_tensor_count(t) * (int64_t)cdl_dtype_size(dtype);
        put_member(w, t->name, false);
        cdl_json_put(w, "{");
        put_member(w, "dtype", true);
        cdl_json_put_string(w, dtype_name(dtype));
        put_member(w, "shape", false);
        cdl_json_put(w, "[");
        for (int d = 0; d < t->num_dims; d++) {
            cdl_json_put(w, d ? "," : "");
            cdl_json_put_integer(w, t->shape[d]);
        }
        cdl_json_put(w, "],\"data_offsets\":[");
        cdl_json_put_integer(w, offset);
        cdl_json_put(w, ",");
        cdl_json_put_integer(w, end);
        cdl_json_put(w, "]}");
        offset = end;
    }
    cdl_json_put(w, "}");
}

// The header's JSON text, padded with spaces so that the tensors start at a multiple of 8.
// To be freed; NULL: out of memory.
static char *make_header(const struct cdl_model *model, const struct cdl_tensor_list *metadata, cdl_dtype dtype) {
    struct cdl_json_writer w = {0};
    put_header(&w, model, metadata, dtype);
    const size_t length = w.length, padded = cdl_align_up(length, 8);
    char *text = malloc(padded + 1);
    if (!text)
        return NULL;
    w = (struct cdl_json_writer){.out = text};
    put_header(&w, model, metadata, dtype);
    memset(text + length, ' ', padded - length);
    text[padded] = 0;
    return text;
}

// Whether the format can hold all names and texts.
static cdl_result check_texts(const struct cdl_model *model, const struct cdl_tensor_list *metadata, const char *path,
                              const cdl_log *log) {
    for (int i = 0; i < metadata->num_metadata; i++) {
        const struct cdl_metadata_entry *pair = &metadata->metadata[i];
        if (!cdl_is_utf8(pair->key) || !cdl_is_utf8(pair->value))
            return cdl_fail(log, CDL_ERR_INVALID, "%s: metadata %.200s is not UTF-8; correct it", path, pair->key);
    }
    for (int i = 0; i < model->list.count; i++) {
        const char *name = model->list.items[i].name;
        if (!cdl_is_utf8(name) || strcmp(name, METADATA_KEY) == 0)
            return cdl_fail(log, CDL_ERR_INVALID, "%s: tensor %.200s: a .safetensors file cannot have that name", path,
                            name);
    }
    return CDL_OK;
}

// Converts one row; -1, or the index of the first value that `dtype` cannot hold.
static int64_t convert_row(cdl_dtype dtype, const float *row, int64_t n, uint16_t *out) {
    const uint16_t infinity = dtype == CDL_DTYPE_F16 ? 0x7c00u : 0x7f80u;
    int64_t bad = -1;
    for (int64_t i = n - 1; i >= 0; i--) {
        out[i] = dtype == CDL_DTYPE_F16 ? cdl_f32_to_f16(row[i]) : cdl_f32_to_bf16(row[i]);
        if ((out[i] & 0x7fffu) >= infinity)
            bad = i;
    }
    return bad;
}

static cdl_result write_tensors(struct cdl_file_write *w, const struct cdl_model *model, cdl_dtype dtype,
                                const cdl_log *log) {
    int64_t row_size = 1;
    for (int i = 0; i < model->list.count; i++) {
        const int64_t n = cdl_tensor_row_size(&model->list.items[i]);
        row_size = n > row_size ? n : row_size;
    }
    float *row = malloc((size_t)row_size * sizeof(*row)); // no overflow: model.c refuses such tensors
    uint16_t *half = malloc((size_t)row_size * sizeof(*half));
    cdl_result r = row && half ? CDL_OK : cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", w->path);
    for (int i = 0; i < model->list.count && r == CDL_OK; i++) {
        const struct cdl_tensor *t = &model->list.items[i];
        const int64_t rows = cdl_tensor_rows(t), n = cdl_tensor_row_size(t);
        for (int64_t k = 0; k < rows && r == CDL_OK; k++) {
            cdl_tensor_read_row(t, k, row);
            if (dtype == CDL_DTYPE_F32) {
                cdl_file_write_bytes(w, row, (size_t)n * sizeof(*row));
                continue;
            }
            const int64_t bad = convert_row(dtype, row, n, half);
            if (bad >= 0) {
                r = cdl_fail(log, CDL_ERR_INVALID,
                             "%s: tensor %s: element %lld is %g, above the range of %s; save as F32", w->path, t->name,
                             (long long)(k * n + bad), (double)row[bad], dtype_name(dtype));
            }
            cdl_file_write_bytes(w, half, (size_t)n * sizeof(*half));
        }
    }
    free(row);
    free(half);
    return r;
}

cdl_result cdl_model_save(const cdl_model *model, const char *path, cdl_dtype dtype, const cdl_log *log) {
    CDL_REQUIRE(log, model != NULL);
    CDL_REQUIRE(log, path != NULL);
    CDL_REQUIRE(log, dtype == CDL_DTYPE_F32 || dtype == CDL_DTYPE_F16 || dtype == CDL_DTYPE_BF16);
    struct cdl_tensor_list metadata = {0};
    cdl_result r = cdl_model_collect_metadata(model, &metadata, log);
    char *header = NULL;
    if (r == CDL_OK)
        r = check_texts(model, &metadata, path, log);
    if (r == CDL_OK) {
        header = make_header(model, &metadata, dtype);
        if (!header)
            r = cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory for its header", path);
    }
    struct cdl_file_write w;
    if (r == CDL_OK)
        r = cdl_file_write_begin(&w, path, log);
    if (r == CDL_OK) {
        const size_t length = strlen(header);
        uint8_t prefix[PREFIX_SIZE];
        for (int i = 0; i < PREFIX_SIZE; i++)
            prefix[i] = (uint8_t)((uint64_t)length >> 8 * i);
        cdl_file_write_bytes(&w, prefix, sizeof(prefix));
        cdl_file_write_bytes(&w, header, length);
        r = write_tensors(&w, model, dtype, log);
        const cdl_result end = cdl_file_write_end(&w, r == CDL_OK, log);
        r = r == CDL_OK ? end : r;
    }
    free(header);
    cdl_tensor_list_free(&metadata);
    return r;
}
