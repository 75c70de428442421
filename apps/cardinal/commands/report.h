// report.h - results as text, JSON Lines and CSV.
#ifndef CARDINAL_REPORT_H_
#define CARDINAL_REPORT_H_

#include <jansson.h>

#include "commands/runner.h"

struct report {
    FILE *file;
    enum output_format format;
    const struct loaded_model *model;
    const char *device;
    const char *precision;
    int topk;
};

void report_begin(const struct report *r); // CSV's header
void report_picture(const struct report *r, const struct outcome *o);

struct version_text {
    char text[32];
};
struct version_text version_text(uint32_t api_version); // of Vulkan: "1.3.239"

// A JSON string of text in any encoding: bytes that are not UTF-8 become U+FFFD.
json_t *json_text(const char *text);
// Once, before anything else of jansson, which does not look at all its allocations: where memory runs out in it, the
// program ends with a message and EXIT_SOME_FAILED. So no function of it gives NULL for want of memory.
void json_prepare(void);
// One object on its own line, floats with 9 significant digits (each fp32 value its own); frees it.
void json_line(FILE *file, json_t *object);

#endif // CARDINAL_REPORT_H_
