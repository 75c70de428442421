// workarounds.h - what the engine does because of how one driver or one vendor's GPUs behave, all of it in one table.
#ifndef CDL_WORKAROUNDS_H_
#define CDL_WORKAROUNDS_H_

#include "kernels/caps.h"

// What the choice of kernels asks about.
enum {
    CDL_FEW_REGISTERS = 1, // 64 fp32 sums an invocation outgrow the registers
    CDL_SMALL_TILES = 2,   // many sums an invocation, which reuse what was loaded, do not pay
    CDL_FACTORS_TWICE = 4, // a subgroup's registers hold each factor of a product of matrices twice
    CDL_128_REGISTERS = 8, // of 32 bits has an invocation of the subgroups that matrix units want
};

// Vulkan's registered numbers, VkDriverId and VkPhysicalDeviceProperties.vendorID, of those that the table names.
enum {
    CDL_DRIVER_SWIFTSHADER = 10,
    CDL_DRIVER_LAVAPIPE = 13,
    CDL_DRIVER_NVK = 24,
    CDL_DRIVER_HONEYKRISP = 26,
    CDL_DRIVER_KOSMICKRISP = 28,
    CDL_VENDOR_AMD = 0x1002,
    CDL_VENDOR_IMAGINATION = 0x1010,
    CDL_VENDOR_APPLE = 0x106B,
    CDL_VENDOR_ARM = 0x13B5,
    CDL_VENDOR_BROADCOM = 0x14E4,
    CDL_VENDOR_QUALCOMM = 0x5143,
    CDL_VENDOR_INTEL = 0x8086,
};

struct cdl_workaround {
    const char *name;
    uint32_t drivers[3], vendors[6]; // it is for a device that has one of these; 0: no more
    uint32_t flags;                  // what cdl_workarounds tells of such a device; 0: nothing, every device gets it
    const char *versions;            // in which it was seen
    const char *behaviour;           // theirs
    const char *answer;              // ours, with the file that has it
    const char *source;              // the report upstream, or where it was measured
};
extern const struct cdl_workaround cdl_workaround_table[];
extern const int cdl_num_workarounds;

bool cdl_workaround_applies(const struct cdl_workaround *workaround, const struct cdl_caps *caps);

// CDL_FEW_REGISTERS and the like, together.
uint32_t cdl_workarounds(const struct cdl_caps *caps);

#endif // CDL_WORKAROUNDS_H_
