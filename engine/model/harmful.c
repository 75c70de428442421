// What a pickle names so that Python runs code when it loads the file. Here nothing is run; but who has such a file in
// hand wants to know.
#include <string.h>

#include "model/pickle.h"

// Modules that run programs or code, or reach files and the network. Whole checkpoints have none of them.
static const char *const MODULES[] = {
    "os",         "posix",  "nt",   "subprocess", "sys",       "socket",   "shutil",   "runpy",    "pty",
    "webbrowser", "ctypes", "code", "codeop",     "importlib", "commands", "bdb",      "pdb",      "asyncio",
    "urllib",     "http",   "pip",  "cffi",       "timeit",    "cProfile", "platform", "tempfile",
};

static const char *const BUILTINS[] = {"eval", "exec",       "execfile",   "compile",
                                       "open", "__import__", "breakpoint", "input"};

static bool is_one_of(const char *text, size_t length, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0)
            return true;
    return false;
}

// Appends what is printable in ASCII, as far as it fits.
static void append(char *out, size_t size, const char *text, size_t length) {
    size_t used = strlen(out);
    for (size_t i = 0; i < length && used + 1 < size; i++)
        out[used++] = text[i] > ' ' && text[i] < 127 ? text[i] : '?';
    out[used] = 0;
}

void cdl_pickle_note_harmful(struct cdl_pickle *p, const char *module, size_t module_length, const char *name,
                             size_t name_length) {
    const char *dot = memchr(module, '.', module_length); // "os.path"
    const size_t package = dot ? (size_t)(dot - module) : module_length;
    const bool builtin = is_one_of(module, module_length, (const char *const[]){"builtins", "__builtin__"}, 2);
    const bool harmful = is_one_of(module, package, MODULES, CDL_COUNT(MODULES)) ||
                         (builtin && is_one_of(name, name_length, BUILTINS, CDL_COUNT(BUILTINS)));
    if (p->harmful[0] || !harmful)
        return;
    append(p->harmful, sizeof(p->harmful), module, module_length);
    append(p->harmful, sizeof(p->harmful), ".", 1);
    append(p->harmful, sizeof(p->harmful), name, name_length);
}
