// statistics.h - how sure a measured rate is.
//
// Neighbouring runs are alike: a clock that sags, another program that runs for a second. So runs are put together into
// blocks, and blocks into visits, which lie minutes apart with a session of their own. The error of the mean is
// estimated from the blocks and from the visits' means, and the larger one counts.
#ifndef CARDINAL_STATISTICS_H_
#define CARDINAL_STATISTICS_H_

#include <stdbool.h>

enum { MAX_BLOCKS = 512, MAX_VISITS = 16 };

struct blocks {
    double values[MAX_BLOCKS];
    int visit[MAX_BLOCKS]; // in which each was measured, rising
    int count;
};
void blocks_add(struct blocks *b, double value, int visit); // what does not fit is left out

struct estimate {
    double mean, error; // standard error of the mean; degrees 0: not known
    double degrees;     // of freedom, of Student's t
};
struct estimate blocks_estimate(const struct blocks *b);

// The x that Student's t stays within, on both sides, with probability `level`.
double student_quantile(double level, double degrees);
// Half of the 95 % interval over the mean; negative: not known.
double estimate_half_width(const struct estimate *e);

// Of all of them, known where all their errors are; `scale[i]` divides the i-th, and may be NULL. count > 0.
struct estimate estimate_geometric_mean(const struct estimate *e, const double *scale, int count);

// New over base, with the interval in which it lies with probability `level`. known: both have errors.
struct ratio {
    double value, low, high;
    bool known;
};
struct ratio estimate_ratio(const struct estimate *now, const struct estimate *base, double level);

#endif // CARDINAL_STATISTICS_H_
