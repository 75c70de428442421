// output.c - see output.h.
#include "commands/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "system/files.h"
#include "system/text.h"

bool output_begin(struct output *o, const char *path) {
    struct file_status status;
    const size_t size = strlen(path) + 6;
    *o = (struct output){.path = copy_text(path), .part = malloc(size)};
    if (!o->path || !o->part) {
        complain("out of memory");
    } else if (get_file_status(path, &status) && status.kind != FILE_REGULAR) {
        complain("%s: is there, and is no regular file; name another", path);
    } else {
        snprintf(o->part, size, "%s.part", path);
        if ((o->file = fopen(o->part, "wb")))
            return true;
        complain("%s: cannot be written (%s)", path, strerror(errno));
    }
    free(o->path);
    free(o->part);
    *o = (struct output){0};
    return false;
}

bool output_end(struct output *o, bool keep) {
    if (!o->file)
        return false;
    errno = 0;
    bool ok = fflush(o->file) == 0 && !ferror(o->file);
    ok = fclose(o->file) == 0 && ok;
    if (keep && ok)
        ok = replace_file(o->part, o->path);
    if (keep && !ok)
        complain("%s: could not be written whole (%s)", o->path, errno ? strerror(errno) : "is the disk full?");
    if (!keep || !ok)
        remove(o->part);
    free(o->path);
    free(o->part);
    *o = (struct output){0};
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
