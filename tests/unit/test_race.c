// test_race.c - who wins a race, by made-up times; no device is needed.
#include "support/harness.h"
#include "tune/race.h"

// The racer's times: base, each round slower by the round's own factor and by up to `noise` of its own.
static void run(struct cdl_racer *racer, int rounds, double base, double noise, struct random *r,
                const double *round_factor) {
    *racer = (struct cdl_racer){.rounds = rounds};
    for (int i = 0; i < rounds; i++)
        racer->ns[i] = base * round_factor[i] * (1 + noise * (0.5 + 0.5 * (double)random_float(r)));
}

static void test_clear(void **state) {
    (void)state;
    static const double steady[CDL_RACE_ROUNDS] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct random r = {1};
    struct cdl_racer racers[3];
    bool certain = false;
    run(&racers[0], 3, 110, 0.01, &r, steady);
    run(&racers[1], 3, 100, 0.01, &r, steady);
    run(&racers[2], 3, 130, 0.01, &r, steady);
    assert_int_equal(cdl_race_winner(racers, 3, &certain), 1);
    assert_true(certain);
    racers[1].out = true; // the others are compared with each other
    assert_int_equal(cdl_race_winner(racers, 3, &certain), 0);
    assert_true(certain);
}

static void test_equal(void **state) {
    (void)state;
    static const double steady[CDL_RACE_ROUNDS] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct random r = {2};
    struct cdl_racer racers[2];
    bool certain = false;
    run(&racers[0], 5, 100.6, 0, &r, steady);
    run(&racers[1], 5, 100, 0, &r, steady);
    assert_int_equal(cdl_race_winner(racers, 2, &certain), 0); // the better rank
    assert_true(certain);
}

// By noise alone a guess does not give way, and more rounds are asked for.
static void test_noise(void **state) {
    (void)state;
    static const double first[] = {100, 140, 95, 150}, second[] = {120, 96, 130, 97};
    struct cdl_racer racers[2] = {{.rounds = 4}, {.rounds = 4}};
    bool certain = true;
    memcpy(racers[0].ns, first, sizeof first);
    memcpy(racers[1].ns, second, sizeof second);
    assert_int_equal(cdl_race_winner(racers, 2, &certain), 0);
    assert_false(certain);
}

// A clock that rises, or work beside it that comes and goes, slows all that run in a round: it changes no order.
static void test_rounds_of_their_own(void **state) {
    (void)state;
    static const double clock[CDL_RACE_ROUNDS] = {3.1, 2.4, 1.9, 1.5, 1.2, 1.1, 1, 1, 2};
    struct random r = {3};
    for (int i = 0; i < 1000; i++) {
        struct cdl_racer racers[4];
        bool certain = false;
        run(&racers[0], CDL_RACE_ROUNDS, 106, 0.02, &r, clock);
        run(&racers[1], CDL_RACE_ROUNDS, 105, 0.02, &r, clock);
        run(&racers[2], CDL_RACE_ROUNDS, 100, 0.02, &r, clock);
        run(&racers[3], CDL_RACE_ROUNDS, 120, 0.02, &r, clock);
        assert_int_equal(cdl_race_winner(racers, 4, &certain), 2);
        assert_true(certain);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_rounds_of_their_own),
    };
    return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
