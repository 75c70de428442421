// features.c - see features.h.
#include "commands/features.h"

#include <stdlib.h>
#include <string.h>

#include "commands/output.h"
#include "system/text.h"

enum { NPY_HEADER = 128 }; // bytes before the numbers; their format wants a multiple of 64

struct features {
    struct output_file out, names; // .file NULL: none
    const cdl_session *session;
    int width; // numbers a picture
    uint64_t rows;
    bool csv;
};

bool features_name_is_good(const char *path) {
    if (ends_in_any_case(path, ".npy") || ends_in_any_case(path, ".csv"))
        return true;
    complain("--features %s: the name must end in .npy or .csv, which says what is written", path);
    return false;
}

// Version 1.0 of NumPy's format: magic, length, a Python dictionary, spaces up to NPY_HEADER.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
static void write_npy_header(const struct features *f) {
    char header[NPY_HEADER + 1] = "\x93NUMPY\x01";
    const size_t begin = 10, length = NPY_HEADER - begin;
    header[7] = 0;
    header[8] = (char)length;
    header[9] = 0;
    const int used = snprintf(header + begin, sizeof header - begin,
                              "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %d), }",
                              (unsigned long long)f->rows, f->width);
    memset(header + begin + used, ' ', length - (size_t)used);
    header[NPY_HEADER - 1] = '\n';
    fwrite(header, 1, NPY_HEADER, f->out.file);
}

char *features_names_path(const char *path) {
    const size_t size = strlen(path) + sizeof ".names";
    char *names = malloc(size);
    if (names)
        snprintf(names, size, "%s.names", path);
    return names;
}

struct features *features_open(const char *path, const cdl_session *session) {
    struct cdl_session_info info;
    struct features *f = calloc(1, sizeof *f);
    char *names = features_names_path(path);
    if (!f || !names) {
        complain("out of memory");
        free(names);
        free(f);
        return NULL;
    }
    cdl_session_get_info(session, &info);
    *f = (struct features){.session = session, .width = info.num_features, .csv = ends_in_any_case(path, ".csv")};
    const bool ok = output_begin(&f->out, path) && (f->csv || output_begin(&f->names, names));
    free(names);
    if (!ok) {
        features_close(&f, false);
        return NULL;
    }
    if (f->csv) {
        fputs("image", f->out.file);
        for (int i = 0; i < f->width; i++)
            fprintf(f->out.file, ",f%d", i);
        fputc('\n', f->out.file);
    } else {
        write_npy_header(f);
    }
    return f;
}

bool features_write(struct features *f, const struct outcome *o, char *error, size_t error_size) {
    const float *numbers = cdl_session_features(f->session, o->slot, o->image);
    const char *path = o->decoded->path;
    if (!numbers || (!f->csv && strpbrk(path, "\r\n"))) {
        snprintf(error, error_size, "%s: %s", path,
                 numbers ? "its name has a line break, so --features cannot list it; use a .csv" : "no features");
        return false;
    }
    f->rows++;
    if (f->csv) {
        output_csv_field(f->out.file, path);
        for (int i = 0; i < f->width; i++)
            fprintf(f->out.file, ",%.9g", (double)numbers[i]);
        fputc('\n', f->out.file);
        return true;
    }
    fprintf(f->names.file, "%s\n", path);
    for (int i = 0; i < f->width; i++) { // little-endian on every machine
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        const uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24)};
        fwrite(bytes, 1, 4, f->out.file);
    }
    return true;
}

bool features_close(struct features **features, bool keep) {
    struct features *f = *features;
    if (!f)
        return true;
    bool ok = true;
    if (keep && !f->csv) { // now the number of rows is known
        ok = fseek(f->out.file, 0, SEEK_SET) == 0;
        write_npy_header(f);
    }
    if (f->names.file)
        ok = output_end(&f->names, keep && ok) && ok;
    if (f->out.file)
        ok = output_end(&f->out, keep && ok) && ok;
    free(f);
    *features = NULL;
    return ok || !keep;
}
