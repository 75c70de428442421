#!/bin/sh
# peers.sh - other programs on the same networks as a file of `cardinal bench -f json`, their rows added to it as peers'.
#
#   tests/peers.sh RESULT.json OUT.json [SECONDS]     SECONDS: of all of PyTorch's measurements; default 150
#
# PyTorch: of python3, or of $PYTHON; with CUDA by tests/gpu/pytorch.py, else on the CPU. ncnn: $BENCHNCNN, or benchncnn of
# the PATH; $NCNN_GPU is the number that it gives the GPU, default 0, and -1 for the CPU. What is not installed is told of,
# and left out. Exit status 0: OUT.json is written; 77: none of them is here.
set -eu
[ $# -ge 2 ] || { sed -n '4p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON-}
for candidate in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! "$candidate" -c 'import torch' 2>/dev/null || python=$candidate
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
found=0
if [ -n "$python" ]; then
    found=1
    if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
        "$python" "$here/gpu/pytorch.py" --budget "${3-150}" "$work/torch.json"
    else
        "$python" "$here/peers.py" torch "$1" "$work/torch.json" "${3-150}"
    fi
else
    echo "peers.sh: no PyTorch here, SKIPPED"
fi
ncnn=${BENCHNCNN-$(command -v benchncnn || true)}
if [ -n "$ncnn" ]; then
    found=1
    python3 "$here/peers.py" ncnn "$1" "$work"
    for param in "$work"/*.param; do
        (cd "$work" && "$ncnn" 20 "$(nproc)" 0 "${NCNN_GPU-0}" 0 "param=$(basename "$param")" "shape=[224,224,3]") >>"$work/ncnn.txt" 2>&1 ||
            echo "peers.sh: $ncnn failed on $(basename "$param")"
    done
else
    echo "peers.sh: no benchncnn here, SKIPPED"
fi
[ $found = 1 ] || exit 77
python3 "$here/peers.py" fold "$1" "$work" "$2"
