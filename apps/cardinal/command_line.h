// command_line.h - the tables of the program `cardinal`.
#ifndef CARDINAL_COMMAND_LINE_H_
#define CARDINAL_COMMAND_LINE_H_

#include "app.h"
#include "arguments/arguments.h"

// The commands, as bits of option.commands.
enum {
    COMMAND_CLASSIFY = 1 << 0,
    COMMAND_EVAL = 1 << 1,
    COMMAND_BENCH = 1 << 2,
    COMMAND_DEVICES = 1 << 3,
    COMMAND_CONVERT = 1 << 4,
    COMMAND_MODELS = 1 << 5,
    COMMAND_SIMILAR = 1 << 6,
    COMMAND_TRAIN = 1 << 7,
    COMMAND_COMPARE = 1 << 8,
};

extern const struct option cardinal_options[]; // options.c
extern const struct program cardinal_program;  // commands.c

// false: a line on stderr said what is wrong. Either way to be freed.
bool options_parse(struct options *out, const struct command *command, int argc, char **argv);
void options_free(struct options *options);

// What the demo's options take, too.
extern const struct value_kind value_model, value_file, value_folder, value_name, value_device;

#endif // CARDINAL_COMMAND_LINE_H_
