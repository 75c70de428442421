// harness.h - what the tests that need a device share: the device itself, opened under validation, and its log.
//
// Drivers are chosen as by any Vulkan program (VK_DRIVER_FILES), or by CARDINAL_DEVICE. The group fails at its end when
// the validation layer or the engine said anything at warning or error level that no test took away.
//   CARDINAL_TEST_SEED=N             replays a run's random data
//   CARDINAL_TEST_VALIDATION=off     no validation layer; =required: fail where it is not installed
#ifndef CDL_HARNESS_H_
#define CDL_HARNESS_H_

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/session.h"
#include "tune/tuner.h"

#ifdef _WIN32
#include <direct.h>
#include <io.h>
// As POSIX has it: the folder, its X replaced; NULL where it could not be made.
static inline char *mkdtemp(char *folder) { return _mktemp(folder) && _mkdir(folder) == 0 ? folder : NULL; }
#endif

#ifndef CDL_GOLDEN_DIR
#define CDL_GOLDEN_DIR "tests/golden"
#endif

struct harness {
    cdl_device *dev;
    struct cdl_device_info info;
    cdl_mutex lock; // around what follows: lines may come from any thread
    int errors, warnings, validation;
    char last[1024]; // the last error or warning
};
extern struct harness harness; // of the running test program

// cmocka group setup and teardown.
int harness_open(void **state);
int harness_close(void **state);

// The log that every test's call gets, by value or by pointer.
cdl_log harness_log(void);
extern const cdl_log harness_shared_log;
// Takes the errors logged since the last call away, and tells how many there were; validation messages stay.
int harness_take_errors(void);
// r is `expected` and exactly one error line was logged. what: for the message.
void harness_expect_failure(cdl_result r, cdl_result expected, const char *what);
void harness_expect_ok(cdl_result r, const char *what); // and no error line

// ---- seeded random numbers (splitmix64)
struct random {
    uint64_t state;
};
uint64_t harness_seed(void);              // printed once
struct random random_of(uint64_t stream); // numbers of the run's seed and `stream`
uint64_t random_next(struct random *r);
int random_below(struct random *r, int n);
float random_float(struct random *r); // -1 ... 1, about uniform

void random_fill(struct random *r, uint8_t *out, size_t count);
uint8_t *random_bytes(struct random *r, size_t count); // malloc'd

// The network of tests/golden/layers/NAME.safetensors.
cdl_model *harness_load(const char *name);
cdl_model *harness_random_model(const char *arch);

// malloc that fails the test rather than return NULL.
void *must_alloc(size_t count, size_t size);

// Lets the session's device remember that sessions like it run in this segment.
void remember_segment(const cdl_session *s, struct cdl_segment segment);

#endif // CDL_HARNESS_H_
