// program_folder.h - finds files that come with the program.
#ifndef CARDINAL_PROGRAM_FOLDER_H_
#define CARDINAL_PROGRAM_FOLDER_H_

#include <stdbool.h>
#include <stddef.h>

// The readable file `name` ("models/x.safetensors") beside the program, as in a build folder, or in ../share/cardinal,
// as installed. false: path[] holds the last place looked at.
bool find_data_file(const char *name, char *path, size_t size);

// This program's file.
bool program_path(char *out, size_t size);

#endif // CARDINAL_PROGRAM_FOLDER_H_
