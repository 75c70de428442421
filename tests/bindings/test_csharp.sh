#!/bin/bash
# test_csharp.sh BUILD CHECK... - compiles apps/csharp with Mono; its layout against the headers (CHECK is check_layout.py
# with its arguments), its test on a device, and its example beside the C one.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
shift
for program in mcs mono; do
    command -v $program >/dev/null || { echo "SKIPPED: no $program; the C# binding was not tested (Debian: mono-mcs, mono-runtime)"; exit 77; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

sources=$root/apps/csharp
mcs -warn:4 -warnaserror -r:System.Core -out:"$tmp/test.exe" "$root/tests/bindings/TestCSharp.cs" "$sources/Cardinal.cs"
mcs -warn:4 -warnaserror -out:"$tmp/classify.exe" "$sources/Classify.cs" "$sources/Cardinal.cs"
export LD_LIBRARY_PATH=$build/engine LC_ALL=C.UTF-8
"$@" mono "$tmp/test.exe" layout
model=$root/tests/golden/resnext20_16x4d_cifar10.safetensors
picture=$root/tests/golden/pictures/rgb.ppm
mono "$tmp/test.exe" run "$root/tests/golden/layers/basic_7x7.safetensors"
mono "$tmp/classify.exe" "$model" "$picture" >"$tmp/cs"
"$build/minimal" "$model" "$picture" >"$tmp/c" 2>"$tmp/log" || { cat "$tmp/log"; fail "minimal"; }
diff "$tmp/c" "$tmp/cs" || fail "C (<) and C# (>) differ"
[ "$(wc -l <"$tmp/cs")" = 5 ] || fail "five answers were expected"
status=0
mono "$tmp/classify.exe" "$tmp/none" "$picture" 2>"$tmp/log" || status=$?
[ $status = 1 ] && grep -q "$tmp/none" "$tmp/log" || { cat "$tmp/log"; fail "a missing model: status $status"; }
