// file_write.h - a file that appears whole or not at all: written beside its place, then renamed.
#ifndef CDL_FILE_WRITE_H_
#define CDL_FILE_WRITE_H_

#include <stdio.h>

#include "base/base.h"

struct cdl_file_write {
    FILE *file;
    char *path, *temporary; // malloc'd; `temporary` lies in the same folder
    size_t temporary_size;
    bool named;  // the file is called `temporary`; else it has no name yet, and goes when the process ends
    bool failed; // a write failed, with errno `error`; later writes do nothing
    int error;
};

// Starts a new file that shall become `path` (UTF-8), or what that links to. Every begin is followed by one
// cdl_file_write_end. CDL_ERR_IO: the folder cannot be written to, or something stands there that is no regular
// file; the reason was logged.
cdl_result cdl_file_write_begin(struct cdl_file_write *w, const char *path, const cdl_log *log);
// Appends. A failure is remembered, and reported by cdl_file_write_end.
void cdl_file_write_bytes(struct cdl_file_write *w, const void *data, size_t size);
// keep: puts the finished file in its place, replacing what was there; on any failure logs, and
// removes the temporary file. !keep: removes it and returns CDL_OK.
cdl_result cdl_file_write_end(struct cdl_file_write *w, bool keep, const cdl_log *log);

bool cdl_folder_exists(const char *path);

#endif // CDL_FILE_WRITE_H_
