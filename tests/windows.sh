#!/bin/bash
# windows.sh BUILD - checks what third_party/windows.sh built into BUILD: the library's exports, hosts built against the
# archive that third_party/package.sh makes of it, and, with Wine, the tests that need no device, and the archive's program;
# with an X server too (Wine's Vulkan wants one; Xvfb will do), device tests and the program on lavapipe.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
xvfb=
# shellcheck disable=SC2317
clean_up() {
    [ -z "$xvfb" ] || kill "$xvfb"
    WINEPREFIX=$tmp/wine wineserver -k 2>/dev/null || true
    rm -rf "$tmp"
}
trap clean_up EXIT
fail() { echo "FAILED: $*"; exit 1; }
quietly() { "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "$*"; }; }
objdump=x86_64-w64-mingw32-objdump
cc=x86_64-w64-mingw32-gcc

echo "== exports and imports"
. "$root/tests/host/install/symbols.sh"
declared_functions "$root"/engine/include/cdl/*.h >"$tmp/declared"
$objdump -p "$build/libcardinal.dll" | sed -n '/^\[Ordinal\/Name Pointer\] Table/,/^$/s/^\t*\[ *[0-9]*\] //p' | sort -u >"$tmp/exported"
diff "$tmp/declared" "$tmp/exported" || fail "declared (<) and exported by the DLL (>) differ"
! $objdump -p "$build/cardinal.exe" | grep -A3 'Name Pointer\] Table' | grep . || fail "cardinal.exe exports something"
for file in libcardinal.dll cardinal.exe; do
    ! $objdump -p "$build/$file" | sed -n 's/.*DLL Name: //p' | grep -viE '^(kernel32|msvcrt|advapi32|api-ms-win-crt-.*|ucrtbase)\.dll$' || fail "$file needs other DLLs than Windows' own"
done

echo "== hosts"
quietly "$root/third_party/package.sh" zip "$build" "$tmp"
mkdir "$tmp/unpacked"
(cd "$tmp/unpacked" && cmake -E tar xf "$tmp"/cardinal-*.zip)
mv "$tmp"/unpacked/* "$tmp/prefix"
prefix=$tmp/prefix
cp -r "$root/tests/host/install" "$tmp/hosts"
cd "$tmp"
strict="-std=c11 -Wall -Wextra -Wpedantic -Werror -I$prefix/include -I$build/headers"
for defined in -UCDL_STATIC -DCDL_STATIC; do
    # shellcheck disable=SC2086
    quietly $cc $strict $defined -fsyntax-only hosts/header.c
done
sed -i 's/ C CXX/ C/; /use_cpp/d' hosts/package/CMakeLists.txt
export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig:$build/prefix/lib/pkgconfig
for kind in shared static; do
    quietly cmake -S hosts/package -B $kind -G Ninja -DCMAKE_TOOLCHAIN_FILE="$root/third_party/mingw-w64.cmake" \
        -DCMAKE_FIND_ROOT_PATH="$prefix;$build/prefix" -DKIND=$kind
    quietly cmake --build $kind
done
cp "$prefix/bin/libcardinal.dll" shared/
# shellcheck disable=SC2046
quietly $cc -std=c11 -I"$build/headers" -o shared/own_vulkan.exe hosts/own_vulkan.c $(pkg-config --cflags --libs cardinal)
rm "$prefix"/lib/*.dll.a
# shellcheck disable=SC2046
quietly $cc -std=c11 -o pc_static.exe hosts/use.c $(pkg-config --static --cflags --libs cardinal)
$objdump -p shared/use_c.exe | grep 'DLL Name: libcardinal.dll' >/dev/null || fail "the shared host does not use the DLL"
! $objdump -p static/use_c.exe pc_static.exe | grep 'DLL Name: libcardinal' || fail "a static host uses the DLL"

command -v wine >/dev/null || { echo "all built; nothing was run: no Wine on this machine"; exit 0; }
echo "== under Wine"
export WINEPREFIX=$tmp/wine WINEDEBUG=-all DISPLAY='' CARDINAL_CACHE=$tmp/cache
quietly wine wineboot --init
version=$(header_version "$root/engine/include/cdl/cdl.h")
model=$(echo "$prefix"/share/cardinal/models/*.safetensors)
for host in shared/use_c.exe static/use_c.exe pc_static.exe; do
    got=$(wine $host "$model" "$tmp/none" 2>"$tmp/log" | tr -d '\r') || { cat "$tmp/log"; fail "$host"; }
    [ "$got" = "$version renamed 105 cat 1" ] || fail "$host printed '$got'"
done
[ "$(wine shared/own_vulkan.exe 2>/dev/null | tr -d '\r')" = listed ] || fail "own_vulkan.exe"
[ "$(wine "$prefix/bin/cardinal.exe" --version 2>/dev/null | tr -d '\r')" = "cardinal $version" ] || fail "cardinal.exe --version"
pictures="$tmp/Bilder für 漢字"
mkdir "$pictures"
cp "$root/apps/pictures/chelsea.png" "$pictures/猫.png"
quietly wine "$prefix/bin/cardinal.exe" convert --dtype fp16 "$model" "$pictures/größer.safetensors"
[ -s "$pictures/größer.safetensors" ] || fail "a path beyond ASCII was written under another name"
cd "$build"
run_test() {
    timeout 600 wine "./$1.exe" >"$tmp/log" 2>&1 || { tail -40 "$tmp/log"; fail "$1.exe"; }
    echo "$1: $(grep -a 'PASSED' "$tmp/log" | head -1)"
}
for test in test_base test_model test_pickle test_picture test_preprocess test_inputs test_overlay test_graph test_plan test_workarounds; do
    run_test $test
done

driver=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | head -1)
if ! command -v Xvfb >/dev/null || [ -z "$driver" ]; then
    echo "all but what needs a device: no Xvfb or no lavapipe on this machine"
    exit 0
fi
echo "== under Wine, on lavapipe"
mkfifo "$tmp/display"
Xvfb -displayfd 3 -screen 0 640x480x24 3>"$tmp/display" >/dev/null 2>&1 &
xvfb=$!
read -r number <"$tmp/display"
export DISPLAY=:$number VK_DRIVER_FILES=$driver CARDINAL_TEST_VALIDATION=off
# On a busy machine Wine gives up waiting for its desktop, and then offers no Vulkan: another start finds it.
for _ in 1 2 3 4 5; do
    wine "$prefix/bin/cardinal.exe" devices >"$tmp/log" 2>&1 && break
    wineserver -k || true
done
for test in test_session test_pixels test_cache; do
    run_test $test
done
top() { "$@" classify --format csv --topk 1 --quiet --precision fp32 "$pictures" 2>"$tmp/log" | tr -d '\r' | tail -1; }
got=$(top wine "$prefix/bin/cardinal.exe")
[[ $got == *猫.png*,cat,* ]] || { cat "$tmp/log"; fail "cardinal.exe classify printed '$got'"; }
echo "all built, and run under $(wine --version); cardinal.exe classify: $got"
