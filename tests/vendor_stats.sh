#!/bin/sh
# vendor_stats.sh - what the compilers of GPUs that are not here make of the kernels: writes docs/results/vendor-shaders.md.
#
#   tests/vendor_stats.sh BUILD [DEVICE...]    BUILD: a build folder with shader_stats; without DEVICE: every one
#
# Drivers run without hardware through ../shared/tools/vendor-lab (LAB_LIBRARIES names a folder of libraries that its root
# lacks, if any, and can be seen there); without that tool nothing is done and the exit status is 77. It is 1 when a kernel
# spills registers to memory or does not compile. The same drivers write the same file: a kernel that got worse shows in its
# diff.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
lab=$root/../shared/tools/vendor-lab
[ -x "$lab" ] || { echo "vendor_stats.sh: no ../shared/tools/vendor-lab, nothing done"; exit 77; }
[ $# -ge 1 ] || { sed -n '4p' "$0" >&2; exit 2; }
cd "$1"
shift
[ $# -gt 0 ] || set -- nvk-volta nvk-turing nvk-ampere nvk-ada radv-polaris radv-vega radv-rdna1 radv-rdna2 radv-rdna3 radv-rdna4 \
    apple-m1 adreno-630 adreno-740
out=vendor-shaders.md
status=0
{
    echo "# Kernels as compiled for GPUs"
    echo
    echo "Every kernel that may run a layer of resnext50_32x4d or resnext101_32x8d at 224x224, and those that train them, compiled by Mesa's drivers without"
    echo "hardware; written by tests/vendor_stats.sh. NVK, RADV and the others are not the vendors' own drivers: the"
    echo "numbers rank variants of a kernel, they predict no time. Occupancy, instructions and cycles are counted as each driver counts"
    echo "them; \"-\" is what it does not tell. A kernel's name shows its tile (shaders/include/NAME_constants.h says how); kernels of"
    echo "one name differ in what the layer is."
    echo
    echo "Drivers: Mesa $("$lab" sh dpkg-query -W -f '${Version}' mesa-vulkan-drivers)"
} >"$out"
for device; do
    printf '\n## %s\n\n' "$device" >>"$out"
    if "$lab" "$device" env LD_LIBRARY_PATH="${LAB_LIBRARIES-}" ./shader_stats >>"$out" 2>vendor-stats.log; then
        echo "$device: no spills"
    else
        code=$?
        echo "$device: exit status $code"
        awk -F'|' '$5 + 0 > 0 || /did not compile/ { print "  " $2 $5 }' "$out" | tail -3
        tail -3 vendor-stats.log
        [ "$code" = 77 ] && echo "no statistics" >>"$out" || status=1
    fi
done
mkdir -p "$root/docs/results"
cp "$out" "$root/docs/results/vendor-shaders.md"
exit $status
