// test_statistics.c - intervals of rates: Student's t against tables, means of visits, ratios; and the suites' rows.
#include <math.h>

#include "bench/statistics.h"
#include "bench/suite.h"
#include "support/harness.h"

static void check_near(double got, double expected, double bound) {
    if (!(fabs(got - expected) <= bound))
        fail_msg("%.9g, not %.9g", got, expected);
}

static void test_student(void **state) { // two-sided; NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2
    static const struct {
        double level, degrees, t;
    } table[] = {{0.95, 1, 12.706}, {0.95, 2, 4.303}, {0.95, 5, 2.571},  {0.95, 10, 2.228}, {0.95, 100, 1.984},
                 {0.90, 3, 2.353},  {0.99, 4, 4.604}, {0.99, 30, 2.750}, {0.998, 8, 4.501}, {0.95, 1e6, 1.960}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_near(student_quantile(table[i].level, table[i].degrees), table[i].t, 6e-4);
}

static void test_blocks(void **state) {
    struct blocks b = {.count = 0};
    (void)state;
    check_near(estimate_half_width(&(struct estimate){.mean = 5}), -1, 0);
    blocks_add(&b, 10, 0);
    struct estimate e = blocks_estimate(&b);
    check_near(e.mean, 10, 0);
    check_near(e.degrees, 0, 0); // one block tells nothing of its error
    blocks_add(&b, 12, 0);
    blocks_add(&b, 0, 0); // no rate
    blocks_add(&b, NAN, 0);
    e = blocks_estimate(&b);
    check_near(e.mean, 11, 1e-12);
    check_near(e.error, 1, 1e-12);
    check_near(e.degrees, 1, 0);
    check_near(estimate_half_width(&e), 12.706 / 11, 1e-4);
    // A visit of one block at 20: the visits' means, 11 and 20, count alike, and differ more than the blocks do.
    blocks_add(&b, 20, 1);
    e = blocks_estimate(&b);
    check_near(e.mean, 15.5, 1e-12);
    check_near(e.error, 4.5, 1e-12);
    check_near(e.degrees, 1, 0);
}

// Visits that are alike are no surer than their blocks.
static void test_blocks_count_where_visits_agree(void **state) {
    struct blocks b = {.count = 0};
    (void)state;
    for (int visit = 0; visit < 3; visit++) {
        blocks_add(&b, 9, visit);
        blocks_add(&b, 11, visit);
    }
    const struct estimate e = blocks_estimate(&b);
    check_near(e.degrees, 5, 0);
    check_near(e.error, sqrt(6.0 / 5 / 6), 1e-12);
}

static void test_ratio(void **state) {
    const struct estimate a = {100, 1, 9}, b = {103, 1, 9}, distant = {150, 1, 9}, unsure = {150, 0, 0};
    (void)state;
    struct ratio r = estimate_ratio(&b, &a, 0.95);
    check_near(r.value, 1.03, 1e-12);
    assert_true(r.known && r.low > 1.0 && r.high < 1.062); // t of 18 degrees, 2.101, times 1.39 %
    r = estimate_ratio(&b, &a, 1 - 0.05 / 20);
    assert_true(r.low < 1 && r.high > 1.05); // of twenty comparisons
    r = estimate_ratio(&distant, &a, 0.95);
    assert_true(r.low > 1.4);
    assert_false(estimate_ratio(&unsure, &a, 0.95).known);
    check_near(estimate_ratio(&(struct estimate){0}, &a, 0.95).value, 0, 0);
}

static double normal(struct random *r) { // by Box and Muller
    const double a = ((double)random_float(r) + 1) / 2, b = ((double)random_float(r) + 1) / 2;
    return sqrt(-2 * log(a > 1e-9 ? a : 1e-9)) * cos(6.283185307179586 * b);
}

// Of pairs of runs that do not differ, at most one in twenty is told to differ.
static void test_false_alarms(void **state) {
    struct random rng = random_of(1);
    int alarms = 0;
    enum { PAIRS = 2000, VISITS = 3, BLOCKS = 5 };
    (void)state;
    for (int pair = 0; pair < PAIRS; pair++) {
        struct estimate e[2];
        for (int side = 0; side < 2; side++) {
            struct blocks b = {.count = 0};
            for (int visit = 0; visit < VISITS; visit++) {
                const double mood = 5 * normal(&rng); // what a visit has in common
                for (int i = 0; i < BLOCKS; i++)
                    blocks_add(&b, 100 + mood + 2 * normal(&rng), visit);
            }
            e[side] = blocks_estimate(&b);
        }
        const struct ratio r = estimate_ratio(&e[0], &e[1], 0.95);
        alarms += r.low > 1 || r.high < 1;
    }
    assert_true(alarms < PAIRS * 0.06);
    assert_true(alarms > PAIRS * 0.005); // and the interval is not wide beyond need
}

static void test_geometric_mean(void **state) {
    const struct estimate e[2] = {{10, 0.1, 5}, {1000, 10, 5}};
    const double scale[2] = {1, 10};
    (void)state;
    const struct estimate mean = estimate_geometric_mean(e, scale, 2);
    check_near(mean.mean, sqrt(10 * 100), 1e-9);
    check_near(mean.error / mean.mean, 0.01, 1e-12); // which both may have in common
    check_near(mean.degrees, 5, 0);
    const struct estimate unsure[2] = {{10, 0.1, 5}, {1000, 0, 0}};
    check_near(estimate_geometric_mean(unsure, NULL, 2).degrees, 0, 0);
}

static void test_suites(void **state) {
    (void)state;
    assert_null(suite_find(SUITE_NONE, false));
    for (int software = 0; software < 2; software++)
        for (int choice = SUITE_STANDARD; choice <= SUITE_QUICK; choice++) {
            const struct suite *s = suite_find((enum suite_choice)choice, software);
            int sustained = 0;
            assert_true(suite_count(s) > 0 && suite_count(s) <= SUITE_MAX_ROWS);
            for (const struct suite_rows *r = s->rows; r < s->rows + SUITE_MAX_GROUPS && r->network; r++) {
                assert_true(score_reference(r->network) > 0); // or the row would take the score away
                for (int i = 0; i < 8 && r->batches[i]; i++)
                    for (int k = 0; k < r->num_inputs; k++)
                        sustained += r->batches[i] == s->sustain_batch && r->inputs[k] == BENCH_DEVICE;
            }
            assert_true(s->sustain_s == 0 || sustained > 0);
        }
    assert_int_equal(suite_count(suite_find(SUITE_STANDARD, false)), 32);
    check_near(score_reference("resnet9000"), 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_student),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_blocks_count_where_visits_agree),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_false_alarms),
        cmocka_unit_test(test_geometric_mean),
        cmocka_unit_test(test_suites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
