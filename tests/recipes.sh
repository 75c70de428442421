#!/bin/bash
# recipes.sh - the recipes of third_party/recipes, as far as they can be checked without the package managers and their
# networks: syntax, versions, and whether every CMake option that they name is one of this tree's. What the tools at hand
# leave out is said. Exit status 0: nothing wrong was found.
set -euo pipefail
cd "$(dirname "$0")/../third_party/recipes"
root=$(cd ../.. && pwd)
. "$root/tests/host/install/symbols.sh"
version=$(header_version "$root/engine/include/cdl/cdl.h")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
without() { echo "SKIPPED: no $1: $2"; }

# What CMake files declare or look for
known=$(cd "$root" && git ls-files '*CMakeLists.txt' '*.cmake' | xargs sed -nE \
    's/.*(option|set|find_path|find_program)\((CARDINAL_[A-Z_]+|BUILD_SHARED_LIBS)[ )].*/\2/p' | sort -u)
[ "$(wc -w <<<"$known")" -ge 8 ] || fail "the options of the CMake files were not understood"
used=$(git ls-files . | xargs grep -ohE '(-D|\[")CARDINAL_[A-Z_]+' | sed -E 's/^(-D|\[")//' | sort -u)
[ "$(wc -w <<<"$used")" -ge 6 ] || fail "the recipes' options were not understood"
for option in $used; do
    grep -qx "$option" <<<"$known" || fail "a recipe sets $option, which no CMake file of this tree knows: git grep $option"
done

# Recipes of a release, filled in as third_party/release.sh does
for file in homebrew/cardinal.rb aur/PKGBUILD; do
    "$root/third_party/fill_recipe.sh" "$file.in" https://example.org/cardinal.tar.xz "$(printf '%064d' 0)" >"$tmp/${file##*/}"
    ! grep -n '@[A-Z0-9]*@' "$tmp/${file##*/}" || fail "$file.in: a place was not filled in"
done

echo "== vcpkg"
python3 - vcpkg/cardinal/vcpkg.json "$version" <<'END' || fail vcpkg.json
import json, sys
port = json.load(open(sys.argv[1]))
assert port["name"] == "cardinal" and port["license"] == "MIT" and port["dependencies"], port
assert port["version"] == sys.argv[2], f"its version is {port['version']}, cdl.h's {sys.argv[2]}"
END
# The portfile's own lines, with stand-ins that do what vcpkg's functions do first
cat >"$tmp/vcpkg.cmake" <<'END'
cmake_policy(VERSION 3.22)
function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  if(arg_UNPARSED_ARGUMENTS OR NOT EXISTS ${arg_SOURCE_PATH}/CMakeLists.txt)
    message(FATAL_ERROR "vcpkg_cmake_configure: ${arg_UNPARSED_ARGUMENTS} ${arg_SOURCE_PATH}")
  endif()
  list(FILTER arg_OPTIONS EXCLUDE REGEX "CARDINAL_(VULKAN_INCLUDE_DIR|GLSLANG)=") # from vcpkg's own folders
  execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${arg_SOURCE_PATH} -B ${BUILD} -DBUILD_SHARED_LIBS=ON ${arg_OPTIONS}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()
foreach(name vcpkg_cmake_install vcpkg_cmake_config_fixup vcpkg_fixup_pkgconfig)
  function(${name})
  endfunction()
endforeach()
function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  foreach(file IN LISTS arg_FILE_LIST)
    file(SIZE ${file} size) # fails where there is none
  endforeach()
endfunction()
include(${PORTFILE})
END
cmake -DBUILD="$tmp/vcpkg" -DCURRENT_PACKAGES_DIR="$tmp/packages" -DPORTFILE="$PWD/vcpkg/cardinal/portfile.cmake" -P "$tmp/vcpkg.cmake" ||
    fail "the portfile does not configure this tree"

echo "== conan"
for file in conan/conanfile.py conan/test_package/conanfile.py; do
    python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' $file || fail $file
done
if command -v conan >/dev/null; then
    CONAN_HOME=$tmp/conan conan export conan >"$tmp/log" 2>&1 && grep -q "cardinal/$version" "$tmp/log" || { cat "$tmp/log"; fail "conan export"; }
else
    without conan "its recipe was only compiled"
fi

echo "== homebrew"
if command -v ruby >/dev/null; then ruby -c "$tmp/cardinal.rb" >/dev/null || fail cardinal.rb; else without ruby "the formula was not read"; fi

echo "== aur"
bash -n "$tmp/PKGBUILD" || fail PKGBUILD
(
    . "$tmp/PKGBUILD"
    # shellcheck disable=SC2154
    [ "$pkgver" = "$version" ] && [ ${#source[@]} = ${#sha256sums[@]} ] && declare -F build package >/dev/null
) || fail "PKGBUILD lacks something"
if command -v makepkg >/dev/null; then
    mkdir "$tmp/aur"
    cp "$tmp/PKGBUILD" "$tmp/aur/"
    chmod -R a+rwX "$tmp"
    as=() # makepkg does not run as root, and wants to know where pacman is
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    (cd "$tmp/aur" && HOME=$tmp PACMAN=true "${as[@]}" makepkg --printsrcinfo) >"$tmp/log" 2>&1 && grep -q "pkgver = $version" "$tmp/log" ||
        { cat "$tmp/log"; fail "makepkg --printsrcinfo"; }
else
    without makepkg "PKGBUILD was only sourced"
fi

echo "== nix"
if command -v nix-instantiate >/dev/null; then
    nix-instantiate --parse nix/flake.nix >/dev/null || fail flake.nix
    sed -n '/^      header = /,/^      number = /p' nix/flake.nix | sed "s@\.\./\.\./\.\.@$root@" >"$tmp/number"
    minor=$(nix-instantiate --eval -E "let $(cat "$tmp/number") in number \"MINOR\"") || fail "flake.nix does not read the version"
    [ "$minor" = "\"$(cut -d. -f2 <<<"$version")\"" ] || fail "flake.nix reads $minor out of $version"
else
    without Nix "the flake was not read"
fi

echo "== docker"
# Its build stage is package.sh with the packages of packages.sh; what it copies and calls is there.
for file in third_party/packages.sh third_party/package.sh apps/pictures/chelsea.png; do
    [ -e "$root/$file" ] && grep -q "${file##*/}" docker/Dockerfile || fail "docker/Dockerfile and $file do not go together"
done
echo "recipes: nothing wrong was found; third_party/recipes/README.md says what is unchecked"
