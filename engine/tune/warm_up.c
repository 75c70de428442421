// warm_up.c - see warm_up.h.
#include "tune/warm_up.h"

#include <math.h>

static const double LEAST_NS = 15e6, MOST_NS = 500e6, STEADY = 0.02;
enum { MOST_CALLS = 10000 }; // whose timestamps stand still

cdl_result cdl_warm_up(const struct cdl_device *dev, cdl_result (*work)(void *ctx, double *ns), void *ctx) {
    double spent = 0, before = 0;
    cdl_result r = CDL_OK;
    for (int i = 0; !dev->info.software && r == CDL_OK && spent < MOST_NS && i < MOST_CALLS; i++) {
        double ns = 0;
        r = work(ctx, &ns);
        spent += ns;
        if (spent >= LEAST_NS && fabs(ns - before) <= STEADY * before)
            break;
        before = ns;
    }
    return r;
}
