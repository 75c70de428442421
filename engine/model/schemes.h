// schemes.h - the table of names under which ResNets are found; the language stands in schemes.c.
#ifndef CDL_MODEL_SCHEMES_H_
#define CDL_MODEL_SCHEMES_H_

#include "model/model.h"

// ---- scheme.c: the language

struct cdl_scheme {
    char *text; // malloc'd, cut into words
    struct cdl_rule *rules;
    int count;
};
enum { CDL_MAX_NAME = 200 }; // longer names are left as they are

// Reads rules; `what` names their source in messages. CDL_ERR_INVALID: a line is malformed. Free in any case.
cdl_result cdl_scheme_read(struct cdl_scheme *out, const char *text, const char *what, const cdl_log *log);
void cdl_scheme_free(struct cdl_scheme *scheme);

enum cdl_place { CDL_PLACE_NONE, CDL_PLACE_FOUND, CDL_PLACE_OUTSIDE };
// What torchvision calls the module `path`; OUTSIDE: it is no part of the network.
enum cdl_place cdl_scheme_map(const struct cdl_scheme *scheme, const char *path, char out[CDL_MAX_NAME]);

// ---- schemes.c: the table

extern const char cdl_schemes[];

// What networks whose classifier has this name do where a shortcut has no weights. Names alone cannot tell; metadata
// shortcut decides, and without it this does, with a warning.
struct cdl_weightless {
    const char *head; // NULL: the end
    enum cdl_shortcut shortcut;
    const char *value;  // of metadata
    const char *origin; // for the warning
};
extern const struct cdl_weightless cdl_weightless[];

#endif // CDL_MODEL_SCHEMES_H_
