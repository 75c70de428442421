// cam_files.h - `cardinal classify --cam DIR`: every picture again, with the class activation map of its best class
// over it, and DIR/index.jsonl, which says of which picture each is: a line {"image": ..., "cam": "cat.png", ...} each;
// of two lines for one file the last counts.
#ifndef CARDINAL_CAM_FILES_H_
#define CARDINAL_CAM_FILES_H_

#include "commands/runner.h"

struct cam_files;

// Makes the folder and reads its index. `inputs` are the command line's; lists: there are others, which are not known
// yet. NULL: a line on stderr said why. To be closed by cam_files_close.
struct cam_files *cam_files_open(const char *folder, const cdl_session *session, bool exif,
                                 const struct input_sources *inputs);

// Writes DIR/NAME.png, where NAME is the picture's without its extension, or DIR/NAME-2.png and so on where this run
// has written that name already, or something stands there that no earlier run wrote, or that is an input.
// false: one line in error[].
bool cam_files_write(struct cam_files *c, const struct loaded_model *model, const struct outcome *outcome, char *error,
                     size_t error_size);

// Whether a file of that name in the folder was written by this run or, where it was `found` there, is a heat map of an
// earlier one, and so no input. Any thread.
bool cam_files_own(const void *cam_files, const char *name, bool found);

// false, after a line on stderr: the index could not be written. A pointer to NULL is fine.
bool cam_files_close(struct cam_files **c);

#endif // CARDINAL_CAM_FILES_H_
