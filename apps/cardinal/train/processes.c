// processes.c - see processes.h.
#include "train/processes.h"

#include <stdlib.h>

#include "app.h"

// What mpirun and srun tell each process, by PMIx (Open MPI), Open MPI's own older way, and PMI (MPICH, Intel MPI).
static int started_together(void) {
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *text = getenv(sizes[i]);
        if (text && atoi(text) > 0)
            return atoi(text);
    }
    return getenv("PMIX_RANK") ? 1 : 0; // perhaps more: MPI tells
}

#ifdef CARDINAL_HAVE_MPI
#include <mpi.h>
#include <time.h>

enum { CHUNK = 1 << 30 }; // MPI counts in int

// Sums that were begun, oldest first.
struct pending {
    MPI_Request *requests;
    int count, capacity, first; // [first, count) are not finished
};

// MPI would spin; on a CPU driver that takes the processor from the one that is waited for.
static void wait_softly(MPI_Request *request) {
    int done = 0;
    while (MPI_Test(request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void processes_sum(const struct processes *p, double *values, int count) {
    if (p->count > 1)
        MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

void processes_from_first(const struct processes *p, void *data, size_t bytes) {
    for (size_t at = 0; p->count > 1 && at < bytes; at += CHUNK) {
        const size_t part = bytes - at < CHUNK ? bytes - at : CHUNK;
        MPI_Request request;
        MPI_Ibcast((char *)data + at, (int)part, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
        wait_softly(&request);
    }
}

static float share(void *ctx, int images) {
    const struct processes *p = ctx;
    (void)images; // all have told theirs already, see epoch.c
    return (float)p->share;
}

static bool reduce(void *ctx, float *data, size_t count) {
    struct pending *pending = ((struct processes *)ctx)->pending;
    if (pending->count == pending->capacity) {
        const int capacity = pending->capacity ? 2 * pending->capacity : 16;
        MPI_Request *larger = realloc(pending->requests, (size_t)capacity * sizeof *larger);
        if (!larger)
            return false;
        pending->requests = larger;
        pending->capacity = capacity;
    }
    return MPI_Iallreduce(MPI_IN_PLACE, data, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD,
                          &pending->requests[pending->count++]) == MPI_SUCCESS;
}

// MPI moves data on while it is called.
static void progress(void *ctx) {
    struct pending *pending = ((struct processes *)ctx)->pending;
    int done;
    MPI_Testall(pending->count, pending->requests, &done, MPI_STATUSES_IGNORE);
}

static bool finish(void *ctx) {
    struct pending *pending = ((struct processes *)ctx)->pending;
    const bool ok = MPI_Wait(&pending->requests[pending->first++], MPI_STATUS_IGNORE) == MPI_SUCCESS;
    if (pending->first == pending->count)
        pending->first = pending->count = 0;
    return ok;
}

static bool broadcast(void *ctx, void *data, size_t bytes) {
    processes_from_first(ctx, data, bytes);
    return true;
}

void processes_close(struct processes *p) {
    if (!p->pending)
        return;
    MPI_Finalize();
    free(p->pending->requests);
    free(p->pending);
    p->pending = NULL;
}

bool processes_open(struct processes *p) {
    *p = (struct processes){.count = 1, .local_count = 1, .share = 1};
    if (!started_together())
        return true;
    int provided;
    MPI_Comm local;
    if (!(p->pending = calloc(1, sizeof *p->pending))) {
        complain("out of memory");
        return false;
    }
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided); // this thread alone calls MPI
    MPI_Comm_rank(MPI_COMM_WORLD, &p->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &p->count);
    if (p->count == 1 && started_together() > 1) { // a singleton, as this library does not know that mpirun
        complain("mpirun is of another MPI than this program was built with, which does not find the other processes");
        processes_close(p);
        return false;
    }
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
    MPI_Comm_rank(local, &p->local_rank);
    MPI_Comm_size(local, &p->local_count);
    MPI_Comm_free(&local);
    p->exchange = (struct cdl_train_exchange){
        .ctx = p, .share = share, .reduce = reduce, .progress = progress, .finish = finish, .broadcast = broadcast};
    return true;
}

void processes_abort(const struct processes *p, int status) {
    if (p->count > 1)
        MPI_Abort(MPI_COMM_WORLD, status);
}

#else

bool processes_open(struct processes *p) {
    *p = (struct processes){.count = 1, .local_count = 1, .share = 1};
    if (started_together() < 2)
        return true;
    complain("this program was built without MPI, so that mpirun starts trainings that know nothing of each other; "
             "install libopenmpi-dev and build it again");
    return false;
}

void processes_close(struct processes *p) { (void)p; }

void processes_abort(const struct processes *p, int status) {
    (void)p;
    (void)status;
}

void processes_sum(const struct processes *p, double *values, int count) {
    (void)p;
    (void)values;
    (void)count;
}

void processes_from_first(const struct processes *p, void *data, size_t bytes) {
    (void)p;
    (void)data;
    (void)bytes;
}

#endif
