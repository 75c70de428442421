#!/bin/bash
# windows.sh [FOLDER [CMAKE ARGUMENT...]] - builds Cardinal for Windows (x86-64) with mingw-w64 into FOLDER (build-windows):
# libcardinal.dll, libcardinal.a, cardinal.exe, and the tests. For Debian and Ubuntu, which have no jansson, libjpeg-turbo and
# cmocka for Windows: their source packages are fetched and built into FOLDER too.
# Exit status 77: the packages cannot be had.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1-$root/build-windows}
[ $# -eq 0 ] || shift
. "$root/third_party/packages.sh"

# shellcheck disable=SC2086
install_packages $packages_build $packages_windows || { echo "SKIPPED: no mingw-w64 on this machine"; exit 77; }
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
toolchain=$root/third_party/mingw-w64.cmake

fetch_sources() { # PACKAGE...: unpacked into $folder/sources, by an apt of its own, which needs no root and changes nothing
    local sources=$folder/sources keyring='' file
    for file in /usr/share/keyrings/{debian,ubuntu}-archive-keyring.gpg; do
        [ ! -e "$file" ] || keyring=$file
    done
    mkdir -p "$sources"/lists/partial "$sources"/cache/archives/partial
    # The places that binary packages come from have the sources too.
    apt-get indextargets --format "deb-src [signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" 'Created-By: Packages' |
        grep -E ' (main|universe)$' | grep -E 'debian|ubuntu' | sort -u >"$sources/sources.list"
    local options=(-o "Dir::Etc::SourceList=$sources/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$sources/lists"
        -o "Dir::Cache=$sources/cache" -o APT::Sandbox::User=)
    (cd "$sources" && apt-get "${options[@]}" update -qq && apt-get "${options[@]}" source -qq "$@")
}

build_library() { # PACKAGE [CMAKE ARGUMENT...]
    local package=$1 source; shift
    source=$(find "$folder/sources" -maxdepth 1 -type d -name "$package-*")
    cmake -S "$source" -B "$folder/$package" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DCMAKE_BUILD_TYPE=Release -Wno-dev \
        -DCMAKE_INSTALL_PREFIX="$folder/prefix" -DBUILD_SHARED_LIBS=OFF "$@" >"$folder/$package.log" 2>&1 &&
        ninja -C "$folder/$package" install >>"$folder/$package.log" 2>&1 || { cat "$folder/$package.log"; return 1; }
}

if [ ! -e "$folder/prefix/complete" ]; then
    rm -rf "$folder/sources" "$folder/prefix"
    fetch_sources jansson libjpeg-turbo cmocka || { echo "SKIPPED: the sources of jansson, libjpeg-turbo and cmocka could not be fetched"; exit 77; }
    build_library jansson -DJANSSON_EXAMPLES=OFF -DJANSSON_BUILD_DOCS=OFF -DJANSSON_WITHOUT_TESTS=ON
    build_library libjpeg-turbo -DENABLE_SHARED=OFF -DWITH_TURBOJPEG=OFF -DWITH_SIMD=OFF # SIMD would need nasm
    build_library cmocka -DWITH_EXAMPLES=OFF
    touch "$folder/prefix/complete"
fi
cp "$folder/prefix/bin/cmocka.dll" "$folder/"

# Of the headers without a library: apart, so that no other of this system's headers is seen.
mkdir -p "$folder/headers"
cp -r /usr/include/stb /usr/include/vulkan /usr/include/vk_video /usr/include/volk.[ch] "$folder/headers/"

export PKG_CONFIG_LIBDIR=$folder/prefix/lib/pkgconfig
{
    cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DCMAKE_FIND_ROOT_PATH="$folder/prefix" -DCARDINAL_WERROR=ON \
        -DCARDINAL_VULKAN_INCLUDE_DIR="$folder/headers" -DCARDINAL_STB_INCLUDE_DIR="$folder/headers" \
        -DCARDINAL_VOLK_INCLUDE_DIR="$folder/headers" "$@"
    ninja -C "$folder"
} 2>&1 | tee "$folder/build.log"
! grep -i warning "$folder/build.log" || { echo "FAILED: the build warns"; exit 1; }
