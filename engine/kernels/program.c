#include "kernels/program.h"

#include <string.h>

#include "base/cache.h"

const struct cdl_constant cdl_workgroup_constant[1] = {{"WORKGROUP", 64, ""}};

bool cdl_program_equal(const struct cdl_program *a, const struct cdl_program *b) {
    return !strcmp(a->shader->name, b->shader->name) && a->fp16 == b->fp16 && a->host_input == b->host_input &&
           a->subgroup_size == b->subgroup_size &&
           !memcmp(a->constants, b->constants, (size_t)a->shader->num_constants * sizeof *a->constants);
}

uint64_t cdl_program_id(const struct cdl_program *p) {
    const uint32_t head[] = {p->fp16, p->host_input, p->subgroup_size};
    uint64_t hash = cdl_hash(CDL_HASH_START, p->shader->name, strlen(p->shader->name));
    hash = cdl_hash(hash, head, sizeof head);
    hash = cdl_hash(hash, p->constants, (size_t)p->shader->num_constants * sizeof *p->constants);
    return hash ? hash : 1;
}

// Appends to text[size] what is printed.
static void append(char *text, size_t size, const char *format, uint32_t value) {
    const size_t used = strlen(text);
    cdl_format_text(text + used, size - used, format, value);
}

void cdl_program_name(const struct cdl_program *p, char out[CDL_PROGRAM_NAME]) {
    cdl_format_text(out, CDL_PROGRAM_NAME, "%s", p->shader->name);
    for (int i = 0; i < p->shader->num_constants; i++) {
        const struct cdl_constant *c = &p->shader->constants[i];
        const bool optional = c->shown[0] == '?';
        if (c->shown[0] && !(optional && p->constants[i] == c->default_value))
            append(out, CDL_PROGRAM_NAME, c->shown + optional, p->constants[i]);
    }
}

void cdl_program_text(const struct cdl_program *p, char out[CDL_PROGRAM_TEXT]) {
    cdl_format_text(out, CDL_PROGRAM_TEXT, "%s %s", p->shader->name, p->fp16 ? "fp16" : "fp32");
    if (p->subgroup_size)
        append(out, CDL_PROGRAM_TEXT, " subgroups of %u", p->subgroup_size);
    for (int i = 0; i < p->shader->num_constants; i++) {
        const size_t used = strlen(out);
        cdl_format_text(out + used, CDL_PROGRAM_TEXT - used, " %s=%u", p->shader->constants[i].name, p->constants[i]);
    }
}
