# shellcheck shell=bash
# symbols.sh - to be sourced.

# declared_functions HEADER...: names of the functions and variables that are declared CDL_API, sorted. Comments and
# preprocessor lines go away; then a declaration is what ends in a semicolon, and its names are what stands before the
# first parenthesis, or before [ or a comma.
declared_functions() {
    sed 's@//.*@@' "$@" | grep -v '^ *#' | tr '\n' ' ' | tr ';' '\n' | sed -n 's/.*CDL_API //p' | sed 's/(.*//' | tr ',' '\n' |
        grep -oE 'cdl_[a-z0-9_]+ *(\[\])? *$' | grep -oE 'cdl_[a-z0-9_]+' | sort -u
}
