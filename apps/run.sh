#!/bin/bash
# Builds Cardinal into build/, installing what is missing on Debian and Ubuntu, and classifies a picture.
#
#   apps/run.sh                     a bundled picture, with the bundled model
#   apps/run.sh ARGUMENT...         build/cardinal ARGUMENT...
#   apps/run.sh --demo [ARGUMENT...]    build/cardinal-demo ARGUMENT..., the desktop demo
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/third_party/packages.sh"

program=cardinal packages=$packages_build
if [ "${1-}" = --demo ]; then
    shift
    program=cardinal-demo packages="$packages_build $packages_demo"
    if [ "$(uname)" = Linux ] && [ -z "${DISPLAY-}${WAYLAND_DISPLAY-}" ] && [[ " $* " != *" --frames"* && " $* " != *" --list "* && " $* " != *" --help "* ]]; then
        echo "There is no display: DISPLAY and WAYLAND_DISPLAY are not set. Start this on a desktop, or without one draw into a file:" >&2
        echo "  apps/run.sh --demo --frames 60 --screenshot demo.png apps/pictures" >&2
        exit 3
    fi
fi
# shellcheck disable=SC2086
install_packages $packages
if [ ! -e "$root/build/build.ninja" ]; then
    echo "Configuring build/"
    # Tests need more packages; tests/run.sh switches them on.
    cmake -S "$root" -B "$root/build" -G Ninja -DCARDINAL_TESTS=OFF >/dev/null
elif [ $program = cardinal-demo ] && ! ninja -C "$root/build" -t query cardinal-demo >/dev/null 2>&1; then
    cmake -S "$root" -B "$root/build" >/dev/null # the demo's libraries were not there before
fi
echo "Building build/$program"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ninja -C "$root/build" $program >"$log" 2>&1 || { cat "$log"; exit 1; }

if [ $program = cardinal-demo ]; then
    exec "$root/build/cardinal-demo" "$@"
elif [ $# -gt 0 ]; then
    "$root/build/cardinal" "$@"
else
    echo "build/cardinal classify apps/pictures/chelsea.png"
    cd "$root" && build/cardinal classify apps/pictures/chelsea.png
fi
