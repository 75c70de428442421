// choice.c - see choice.h.
#include "classify/choice.h"

#include <stdio.h>
#include <string.h>

#include "pretrained/pretrained.h"

void choices_add_model(struct choices *c, const char *name) {
    for (int i = 0; i < c->num_models; i++)
        if (!strcmp(c->models[i], name))
            return;
    if (c->num_models < MAX_MODELS && strlen(name) < sizeof c->models[0])
        snprintf(c->models[c->num_models++], sizeof c->models[0], "%s", name);
}

void choices_open(struct choices *c, const char *model, cdl_precision precision) {
    const struct pretrained *p;
    choices_add_model(c, ""); // the bundled one
    if (model)
        choices_add_model(c, model);
    for (int i = 0; (p = pretrained_at(i)); i++)
        if (p->is_default)
            choices_add_model(c, p->arch);
    c->current.precision = precision;
    if (model)
        snprintf(c->current.model, sizeof c->current.model, "%s", model);
}
