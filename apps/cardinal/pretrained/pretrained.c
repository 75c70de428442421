// What is trusted, and why: torchvision puts the first 8 digits of each file's SHA-256 into its name. That
// finds damage, not forgery (32 bits), which is what https is for; a model file is never executed anyway.
//
// A file gets its final name only after its hash was right. Beside it lies FILE.verified with hash, size and
// time, so that later starts need not read half a gigabyte again; where the stamp is missing or does not fit
// (a file put there by hand, a disk that was full) the hash is computed anew.
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif
#include "pretrained/pretrained.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#endif

#include "pretrained/download.h"
#include "pretrained/sha256.h"
#include "system/cache_folder.h"
#include "system/files.h"
#include "system/text.h"

enum { PATH_SIZE = 1024, MAX_TRIES = 4 };

// ---- names

const struct pretrained *pretrained_at(int i) {
    return i >= 0 && i < pretrained_table_count ? &pretrained_table[i] : NULL;
}

const struct pretrained *pretrained_find(const char *name) {
    for (int i = 0; i < pretrained_table_count; i++) {
        const struct pretrained *p = &pretrained_table[i];
        if (!strcmp(name, p->name) || (p->is_default && !strcmp(name, p->arch)))
            return p;
    }
    return NULL;
}

const struct pretrained *pretrained_find_file(const char *path) {
    const char *name = path_name(path);
    for (int i = 0; i < pretrained_table_count; i++)
        if (!strcmp(name, pretrained_table[i].file))
            return &pretrained_table[i];
    return NULL;
}

// ---- the system: time, locks

static void sleep_ms(int ms) {
#ifdef _WIN32
    Sleep((DWORD)ms);
#else
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
#endif
}

// A lock between processes that ends with the process that holds it, however that dies.
struct lock {
    const char *path;
#ifdef _WIN32
    HANDLE handle;
#else
    int fd;
#endif
};

enum lock_result { LOCK_TAKEN, LOCK_BUSY, LOCK_FAILED };

