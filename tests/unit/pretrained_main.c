// Drives apps/cardinal/pretrained/pretrained.c for tests/unit/test_pretrained.py, which brings server and expectations.
//
//   pretrained_main sha256                                    of standard input
//   pretrained_main find NAME                                 the table's entry, one line
//   pretrained_main recipe FILE                               by file name
//   pretrained_main folder
//   pretrained_main fetch FILE SHA_PREFIX FOLDER URL MIRROR STALL   "-": the default
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pretrained/pretrained.h"
#include "pretrained/sha256.h"

static int print_sha256(void) {
    struct sha256 s;
    char data[977], hex[SHA256_HEX_SIZE]; // a size that meets every state of the block buffer
    size_t n;
    sha256_init(&s);
    while ((n = fread(data, 1, sizeof(data), stdin)) > 0)
        sha256_update(&s, data, n);
    sha256_finish(&s, hex);
    puts(hex);
    return 0;
}

static int print_entry(const struct pretrained *p) {
    if (!p) {
        puts("none");
        return 1;
    }
    printf("%s %s", p->name, p->file);
    for (int i = 0; i < PRETRAINED_RECIPE_PAIRS; i++)
        printf(" %s=%s", p->recipe[i].key, p->recipe[i].value);
    putchar('\n');
    return 0;
}

static const char *given(const char *argument) { return strcmp(argument, "-") ? argument : NULL; }

static int fetch(char **a) {
    char path[1024], error[1024];
    struct pretrained p = {.name = "test", .arch = "test", .version = "v1", .file = a[0], .url = a[3]};
    snprintf(p.sha256_prefix, sizeof(p.sha256_prefix), "%s", a[1]);
    const struct pretrained_options o = {.folder = given(a[2]), .base_url = given(a[4]), .stall_seconds = atoi(a[5])};
    if (!pretrained_fetch(&p, &o, path, sizeof(path), error, sizeof(error))) {
        fprintf(stderr, "error: %s\n", error);
        return 1;
    }
    puts(path);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "sha256"))
        return print_sha256();
    if (!strcmp(mode, "find") && argc == 3)
        return print_entry(pretrained_find(argv[2]));
    if (!strcmp(mode, "recipe") && argc == 3)
        return print_entry(pretrained_find_file(argv[2]));
    if (!strcmp(mode, "fetch") && argc == 8)
        return fetch(argv + 2);
    if (!strcmp(mode, "folder")) {
        char folder[1024], error[256];
        const bool ok = pretrained_folder(folder, sizeof(folder), error, sizeof(error));
        puts(ok ? folder : error);
        return !ok;
    }
    fputs("usage: see the top of pretrained_main.c\n", stderr);
    return 2;
}
