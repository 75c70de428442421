// journal.h - `--resume FILE`: the results of an evaluation as they come, so that another run goes on from there.
//
// JSON Lines. The first tells what is evaluated on what; then {"picture": N, "top": [...], "prob": P, "truth_prob": P}
// or {"picture": N, "error": true} for each picture, N counting from 0. Pictures that failed are tried again.
#ifndef CARDINAL_JOURNAL_H_
#define CARDINAL_JOURNAL_H_

#include "commands/workspace.h"
#include "eval/tally.h"

struct journal;

// Opens FILE, new or of an earlier run over the same pictures with the same model, whose results are put into
// results[set->count]. NULL: a line on stderr said why; a file that is no journal stays as it is.
struct journal *journal_open(const char *path, const struct workspace *w, const struct eval_set *set,
                             const struct options *options, struct eval_result *results);
void journal_add(struct journal *j, size_t item, const struct eval_result *result);
bool journal_close(struct journal **j); // false: it could not be written whole, after a line on stderr

#endif // CARDINAL_JOURNAL_H_
