// text_file.h - a whole file, or all that comes by a pipe, as one text.
#ifndef CARDINAL_TEXT_FILE_H_
#define CARDINAL_TEXT_FILE_H_

#include <stddef.h>

// All bytes with a NUL behind them, malloc'd; *size, unless NULL, gets their number. One read to the end, as a pipe
// cannot be read again. NULL: why[] gets the reason without the file's name, such as "cannot be opened: ...".
char *read_text_file(const char *path, size_t max_bytes, size_t *size, char *why, size_t why_size);

#endif // CARDINAL_TEXT_FILE_H_
