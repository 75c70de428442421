// parallel.h - independent pieces of work on several processors.
#ifndef CDL_PARALLEL_H_
#define CDL_PARALLEL_H_

// Runs run(ctx, i) once for every i below count, on up to 16 threads, the caller's among them; returns when all are
// done. Threads that cannot be had leave more for the others. run must not log: a caller's log function is to be
// called by one thread at a time.
void cdl_parallel(int count, void (*run)(void *ctx, int i), void *ctx);

#endif // CDL_PARALLEL_H_
