// plugin.c - a shared library of a host's that holds the static library.
#include <cdl/cdl.h>

const char *plugin_version(void);
const char *plugin_version(void) { return cdl_version(); }
