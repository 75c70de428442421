#!/bin/bash
# gpu.sh BUILD FOLDER - tests and measures Cardinal on this machine's GPU, beside PyTorch where there is one.
#
# For a machine without network that is at hand for minutes: BUILD is a build, or what gpu/pack.sh made of one. Run from
# anywhere in the repository. The most wanted comes first, and what does not fit into six minutes is left out, with a
# note. Into FOLDER come report.md (the tables of ratios), bench.json, torch.json, torch-train.json, kernels.txt (every
# kernel's time for every layer, by the tuner), clocks.csv (twice a second, by nvidia-smi), tests.txt and log.txt.
#
#   GPU_SECTIONS    of "main torch tests train kernels rest", in this order; default all. Each can be run alone
#   GPU_SECONDS     for all, default 360
#   GPU_QUICK=1     small settings: a rehearsal on a CPU driver
set -u
if [ $# -ne 2 ] || [ ! -x "$1/cardinal" ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
build=$(cd "$1" && pwd)
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 2
cd "$(dirname "$0")/.." || exit 2
sections=${GPU_SECTIONS:-main torch tests train kernels rest}
work=$(mktemp -d) || exit 2
clocks=
# shellcheck disable=SC2317
clean_up() {
    [ -z "$clocks" ] || kill "$clocks" 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
export CARDINAL_CACHE=$work/cache # what one section tunes, the next knows
[ ! -d "$build/lib" ] || export LD_LIBRARY_PATH=$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
[ -e "$build/models" ] || ln -s "$PWD/apps/models" "$build/models" 2>/dev/null # where the program looks for the bundled one
exec > >(tee "$out/log.txt") 2>&1

started=$SECONDS
failures=0
say() { printf '== %4d s: %s\n' $((SECONDS - started)) "$*"; }
note() { say "FAILED: $*"; failures=$((failures + 1)); }
# limit SECONDS COMMAND...: killed when it takes longer, or when all the time is over
limit() {
    local seconds=$1 left=$((started + ${GPU_SECONDS:-360} - SECONDS))
    shift
    [ "$seconds" -lt $left ] || seconds=$left
    [ "$seconds" -gt 2 ] || { echo "no time left"; return 124; }
    timeout -k 5 "$seconds" "$@"
}

if [ -n "${GPU_QUICK-}" ]; then
    networks="resnext50_32x4d" batches=1,2 rest_batches=3 train_batches=2 settings=(--size 64 --duration 0.1)
    bench_limit=150 torch_limit=60 test_limit=100 programs="test_session"
else
    networks="resnext50_32x4d resnext101_32x8d" batches=128,1 rest_batches=8,32 train_batches=64 settings=(--duration 0.7)
    bench_limit=60 torch_limit=100 test_limit=90
    programs="test_kernels test_train_kernels test_layers test_upload test_session test_pairs test_pixels test_vulkan test_vulkan_runs test_tune test_cache"
fi
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=timestamp,clocks.sm,clocks.max.sm,clocks.mem,power.draw,temperature.gpu --format=csv -lms 500 >"$out/clocks.csv" 2>/dev/null &
    clocks=$!
fi

# ---- the driver
# Containers often have NVIDIA's libraries without the manifest that Vulkan's loader looks for.
find_driver() {
    local manifest
    [ -n "${VK_DRIVER_FILES-}${VK_ICD_FILENAMES-}" ] && return
    ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json >/dev/null 2>&1 && return
    manifest=$(find /usr/local/nvidia /usr/lib /opt -name 'nvidia_icd*.json' 2>/dev/null | head -1)
    if [ -z "$manifest" ] && ldconfig -p 2>/dev/null | grep -q libEGL_nvidia.so.0; then
        manifest=$work/nvidia_icd.json
        echo '{"file_format_version": "1.0.0", "ICD": {"library_path": "libEGL_nvidia.so.0", "api_version": "1.3.0"}}' >"$manifest"
    fi
    [ -z "$manifest" ] || export VK_DRIVER_FILES=$manifest
}
find_driver
say "driver: ${VK_DRIVER_FILES:-as installed}"
if ! "$build/cardinal" devices; then
    note "cardinal devices; no figures can be had"
    ldd "$build/cardinal" | grep 'not found'
    exit 1
fi

# ---- Cardinal
# A call for each network, precision and batch, so that what was measured is not lost with what was not.
bench() { # BATCHES PRECISION [OPTION...]
    local network batch file all=$1 precision=$2
    shift 2
    for network in $networks; do
        for batch in ${all//,/ }; do
            say "bench $network $precision $batch $*"
            file=$work/bench-$network-$precision-$batch$*.json
            limit $bench_limit "$build/cardinal" bench --arch "$network" --batch "$batch" --precision "$precision" --tune quick "${settings[@]}" \
                "$@" --layers --format json --output "$file" || note "bench $network $precision $batch: exit status $?"
        done
    done
}

main() {
    bench $batches fp16
    say "starts"
    limit $bench_limit "$build/cardinal" bench --arch "${networks%% *}" --start ${GPU_QUICK:+--size 64} --duration 0.1 --format json \
        --output "$work/start.json" || note "starts: exit status $?"
}

# Which of the engine's kernels wins on each shape: all of them, raced.
kernels() {
    local batch
    for batch in ${batches//,/ }; do
        say "kernels at batch $batch"
        CARDINAL_CACHE=$work/kernels limit $bench_limit "$build/cardinal" bench --arch "${networks%% *}" --batch "$batch" --precision fp16 --tune full \
            "${settings[@]}" --verbose 2>&1 >/dev/null | grep -a 'cardinal: tuning' | sed "s/^/batch $batch: /" >>"$out/kernels.txt"
        [ "${PIPESTATUS[0]}" = 0 ] || note "kernels at batch $batch"
    done
}

rest() {
    bench $batches fp32
    bench $rest_batches fp16
}

# ---- PyTorch
torch() {
    say "PyTorch"
    # shellcheck disable=SC2086
    limit $((torch_limit + 20)) python3 tests/gpu/pytorch.py --budget $torch_limit --networks "${networks// /,}" --batches "$batches,$rest_batches" \
        ${GPU_QUICK:+--size 64} "$out/torch.json" || note "PyTorch: exit status $?"
}

# ---- training: steps, beside PyTorch's
train() {
    local network=${networks%% *}
    train_steps fp16
    train_steps fp32
    say "PyTorch's training"
    # shellcheck disable=SC2086
    limit $((torch_limit / 2 + 20)) python3 tests/gpu/pytorch.py --train --budget $((torch_limit / 2)) --networks "$network" --batches $train_batches \
        ${GPU_QUICK:+--size 64} "$out/torch-train.json" || note "PyTorch's training: exit status $?"
    train_steps fp16 --tune quick # what the guesses at the order of training's kernels cost
}

# train_steps PRECISION [OPTION...]: of the network that is set.
train_steps() {
    local precision=$1
    shift
    say "training $network $precision $*"
    limit $bench_limit "$build/cardinal" bench --train --arch "$network" --batch $train_batches --precision "$precision" "${settings[@]}" "$@" \
        --layers --format json --output "$work/train-$precision${1+-tuned}.json" || note "training $network $precision $*: exit status $?"
}

# ---- the test suite on this driver
tests() {
    local program end=$((SECONDS + test_limit))
    export CARDINAL_TEST_VALIDATION=${CARDINAL_TEST_VALIDATION-off} CTEST_TEST_TIMEOUT=
    : >"$out/tests.txt"
    for program in $programs; do
        [ -x "$build/$program" ] || { note "$program is not in the build"; continue; }
        local left=$((end - SECONDS))
        [ $left -gt 5 ] || { note "$program: no time left"; continue; }
        say "$program"
        limit $left "$build/$program" >>"$out/tests.txt" 2>&1 || note "$program: exit status $?; see tests.txt"
    done
}

for section in $sections; do
    "$section"
done
python3 tests/gpu/report.py "$out" "$work"/*.json || note "the report"
say "done, $failures failures; the table is in $out/report.md"
[ $failures -eq 0 ]