static enum lock_result lock_take(struct lock *lock, const char *path) {
    lock->path = path;
#ifdef _WIN32
    for (int i = 0; i < 3; i++) { // access is also denied while the one before us is closing, and so removing, it
        lock->handle = CreateFileA(path, GENERIC_WRITE, 0, NULL, OPEN_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
        if (lock->handle != INVALID_HANDLE_VALUE)
            return LOCK_TAKEN;
        if (GetLastError() == ERROR_SHARING_VIOLATION)
            return LOCK_BUSY;
        if (GetLastError() != ERROR_ACCESS_DENIED)
            break;
        sleep_ms(20);
    }
    errno = EACCES; // for the message
    return LOCK_FAILED;
#else
    lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock->fd < 0)
        return LOCK_FAILED;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat ours, there;
    // The one before us removes the file; a lock on a removed file locks nobody out.
    if (fcntl(lock->fd, F_SETLK, &whole) == 0 && fstat(lock->fd, &ours) == 0 && stat(path, &there) == 0 &&
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
        return LOCK_TAKEN;
    close(lock->fd);
    return LOCK_BUSY;
#endif
}

static void lock_drop(struct lock *lock) {
#ifdef _WIN32
    CloseHandle(lock->handle);
#else
    unlink(lock->path);
    close(lock->fd);
#endif
}

// ---- one fetch

struct fetch {
    const struct pretrained *p;
    char folder[PATH_SIZE - 96]; // leaves room for the names below
    char path[PATH_SIZE], part[PATH_SIZE], stamp[PATH_SIZE], lock[PATH_SIZE];
    char url[PATH_SIZE];
    char expected[SHA256_HEX_SIZE]; // what the SHA-256 must begin with; "": unknown
    bool *missing;
    bool mirror, quiet, terminal;
    int stall_seconds;
    char *error;
    size_t error_size;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static bool
fail(struct fetch *f, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->error, f->error_size, fmt, args);
    va_end(args);
    return false;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
say(const struct fetch *f, const char *fmt, ...) {
    if (f->quiet)
        return;
    va_list args;
    va_start(args, fmt);
    fputs("cardinal: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

static bool get_regular(const char *path, struct file_status *out) {
    return get_file_status(path, out) && out->kind == FILE_REGULAR;
}

static bool hash_file(const char *path, char hex[SHA256_HEX_SIZE]) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    struct sha256 s;
    sha256_init(&s);
    static const size_t chunk = 1 << 18;
    uint8_t *data = malloc(chunk);
    size_t n = 0;
    while (data && (n = fread(data, 1, chunk, file)) > 0)
        sha256_update(&s, data, n);
    const bool ok = data && !ferror(file);
    free(data);
    fclose(file);
    sha256_finish(&s, hex);
    return ok;
}

static bool hash_fits(const struct fetch *f, const char *hex) {
    return !strncmp(hex, f->expected, strlen(f->expected));
}

static bool stamp_fits(const struct fetch *f, const struct file_status *status) {
    FILE *file = fopen(f->stamp, "r");
    if (!file)
        return false;
    char hex[SHA256_HEX_SIZE] = "";
    struct file_status stamped = {0};
    const bool read = fscanf(file, "%64[0-9a-f] %" SCNd64 " %" SCNd64, hex, &stamped.size, &stamped.mtime) == 3;
    fclose(file);
    return read && strlen(hex) == 64 && hash_fits(f, hex) && stamped.size == status->size &&
           stamped.mtime == status->mtime;
}

// Failure is no harm: the next start computes the hash again. A half-written stamp does not fit.
static void write_stamp(const struct fetch *f, const char *hex) {
    struct file_status status;
    FILE *file = get_regular(f->path, &status) ? fopen(f->stamp, "w") : NULL;
    if (!file)
        return;
    fprintf(file, "%s %" PRId64 " %" PRId64 "\n", hex, status.size, status.mtime);
    fclose(file);
}

enum cached { CACHED, ABSENT, DAMAGED, UNREADABLE };

static enum cached look_into_cache(const struct fetch *f, char hex[SHA256_HEX_SIZE]) {
    struct file_status status;
    if (!get_regular(f->path, &status))
        return ABSENT;
    if (stamp_fits(f, &status))
        return CACHED;
    if (!hash_file(f->path, hex))
        return UNREADABLE;
    if (!hash_fits(f, hex))
        return DAMAGED;
    write_stamp(f, hex);
    return CACHED;
}

// The .part file is complete, as far as the server is concerned.
static bool accept_part(struct fetch *f, bool *wrong_hash) {
    char hex[SHA256_HEX_SIZE];
    *wrong_hash = false;
    if (!hash_file(f->part, hex))
        return fail(f, "cannot read %s: %s", f->part, strerror(errno));
    if (!hash_fits(f, hex)) {
        *wrong_hash = true;
        remove(f->part);
        return fail(f, "%s: wrong content, removed: SHA-256 begins with %.8s, expected %.8s", f->url, hex, f->expected);
    }
    if (!replace_file(f->part, f->path))
        return fail(f, "cannot rename %s: %s", f->part, strerror(errno));
    write_stamp(f, hex);
    return true;
}

static bool download(struct fetch *f) {
    char told[SHA256_HEX_SIZE];
    const struct download d = {
        .sha256 = told,
        .url = f->url,
        .part = f->part,
        .allow_http = f->mirror,
        .progress = f->terminal && !f->quiet,
        .stall_seconds = f->stall_seconds,
    };
    char reason[400] = "";
    say(f, "downloading %s to %s", f->url, f->folder);
    for (int i = 0; i < MAX_TRIES; i++) {
        bool resumed, wrong_hash;
        const enum download_result result = download_run(&d, &resumed, reason, sizeof(reason));
        if (!f->p->sha256_prefix[0] && told[0])
            memcpy(f->expected, told, sizeof told);
        if (result == DOWNLOAD_OK) {
            if (accept_part(f, &wrong_hash))
                return true;
            if (!wrong_hash || !resumed)
                return false;
            say(f, "the file continued from an earlier download is wrong; starting over");
            continue;
        }
        if (f->missing)
            *f->missing = result == DOWNLOAD_MISSING;
        if (result == DOWNLOAD_FAILED || result == DOWNLOAD_MISSING)
            break;
        say(f, "%s%s", reason, i + 1 < MAX_TRIES ? "; going on where it stopped" : "");
        if (i + 1 < MAX_TRIES)
            sleep_ms(500 << i);
    }
    struct file_status status;
    if (get_regular(f->part, &status) && status.size == 0)
        remove(f->part);
    return fail(f, "cannot download %s (%s); you can put that file into %s yourself", f->url, reason, f->folder);
}

// Another process may be fetching the same file: then wait, as long as it gets ahead.
static bool take_lock(struct fetch *f, struct lock *lock) {
    struct file_status before = {.size = -1}, now;
    const int step_ms = 200;
    for (int waited = 0; waited < 2000 * f->stall_seconds; waited += step_ms) {
        const enum lock_result result = lock_take(lock, f->lock);
        if (result == LOCK_TAKEN)
            return true;
        if (result == LOCK_FAILED)
            return fail(f, "cannot write to %s: %s (CARDINAL_CACHE names another cache folder)", f->folder,
                        strerror(errno));
        if (waited == step_ms)
            say(f, "waiting for another process that downloads %s", f->p->file);
        if (get_regular(f->part, &now) && now.size != before.size) {
            before = now;
            waited = waited > step_ms ? 2 * step_ms : waited;
        }
        sleep_ms(step_ms);
    }
    return fail(f, "another process holds %s and gets nowhere", f->lock);
}

static bool set_address(struct fetch *f, const char *base) {
    if (!base)
        base = getenv("CARDINAL_MODEL_URL");
    int n;
    if (base && base[0]) {
        if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
            return fail(f, "CARDINAL_MODEL_URL: \"%s\" does not begin with http:// or https://", base);
        f->mirror = true;
        const size_t length = strlen(base);
        n = snprintf(f->url, sizeof(f->url), "%s%s%s", base, base[length - 1] == '/' ? "" : "/", f->p->file);
    } else {
        n = snprintf(f->url, sizeof(f->url), "%s", f->p->url);
    }
    return (n >= 0 && (size_t)n < sizeof(f->url)) || fail(f, "the address is too long");
}

// `cached` and hex: what the cache was found to hold.
static bool fetch_anew(struct fetch *f, const char *base_url, enum cached cached, char hex[SHA256_HEX_SIZE]) {
    if (!set_address(f, base_url))
        return false;
    if (!download_available())
        return fail(f, "%s is %s and this build cannot download (no libcurl): fetch %s and put it there", f->path,
                    cached == DAMAGED ? "damaged" : "missing", f->url);
    if (!make_folders(f->folder))
        return fail(f, "cannot create %s: %s (CARDINAL_CACHE names another cache folder)", f->folder, strerror(errno));

    struct lock lock = {.path = f->lock};
    if (!take_lock(f, &lock))
        return false;
    cached = look_into_cache(f, hex); // another process may have brought it by now
    if (cached == DAMAGED)            // it stays until the good one replaces it
        say(f, "%s is damaged (SHA-256 begins with %.8s, expected %.8s): fetching it again", f->path, hex, f->expected);
    const bool ok = cached == CACHED || download(f);
    lock_drop(&lock);
    return ok;
}

// ---- the public functions

bool pretrained_folder(char *folder, size_t folder_size, char *error, size_t error_size) {
    return cache_folder("models", folder, folder_size, error, error_size);
}

bool pretrained_is_cached(const struct pretrained *p, char *path, size_t path_size) {
    char folder[PATH_SIZE], error[256];
    struct file_status status;
    return pretrained_folder(folder, sizeof folder, error, sizeof error) &&
           (size_t)snprintf(path, path_size, "%s/%s", folder, p->file) < path_size && get_regular(path, &status);
}

bool pretrained_fetch(const struct pretrained *p, const struct pretrained_options *options, char *path,
                      size_t path_size, char *error, size_t error_size) {
    const struct pretrained_options defaults = {0}, *o = options ? options : &defaults;
    struct fetch f = {
        .p = p,
        .quiet = o->quiet,
        .terminal = stderr_is_terminal(),
        .stall_seconds = o->stall_seconds > 0 ? o->stall_seconds : 30,
        .missing = o->missing,
        .error = error,
        .error_size = error_size,
    };
    memcpy(f.expected, p->sha256_prefix, sizeof p->sha256_prefix);
    if (f.missing)
        *f.missing = false;
    if (error_size)
        error[0] = '\0';
    if (path_size)
        path[0] = '\0';
    if (!o->folder && !pretrained_folder(f.folder, sizeof(f.folder), error, error_size))
        return false;
    if (o->folder && (size_t)snprintf(f.folder, sizeof(f.folder), "%s", o->folder) >= sizeof(f.folder))
        return fail(&f, "the cache folder's path is too long");
    if (strlen(p->file) > 80) // with its endings it must fit what `folder` leaves
        return fail(&f, "%s: the file's name is too long", p->file);
    snprintf(f.path, sizeof(f.path), "%s/%s", f.folder, p->file);
    snprintf(f.part, sizeof(f.part), "%s/%s.part", f.folder, p->file);
    snprintf(f.stamp, sizeof(f.stamp), "%s/%s.verified", f.folder, p->file);
    snprintf(f.lock, sizeof(f.lock), "%s/%s.lock", f.folder, p->file);
    if (strlen(f.path) >= path_size)
        return fail(&f, "the cache folder's path is too long");

    char hex[SHA256_HEX_SIZE];
    const enum cached cached = look_into_cache(&f, hex);
    if (cached == UNREADABLE)
        return fail(&f, "cannot read %s: %s", f.path, strerror(errno));
    if (cached != CACHED && !fetch_anew(&f, o->base_url, cached, hex))
        return false;
    snprintf(path, path_size, "%s", f.path);
    return true;
}
