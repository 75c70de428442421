#!/bin/bash
# Builds Cardinal into build/, installing what is missing on Debian and Ubuntu, and classifies a picture.
#
#   apps/run.sh                     the bundled picture, with the bundled model
#   apps/run.sh ARGUMENT...         build/cardinal ARGUMENT...
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/third_party/packages.sh"

# shellcheck disable=SC2086
install_packages $packages_build
if [ ! -e "$root/build/build.ninja" ]; then
    echo "Configuring build/"
    # Tests need more packages; tests/run.sh switches them on.
    cmake -S "$root" -B "$root/build" -G Ninja -DCARDINAL_TESTS=OFF >/dev/null
fi
echo "Building build/cardinal"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ninja -C "$root/build" cardinal >"$log" 2>&1 || { cat "$log"; exit 1; }

if [ $# -gt 0 ]; then
    "$root/build/cardinal" "$@"
else
    echo "build/cardinal classify apps/pictures/chelsea.png"
    cd "$root" && build/cardinal classify apps/pictures/chelsea.png
fi
