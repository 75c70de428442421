# shellcheck shell=bash
# symbols.sh - what the public headers say; to be sourced.

header_version() { # cdl.h
    sed -n 's/^#define CDL_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\).*/\2/p' "$1" | paste -sd.
}

# declared_functions HEADER...: names of the functions and variables that are declared CDL_API, sorted. Comments and
# preprocessor lines go away; then a declaration is what ends in a semicolon, and its names are what stands before the
# first parenthesis, or before [ or a comma.
declared_functions() {
    sed 's@//.*@@' "$@" | grep -v '^ *#' | tr '\n' ' ' | tr ';' '\n' | sed -n 's/.*CDL_API //p' | sed 's/(.*//' | tr ',' '\n' |
        grep -oE 'cdl_[a-z0-9_]+ *(\[\])? *$' | grep -oE 'cdl_[a-z0-9_]+' | sort -u
}
