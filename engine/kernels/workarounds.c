// workarounds.c - see workarounds.h.
//
// We know of no report upstream for any of these. Who finds one, or makes one, puts its link into `source`.
#include "kernels/workarounds.h"

#include "base/base.h"

const struct cdl_workaround cdl_workaround_table[] = {
    {
        .name = "few registers",
        .drivers = {CDL_DRIVER_HONEYKRISP, CDL_DRIVER_KOSMICKRISP}, // Apple's GPUs, whatever vendor they name
        .vendors = {CDL_VENDOR_APPLE, CDL_VENDOR_QUALCOMM, CDL_VENDOR_ARM, CDL_VENDOR_IMAGINATION, CDL_VENDOR_BROADCOM},
        .flags = CDL_FEW_REGISTERS,
        .versions = "all: it is the hardware",
        .behaviour = "64 sums an invocation do not fit the registers",
        .answer = "conv_tiled, conv_half and the conv_grouped that need no matrix units offer smaller tiles only "
                  "(engine/kernels)",
        .source = "Apple's M1 by Mesa's compiler, docs/results/vendor-shaders.md; the others by likeness",
    },
    {
        .name = "factors twice",
        .vendors = {CDL_VENDOR_AMD},
        .flags = CDL_FACTORS_TWICE,
        .versions = "RDNA 3; later ones do not, but cannot be told from it",
        .behaviour = "both halves of a subgroup of 32 hold the whole of each factor of a product of matrices",
        .answer = "conv_persist counts registers so (engine/kernels/rank.c)",
        .source = "RADV on RDNA 3, docs/results/vendor-shaders.md; AMD's \"RDNA3 Instruction Set Architecture\", WMMA",
    },
    {
        .name = "128 registers",
        .vendors = {CDL_VENDOR_INTEL},
        .flags = CDL_128_REGISTERS,
        .versions = "Xe HPG, Xe 2",
        .behaviour = "an invocation has 128 registers at the subgroup size that matrix units want",
        .answer = "conv_persist offers tiles that fit (engine/kernels/rank.c)",
        .source = "Intel's \"Xe HPG\" and \"Xe2\" Programmer's Reference Manuals, general register file; not measured",
    },
    {
        .name = "small tiles",
        .drivers = {CDL_DRIVER_SWIFTSHADER},
        .flags = CDL_SMALL_TILES,
        .versions = "5.0.0, Chromium's",
        .behaviour = "many sums an invocation, which save loads, make a kernel no faster",
        .answer = "conv_direct ranks before conv_grouped; conv_lanes does not count loads (engine/kernels/rank.c)",
        .source = "measured when the families were ranked; no numbers were kept",
    },
    {
        .name = "references cannot be cast",
        .drivers = {CDL_DRIVER_SWIFTSHADER},
        .versions = "5.0.0, Chromium's",
        .behaviour = "it cannot cast one type of buffer reference to another",
        .answer = "push constants hold addresses as uvec2, from which shaders make references "
                  "(shaders/include/params.h)",
        .source = "found by test_kernels",
    },
    {
        .name = "queue families are counted first",
        .drivers = {CDL_DRIVER_SWIFTSHADER},
        .versions = "5.0.0, Chromium's",
        .behaviour =
            "vkGetPhysicalDeviceQueueFamilyProperties writes the number of families only where it is asked for "
            "nothing else",
        .answer = "two calls, although there is room for every family (engine/vulkan/select.c)",
        .source = "found by asking for 16 families: the number stays 16, and there is one",
    },
    {
        .name = "unused descriptors are read",
        .drivers = {CDL_DRIVER_LAVAPIPE},
        .versions = "22.3.6",
        .behaviour =
            "binding a set reads all its descriptors, also those that no shader uses and whose objects are gone",
        .answer = "a host's views and its buffers have descriptor sets of their own (engine/session/host_run.c)",
        .source = "found by test_vulkan_runs",
    },
    {
        .name = "a subgroup's barrier is the workgroup's",
        .drivers = {CDL_DRIVER_LAVAPIPE},
        .versions = "26.2",
        .behaviour = "a subgroup's barrier waits for all subgroups of the workgroup",
        .answer = "subgroups without work make as many turns as the others "
                  "(shaders/conv/conv_pair_coop.comp, conv_grouped_coop.comp)",
        .source = "found by test_kernels and test_pairs",
    },
    {
        .name = "unrolling decides about registers",
        .drivers = {CDL_DRIVER_NVK},
        .versions = "26.2.6",
        .behaviour =
            "sums that a loop indexes do not stay in registers; a loop over weights, unrolled, wants more than "
            "there are",
        .answer = "[[unroll]] and [[dont_unroll]] (shaders/conv/conv_pair_coop.comp, conv_grouped_coop.comp)",
        .source = "docs/results/vendor-shaders.md, nvk-turing",
    },
};
const int cdl_num_workarounds = CDL_COUNT(cdl_workaround_table);

static bool holds(const uint32_t *list, size_t count, uint32_t number) {
    for (size_t i = 0; i < count && list[i]; i++)
        if (list[i] == number)
            return true;
    return false;
}

bool cdl_workaround_applies(const struct cdl_workaround *w, const struct cdl_caps *caps) {
    return holds(w->drivers, CDL_COUNT(w->drivers), caps->driver_id) ||
           holds(w->vendors, CDL_COUNT(w->vendors), caps->vendor_id);
}

uint32_t cdl_workarounds(const struct cdl_caps *caps) {
    uint32_t flags = 0;
    for (int i = 0; i < cdl_num_workarounds; i++)
        if (cdl_workaround_applies(&cdl_workaround_table[i], caps))
            flags |= cdl_workaround_table[i].flags;
    return flags;
}
