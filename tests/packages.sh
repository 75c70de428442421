#!/bin/bash
# packages.sh PACKAGES [BUILD] - checks what third_party/package.sh made into the folder PACKAGES, as somebody meets it who
# never compiles: lintian, the desktop's files, the archive in a folder of any name; then in roots of Debian 12 and 13 where
# nothing is installed: install, classify, the demo, a C and a C++ program by pkg-config and by CMake, one in Python, and
# remove, which leaves nothing. BUILD, a build of this tree: `cmake --install` into /usr/local, which then works at once.
#
# The roots need root, debootstrap and the network, see root.sh. Exit status 0: all passed; 77: what was left out, and why.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
packages=$(cd "$1" && pwd)
build=${2:+$(cd "$2" && pwd)}
. "$root/tests/root.sh"
. "$root/tests/host/install/symbols.sh"
version=$(header_version "$root/engine/include/cdl/cdl.h")
tmp=$(mktemp -d /var/tmp/cardinal-packages-XXXXXX)
bare=$tmp/root
# shellcheck disable=SC2317
clean_up() {
    [ ! -d "$bare" ] || { ! mountpoint -q "$bare$root" || umount -l "$bare$root"; remove_root "$bare"; }
    rm -rf --one-file-system "$tmp"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
fail() { echo "FAILED: $*"; exit 1; }
quietly() { "$@" >"$tmp/log" 2>&1 || { tail -40 "$tmp/log"; fail "$*"; }; }

release=$(. /etc/os-release && echo "${ID/debian/deb}${VERSION_ID-}")
debs=("$packages"/*~"$release"_*.deb)
archive=$(echo "$packages"/cardinal-"$version"-linux-*.tar.xz)
[ -e "${debs[0]}" ] && [ -e "$archive" ] || fail "$packages has no packages of $version for $release: third_party/package.sh makes them"

echo "== what tools say of the packages"
for deb in "${debs[@]}"; do
    dpkg-deb -x "$deb" "$tmp/all"
done
if command -v lintian >/dev/null; then
    # A package of a release, not of the archive: nobody reported it as wanted there.
    lintian --fail-on error --allow-root --suppress-tags initial-upload-closes-no-bugs "${debs[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail lintian; }
    echo "lintian: no errors, $(grep -c '^W:' "$tmp/log") warnings"
else
    echo "SKIPPED: no lintian"
fi
share=$tmp/all/usr/share
if command -v desktop-file-validate >/dev/null; then quietly desktop-file-validate "$share/applications/cardinal-demo.desktop"; else echo "SKIPPED: no desktop-file-validate"; fi
if command -v appstreamcli >/dev/null; then quietly appstreamcli validate --no-net "$share/metainfo/cardinal-demo.metainfo.xml"; else echo "SKIPPED: no appstreamcli"; fi

echo "== the archive"
mkdir "$tmp/a folder"
tar -C "$tmp/a folder" -xf "$archive"
unpacked=$(echo "$tmp/a folder"/*)
# No library but the C library's, and no newer one than the manual says
others=$(objdump -p "$unpacked/bin/cardinal" "$unpacked"/lib/libcardinal.so | awk '$1 == "NEEDED" && $2 !~ /^(libc|libm|ld-linux-x86-64)\.so\./')
[ -z "$others" ] || fail "the archive needs other libraries than the C library:" "$others"
glibc=$(objdump -T "$unpacked/bin/cardinal" "$unpacked"/lib/libcardinal.so | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1)
said=$(sed -n 's/.*glibc \(2\.[0-9]*\) or newer.*/\1/p' "$root/docs/manual.md" | head -1)
[ "GLIBC_$said" = "$glibc" ] || fail "the archive needs $glibc, docs/manual.md says $said"
echo "needs $glibc and nothing else"

need_roots
# What tests/host/test_install.sh builds: each prints this. And the first program of docs/embedding.md, as that says.
expected="$version renamed 105 cat 1"
sed -n '/^## A first program/,/^## /{/^```c$/,/^```$/p}' "$root/docs/embedding.md" | sed '/^```/d' >"$tmp/first.c"
[ -s "$tmp/first.c" ] || fail "docs/embedding.md has no first program"
cat >"$tmp/hosts.sh" <<'END'
set -e
cp -r "$1/tests/host/install" /tmp/hosts
cd /tmp/hosts
for share in /usr/share /usr/local/share; do [ ! -d $share/cardinal ] || data=$share/cardinal; done
cc -std=c11 -o c use.c $(pkg-config --cflags --libs cardinal)
c++ -std=c++17 -o cpp use.cpp $(pkg-config --cflags --libs cardinal)
cc -std=c11 -o static use.c $(pkg-config --static --cflags --libs cardinal)
{ cmake -S package -B build -G Ninja && cmake --build build; } >&2
for program in ./c ./cpp ./static build/use_c build/use_cpp; do $program $data/models/*.safetensors /none; done
cc -std=c11 /tmp/first.c $(pkg-config --cflags --libs cardinal) -lm -o first
./first $data/models/*.safetensors $data/pictures/chelsea.png
status=0; ./first $data/models/*.safetensors $data/pictures/README.md 2>&1 || status=$?
echo $status
cd / && rm -r /tmp/hosts
END

check_hosts() { # where they are built
    local got
    cp "$tmp/first.c" "$tmp/hosts.sh" "$bare/tmp/"
    got=$(in_root "$bare" "bash /tmp/hosts.sh '$root'" 2>"$tmp/log") || { cat "$tmp/log"; fail "$1: hosts"; }
    [ "$(grep -cxF "$expected" <<<"$got")" = 5 ] && grep -q '^9[0-9]\.[0-9] % cat$' <<<"$got" && [ "$(tail -1 <<<"$got")" = 2 ] ||
        { cat "$tmp/log"; fail "$1: the hosts printed '$got'"; }
}

check_classify() { # PROGRAM PICTURE
    local got
    got=$(in_root "$bare" "'$1' classify --quiet --topk 1 --format csv '$2'" 2>"$tmp/log") || { cat "$tmp/log"; fail "$1 classify"; }
    [[ $got == *,cat,* ]] || fail "$1 classify printed '$got'"
    [ "$(in_root "$bare" "'$1' --version")" = "cardinal $version" ] || fail "$1 --version"
}

# All but what is mounted, and what apt, dpkg and the loader keep of themselves
files() {
    find "$bare" \( -path "$bare/proc" -o -path "$bare/dev" -o -path "$bare/tmp" -o -path "$bare$root" -o -path "$bare/var/cache" -o -path "$bare/var/log" \
        -o -path "$bare/var/lib/dpkg" -o -path "$bare/var/lib/apt" \) -prune -o -printf '%P\n' | sort
}

# check_root SUITE DEB...
check_root() {
    local suite=$1 names=() deb start=$SECONDS; shift
    echo "== $suite"
    mkdir "$bare"
    make_root "$suite" "$bare" || fail "debootstrap $suite"
    mkdir "$bare/debs"
    cp "$@" "$bare/debs/"
    for deb in "$@"; do names+=("$(dpkg-deb -f "$deb" Package)"); done
    mkdir -p "$bare$root" && mount --bind "$root" "$bare$root"
    quietly in_root "$bare" "apt-get update -qq && apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers gcc g++ libc6-dev cmake ninja-build pkg-config libstb-dev python3-pil"
    # What the packages depend on, and then they alone: what removing them leaves is theirs.
    quietly in_root "$bare" "apt-get install -s --no-install-recommends /debs/*.deb | awk '/^Inst/ {print \$2}' | grep -vxE '$(IFS='|'; echo "${names[*]}")' |
        xargs -r apt-get install -y -qq --no-install-recommends"
    files >"$tmp/before"
    quietly in_root "$bare" "apt-get install -y -qq --no-install-recommends /debs/*.deb"
    check_classify cardinal /usr/share/cardinal/pictures/chelsea.png
    if [[ " ${names[*]} " == *" cardinal-demo "* ]]; then
        [ "$(in_root "$bare" "cardinal-demo --version")" = "cardinal-demo $version" ] || fail "cardinal-demo --version"
        quietly in_root "$bare" "cardinal-demo --size 640x360 --frames 5 --screenshot /tmp/demo.png /usr/share/cardinal/pictures"
        [ "$(head -c 4 "$bare/tmp/demo.png" | tail -c 3)" = PNG ] || fail "cardinal-demo wrote no screenshot"
    fi
    check_hosts "$suite's packages"
    if [[ " ${names[*]} " == *" python3-cardinal-vk "* ]]; then
        cp "$root/apps/examples/installed/classify.py" "$bare/tmp/"
        in_root "$bare" "python3 /tmp/classify.py /usr/share/cardinal/models/*.safetensors /usr/share/cardinal/pictures/chelsea.png" >"$tmp/log" 2>&1 &&
            head -1 "$tmp/log" | grep -q '9[0-9]\.[0-9] %  cat$' || { cat "$tmp/log"; fail "a Python program with $suite's packages"; }
    fi
    quietly in_root "$bare" "apt-get purge -y -qq ${names[*]}"
    files >"$tmp/after"
    diff "$tmp/before" "$tmp/after" || fail "removing left files (>) or took some (<)"
    # The archive, where no library of pictures is
    cp -r "$unpacked" "$bare/opt/any where"
    check_classify "/opt/any where/bin/cardinal" "/opt/any where/share/cardinal/pictures/chelsea.png"
    if [ -n "$build" ] && [ "$suite" = "$host_suite" ]; then # where the build's programs find their libraries
        quietly in_root "$bare" "cmake --install '$build' --prefix /usr/local"
        check_hosts "/usr/local"
        cp "$root/engine/package/loader.cmake" "$bare/tmp/"
        in_root "$bare" "setpriv --reuid=65534 --regid=65534 --clear-groups cmake -Dlibdir=/usr/local/lib -P /tmp/loader.cmake" >"$tmp/log" 2>&1 || fail loader.cmake
        grep -q 'run `sudo ldconfig`' "$tmp/log" || { cat "$tmp/log"; fail "who is not root is not told of ldconfig"; }
        echo "cmake --install into /usr/local works at once"
    fi
    umount -l "$bare$root"
    remove_root "$bare"
    echo "${names[*]}: installed, used, removed; $((SECONDS - start)) s"
}

check_root "$host_suite" "${debs[@]}"
next=("$packages"/*~deb13_*.deb)
if [ "$host_suite" != bookworm ]; then
    echo "SKIPPED: no other Debian than $host_suite is tried"
elif [ -e "${next[0]}" ]; then
    check_root trixie "${next[@]}"
else
    # FFmpeg's libraries have other names in each Debian: there the demo is built anew, as third_party/release.sh does.
    check_root trixie "$packages"/cardinal_*.deb "$packages"/libcardinal*.deb "$packages"/python3-cardinal-vk*.deb
fi
