// file_map.h - a whole file as read-only memory.
#ifndef CDL_FILE_MAP_H_
#define CDL_FILE_MAP_H_

#include "base/base.h"

// Maps the regular file `path` (UTF-8). An empty file is *data NULL, *size 0. The bytes stay valid
// until cdl_file_unmap, also when the file is renamed or removed, but not when it is cut short.
// CDL_ERR_IO: missing, unreadable or no regular file; the reason was logged.
cdl_result cdl_file_map(const void **data, size_t *size, const char *path, const cdl_log *log);
void cdl_file_unmap(const void *data, size_t size); // NULL is fine

#endif // CDL_FILE_MAP_H_
