#!/bin/bash
# libraries.sh [FOLDER [CMAKE ARGUMENT...]] - builds the program without any optional library, then with each one alone,
# and runs the tests of pictures and inputs every time. All in FOLDER (build-libraries), one configuration after the
# other: the engine, which knows none of these libraries, is compiled once.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
folder=${1-build-libraries}
[ $# -eq 0 ] || shift
needed="jansson cmocka"
# FEATURE, as in CARDINAL_HAVE_FEATURE, and its pkg-config modules
libraries=("JPEG libjpeg" "PNG libpng" "WEBP libwebp libwebpdemux" "TIFF libtiff-4" "HEIF libheif" "EXIF libexif" "CURL libcurl")

# What pkg-config is shown: copies that stand by themselves, as libtiff's own file would ask for libjpeg's.
show() { # MODULE...
    local module
    rm -rf "$folder/pkgconfig"
    mkdir -p "$folder/pkgconfig"
    for module in "$@"; do
        cat >"$folder/pkgconfig/$module.pc" <<END || return 1
Name: $module
Description: $module alone
Version: $(pkg-config --modversion "$module")
Cflags: $(pkg-config --cflags "$module")
Libs: $(pkg-config --libs "$module")
END
    done
}

failed=0
try() { # FEATURE MODULE...; no feature: ""
    local feature=$1 start=$SECONDS found log; shift
    echo "== with ${feature:-none} alone"
    log=$folder/${feature:-none}.log
    # shellcheck disable=SC2086
    if ! show $needed "$@"; then failed=1; return; fi
    rm -f "$folder/CMakeCache.txt"
    if ! { export PKG_CONFIG_LIBDIR=$folder/pkgconfig; cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCARDINAL_TESTS=ON -DCARDINAL_WERROR=ON \
        -DCARDINAL_DEMO=OFF -DCARDINAL_MPI=OFF "${arguments[@]}" && ninja -C "$folder" cardinal test_picture test_inputs; } >"$log" 2>&1; then
        unset PKG_CONFIG_LIBDIR
        tail -30 "$log"
        echo "   FAILED: does not build; see $log"
        failed=1
        return
    fi
    unset PKG_CONFIG_LIBDIR
    found=$(grep -o 'DCARDINAL_HAVE_[A-Z]*' "$folder/build.ninja" | sort -u | tr '\n' ' ')
    if [ "$found" != "${feature:+DCARDINAL_HAVE_$feature }" ]; then
        echo "   FAILED: the build has $found"
        failed=1
        return
    fi
    if "$folder/test_picture" >"$log" 2>&1 && "$folder/test_inputs" >>"$log" 2>&1 && "$folder/cardinal" --version >>"$log"; then
        echo "   passed, $((SECONDS - start)) s; not tried: $(grep -c 'SKIPPED' "$log") pictures of other libraries"
    else
        grep -A3 -E 'ERROR|FAILED' "$log"
        echo "   FAILED; see $log"
        failed=1
    fi
}

arguments=("$@")
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
tried=0 missing=""
try ""
for library in "${libraries[@]}"; do
    # shellcheck disable=SC2086
    set -- $library
    if pkg-config --exists "${@:2}" && { [ "$1" != TIFF ] || pkg-config --atleast-version 4.5 libtiff-4; }; then
        try "$@"
        tried=$((tried + 1))
    else
        missing+=" $1"
    fi
done
[ -z "$missing" ] || echo "SKIPPED, not on this machine:$missing"
[ $failed = 0 ] && echo "without any optional library, and with each of $tried alone: passed"
