#!/bin/bash
# fuzz.sh MINUTES [NAME...] - builds the fuzzers (clang, AddressSanitizer, UndefinedBehaviorSanitizer) in build-fuzz and runs
# each for so long, or only fuzz_NAME; as many at a time as there are processors. MINUTES may be a fraction: 0.5.
# FUZZ_RUNS=N in the environment ends a fuzzer earlier, after N runs.
#
# What reached new code stays in build-fuzz/corpus/NAME, from where the next run goes on. What crashed, hung or leaked is in
# build-fuzz/findings/NAME: once it is mended, it belongs into tests/fuzz/found/NAME, which every test run repeats.
# Prints a line for each fuzzer. Exit status 1: something was found; 77: there is no clang with libFuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1-}
[[ $minutes =~ ^[0-9]*\.?[0-9]+$ ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shift
build=$PWD/build-fuzz
seconds=$(awk -v m="$minutes" 'BEGIN { s = int(m * 60); print (s > 0 ? s : 1) }')
echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0 * d[0] * n; }' | clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null ||
    { echo "SKIPPED: no clang with libFuzzer here"; exit 77; }
mkdir -p "$build"
CC=clang cmake -S . -B "$build" -G Ninja -DCARDINAL_TESTS=ON -DCARDINAL_WERROR=ON -DCARDINAL_DEMO=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCARDINAL_FUZZ=ON -DCARDINAL_SANITIZE=fuzzer-no-link,address,undefined ${FUZZ_CMAKE-} >"$build/build.log" 2>&1 || { cat "$build/build.log"; exit 1; }
ninja -C "$build" fuzzers >"$build/build.log" 2>&1 || { tail -40 "$build/build.log"; exit 1; }
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(find tests/fuzz -name 'fuzz_*.c' -exec basename {} .c \; | sed 's/^fuzz_//' | sort)

run() { # NAME
    local name=$1 corpus=$build/corpus/$1 findings=$build/findings/$1 seeds=$build/seeds/$1 log=$build/fuzz_$1.log status=0
    [ -x "$build/fuzz_$name" ] || { echo "$name: is not built here"; return 0; }
    mkdir -p "$corpus" "$findings" "$seeds"
    python3 tests/fuzz/seeds.py "$name" "$seeds"
    [ ! -d "tests/fuzz/found/$name" ] || cp tests/fuzz/found/"$name"/* "$seeds/"
    local options=(-max_total_time="$seconds" -runs="${FUZZ_RUNS--1}" -max_len=40000 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/")
    [ ! -e "tests/fuzz/dictionaries/$name.dict" ] || options+=(-dict="tests/fuzz/dictionaries/$name.dict")
    "$build/fuzz_$name" "${options[@]}" "$corpus" "$seeds" >"$log" 2>&1 || status=$?
    awk -v name="$name" -v files="$(find "$corpus" -type f | wc -l)" -v found="$(find "$findings" -type f | wc -l)" '
        / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") edges = $(i + 1); if ($i == "ft:") features = $(i + 1) } }
        /stat::number_of_executed_units/ { runs = $2 }
        END { printf "%-12s %10d runs %6d edges %6d features %5d inputs kept %3d findings\n", name, runs, edges, features, files, found }' "$log"
    if [ $status != 0 ]; then
        grep -aE 'ERROR|SUMMARY|not so:|Test unit written' "$log" | sed "s/^/    /"
        return 1
    fi
}
export -f run
export build seconds
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # files of the fuzzers, thousands a second
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=1}
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'run {}' || { echo "FAILED: see build-fuzz/fuzz_NAME.log"; exit 1; }
echo "${#names[@]} fuzzers, ${minutes} minutes each: nothing found"
