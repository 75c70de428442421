// Downloads with libcurl. Plain file servers give no reliable ETag to guard a resumed file with, so the
// caller's hash of the whole is what decides; this file only sees to it that bytes land where they belong.
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif
#include "pretrained/download.h"

#include <stdio.h>

bool download_available(void) {
#ifdef CARDINAL_HAVE_CURL
    return true;
#else
    return false;
#endif
}

#ifndef CARDINAL_HAVE_CURL

enum download_result download_run(const struct download *d, bool *resumed, char *error, size_t error_size) {
    (void)d;
    *resumed = false;
    snprintf(error, error_size, "this build cannot download: it was made without libcurl");
    return DOWNLOAD_FAILED;
}

bool download_to_memory(const struct download *d, uint8_t **data, size_t *size, char *error, size_t error_size) {
    (void)d;
    *data = NULL;
    *size = 0;
    snprintf(error, error_size, "this build cannot download: it was made without libcurl");
    return false;
}

void download_prepare(void) {}

#else

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "app.h"

static const int64_t default_max_bytes = (int64_t)4 << 30; // the largest published file has 0.5 GB

struct transfer {
    const struct download *d;
    CURL *curl;
    FILE *file;    // NULL: into memory
    uint8_t *data; // malloc'd
    size_t capacity;
    int64_t max_bytes;
    int64_t offset;        // bytes the file had before
    int64_t received;      // bytes added to it
    int64_t range_start;   // of the answer's Content-Range; -1: none
    bool resumed, started; // started: the first bytes of the body were seen and judged
    double start_time, draw_time;
    char local_error[160]; // why we stopped it ourselves
};

static double now_seconds(void) { return now_ms() / 1e3; }

static void draw_progress(struct transfer *t, int64_t total, bool last) {
    const double now = now_seconds();
    if (!t->d->progress || (!last && now - t->draw_time < 0.1))
        return;
    t->draw_time = now;

    const int64_t have = t->offset + t->received;
    const double seconds = now - t->start_time;
    const double rate = seconds > 0 ? (double)t->received / seconds : 0; // bytes per second
    char line[128];
    if (total < have || total <= 0) {
        snprintf(line, sizeof(line), "%.1f MB   %.1f MB/s", (double)have / 1e6, rate / 1e6);
    } else {
        enum { WIDTH = 24 };
        const int full = (int)(WIDTH * have / total);
        char bar[WIDTH + 1], eta[24] = "";
        for (int i = 0; i < WIDTH; i++)
            bar[i] = i < full ? '=' : i == full ? '>' : ' ';
        bar[WIDTH] = '\0';
        const double left = rate > 0 ? (double)(total - have) / rate : 0;
        if (left > 0 && left < 360000)
            snprintf(eta, sizeof(eta), "   %d:%02d left", (int)left / 60, (int)left % 60);
        snprintf(line, sizeof(line), "[%s] %3d %%   %.1f of %.1f MB   %.1f MB/s%s", bar, (int)(100 * have / total),
                 (double)have / 1e6, (double)total / 1e6, rate / 1e6, eta);
    }
    fprintf(stderr, "\r%-78s", line); // spaces wipe what a longer line left; no escape codes needed
    if (last)
        fputc('\n', stderr);
    fflush(stderr);
}

static int on_progress(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    (void)now, (void)up_total, (void)up_now;
    struct transfer *t = ctx;
    if (t->started)
        draw_progress(t, total > 0 ? t->offset + total : -1, false);
    return 0;
}

// Is `line` the header `name` (lower case, with its colon)? Then its value, else NULL.
static const char *header_value(const char *line, size_t size, const char *name) {
    const size_t n = strlen(name);
    if (size < n)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (tolower((unsigned char)line[i]) != name[i])
            return NULL;
    return line + n;
}

