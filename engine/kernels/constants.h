// constants.h - makes of a shader's list of specialization constants, for the C file that fills them in, an enum of
// their ids and the table `constants` for its struct cdl_shader. Before it is included:
//
//     #define CONSTANTS "NAME_constants.h"
enum {
#define CONSTANT(id, name, default_value, shown) name = id,
#include CONSTANTS
#undef CONSTANT
    NUM_CONSTANTS
};

static const struct cdl_constant constants[] = {
#define CONSTANT(id, name, default_value, shown) {#name, default_value, shown},
#include CONSTANTS
#undef CONSTANT
};
_Static_assert((int)NUM_CONSTANTS <= (int)CDL_MAX_CONSTANTS && CDL_COUNT(constants) == (size_t)NUM_CONSTANTS,
               CONSTANTS);
