// Field offsets are those of PKWARE's APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central
// directory), 4.3.14 to 4.3.16 (its end, with zip64) and 4.5.3 (the zip64 extra field).
#include "model/zip.h"

#include <stdlib.h>
#include <string.h>

enum { LOCAL_SIZE = 30, CENTRAL_SIZE = 46, END_SIZE = 22, END64_SIZE = 56, LOCATOR64_SIZE = 20, MAX_COMMENT = 65535 };

static uint16_t load_u16(const uint8_t *p) { return (uint16_t)cdl_load_little_endian(p, 2); }
static uint32_t load_u32(const uint8_t *p) { return (uint32_t)cdl_load_little_endian(p, 4); }
static uint64_t load_u64(const uint8_t *p) { return cdl_load_little_endian(p, 8); }

static bool has_signature(const uint8_t *p, char a, char b) {
    return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

static cdl_result damaged(const struct cdl_zip *zip, const char *problem) {
    return cdl_fail(zip->log, CDL_ERR_FORMAT, "%s: %s; the file is damaged or was cut short, download it again",
                    zip->what, problem);
}

static int compare_texts(const char *a, size_t a_length, const char *b, size_t b_length) {
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_entries(const void *a, const void *b) {
    const struct cdl_zip_entry *x = a, *y = b;
    return compare_texts(x->name, x->name_length, y->name, y->name_length);
}

// Where the end record starts; its comment must reach exactly to the end of the file.
static bool find_end(const struct cdl_zip *zip, size_t *out) {
    if (zip->size < END_SIZE)
        return false;
    const size_t last = zip->size - END_SIZE, first = last > MAX_COMMENT ? last - MAX_COMMENT : 0;
    for (size_t at = last + 1; at-- > first;) {
        const uint8_t *p = zip->data + at;
        if (has_signature(p, 5, 6) && load_u16(p + 20) == last - at) {
            *out = at;
            return true;
        }
    }
    return false;
}

struct directory {
    uint64_t count, size, offset;
};

static cdl_result find_directory(const struct cdl_zip *zip, struct directory *out) {
    size_t end;
    if (!find_end(zip, &end))
        return damaged(zip, "the zip archive's directory is missing");
    const uint8_t *p = zip->data + end;
    *out = (struct directory){load_u16(p + 10), load_u32(p + 12), load_u32(p + 16)};
    if (end >= LOCATOR64_SIZE && has_signature(p - LOCATOR64_SIZE, 6, 7)) {
        const uint64_t end64 = load_u64(p - LOCATOR64_SIZE + 8);
        if (end < LOCATOR64_SIZE + END64_SIZE || end64 > end - LOCATOR64_SIZE - END64_SIZE ||
            !has_signature(zip->data + end64, 6, 6))
            return damaged(zip, "the zip archive's zip64 directory is misplaced");
        p = zip->data + end64;
        *out = (struct directory){load_u64(p + 32), load_u64(p + 40), load_u64(p + 48)};
        end = (size_t)end64;
    }
    if (out->offset > end || out->size > end - out->offset || out->count > out->size / CENTRAL_SIZE)
        return damaged(zip, "the zip archive's directory lies outside the file");
    return CDL_OK;
}

// Where a 32-bit field is all ones, its 64-bit value stands in the extra field, in this order.
static bool apply_zip64(struct cdl_zip_entry *entry, const uint8_t *extra, size_t length) {
    uint64_t *fields[] = {&entry->size, &entry->stored_size, &entry->header_offset};
    bool needed = false;
    for (size_t i = 0; i < CDL_COUNT(fields); i++)
        needed = needed || *fields[i] == 0xffffffffu;
    while (needed && length >= 4) {
        const size_t field_size = load_u16(extra + 2);
        if (field_size > length - 4)
            return false;
        if (load_u16(extra) == 1) {
            const uint8_t *p = extra + 4, *end = p + field_size;
            for (size_t i = 0; i < CDL_COUNT(fields); i++) {
                if (*fields[i] != 0xffffffffu)
                    continue;
                if (end - p < 8)
                    return false;
                *fields[i] = load_u64(p);
                p += 8;
            }
            return true;
        }
        extra += 4 + field_size;
        length -= 4 + field_size;
    }
    return !needed;
}

static cdl_result read_directory(struct cdl_zip *zip, const struct directory *directory) {
    const uint8_t *p = zip->data + directory->offset;
    size_t left = (size_t)directory->size;
    for (; zip->count < directory->count; zip->count++) {
        if (left < CENTRAL_SIZE || !has_signature(p, 1, 2))
            return damaged(zip, "the zip archive's directory ends early");
        struct cdl_zip_entry *entry = &zip->entries[zip->count];
        *entry = (struct cdl_zip_entry){
            .name = (const char *)p + CENTRAL_SIZE,
            .name_length = load_u16(p + 28),
            .flags = load_u16(p + 8),
            .method = load_u16(p + 10),
            .stored_size = load_u32(p + 20),
            .size = load_u32(p + 24),
            .header_offset = load_u32(p + 42),
        };
        const size_t extra = load_u16(p + 30), comment = load_u16(p + 32);
        const size_t whole = CENTRAL_SIZE + entry->name_length + extra + comment;
        if (whole > left || !apply_zip64(entry, p + CENTRAL_SIZE + entry->name_length, extra))
            return damaged(zip, "an entry of the zip archive's directory is malformed");
        p += whole;
        left -= whole;
    }
    return CDL_OK;
}

cdl_result cdl_zip_open(struct cdl_zip *zip, const uint8_t *data, size_t size, const char *what, const cdl_log *log) {
    *zip = (struct cdl_zip){.data = data, .size = size, .what = what, .log = log};
    struct directory directory = {0};
    cdl_result r = find_directory(zip, &directory);
    if (r != CDL_OK)
        return r;
    // An entry takes at least CENTRAL_SIZE bytes of the file, so this is bounded by its size.
    zip->entries = calloc((size_t)directory.count + 1, sizeof(*zip->entries));
    if (!zip->entries)
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", what);
    r = read_directory(zip, &directory);
    if (r != CDL_OK)
        return r;
    qsort(zip->entries, zip->count, sizeof(*zip->entries), compare_entries);
    for (size_t i = 1; i < zip->count; i++) {
        if (compare_entries(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return damaged(zip, "the zip archive holds two entries of one name");
    }
    return CDL_OK;
}

void cdl_zip_free(struct cdl_zip *zip) {
    free(zip->entries);
    zip->entries = NULL;
    zip->count = 0;
}

const struct cdl_zip_entry *cdl_zip_find(const struct cdl_zip *zip, const char *name, size_t length) {
    const struct cdl_zip_entry key = {.name = name, .name_length = length};
    return zip->count ? bsearch(&key, zip->entries, zip->count, sizeof(key), compare_entries) : NULL;
}

cdl_result cdl_zip_read(const struct cdl_zip *zip, const struct cdl_zip_entry *entry, const uint8_t **data,
                        size_t *size) {
    const int name_length = entry->name_length < 200 ? (int)entry->name_length : 200;
    if (entry->method != 0 || (entry->flags & 1)) {
        return cdl_fail(zip->log, CDL_ERR_FORMAT,
                        "%s: entry %.*s is %s, which PyTorch never writes; save the model again with "
                        "torch.save",
                        zip->what, name_length, entry->name, entry->method ? "compressed" : "encrypted");
    }
    const uint64_t offset = entry->header_offset;
    const char *problem = NULL;
    if (offset > zip->size || zip->size - offset < LOCAL_SIZE || !has_signature(zip->data + offset, 3, 4)) {
        problem = "its header is misplaced";
    } else {
        const uint8_t *header = zip->data + offset;
        const uint64_t start = offset + LOCAL_SIZE + load_u16(header + 26) + load_u16(header + 28);
        if (entry->stored_size != entry->size || start > zip->size || entry->size > zip->size - start)
            problem = "its bytes lie outside the file";
        *data = zip->data + (start <= zip->size ? start : 0);
        *size = (size_t)entry->size;
    }
    if (!problem)
        return CDL_OK;
    return cdl_fail(zip->log, CDL_ERR_FORMAT, "%s: entry %.*s: %s; the file is damaged, download it again", zip->what,
                    name_length, entry->name, problem);
}
