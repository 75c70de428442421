#!/bin/sh
# pack.sh BUILD FOLDER - puts what tests/gpu.sh runs into FOLDER, to be carried to a machine that cannot build:
# the programs of a build without debug information, and the libraries they load (not libc, which comes with a system;
# that machine's must be as new as this one's).
#
# Configure the build with -DCARDINAL_GOLDEN_DIR=tests/golden: the tests then look for their data from the repository's
# root, wherever that lies, and gpu.sh runs them there.
set -eu
if [ $# -ne 2 ] || [ ! -x "$1/cardinal" ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
build=$1 folder=$2
mkdir -p "$folder/lib"
for program in "$build"/cardinal "$build"/test_*; do
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
    cp "$program" "$folder/"
    strip "$folder/$(basename "$program")"
    ldd "$program" | awk '$3 ~ /^\// { print $3 }'
done | sort -u | while read -r library; do
    case $(basename "$library") in
    libc.so.*|libm.so.*|libpthread.so.*|libdl.so.*|librt.so.*|ld-linux*|libgcc_s.so.*) ;;
    *) cp -L "$library" "$folder/lib/" ;;
    esac
done
# Loaded at run time, so that ldd does not tell.
loader=$(/sbin/ldconfig -p 2>/dev/null | awk '/libvulkan\.so\.1 / { print $NF; exit }')
[ -z "$loader" ] || cp -L "$loader" "$folder/lib/"
du -sh "$folder"
