// race.c - see race.h.
#include "tune/race.h"

#include <math.h>
#include <stdlib.h>

#include "tune/warm_up.h"

enum {
    SLOTS = CDL_ONCE_QUERIES / 2, // runs that one submission can time
    LEAST_ROUNDS = 3,
    LEAST_ROUNDS_WHEN_SLOW = 2,
    MOST_WARM_UP_RUNS = 256,
    WARM_UP_NS = 5000000, // of one submission, about
};

static const double BUDGET_NS = 20e6; // of the timed runs of one racer, about
static const double SLOW_NS = 20e6;   // a run that takes so long is not repeated as often
static const double MUCH_SLOWER = 1.25;
static const double EQUAL = 1.01; // what nobody would notice

// ---- the order

struct spread {
    double low, median, high; // quartiles
};

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Of a racer's times, each divided by the other's of the same round: what slows a whole round down, such as other work
// on the machine, then does not count. other NULL: of the times.
static struct spread spread_of(const struct cdl_racer *racer, const struct cdl_racer *other) {
    double sorted[CDL_RACE_ROUNDS];
    const int last = racer->rounds - 1;
    for (int i = 0; i < racer->rounds; i++)
        sorted[i] = racer->ns[i] / (other ? other->ns[i] : 1);
    qsort(sorted, (size_t)racer->rounds, sizeof *sorted, by_size);
    return (struct spread){sorted[last / 4], sorted[last / 2], sorted[last - last / 4]};
}

int cdl_race_winner(const struct cdl_racer *racers, int count, bool *certain) {
    int fastest = -1, winner = -1;
    double least = INFINITY;
    *certain = true;
    for (int i = 0; i < count; i++)
        if (!racers[i].out && spread_of(&racers[i], NULL).median < least) {
            fastest = i;
            least = spread_of(&racers[i], NULL).median;
        }
    for (int i = 0; i < count && fastest >= 0; i++) {
        if (racers[i].out)
            continue;
        const struct spread s = spread_of(&racers[i], &racers[fastest]);
        const bool equal = s.high <= EQUAL, apart = s.low > 1;
        *certain = *certain && (equal || apart);
        if (winner < 0 && (equal || !apart))
            winner = i;
    }
    return winner;
}

// ---- rounds

static void record_run(struct cdl_once *once, const struct cdl_racer *racer) {
    for (int i = 0; i < racer->num_launches; i++) {
        cdl_once_barrier(once);
        cdl_once_dispatch(once, racer->pipelines[i], &racer->launches[i]);
    }
}

// Times one run each of racers[which[0 .. count - 1]], in one submission.
static cdl_result time_runs(struct cdl_once *once, const struct cdl_racer *racers, const int *which, int count,
                            double *ns) {
    cdl_result r = cdl_once_begin(once);
    if (r != CDL_OK)
        return r;
    for (int i = 0; i < count; i++) {
        cdl_once_barrier(once);
        cdl_once_timestamp(once, 2 * (uint32_t)i);
        record_run(once, &racers[which[i]]);
        cdl_once_timestamp(once, 2 * (uint32_t)i + 1);
    }
    r = cdl_once_run(once, 2 * (uint32_t)count);
    for (int i = 0; r == CDL_OK && i < count; i++)
        ns[i] = cdl_once_ns(once, 2 * (uint32_t)i, 2 * (uint32_t)i + 1);
    return r;
}

struct work {
    struct cdl_once *once;
    const struct cdl_racer *racer;
    int runs; // of it
};

static cdl_result run_many(void *ctx, double *ns) {
    const struct work *w = ctx;
    cdl_result r = cdl_once_begin(w->once);
    if (r != CDL_OK)
        return r;
    cdl_once_timestamp(w->once, 0);
    for (int i = 0; i < w->runs; i++)
        record_run(w->once, w->racer);
    cdl_once_timestamp(w->once, 1);
    r = cdl_once_run(w->once, 2);
    *ns = r == CDL_OK ? cdl_once_ns(w->once, 0, 1) : 0;
    return r;
}

static cdl_result warm_up(struct cdl_once *once, const struct cdl_racer *racer) {
    struct work work = {once, racer, 1};
    double ns = 0;
    const cdl_result r = run_many(&work, &ns);
    work.runs = ns * MOST_WARM_UP_RUNS > WARM_UP_NS ? (int)(WARM_UP_NS / ns) + 1 : MOST_WARM_UP_RUNS;
    return r == CDL_OK ? cdl_warm_up(once->dev, run_many, &work) : r;
}

// Every racer that is in, once. first: to warm caches up, and to see who is out at `limit` times the fastest.
static cdl_result run_round(struct cdl_once *once, struct cdl_racer *racers, int count, bool first, double limit,
                            double *spent) {
    int which[SLOTS];
    double ns[SLOTS], fastest = INFINITY;
    cdl_result r = CDL_OK;
    for (int i = 0, n = 0; r == CDL_OK && i < count; i++) {
        if (!racers[i].out)
            which[n++] = i;
        if (n == 0 || (n < SLOTS && i < count - 1))
            continue;
        r = time_runs(once, racers, which, n, ns);
        for (int k = 0; r == CDL_OK && k < n; k++) {
            struct cdl_racer *racer = &racers[which[k]];
            racer->ns[racer->rounds++] = ns[k];
            *spent += ns[k];
            fastest = ns[k] < fastest ? ns[k] : fastest;
        }
        n = 0;
    }
    for (int i = 0; first && r == CDL_OK && i < count; i++) {
        racers[i].out = racers[i].ns[0] > limit * fastest;
        racers[i].rounds = 0;
    }
    return r;
}

// Who is far behind need not go on.
static void leave_behind(struct cdl_racer *racers, int count, int winner) {
    for (int i = 0; i < count; i++)
        if (!racers[i].out && spread_of(&racers[i], &racers[winner]).low > MUCH_SLOWER)
            racers[i].out = true;
}

static int num_in(const struct cdl_racer *racers, int count) {
    int n = 0;
    for (int i = 0; i < count; i++)
        n += !racers[i].out;
    return n;
}

double cdl_racer_ns(const struct cdl_racer *racer) {
    return racer->rounds ? spread_of(racer, NULL).median : racer->ns[0];
}

cdl_result cdl_race(struct cdl_once *once, struct cdl_racer *racers, int count, bool quick, int *winner) {
    double spent = 0;
    bool certain = false;
    for (int i = 0; i < count; i++)
        racers[i].rounds = racers[i].out = 0;
    cdl_result r = once->dev->info.software ? CDL_OK : warm_up(once, racers);
    if (r == CDL_OK)
        r = run_round(once, racers, count, true, quick ? 1.5 : 3, &spent);
    spent = 0;
    for (int round = 1; r == CDL_OK && round <= CDL_RACE_ROUNDS; round++) {
        r = run_round(once, racers, count, false, 0, &spent);
        if (r != CDL_OK)
            return r;
        *winner = cdl_race_winner(racers, count, &certain);
        const int least = cdl_racer_ns(&racers[*winner]) > SLOW_NS ? LEAST_ROUNDS_WHEN_SLOW : LEAST_ROUNDS;
        if (round >= least && (certain || spent > BUDGET_NS * num_in(racers, count)))
            break;
        if (round >= LEAST_ROUNDS)
            leave_behind(racers, count, *winner);
    }
    return r;
}
