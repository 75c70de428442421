#!/bin/bash
# package.sh KIND BUILD OUT [CMAKE ARGUMENT...] - makes packages into the folder OUT, building in BUILD:
#   deb     of this Debian or Ubuntu: cardinal, cardinal-demo, libcardinal0.2, libcardinal-dev,
#           python3-cardinal-vk
#   tar     an archive for any Linux on this processor: programs and libraries that need the C library alone. The demo is
#           not in it, nor what would bring other libraries: TIFF, HEIC, AVIF, downloads
#   zip     the same for Windows, of what windows.sh has built in BUILD
# BUILD may hold another configuration: what is the same in both is not compiled again. CC chooses the compiler.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 3 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
kind=$1
umask 022
mkdir -p "$2" "$3"
build=$(cd "$2" && pwd) out=$(cd "$3" && pwd)
shift 3
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# Without MPI, whose library would come with every classifier, under another name in each distribution.
configure() { # CMAKE ARGUMENT...
    rm -f "$build/CMakeCache.txt" # what was found for another kind is not meant here
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCARDINAL_TESTS=OFF -DCARDINAL_MPI=OFF "$@" && ninja -C "$build"
}

pack() { # GENERATOR ENDING
    rm -rf "$build/packages"
    cpack -G "$1" --config "$build/CPackConfig.cmake" -B "$build/packages"
    mv "$build/packages"/*."$2" "$out/"
}

# Static libraries of this system, where a linker looks first, and pkg-config files that know no others. Their licences
# ask for a notice, which THIRD-PARTY-NOTICES has; what brings copyleft (libtiff by jbigkit, libheif, libexif) is not among them.
show_static() {
    local name module file requires
    rm -rf "$build/static"
    mkdir -p "$build/static"
    for name in jansson jpeg png16 z webp webpdemux sharpyuv; do
        file=$(cc -print-file-name="lib$name.a")
        [ ! -e "$file" ] || ln -s "$file" "$build/static/"
    done
    for module in jansson=jansson libjpeg=jpeg "libpng=png16 z" libwebp=webp libwebpdemux=webpdemux; do
        name=${module%%=*} requires=
        for file in ${module#*=}; do
            [ -e "$build/static/lib$file.a" ] || { echo "package.sh: no static lib$file on this system; install the package with its headers" >&2; return 1; }
        done
        file=$(sed -E 's/[a-z0-9]+/-l&/g' <<<"${module#*=}")
        [ $name != libwebpdemux ] || requires=libwebp
        if [ $name = libwebp ] && [ -e "$build/static/libsharpyuv.a" ]; then file+=" -lsharpyuv"; fi
        printf 'Name: %s\nDescription: its static library\nVersion: %s\nRequires: %s\nCflags: %s\nLibs: -L%s %s -lm\n' \
            $name "$(pkg-config --modversion $name)" "$requires" "$(pkg-config --cflags $name)" "$build/static" "$file" >"$build/static/$name.pc"
    done
}

case $kind in
deb)
    # A release of the distribution's own, so that the packages of the next one are newer
    revision=1~$(. /etc/os-release && echo "${ID/debian/deb}$VERSION_ID")
    configure -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR="lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)" -DCARDINAL_DEMO=ON \
        -DCARDINAL_PYTHON_DIR=lib/python3/dist-packages -DCPACK_DEBIAN_PACKAGE_RELEASE="$revision" "$@"
    pack DEB deb
    ;;
tar)
    show_static
    PKG_CONFIG_LIBDIR=$build/static PKG_CONFIG_PATH='' configure -DCMAKE_INSTALL_LIBDIR=lib -DCARDINAL_DEMO=OFF -DCARDINAL_HEIF=OFF "$@"
    pack TXZ tar.xz
    ;;
zip) pack ZIP zip ;;
*) echo "package.sh: '$kind' is none of deb, tar, zip" >&2; exit 2 ;;
esac
