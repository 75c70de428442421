// evaluation.h - an evaluation, from its pictures to its figures, and how these are told.
#ifndef CARDINAL_EVALUATION_H_
#define CARDINAL_EVALUATION_H_

#include <jansson.h>

#include "commands/workspace.h"
#include "eval/tally.h"

struct evaluation {
    const struct options *options;
    struct workspace w;
    struct class_names names;
    struct eval_set set;
    struct eval_result *results; // [set.count]
    struct tally tally;
    uint64_t images_now; // without those of --resume
    double seconds;
    bool interrupted;
};

// The figures as text, JSON or CSV on standard output.
void summary_print(const struct evaluation *e);
json_t *summary_json(const struct evaluation *e); // the caller's

// `--report`: FILE.html, or a folder that gets report.html, classes.csv, confusion.csv, confusion.json, summary.json.
bool report_name_is_good(const char *path); // false after a line on stderr: it is a file, but no .html
// false after a line on stderr.
bool report_write(struct evaluation *e, const char *path);

// ---- parts of the report

// A picture that was answered wrongly, with what the network looked at.
struct mistake {
    size_t item;
    uint8_t *picture, *map; // PNG files, small; malloc'd; NULL: it could not be read again
    int picture_size, map_size;
};

// The mistakes of which the network was surest, worst first, at most `most`; they are run again for their pictures.
// malloc'd, to be freed by mistakes_free; NULL: there are none, or a line on stderr said why.
struct mistake *mistakes_find(struct evaluation *e, int most, int *count);
void mistakes_free(struct mistake *mistakes, int count);

bool html_write(FILE *file, const struct evaluation *e, const struct confusion *pairs, size_t num_pairs,
                const struct mistake *mistakes, int num_mistakes); // false: no memory

const char *eval_class_name(const struct evaluation *e, int id, char buffer[16]); // its label, else "class N"

#endif // CARDINAL_EVALUATION_H_
