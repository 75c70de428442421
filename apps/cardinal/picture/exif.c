// exif.c - the orientation out of an EXIF block. A damaged block never fails a picture.
#include "picture/internal.h"

#include <string.h>

static int clamp(uint32_t value) { return value <= 8 ? (int)value : 0; }

#ifdef CARDINAL_HAVE_EXIF

#include <libexif/exif-data.h>
#include <stdlib.h>

// libexif takes the block as it stands in a JPEG's APP1, so the prefix goes back in front.
static ExifData *parse(const uint8_t *tiff, size_t size) {
    static const char prefix[6] = {'E', 'x', 'i', 'f', 0, 0};
    unsigned char *block = malloc(size + sizeof(prefix));
    ExifData *data = block ? exif_data_new() : NULL;
    if (data) {
        memcpy(block, prefix, sizeof(prefix));
        memcpy(block + sizeof(prefix), tiff, size);
        // As it stands in the file: libexif would otherwise invent and correct entries.
        exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
        exif_data_load_data(data, block, (unsigned int)(size + sizeof(prefix)));
    }
    free(block);
    return data;
}

static int orientation_value(const uint8_t *tiff, size_t size) {
    ExifData *data = parse(tiff, size);
    if (!data)
        return 1;
    int value = 1;
    ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->components >= 1 && entry->data && entry->size >= 2)
        value = exif_get_short(entry->data, exif_data_get_byte_order(data));
    else if (entry && entry->format == EXIF_FORMAT_LONG && entry->components >= 1 && entry->data && entry->size >= 4)
        value = clamp(exif_get_long(entry->data, exif_data_get_byte_order(data)));
    exif_data_unref(data);
    return value;
}

#else // a TIFF structure's first directory is simple enough to keep rotation right without libexif

static uint32_t get16(const uint8_t *p, bool big) { return big ? picture_be16(p) : picture_le16(p); }
static uint32_t get32(const uint8_t *p, bool big) { return big ? picture_be32(p) : picture_le32(p); }

static int orientation_value(const uint8_t *tiff, size_t size) {
    enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };
    bool big = tiff[0] == 'M' && tiff[1] == 'M';
    if (!big && !(tiff[0] == 'I' && tiff[1] == 'I'))
        return 1;
    size_t directory = get32(tiff + 4, big);
    if (directory > size - 2)
        return 1;
    size_t count = get16(tiff + directory, big);
    for (size_t i = 0; i < count && size - 2 - directory >= (i + 1) * ENTRY_BYTES; ++i) {
        const uint8_t *entry = tiff + directory + 2 + i * ENTRY_BYTES;
        if (get16(entry, big) != TAG_ORIENTATION)
            continue;
        uint32_t type = get16(entry + 2, big); // the value, if it is short enough, stands in the entry
        return type == TYPE_SHORT ? clamp(get16(entry + 8, big)) : type == TYPE_LONG ? clamp(get32(entry + 8, big)) : 1;
    }
    return 1;
}

#endif

int picture_exif_orientation(const uint8_t *tiff, size_t size) {
    enum { PREFIX_BYTES = 6, MAX_BYTES = 1 << 24 };
    if (tiff && size > PREFIX_BYTES && memcmp(tiff, "Exif\0", PREFIX_BYTES) == 0) {
        tiff += PREFIX_BYTES;
        size -= PREFIX_BYTES;
    }
    if (!tiff || size < 8 || size > MAX_BYTES)
        return 1;
    int value = orientation_value(tiff, size);
    return value >= 1 && value <= 8 ? value : 1;
}
