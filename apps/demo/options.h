// options.h - the demo's command line.
#ifndef DEMO_OPTIONS_H_
#define DEMO_OPTIONS_H_

#include "command_line.h"
#include "sources/sources.h"

struct demo_options {
    struct options app; // model, arch, label_file, device, precision, quiet, verbose
    const char *sources[MAX_GIVEN];
    int num_sources;
    const char *screenshot, *font, *class_name;
    int frames, width, height; // frames 0: until closed
    double seconds;            // a picture
    bool cam, offscreen, fullscreen, validate, stats, list, help;
};
// false: a line on stderr said what is wrong.
bool demo_options_parse(struct demo_options *out, int argc, char **argv);
extern const struct program demo_program;

// A file that is a network's weights, by its name.
bool is_model_file(const char *path);

#endif // DEMO_OPTIONS_H_