// Hugging Face's hub answers for a large file with a redirect that tells the file's SHA-256, in quotes.
static void keep_sha256(const struct download *d, const char *line) {
    const char *value = d->sha256 ? header_value(line, strlen(line), "x-linked-etag:") : NULL;
    if (!value)
        return;
    value += strspn(value, " \"");
    if (strspn(value, "0123456789abcdef") == 64) {
        memcpy(d->sha256, value, 64);
        d->sha256[64] = 0;
    }
}

static size_t on_header(char *line, size_t one, size_t size, void *ctx) {
    (void)one; // always 1, as libcurl documents
    struct transfer *t = ctx;
    char text[128];
    snprintf(text, sizeof(text), "%.*s", (int)(size < sizeof(text) ? size : sizeof(text) - 1), line);
    if (header_value(text, strlen(text), "http/"))
        t->range_start = -1; // a new answer, after a redirect
    keep_sha256(t->d, text);
    const char *value = header_value(text, strlen(text), "content-range:");
    if (value) {
        while (*value == ' ')
            value++;
        if (header_value(value, strlen(value), "bytes "))
            t->range_start = strtoll(value + strlen("bytes "), NULL, 10);
    }
    return size;
}

static size_t refuse(struct transfer *t, const char *reason) {
    snprintf(t->local_error, sizeof(t->local_error), "%s", reason);
    return 0; // libcurl takes it for a write error and stops
}

// Before the first byte is written: does this body continue the file, or begin it?
static bool judge_answer(struct transfer *t) {
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->started = true;
    if (status == 206 && t->resumed && t->range_start == t->offset)
        return true;
    if (status == 206)
        return refuse(t, "the server sent another range than the one asked for"), false;
    if (status != 200) { // such as a redirect that leads nowhere
        char reason[64];
        snprintf(reason, sizeof(reason), "the server answers with HTTP status %ld", status);
        return refuse(t, reason), false;
    }
    if (t->resumed) { // the server ignores ranges and sends the whole again
        t->resumed = false;
        t->offset = 0;
        t->file = freopen(t->d->part, "wb", t->file);
        if (!t->file)
            return refuse(t, strerror(errno)), false;
    }
    return true;
}

static bool keep_in_memory(struct transfer *t, const char *data, size_t size) {
    const size_t used = (size_t)t->received;
    while (t->capacity - used < size) {
        const size_t capacity = t->capacity ? 2 * t->capacity : 1 << 16;
        uint8_t *larger = realloc(t->data, capacity);
        if (!larger)
            return false;
        t->data = larger;
        t->capacity = capacity;
    }
    memcpy(t->data + used, data, size);
    return true;
}

static size_t on_data(char *data, size_t one, size_t size, void *ctx) {
    (void)one;
    struct transfer *t = ctx;
    if (!t->started && !judge_answer(t))
        return 0;
    if (t->offset + t->received > t->max_bytes - (int64_t)size) {
        char reason[80];
        snprintf(reason, sizeof(reason), "the file is larger than %lld MiB", (long long)(t->max_bytes >> 20));
        return refuse(t, reason);
    }
    if (!t->file && !keep_in_memory(t, data, size))
        return refuse(t, "not enough memory");
    if (t->file && fwrite(data, 1, size, t->file) != size)
        return refuse(t, strerror(errno));
    t->received += (int64_t)size;
    return size;
}

static void set_options(struct transfer *t, char *reason) {
    CURL *c = t->curl;
    const struct download *d = t->d;
    curl_easy_setopt(c, CURLOPT_URL, d->url);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "cardinal");
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, d->allow_http ? "http,https" : "https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, d->allow_http ? "http,https" : "https");
#else
    const long protocols = CURLPROTO_HTTPS | (d->allow_http ? CURLPROTO_HTTP : 0);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, protocols);
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, protocols);
#endif
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 15L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 100L); // bytes per second
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)d->stall_seconds);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)d->max_seconds);
    curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max_bytes); // where the server says the size
    if (t->resumed) { // not CURLOPT_RESUME_FROM: it fails where a server ignores ranges
        char range[32];
        snprintf(range, sizeof(range), "%lld-", (long long)t->offset);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
}

