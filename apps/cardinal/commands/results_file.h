// results_file.h - `--output FILE`: what a command prints on standard output goes into a file that appears when it is
// whole. And what holds for every file that an option names as an output.
#ifndef CARDINAL_RESULTS_FILE_H_
#define CARDINAL_RESULTS_FILE_H_

#include "app.h"
#include "system/output_file.h"

struct results_file {
    struct output_file output;
    int standard_output; // what stdout was
    bool active;
};

// Without --output, and with --output -, this does nothing. EXIT_ALL_DONE, or the exit status after a line on stderr.
enum exit_status results_file_begin(struct results_file *r, const struct options *options);
// Gives stdout back. The file is put in its place where the command, which ended with `status`, has given results: all
// of them, or those that did not fail, or those before an interruption. Returns `status`, or EXIT_SOME_FAILED after a
// line on stderr where the file alone failed.
int results_file_end(struct results_file *r, int status);

// Whether no output that an option names is the same file as an input, lies in a folder that is one, or is another
// output. `model_file`: what the weights are read from, where the name does not say it; or NULL. false after a line on
// stderr.
bool outputs_are_free(const struct options *options, const char *model_file);

#endif // CARDINAL_RESULTS_FILE_H_
