#!/bin/bash
# test_install.sh BUILD - installs the build tree BUILD into a folder, moves that, and builds hosts against it and against
# the source tree: CMake package, pkg-config, add_subdirectory, FetchContent; C and C++. Runs what it built. Needs no device.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset CFLAGS CXXFLAGS LDFLAGS CPATH LD_LIBRARY_PATH PKG_CONFIG_PATH CMAKE_PREFIX_PATH DESTDIR

fail() { echo "FAILED: $*"; exit 1; }
quietly() { "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "$*"; }; }

. "$root/tests/host/install/symbols.sh"
version=$(header_version "$root/engine/include/cdl/cdl.h")
expected="$version renamed 105 cat 1"
expect() { # PROGRAM...: prints what a host prints
    local got
    got=$("$@" "$model" "$tmp/none") || fail "$*: exit status $?"
    [ "$got" = "$expected" ] || fail "$*: printed '$got', not '$expected'"
}

echo "== install, and move"
quietly cmake --install "$build" --prefix "$tmp/first"
mv "$tmp/first" "$tmp/prefix"
prefix=$tmp/prefix
model=$(echo "$prefix"/share/cardinal/models/*.safetensors)
cp -r "$root/tests/host/install" "$tmp/hosts"
cd "$tmp"
pc=$(find "$prefix" -name cardinal.pc)
[ "$(find "$prefix" -name cardinal.pc | wc -l)" = 1 ] || fail "one cardinal.pc is expected"
libraries=$(dirname "$(dirname "$pc")")
! grep -r -e "$tmp/first" -e "$root" --include='*.cmake' --include='*.pc' "$prefix" || fail "an installed file names a folder of the build"
for file in LICENSE THIRD-PARTY-NOTICES README.md; do
    [ -s "$prefix/share/doc/cardinal/$file" ] || fail "$file is not installed"
done

for file in man/man1/cardinal.1 bash-completion/completions/cardinal zsh/site-functions/_cardinal fish/vendor_completions.d/cardinal.fish; do
    [ -s "$prefix/share/$file" ] || fail "$file is not installed"
done

echo "== the program finds its model"
status() { local s=0; VK_DRIVER_FILES=$tmp/none CARDINAL_CACHE=$tmp/cache "$prefix/bin/cardinal" classify "$prefix/share/cardinal/pictures/rocket.jpg" >"$tmp/log" 2>&1 || s=$?; echo $s; }
for program in "$prefix"/bin/cardinal "$prefix"/bin/cardinal-demo; do
    [ ! -e "$program" ] || [ "$("$program" --version)" = "${program##*/} $version" ] || fail "${program##*/} --version is not cdl.h's $version"
done
case $version in 0.*) soversion=${version%.*} ;; *) soversion=${version%%.*} ;; esac
readelf -d "$libraries/libcardinal.so" | grep -F "[libcardinal.so.$soversion]" >/dev/null || fail "the library's SONAME is not of $version"
[ "$(status)" = 3 ] || { cat "$tmp/log"; fail "with the model and no driver, exit status 3 is expected"; }
mv "$model" "$tmp/model"
[ "$(status)" = 4 ] || { cat "$tmp/log"; fail "without the model, exit status 4 is expected: does it look into the source tree?"; }
mv "$tmp/model" "$model"

