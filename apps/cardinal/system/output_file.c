// output_file.c - see output_file.h.
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "system/output_file.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "system/files.h"
#include "system/text.h"

static bool fail(char *error, size_t size, const char *path, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_path_error(error, size, path, fmt, args);
    va_end(args);
    return false;
}

// ---- what a signal removes

enum { MAX_TEMPORARIES = 64, MAX_PATH = 4096 };
enum { SLOT_FREE, SLOT_BEING_FILLED, SLOT_USED };

static struct {
    atomic_int state; // lock-free, so that a signal's handler may read it
    char path[MAX_PATH];
} temporaries[MAX_TEMPORARIES];

// A file must not appear behind the back of a handler that has just looked: a thread that creates one holds the handler
// up until the file is registered, and none begins once the process is ending.
static atomic_int creating, ending;

static void remove_temporaries(void) {
    enum { MAX_WAIT_MS = 3000 }; // for a file system that hangs
    atomic_store(&ending, 1);
    for (int ms = 0; atomic_load(&creating) && ms < MAX_WAIT_MS; ms++)
        wait_ms_by_signal();
    for (int i = 0; i < MAX_TEMPORARIES; i++)
        if (atomic_load(&temporaries[i].state) == SLOT_USED)
            remove_by_signal(temporaries[i].path);
}

#ifdef _WIN32
struct held_signals {
    int none;
};
static struct held_signals hold_signals(void) { return (struct held_signals){0}; } // a handler is a thread of its own
static void release_signals(const struct held_signals *held) { (void)held; }

static void handle_signals(void) {
    static atomic_flag done = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&done))
        on_console_end(remove_temporaries);
}

void output_files_prepare(void) {}
#else
struct held_signals {
    sigset_t before;
};
static struct held_signals hold_signals(void) {
    struct held_signals held;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &held.before);
    return held;
}
static void release_signals(const struct held_signals *held) { pthread_sigmask(SIG_SETMASK, &held->before, NULL); }

static void on_signal(int number) {
    remove_temporaries();
    // The default was restored as the handler began (SA_RESETHAND): this ends the process as that signal does.
    raise(number);
}

static void handle_signals(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU};
    static atomic_flag done = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&done))
        return;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction now, ours = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
        sigemptyset(&ours.sa_mask);
        // What is ignored (nohup) or handled by someone else (SDL) does not end the process without its exit.
        if (sigaction(numbers[i], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
            sigaction(numbers[i], &ours, NULL);
    }
}

void output_files_prepare(void) { signal(SIGXFSZ, SIG_IGN); } // a write then fails with EFBIG
#endif

int temporary_remember(const char *path) {
    const size_t length = strlen(path);
    if (length >= MAX_PATH)
        return -1;
    handle_signals();
    for (int i = 0; i < MAX_TEMPORARIES; i++) {
        int expected = SLOT_FREE;
        if (!atomic_compare_exchange_strong(&temporaries[i].state, &expected, SLOT_BEING_FILLED))
            continue;
        memcpy(temporaries[i].path, path, length + 1);
        atomic_store(&temporaries[i].state, SLOT_USED);
        return i;
    }
    return -1;
}

void temporary_forget(int registered) {
    if (registered >= 0)
        atomic_store(&temporaries[registered].state, SLOT_FREE);
}

// create_file, and temporary_remember where that succeeds.
static FILE *create_registered(const char *path, int *registered) {
    handle_signals();
    const struct held_signals held = hold_signals(); // else the handler, on this thread, would wait for it
    atomic_fetch_add(&creating, 1);
    const bool late = atomic_load(&ending) != 0;
    FILE *file = late ? NULL : create_file(path);
    const int error = errno;
    if (file)
        *registered = temporary_remember(path);
    atomic_fetch_sub(&creating, 1);
    release_signals(&held);
    if (late)
        wait_for_end();
    errno = error;
    return file;
}

// ---- one file

static void free_output(struct output_file *o) {
    temporary_forget(o->registered);
    free(o->path);
    free(o->temporary);
    memset(o, 0, sizeof *o);
    o->registered = -1;
}

// Creates "PATH.tmpN", a name that nothing has.
static bool create_temporary(struct output_file *o, const char *path, char *error, size_t error_size) {
    enum { MAX_NAMES = 100 };
    const size_t size = strlen(o->path) + 16;
    o->temporary = malloc(size);
    if (!o->temporary)
        return fail(error, error_size, path, "out of memory");
    for (int i = 0; i < MAX_NAMES && !o->file; i++) {
        snprintf(o->temporary, size, "%s.tmp%d", o->path, i);
        errno = 0;
        o->file = create_registered(o->temporary, &o->registered);
        if (!o->file && errno != EEXIST)
            break;
    }
    if (!o->file)
        return fail(error, error_size, path, "could not be written (%s)", strerror(errno));
    return true;
}

bool output_file_begin(struct output_file *o, const char *path, char *error, size_t error_size) {
    struct file_status status;
    *o = (struct output_file){.registered = -1};
    const bool exists = get_file_status(path, &status);
    if (exists && status.kind == FILE_FOLDER)
        return fail(error, error_size, path, "could not be written: it is a folder; name a file in it");
    const bool lost = !exists && is_link(path);
    if (lost)
        return fail(error, error_size, path,
                    "could not be written: it is a link that leads nowhere; remove it, or name another file");
    const bool in_place = exists && status.kind == FILE_OTHER;
    o->path = exists && !in_place ? follow_links(path) : copy_text(path);
    bool ok = o->path != NULL;
    if (!ok) {
        fail(error, error_size, path, "could not be written (%s)", errno ? strerror(errno) : "out of memory");
    } else if (in_place) {
        o->file = fopen(path, "wb");
        ok = o->file != NULL;
        if (!ok)
            fail(error, error_size, path, "could not be written (%s)", strerror(errno));
    } else {
        ok = create_temporary(o, path, error, error_size);
        if (ok && exists)
            copy_permissions(path, o->temporary);
    }
    if (!ok)
        free_output(o);
    return ok;
}

bool output_file_end(struct output_file *o, bool keep, char *error, size_t error_size) {
    errno = 0;
    bool ok = !ferror(o->file);
    ok = fclose(o->file) == 0 && ok;
    ok = ok && (!keep || !o->temporary || replace_file(o->temporary, o->path));
    if (!ok)
        fail(error, error_size, o->path, "could not be written (%s)", errno ? strerror(errno) : "disk full?");
    if (o->temporary && (!keep || !ok))
        remove(o->temporary);
    free_output(o);
    return ok;
}

bool output_file_write(const char *path, const void *data, size_t size, char *error, size_t error_size) {
    struct output_file o;
    if (!output_file_begin(&o, path, error, error_size))
        return false;
    errno = 0;
    if (fwrite(data, 1, size, o.file) == size)
        return output_file_end(&o, true, error, error_size);
    fail(error, error_size, path, "could not be written (%s)", errno ? strerror(errno) : "disk full?");
    char ignored[8];
    output_file_end(&o, false, ignored, sizeof ignored);
    return false;
}

bool output_spares(const char *path, const char *const *inputs, size_t count, char *error, size_t error_size) {
    struct file_status status;
    if (!get_file_status(path, &status) || status.kind != FILE_REGULAR)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (inputs[i] && same_file(path, inputs[i]))
            return fail(error, error_size, path,
                        "is an input, too, which an output may not replace; name another file");
        if (inputs[i] && lies_in(path, inputs[i]))
            return fail(error, error_size, path,
                        "exists in a folder that is an input, and may not be replaced; name another file");
    }
    return true;
}
