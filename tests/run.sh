#!/bin/bash
# Builds Cardinal with its tests into build/, installing what is missing on Debian and Ubuntu, and runs them all: what needs no
# device, then the rest on each CPU driver of Vulkan at hand, under the Khronos validation layer with synchronization checks.
#
#   tests/run.sh [CTEST ARGUMENT...]     for example: tests/run.sh -R test_layers
# Exit status 0: all passed. The last line counts test programs, once for each driver.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build
. "$root/third_party/packages.sh"

# shellcheck disable=SC2086
install_packages $packages_build $packages_test
# shellcheck disable=SC2086
install_packages $packages_demo $packages_demo_test || echo "SKIPPED: the desktop demo is neither built nor tested"
# shellcheck disable=SC2086
install_packages $packages_swiftshader || echo "SKIPPED: no SwiftShader on this machine; lavapipe alone runs the device tests"

cmake -S "$root" -B "$build" -G Ninja -DCARDINAL_TESTS=ON >/dev/null
echo "Building into build/"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ninja -C "$build" >"$log" 2>&1 || { cat "$log"; exit 1; }

# What a developer's shell may have set, and must not choose what is tested.
unset CARDINAL_DEVICE VK_ICD_FILENAMES VK_ADD_DRIVER_FILES VK_INSTANCE_LAYERS VK_LOADER_LAYERS_ENABLE
export CARDINAL_TEST_VALIDATION=${CARDINAL_TEST_VALIDATION-required}

passed=0 failed=0 skipped=0
run() { # run NAME LABEL [CTEST ARGUMENT...]
    local name=$1 label=$2 start=$SECONDS; shift 2
    echo "== $name"
    ctest --test-dir "$build" -L "$label" -j 2 --output-on-failure --no-tests=ignore "$@" 2>&1 | tee "$log" | grep -vE '^(Internal ctest|Test project|    +Start|$)' || true
    passed=$((passed + $(grep -cE 'Test +#[0-9]+:.* Passed ' "$log" || true)))
    skipped=$((skipped + $(grep -cE 'Test +#[0-9]+:.*\*\*\*Skipped' "$log" || true)))
    failed=$((failed + $(grep -E 'Test +#[0-9]+:' "$log" | grep -cvE ' Passed |\*\*\*Skipped' || true)))
    echo "== $name: $((SECONDS - start)) s"
}

run "without a device" unit "$@"
drivers=0
for driver in lavapipe=/usr/share/vulkan/icd.d/lvp_icd*.json SwiftShader=/usr/lib/chromium/vk_swiftshader_icd.json; do
    name=${driver%%=*}
    for file in ${driver#*=}; do
        if [ -e "$file" ]; then
            if [ $drivers = 0 ]; then
                VK_DRIVER_FILES=$file run "on $name" device "$@"
            else
                VK_DRIVER_FILES=$file run "on $name" device -LE once "$@"
            fi
            drivers=$((drivers + 1))
        fi
    done
done
if [ $drivers = 0 ]; then
    echo "FAILED: no Vulkan driver to test with; install mesa-vulkan-drivers"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
