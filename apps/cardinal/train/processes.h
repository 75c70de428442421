// processes.h - the processes that train together: one, or as many as mpirun started, through MPI.
//
// What is done together is called by all of them in the same order. A process that cannot go on ends the others, too,
// which would wait for it: MPI's own errors do so by default.
#ifndef CARDINAL_PROCESSES_H_
#define CARDINAL_PROCESSES_H_

#include <stdbool.h>
#include <stddef.h>

#include "cdl/cdl_train.h"

struct processes {
    int rank, count;             // 0 of 1: alone
    int local_rank, local_count; // of those on the same machine
    double share;                // of this process in the step that comes next: see cdl_train_exchange
    struct cdl_train_exchange exchange;
    struct pending *pending; // sums under way
};

// Begins MPI where mpirun started this process. false after a line on stderr: then there is nothing to close.
bool processes_open(struct processes *p);
// Ends it: all processes have come here.
void processes_close(struct processes *p);
// This one alone cannot go on, and has told why: ends all, unless it is alone.
void processes_abort(const struct processes *p, int status);

void processes_sum(const struct processes *p, double *values, int count);       // over all, in place
void processes_from_first(const struct processes *p, void *data, size_t bytes); // waits without using a processor

#endif // CARDINAL_PROCESSES_H_
