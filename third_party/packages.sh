# shellcheck shell=bash disable=SC2034
# packages.sh - Debian's and Ubuntu's names of what Cardinal needs, and how scripts install them. To be sourced.
#
# a|b: either will do; the first that the distribution knows is installed.
packages_build="build-essential cmake ninja-build pkg-config|pkgconf glslang-tools libvulkan-dev libvulkan1 mesa-vulkan-drivers
    libstb-dev libjpeg62-turbo-dev|libjpeg-turbo8-dev|libjpeg-dev libpng-dev libwebp-dev libtiff-dev libheif-dev libexif-dev
    libcurl4-openssl-dev libjansson-dev"
packages_demo="libsdl2-dev libsdl2-ttf-dev libavdevice-dev libavformat-dev libavcodec-dev libswscale-dev libvulkan-volk-dev
    fonts-dejavu-core"
packages_demo_test="xvfb xdotool ffmpeg"
packages_test="libcmocka-dev libvulkan-volk-dev vulkan-validationlayers python3 python3-numpy python3-pil python3-pip libopenmpi-dev
    openmpi-bin mono-mcs mono-runtime"
packages_swiftshader="chromium-common" # Debian's browser brings SwiftShader; Ubuntu's does not
packages_windows="gcc-mingw-w64-x86-64-win32 libvulkan-volk-dev" # beside packages_build; dpkg-source comes with build-essential
packages_wine="wine wine64 xvfb" # runs what was built for Windows; Wine's Vulkan wants an X server
packages_ci="clang clang-format-14 libclang-rt-dev doxygen python3-torch python3-torchvision python3-pil man-db mandoc
    zsh fish"

packages_release="file lintian debootstrap desktop-file-utils appstream ruby" # makes and checks packages and recipes

package_installed() { # a|b
    local name
    for name in ${1//|/ }; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] && return 0
    done
    return 1
}

package_known() { [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]; }

# install_packages NAME...: installs what is missing, as root or by sudo. Prints what it does; returns 1, after naming
# the packages, where it cannot.
install_packages() {
    local missing=() names=() wanted name as_root=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "This is no Debian or Ubuntu. Needed are, by their names there: $*"
        return 0 # perhaps all is there: the build will tell
    fi
    for wanted in "$@"; do
        package_installed "$wanted" || missing+=("$wanted")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing: ${missing[*]}. Neither root nor sudo is at hand; install them, then start again." >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    local log; log=$(mktemp)
    "${as_root[@]}" apt-get update -qq >"$log" 2>&1 || cat "$log" >&2
    for wanted in "${missing[@]}"; do
        for name in ${wanted//|/ }; do
            if package_known "$name"; then
                names+=("$name")
                break
            fi
        done
        [ "$name" = "${names[-1]-}" ] || { echo "This distribution has no package $wanted." >&2; rm -f "$log"; return 1; }
    done
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${names[@]}" >"$log" 2>&1; then
        tail -20 "$log" >&2
        echo "Could not install ${names[*]}" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}