static enum download_result transfer(struct transfer *t, char *error, size_t error_size) {
    char reason[CURL_ERROR_SIZE] = "";
    set_options(t, reason);
    t->start_time = now_seconds();
    const CURLcode code = curl_easy_perform(t->curl);
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, NULL); // the handle outlives it

    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->started)
        draw_progress(t, code == CURLE_OK ? t->offset + t->received : -1, true);
    if (t->local_error[0]) {
        snprintf(error, error_size, "%s", t->local_error);
        return DOWNLOAD_FAILED;
    }
    if (status == 416 && t->resumed)
        return DOWNLOAD_OK; // the file ends where we would go on
    if (code == CURLE_HTTP_RETURNED_ERROR || (code == CURLE_OK && status != 200 && status != 206)) {
        snprintf(error, error_size, "the server answers with HTTP status %ld", status);
        return status == 404 || status == 410 ? DOWNLOAD_MISSING : DOWNLOAD_FAILED;
    }
    if (code != CURLE_OK) {
        snprintf(error, error_size, "%s", reason[0] ? reason : curl_easy_strerror(code));
        // After a stall the user has waited long enough; the next run goes on from here.
        return t->received && code != CURLE_OPERATION_TIMEDOUT ? DOWNLOAD_INTERRUPTED : DOWNLOAD_FAILED;
    }
    return DOWNLOAD_OK;
}

enum download_result download_run(const struct download *d, bool *resumed, char *error, size_t error_size) {
    struct transfer t = {.d = d, .range_start = -1, .max_bytes = d->max_bytes ? d->max_bytes : default_max_bytes};
    enum download_result result = DOWNLOAD_FAILED;
    *resumed = false;
    if (d->sha256)
        d->sha256[0] = 0;

    t.file = fopen(d->part, "ab");
    if (!t.file) {
        snprintf(error, error_size, "%s: %s", d->part, strerror(errno));
        return DOWNLOAD_FAILED;
    }
#ifdef _WIN32
    _fseeki64(t.file, 0, SEEK_END);
    t.offset = _ftelli64(t.file);
#else
    fseeko(t.file, 0, SEEK_END);
    t.offset = ftello(t.file);
#endif
    t.resumed = t.offset > 0;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        t.curl = curl_easy_init();
        if (t.curl)
            result = transfer(&t, error, error_size);
        else
            snprintf(error, error_size, "libcurl cannot start");
        curl_easy_cleanup(t.curl);
        curl_global_cleanup();
    } else {
        snprintf(error, error_size, "libcurl cannot start");
    }

    if (t.file && fclose(t.file) != 0 && result == DOWNLOAD_OK) { // the last bytes did not fit the disk
        snprintf(error, error_size, "%s", strerror(errno));
        result = DOWNLOAD_FAILED;
    }
    *resumed = t.resumed;
    return result;
}

void download_prepare(void) {
    static bool done;
    if (!done)
        done = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool download_to_memory(const struct download *d, uint8_t **data, size_t *size, char *error, size_t error_size) {
    struct transfer t = {.d = d, .range_start = -1, .max_bytes = d->max_bytes ? d->max_bytes : default_max_bytes};
    bool ok = false;
    t.curl = curl_easy_init();
    if (!t.curl)
        snprintf(error, error_size, "libcurl cannot start");
    else
        ok = transfer(&t, error, error_size) == DOWNLOAD_OK;
    curl_easy_cleanup(t.curl);
    if (ok && t.received == 0) {
        snprintf(error, error_size, "the server sends an empty file");
        ok = false;
    }
    if (!ok) {
        free(t.data);
        t.data = NULL;
    }
    *data = t.data;
    *size = ok ? (size_t)t.received : 0;
    return ok;
}

#endif // CARDINAL_HAVE_CURL
