// cache_folder.h - the user's folder for what can be made or fetched again.
//
// $CARDINAL_CACHE, else $XDG_CACHE_HOME/cardinal, else ~/.cache/cardinal; on Windows %LOCALAPPDATA%\cardinal.
#ifndef CARDINAL_CACHE_FOLDER_H_
#define CARDINAL_CACHE_FOLDER_H_

#include <stdbool.h>
#include <stddef.h>

// The folder, or `part` ("models"; "": none) in it, whether it exists or not. false: one line in error[].
bool cache_folder(const char *part, char *folder, size_t folder_size, char *error, size_t error_size);

// Makes a folder and those it lies in; true when it is there afterwards, else errno tells.
bool make_folders(const char *path);
// The same for what is not the user's alone: with the permissions that the user's mask leaves.
bool make_output_folders(const char *path);

#endif // CARDINAL_CACHE_FOLDER_H_
