// statistics.c - see statistics.h.
#include "bench/statistics.h"

#include <math.h>

void blocks_add(struct blocks *b, double value, int visit) {
    if (b->count == MAX_BLOCKS || !(value > 0) || !isfinite(value))
        return;
    b->values[b->count] = value;
    b->visit[b->count++] = visit;
}

// Of the mean of n independent values.
static struct estimate estimate_of(const double *values, int n) {
    struct estimate e = {0};
    double squares = 0;
    for (int i = 0; i < n; i++)
        e.mean += values[i] / n;
    for (int i = 0; i < n; i++)
        squares += (values[i] - e.mean) * (values[i] - e.mean);
    if (n > 1) {
        e.error = sqrt(squares / (n - 1) / n);
        e.degrees = n - 1;
    }
    return e;
}

struct estimate blocks_estimate(const struct blocks *b) {
    double means[MAX_VISITS] = {0};
    int visits = 0;
    for (int i = 0; i < b->count && visits < MAX_VISITS;) {
        int end = i;
        double sum = 0;
        for (; end < b->count && b->visit[end] == b->visit[i]; end++)
            sum += b->values[end];
        means[visits++] = sum / (end - i);
        i = end;
    }
    const struct estimate of_blocks = estimate_of(b->values, b->count), of_visits = estimate_of(means, visits);
    if (visits < 2)
        return of_blocks;
    struct estimate e = of_visits; // each visit counts alike, however many blocks it has
    if (of_blocks.error * student_quantile(0.95, of_blocks.degrees) >
        of_visits.error * student_quantile(0.95, of_visits.degrees)) {
        e.error = of_blocks.error;
        e.degrees = of_blocks.degrees;
    }
    return e;
}

// The regularised incomplete beta function, by its continued fraction (modified Lentz; Press et al., "Numerical Recipes
// in C", 2nd ed., section 6.4).
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m <= 300; m++) {
        const double steps[2] = {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                                 -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))};
        double change = 1;
        for (int i = 0; i < 2; i++) {
            d = 1 + steps[i] * d;
            c = 1 + steps[i] / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            change = d * c;
            h *= change;
        }
        if (fabs(change - 1) < 1e-14)
            break;
    }
    return h;
}

static double incomplete_beta(double a, double b, double x) {
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double student_quantile(double level, double degrees) {
    double low = 0, high = 1e7;
    for (int i = 0; i < 200 && high - low > 1e-12 * high; i++) {
        const double t = low + (high - low) / 2;
        const double outside = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t));
        if (1 - outside < level)
            low = t;
        else
            high = t;
    }
    return high;
}

double estimate_half_width(const struct estimate *e) {
    return e->degrees > 0 && e->mean > 0 ? student_quantile(0.95, e->degrees) * e->error / e->mean : -1;
}

// Errors that all share, such as another program's work, do not average out: the relative ones are added as they are.
struct estimate estimate_geometric_mean(const struct estimate *e, const double *scale, int count) {
    double sum = 0, relative = 0, degrees = e[0].degrees;
    for (int i = 0; i < count; i++) {
        sum += log(e[i].mean / (scale ? scale[i] : 1));
        relative += e[i].error / e[i].mean / count;
        degrees = e[i].degrees < degrees ? e[i].degrees : degrees;
    }
    const double mean = exp(sum / count);
    return (struct estimate){mean, degrees > 0 ? mean * relative : 0, degrees};
}

// On the logarithm of the ratio, whose variance is the sum of the relative variances (delta method), with the degrees
// of freedom of Welch and Satterthwaite.
struct ratio estimate_ratio(const struct estimate *now, const struct estimate *base, double level) {
    struct ratio r = {0};
    if (!(now->mean > 0 && base->mean > 0))
        return r;
    r.value = r.low = r.high = now->mean / base->mean;
    r.known = now->degrees > 0 && base->degrees > 0;
    const double a = now->error / now->mean, b = base->error / base->mean, variance = a * a + b * b;
    if (!r.known || variance <= 0)
        return r;
    const double degrees = variance * variance / (a * a * a * a / now->degrees + b * b * b * b / base->degrees);
    const double width = student_quantile(level, degrees) * sqrt(variance);
    r.low = r.value * exp(-width);
    r.high = r.value * exp(width);
    return r;
}
