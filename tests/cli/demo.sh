#!/bin/bash
# demo.sh [BUILD [DOCS]] - BUILD/cardinal-demo in a window of Xvfb, as a person at keyboard and mouse meets it, on a CPU driver:
# 2,000 frames of a video under the validation layer with synchronization checks, memory flat; 50 sizes of the window; pickers,
# another model and precision at run time; a camera that goes and comes; a slow network beside a fast display.
# DOCS: a folder that gets the screenshots of the README. VK_DRIVER_FILES chooses the driver; else lavapipe.
# Exit status 0: all passed; 77: xvfb, xdotool or ffmpeg is missing.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:-$root/build}" && pwd) || exit 1
docs=${2-}
demo=$build/cardinal-demo
for program in Xvfb xdotool ffmpeg; do
    command -v $program >/dev/null || { echo "no $program: the demo's window was not tested"; exit 77; }
done
[ -x "$demo" ] || { echo "no $demo: SDL2, SDL2_ttf or FFmpeg was not there when it was configured"; exit 77; }

work=$(mktemp -d)
xvfb='' pid=''
finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    [ -z "$xvfb" ] || kill "$xvfb" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*"; tail -5 "$work"/*.err 2>/dev/null; exit 1; }

export CARDINAL_CACHE=$work/cache
unset CARDINAL_DEVICE SDL_VIDEODRIVER WAYLAND_DISPLAY
if [ -z "${VK_DRIVER_FILES-}" ]; then
    VK_DRIVER_FILES=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*.json' | head -1)
    export VK_DRIVER_FILES
fi

Xvfb -displayfd 3 -screen 0 1920x1200x24 -nolisten tcp 3>"$work/display" 2>/dev/null &
xvfb=$!
for _ in $(seq 100); do [ -s "$work/display" ] && break; sleep 0.1; done
[ -s "$work/display" ] || fail "Xvfb did not start"
DISPLAY=:$(cat "$work/display")
export DISPLAY

# The bundled cat, slowly approached, beside FFmpeg's test picture.
ffmpeg -v error -loop 1 -i "$root/apps/pictures/chelsea.png" -f lavfi -i testsrc2=size=320x180:rate=30 -filter_complex \
    "[0]scale=-1:1440,pad=2560:1440:(ow-iw)/2:0,zoompan=z='1+0.2*on/300':d=1:x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':s=1280x720:fps=30[a];[a][1]overlay=W-w-20:H-h-20" \
    -frames:v 300 -pix_fmt yuv420p -colorspace bt709 "$work/video.mp4" || fail "ffmpeg made no video"

case $docs in '' | /*) ;; *) docs=$PWD/$docs ;; esac
cd "$work" || exit 1 # screenshots go to the working folder
start() { # start NAME ARGUMENT...: in the background
    local name=$1; shift
    "$demo" --stats "$@" >"$work/$name.out" 2>"$work/$name.err" &
    pid=$!
}
finished() { # finished NAME: waits for its end
    local status=0
    wait "$pid" || status=$?
    pid=''
    [ $status = 0 ] || fail "$1: exit status $status"
}
figure() { # figure NAME KEY: of the JSON line
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/$1.out" "$2"
}
clean() { grep -q '^validation: 0 messages$' "$work/$1.err" || fail "$1: validation has something to say: $(head -c 600 "$work/$1.err")"; }
resident() { awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$pid/status"; }
window() {
    for _ in $(seq 100); do
        id=$(xdotool search --onlyvisible --pid "$pid" 2>/dev/null | head -1)
        [ -z "$id" ] || break
        sleep 0.1
    done
    [ -n "$id" ] || fail "no window appeared"
    xdotool windowfocus "$id"
}
press() { xdotool key "$1"; sleep "${2-1}"; kill -0 "$pid" 2>/dev/null || fail "it ended after key $1"; }

echo "== 2,000 frames under validation"
start long --validate --frames 2000 "$work/video.mp4" "$root/apps/pictures"
window
while kill -0 "$pid" 2>/dev/null; do
    sleep 2
    resident 2>/dev/null >>"$work/memory"
done
finished long
clean long
first=$(awk '{a[NR] = $1} END {print a[int(NR / 2)]}' "$work/memory") # loading and compiling are long over
last=$(awk '{a[NR] = $1} END {print a[NR - 1]}' "$work/memory")
echo "   resident: $first MB half-way, $last MB at the end; $(figure long shown_fps | cut -c 1-5) of 30 frames/s shown, $(figure long classified_per_s | cut -c 1-5) classified"
[ $((last - first)) -le 8 ] || fail "memory grows: $(tr '\n' ' ' <"$work/memory")"

echo "== 50 sizes of the window, keys and mouse, under validation"
start keys --validate "$root/apps/pictures" "$work/video.mp4"
window
sleep 5
for i in $(seq 50); do
    xdotool windowsize "$id" $((330 + (i * 397) % 1500)) $((250 + (i * 211) % 900))
    sleep 0.1
done
xdotool windowsize "$id" 1280 720
sleep 1
for key in Right h h 2 0 F1 F12 Escape c Down Return space space F12; do press $key 1; done
press p; press Down; press Return 3 # fp32
press p; press Down; press Return 3 # fp16
xdotool mousemove --window "$id" 1000 135 click 1; sleep 1 # a class
xdotool mousemove --window "$id" 1000 535 click 1; sleep 1 # the source picker
press F12; press Escape
press f 2; press f 2 # full screen; without a window manager nothing comes of it, and the pointer is lost
press q 0 2>/dev/null || true
finished keys
clean keys
[ "$(figure keys precision)" = fp16 ] || fail "the precision that was picked is not used"
[ "$(find . -name 'cardinal-*.png' | wc -l)" -ge 3 ] || fail "screenshots are missing"

echo "== a camera that goes and comes"
start camera --frames 120 "lavfi:testsrc2=size=640x480:rate=30:duration=2"
finished camera
[ "$(grep -c 'it ended; waiting for it' camera.err)" -ge 1 ] || fail "a camera that went was not noticed"

echo "== a slow network beside a fast display"
start slow --arch resnext50_32x4d --size 640x360 --frames 300 "lavfi:testsrc2=size=640x360:rate=15"
finished slow
echo "   $(figure slow shown_fps | cut -c 1-5) of 15 frames/s shown, $(figure slow classified_per_s | cut -c 1-5) classified, in $(figure slow slices) slices"
python3 - "$work/slow.out" <<'PY' || fail "the display waits for the network"
import json, sys
s = json.load(open(sys.argv[1]))
sys.exit(not s["shown_fps"] > 1.5 * s["classified_per_s"])
PY

if [ -n "$docs" ]; then
    echo "== screenshots for $docs"
    start video --frames 200 --screenshot "$docs/demo-video.png" "$work/video.mp4"
    finished video
    start picture --frames 40 --screenshot "$docs/demo-picture.png" "$root/apps/pictures/coffee.png"
    finished picture
fi
echo "the demo's window: passed"
