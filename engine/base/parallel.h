// parallel.h - independent pieces of work on several processors.
#ifndef CDL_PARALLEL_H_
#define CDL_PARALLEL_H_

// Runs run(ctx, i) once for every i below count, on up to 16 threads, the caller's among them; returns when all are
// done. If fewer threads can be started, those that run do all the work. run must not log: a call of the library
// uses the caller's log function from one thread at a time.
void cdl_parallel(int count, void (*run)(void *ctx, int i), void *ctx);

#endif // CDL_PARALLEL_H_
