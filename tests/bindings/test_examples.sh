#!/bin/bash
# test_examples.sh BUILD - apps/examples/installed as a user has them: C++ against an installation of the build tree BUILD,
# Python from a wheel in a fresh environment. All give what the C example gives.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset CFLAGS CXXFLAGS LDFLAGS CPATH LD_LIBRARY_PATH PYTHONPATH CARDINAL_LIBRARY CMAKE_PREFIX_PATH DESTDIR
examples=$root/apps/examples/installed
model=$root/apps/models/resnext26_32x4d_everyday.safetensors
cat=$root/apps/pictures/chelsea.png

fail() { echo "FAILED: $*"; exit 1; }
quietly() { "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "$*"; }; }
expect() { # PROGRAM...: prints what the C example prints
    "$@" "$model" "$cat" >"$tmp/got" 2>"$tmp/log" || { cat "$tmp/log"; fail "$*"; }
    diff "$tmp/expected" "$tmp/got" || fail "C (<) and $1 (>) differ"
}
cd "$tmp" # nothing of the source tree is beside
"$build/minimal" "$model" "$cat" >expected 2>log || { cat log; fail "minimal"; }
grep -q "%  cat" expected || fail "the cat is none"

echo "== C++ against an installation"
quietly cmake --install "$build" --prefix "$tmp/prefix"
quietly cmake -S "$examples" -B made -G Ninja -DCMAKE_PREFIX_PATH="$tmp/prefix" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror"
quietly cmake --build made
expect made/classify
status=0; made/classify "$tmp/none" "$cat" 2>log || status=$?
[ $status = 1 ] && grep -q "$tmp/none" log || { cat log; fail "classify without its model: status $status"; }

layer=()
if [ "${CARDINAL_TEST_VALIDATION-}" != off ]; then # it prints what it finds
    layer=(VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT)
fi
env "${layer[@]}" made/game_loop "$model" 10 4 >log 2>&1 || { cat log; fail "game_loop"; }
! grep -i -A9 -e validation -e VUID log || fail "the validation layer complains of game_loop"
[ "$(grep -c '^frames' log)" = 2 ] || { cat log; fail "two answers in ten frames of four slices were expected"; }

echo "== Python from a wheel"
python=
for candidate in /usr/bin/python3 python3; do
    if [ -z "$python" ] && "$candidate" -c "import numpy, PIL, pip, venv" 2>/dev/null; then python=$candidate; fi
done
[ -n "$python" ] || { echo "SKIPPED: no Python with NumPy, Pillow and pip (Debian: python3-numpy, python3-pil, python3-pip); C++ passed"; exit 77; }
wheel=$("$python" "$root/apps/python/make_wheel.py" "$build/engine/libcardinal.so" wheels) || fail "$wheel"
[[ $wheel == wheels/cardinal_vk-*-py3-none-manylinux_*_*.whl ]] || fail "the wheel is called $wheel"
cp "$wheel" first
"$python" "$root/apps/python/make_wheel.py" "$build/engine/libcardinal.so" wheels >/dev/null
cmp first "$wheel" || fail "the same files gave another wheel"
quietly "$python" -m venv --system-site-packages --without-pip fresh
pip() { quietly "$python" -m pip --disable-pip-version-check --python fresh/bin/python "$@"; }
pip install --no-index "$wheel"
expect fresh/bin/python "$examples/classify.py"
status=0; fresh/bin/python "$examples/classify.py" "$tmp/none" "$cat" 2>log || status=$?
[ $status = 1 ] && grep -q "^$tmp/none" log && [ "$(wc -l <log)" = 1 ] || { cat log; fail "classify.py without its model: status $status"; }

if fresh/bin/python -c "import torch, torchvision" 2>/dev/null; then
    mkdir -p set/cat set/espresso
    cp "$cat" set/cat/ && cp "$root/apps/pictures/coffee.png" set/espresso/
    fresh/bin/python "$examples/evaluate.py" "$model" set 2 >log 2>&1 || { cat log; fail "evaluate.py"; }
    grep -q "^2 images on .*: top-1 100.00 %, top-5 100.00 %$" log || { cat log; fail "evaluate.py"; }
else
    echo "SKIPPED: no PyTorch; evaluate.py was not run (Debian: python3-torch, python3-torchvision)"
fi
pip uninstall -y cardinal-vk
[ -z "$(find fresh -ipath '*cardinal*')" ] || fail "pip uninstall left $(find fresh -ipath '*cardinal*')"
echo "all examples ran; ${wheel#*/}"
