// cam_files.h - `cardinal classify --cam DIR`: every picture again, with the class activation map of its best class
// over it.
#ifndef CARDINAL_CAM_FILES_H_
#define CARDINAL_CAM_FILES_H_

#include "commands/runner.h"

struct cam_files;

// Makes the folder. NULL: a line on stderr said why. To be closed by cam_files_close; a pointer to NULL is fine.
struct cam_files *cam_files_open(const char *folder, const cdl_session *session, bool exif);
// Writes DIR/NAME.png, where NAME is the picture's without its extension; DIR/NAME-2.png and so on where this run has
// already written a file of that name.
// false: one line in error[].
bool cam_files_write(struct cam_files *c, const struct outcome *outcome, char *error, size_t error_size);
void cam_files_close(struct cam_files **c);

#endif // CARDINAL_CAM_FILES_H_
