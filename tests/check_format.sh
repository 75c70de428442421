#!/bin/bash
# check_format.sh - the form of the code: C as clang-format 14 lays it out by .clang-format, lines of at most 120 columns
# and files of at most 700 lines, in C and in shaders. Looks at the files that git knows; prints what is wrong.
#
#   tests/check_format.sh          exit status 1: something is wrong; 77: there is no clang-format-14
#   tests/check_format.sh --fix    lets clang-format change the files
set -euo pipefail
cd "$(dirname "$0")/.."

# Files that may be longer, and why. Only these are excepted, and only from this.
long_files=(
    apps/cardinal/pretrained/imagenet_labels.c # a generated table, a label a line
)
max_columns=120 max_lines=700

command -v clang-format-14 >/dev/null || { echo "no clang-format-14; the package has the same name"; exit 77; }
mapfile -t c_files < <(git ls-files -- '*.c' '*.h')
mapfile -t all_files < <(git ls-files -- '*.c' '*.h' '*.comp' '*.glsl' '*.frag' '*.vert')
if [ "${1-}" = --fix ]; then
    exec clang-format-14 -i "${c_files[@]}"
fi
status=0
wrong() { echo "$*"; status=1; }

printf '%s\n' "${c_files[@]}" | xargs -P 2 -n 40 clang-format-14 --dry-run --Werror --ferror-limit=1 || wrong "tests/check_format.sh --fix changes what clang-format names"
! LC_ALL=C.UTF-8 grep -nHE "^.{$((max_columns + 1))}" "${all_files[@]}" || wrong "lines of more than $max_columns columns"
for file in "${all_files[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le $max_lines ] || [[ " ${long_files[*]} " == *" $file "* ]] || wrong "$file: $lines lines, at most $max_lines"
done
[ $status = 0 ] && echo "${#all_files[@]} files: well-formed, lines within $max_columns columns, files within $max_lines lines"
exit $status
