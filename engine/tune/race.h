// race.h - which of several ways to do the same work is the fastest on a device.
//
// All are timed under the same conditions: at the device's full clock, in turn, round after round, until their order is
// certain. Where it cannot be, the one with the better rank, which comes first, wins: a guess gives way to a
// measurement, not to noise.
#ifndef CDL_RACE_H_
#define CDL_RACE_H_

#include "kernels/kernels.h"
#include "vulkan/one_shot.h"

enum { CDL_RACE_ROUNDS = 9 };

struct cdl_racer {
    VkPipeline pipelines[CDL_MAX_FUSED]; // what is run, one after the other
    struct cdl_launch launches[CDL_MAX_FUSED];
    int num_launches;
    bool out;                   // it was much slower, and is not run any more
    double ns[CDL_RACE_ROUNDS]; // the time of each round
    int rounds;
};

// quick: out at 1.5 times the fastest in the first round instead of 3 times. *winner: its index.
cdl_result cdl_race(struct cdl_once *once, struct cdl_racer *racers, int count, bool quick, int *winner);
// Its median time, or that of the first round where it was out then.
double cdl_racer_ns(const struct cdl_racer *racer);

// The winner by the rounds so far: the first one whose time cannot be told from that of the fastest. *certain: further
// rounds would change nothing that matters. For tests, too: no device is needed.
int cdl_race_winner(const struct cdl_racer *racers, int count, bool *certain);

#endif // CDL_RACE_H_
