#!/bin/bash
# test_cpp_compilers.sh INCLUDE - cardinal.hpp without a warning on each C++ compiler at hand, with exceptions and without,
# and in other standards. Runs nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
found=0
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || { echo "no $compiler"; continue; }
    found=$((found + 1))
    for kind in "" "-fno-exceptions -fno-rtti -std=c++20"; do
        # shellcheck disable=SC2086
        $compiler -std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only -I "$1" $kind "$here/test_cpp.cpp"
    done
done
[ $found -gt 0 ] || { echo "SKIPPED: neither g++ nor clang++"; exit 77; }
echo "$found compilers"
