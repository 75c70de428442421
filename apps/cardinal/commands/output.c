// output.c - see output.h.
#include "commands/output.h"

#include <string.h>

#include "app.h"
#include "system/files.h"

bool output_begin(struct output_file *o, const char *path) {
    char error[1024];
    struct file_status status;
    if (get_file_status(path, &status) && status.kind != FILE_REGULAR) {
        complain("%s: is there, and is no regular file; name another", path);
    } else {
        if (output_file_begin(o, path, error, sizeof error))
            return true;
        complain("%s", error);
    }
    *o = (struct output_file){0};
    return false;
}

bool output_end(struct output_file *o, bool keep) {
    char error[1024];
    if (!o->file)
        return false;
    const bool ok = output_file_end(o, keep, error, sizeof error);
    if (!ok)
        complain("%s", error);
    *o = (struct output_file){0};
    return keep && ok;
}

void output_csv_field(FILE *file, const char *text) {
    const bool quoted = text[strcspn(text, ",\"\r\n")] != 0;
    if (quoted)
        fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    if (quoted)
        fputc('"', file);
}
