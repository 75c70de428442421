// results.h - results of bench, of one machine or of many: read from documents, put side by side, printed.
#ifndef CARDINAL_RESULTS_H_
#define CARDINAL_RESULTS_H_

#include <jansson.h>

#include "app.h"
#include "bench/statistics.h"

// One device of one document.
struct result_column {
    char label[160];             // "A", "B"; what tables are headed with
    char file[512];              // where it was read from
    const json_t *root, *device; // of the document, which results_free lets go
    const char *suite;           // "none", or its name
    int suite_version;
    struct estimate score; // mean 0: there is none
    bool converted;        // from 0.1's form, which knows no intervals and no weights
};

struct result_row {
    const json_t *json;
    int column;
    const char *network, *weights, *precision, *input, *status, *peer; // peer: another program's name, or ""
    int batch, height, width;
    bool ok;
    struct estimate rate; // images a second; degrees 0: without an interval
};

struct results {
    json_t **documents; // [num_documents]
    struct result_column *columns;
    struct result_row *rows;
    int num_documents, num_columns, num_rows;
};

// Takes a reference to `document`. false after a line on stderr, which names `file`: it is no result of bench.
bool results_add(struct results *r, json_t *document, const char *file);
// A file, or all .json files of a folder in order of name. The same.
bool results_read(struct results *r, const char *path);
void results_free(struct results *r);

// Numbers and texts of JSON that may be missing.
double json_number_or(const json_t *object, const char *name, double otherwise);
const char *json_text_or(const json_t *object, const char *name, const char *otherwise);

// ---- side by side: one line for each row that any column has
struct result_line {
    const struct result_row *first; // what the line is of
    int best;                       // the column of the highest rate; -1: none
    const struct result_row **rows; // [num_columns]; NULL: the column has none
    struct ratio *ratios;           // [num_columns], over the first column's; value 0: there is none
};
enum verdict { VERDICT_NONE, VERDICT_SAME, VERDICT_FASTER, VERDICT_SLOWER, VERDICT_UNSURE }; // UNSURE: no interval
struct comparison {
    const struct results *results;
    struct result_line *lines;
    int num_lines;
    struct ratio *scores; // [num_columns], over the first column's, where the suites are one
    double level;         // of each interval, so that all hold together with 95 %
};
// false after a line on stderr: some columns do not compare.
bool comparison_make(struct comparison *c, const struct results *r);
void comparison_free(struct comparison *c);
enum verdict ratio_verdict(const struct ratio *r);
extern const char *const verdict_names[5];

// A place where the environments may differ, such as "driver"; NULL behind the last.
const char *environment_field(int i);
// Its value in a column, as text in `buffer` where it is a number.
const char *environment_value(const struct result_column *column, const char *field, char buffer[64]);
bool environment_differs(const struct results *r, const char *field);

// Everything, in any of the formats. false after a line on stderr.
bool results_print(FILE *file, const struct results *r, enum output_format format);
// compare_html.c
void results_print_html(FILE *file, const struct comparison *c);

#endif // CARDINAL_RESULTS_H_