echo "== exported symbols"
exported() { nm -D --defined-only "$libraries/libcardinal.so" | awk '$2 != "A" {print $3}' | sort -u; }
declared_functions "$prefix"/include/cdl/*.h >"$tmp/declared"
[ "$(wc -l <"$tmp/declared")" -ge 30 ] || fail "the headers' declarations were not understood"
exported >"$tmp/exported"
diff "$tmp/declared" "$tmp/exported" || fail "declared (<) and exported (>) differ"
# In the static library all names are ours, too, and nothing of Vulkan is taken from elsewhere.
! nm -g --defined-only "$libraries/libcardinal.a" | awk 'NF == 3 && $3 !~ /^cdl_/ {print; bad = 1} END {exit !bad}' || fail "the static library defines other names"
! nm -u "$libraries/libcardinal.a" "$libraries/libcardinal.so" | grep -w 'U vk.*' || fail "a library takes Vulkan functions from its host"

echo "== headers alone"
compilers=0
for pair in "gcc g++" "clang clang++"; do
    read -r cc cxx <<<"$pair"
    if ! command -v "$cc" >/dev/null || ! command -v "$cxx" >/dev/null; then continue; fi
    compilers=$((compilers + 1))
    strict="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I$prefix/include"
    for header in cdl/cdl.h cdl/cdl_vulkan.h cdl/cdl_train.h; do
        for defined in -UCDL_STATIC -DCDL_STATIC; do
            # shellcheck disable=SC2086
            quietly "$cc" -std=c11 $strict $defined -x c -include "$prefix/include/$header" /dev/null
            # shellcheck disable=SC2086
            quietly "$cxx" -std=c++17 $strict $defined -x c++ -include "$prefix/include/$header" /dev/null
        done
    done
    # shellcheck disable=SC2086
    quietly "$cc" -std=c11 $strict hosts/header.c
    # shellcheck disable=SC2086
    quietly "$cxx" -std=c++17 $strict hosts/header.cpp
done
[ $compilers -gt 0 ] || fail "neither gcc and g++ nor clang and clang++ are at hand"

echo "== find_package"
for kind in "" shared static; do
    quietly cmake -S hosts/package -B "package-$kind" -DCMAKE_PREFIX_PATH="$prefix" -DKIND="$kind"
    quietly cmake --build "package-$kind"
    expect "package-$kind/use_c"
    expect "package-$kind/use_cpp"
    linked=$(readelf -d "package-$kind/use_c" | grep -c 'NEEDED.*libcardinal' || true)
    [ "$linked" = "$([ "$kind" = static ] && echo 0 || echo 1)" ] || fail "find_package of '$kind' gave another kind"
done
if cmake -S hosts/package -B package-none -DCMAKE_PREFIX_PATH="$prefix" -DKIND=framework >"$tmp/log" 2>&1; then fail "a component that does not exist was found"; fi
sed 's/cardinal 0.2/cardinal 0.1/' -i hosts/package/CMakeLists.txt
if cmake -S hosts/package -B package-old -DCMAKE_PREFIX_PATH="$prefix" >"$tmp/log" 2>&1; then fail "another version was taken for a fitting one"; fi
sed 's/cardinal 0.1/cardinal 0.2/; s/ C CXX/ CXX/; /use_c /d' -i hosts/package/CMakeLists.txt
quietly cmake -S hosts/package -B package-cpp -DCMAKE_PREFIX_PATH="$prefix" -DKIND=static # a host without C
quietly cmake --build package-cpp
expect package-cpp/use_cpp

echo "== pkg-config"
export PKG_CONFIG_PATH=$libraries/pkgconfig
# shellcheck disable=SC2046
{
    quietly cc -std=c11 -o pc_c hosts/use.c $(pkg-config --cflags --libs cardinal)
    quietly c++ -std=c++17 -o pc_cpp hosts/use.cpp $(pkg-config --cflags --libs cardinal)
    quietly cc -std=c11 -o own_vulkan_shared hosts/own_vulkan.c $(pkg-config --cflags --libs cardinal)
    # The shared one lies beside it
    quietly cc -std=c11 -o pc_static_c hosts/use.c $(pkg-config --static --cflags --libs cardinal)
    quietly c++ -std=c++17 -o pc_static_cpp hosts/use.cpp $(pkg-config --static --cflags --libs cardinal)
    quietly cc -std=c11 -o own_vulkan hosts/own_vulkan.c $(pkg-config --static --cflags --libs cardinal)
    quietly cc -std=c11 -shared -fPIC -o plugin.so hosts/plugin.c $(pkg-config --static --cflags cardinal) \
        -Wl,--whole-archive $(pkg-config --static --libs cardinal) -Wl,--no-whole-archive
    unset PKG_CONFIG_PATH
}
[ "$(pkg-config --modversion "$pc")" = "$version" ] || fail "pkg-config --modversion"
LD_LIBRARY_PATH=$libraries expect ./pc_c
LD_LIBRARY_PATH=$libraries expect ./pc_cpp
expect ./pc_static_c
expect ./pc_static_cpp
for program in pc_static_c pc_static_cpp own_vulkan; do
    ! readelf -d $program | grep 'NEEDED.*libcardinal' || fail "pkg-config --static: $program wants the shared library"
done
[ "$(readelf -d pc_c | grep -c 'NEEDED.*libcardinal')" = 1 ] || fail "pkg-config without --static gave the static library"

echo "== a host with Vulkan functions of its own"
[ "$(./own_vulkan)" = listed ] || fail "own_vulkan"
[ "$(LD_LIBRARY_PATH=$libraries ./own_vulkan_shared)" = listed ] || fail "own_vulkan with the shared library"
! nm -D --defined-only plugin.so | grep ' cdl_' || fail "a plug-in exports the library that it holds"

echo "== add_subdirectory"
quietly cmake -S hosts/subdirectory -B subdirectory -G Ninja -DCARDINAL_SOURCE="$root"
grep -qxF -- "-- host: 99 $tmp/subdirectory/programs [] -Wall;-Wextra;-Wpedantic;-Wconversion;-Wshadow;-Wstrict-prototypes;-Werror" "$tmp/log" ||
    { cat "$tmp/log"; fail "the parent's settings changed"; }
others=$(grep -oE '^[A-Za-z0-9_]+:(BOOL|STRING|PATH|FILEPATH|UNINITIALIZED)=' subdirectory/CMakeCache.txt | grep -vE '^(CMAKE_|CARDINAL_|PKG_CONFIG_|pkgcfg_lib_CARDINAL_)') &&
    fail "the parent's cache got $others"
grep -q '^CMAKE_BUILD_TYPE:STRING=$' subdirectory/CMakeCache.txt || fail "the parent's CMAKE_BUILD_TYPE changed"
quietly cmake --build subdirectory
expect subdirectory/programs/use_c
[ "$(find subdirectory/programs -type f | wc -l)" = 1 ] || fail "the parent's output folder holds more than its program"
quietly cmake --install subdirectory --prefix "$tmp/parent"
[ ! -e "$tmp/parent" ] || [ -z "$(find "$tmp/parent" -type f)" ] || fail "the parent's install step installs Cardinal"

quietly cmake -DCARDINAL_INSTALL=ON -DBUILD_SHARED_LIBS=OFF subdirectory # now with it, and of one kind
quietly cmake --build subdirectory
quietly cmake --install subdirectory --prefix "$tmp/only-static"
PKG_CONFIG_PATH=$(dirname "$(find only-static -name cardinal.pc)")
# shellcheck disable=SC2046
PKG_CONFIG_PATH=$PKG_CONFIG_PATH quietly cc -std=c11 -o only_static hosts/use.c $(PKG_CONFIG_PATH=$PKG_CONFIG_PATH pkg-config --cflags --libs cardinal)
expect ./only_static
quietly cmake -S hosts/package -B package-only-static -DCMAKE_PREFIX_PATH="$tmp/only-static"
quietly cmake --build package-only-static
expect package-only-static/use_cpp
[ ! -e subdirectory/cardinal/CTestTestfile.cmake ] || ! grep -q add_test subdirectory/cardinal/CTestTestfile.cmake || fail "the parent got tests"

echo "== FetchContent, shared"
quietly cmake -S hosts/fetch -B fetch -G Ninja -DCARDINAL_SOURCE="$root" -DBUILD_SHARED_LIBS=ON -DCARDINAL_INSTALL=ON
quietly cmake --build fetch
expect fetch/use_cpp
quietly cmake --install fetch --prefix "$tmp/only-shared"
quietly cmake -S hosts/package -B package-only-shared -DCMAKE_PREFIX_PATH="$tmp/only-shared"
if cmake -S hosts/package -B package-not-static -DCMAKE_PREFIX_PATH="$tmp/only-shared" -DKIND=static >"$tmp/log" 2>&1; then
    fail "a static library that is not installed was found"
fi
readelf -d fetch/use_cpp | grep 'NEEDED.*libcardinal' >/dev/null || fail "BUILD_SHARED_LIBS=ON gave a static library"
echo "all hosts were built, and ran"
