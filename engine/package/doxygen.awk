# doxygen.awk - Doxygen's input filter: the headers' plain comments as comments that it reads, so that they can stay plain.
#
#   // text           before a declaration     /// text
#   int x; // text    and aligned lines below  int x; ///< text
#   int x, y; // text                          both have the text
#   // first block of the file                 the file's own text
#   //   indented more       not in a list     as it stands there
# A comment before an empty line or a preprocessor's condition describes no declaration, and is left as it is.

{ sub(/\r$/, ""); lines[NR] = $0 }

function is_comment(i) { return lines[i] ~ /^ *\/\// }
function text_of(line) { sub(/^.*\/\/ ?/, "", line); return line }

# The block of comment lines first..last, as text of what follows it.
function print_block(first, last,    i, line, inside, list) {
    inside = list = 0
    if (first == 1 && last >= 1)
        print "/// @file"
    for (i = first; i <= last; i++) {
        line = lines[i]
        if (line !~ /^ *\/\/   /)
            list = line ~ /^ *\/\/ - /
        if ((line ~ /^ *\/\/   / && !list) != inside) {
            print inside ? "/// @endverbatim" : "/// @verbatim"
            inside = !inside
        }
        sub(/\/\//, "///", line)
        print line
    }
    if (inside)
        print "/// @endverbatim"
}

# "TYPE a, b; // text" as "/** text */ TYPE a; /** text */ TYPE b;". comment: the text before and after it.
function print_split(declaration, comment,    names, type, n, i, line) {
    sub(/;.*/, "", declaration)
    n = split(declaration, names, /, */)
    match(names[1], /\**[A-Za-z_0-9]+(\[[0-9]+\])?$/)
    type = substr(names[1], 1, RSTART - 1)
    names[1] = substr(names[1], RSTART)
    for (i = 1; i <= n; i++)
        line = line (comment == "" ? "" : "/** " comment " */ ") type names[i] "; "
    print line
}

# "// ---- heading": what follows, to the next or to the end of the extern "C", is shown under it.
function print_heading(line) {
    print group ? "/// @}" : ""
    sub(/^\/\/ ---- /, "", line)
    print "/// @name " line
    print "/// @{"
    group = 1
}

END {
    for (i = 1; i <= NR; i++) {
        first = i
        while (i <= NR && is_comment(i) && lines[i] !~ /^\/\/ ----/)
            i++
        last = i - 1
        split_here = lines[i] ~ /^ *[A-Za-z_][A-Za-z_0-9 ]* \**[A-Za-z_0-9]+(\[[0-9]+\])?(, *\**[A-Za-z_0-9]+(\[[0-9]+\])?)+;/
        comment = ""
        if (split_here || i > NR || lines[i] ~ /^\/\/ ----/ || (first > 1 && lines[i] ~ /^ *(#(if|else|elif|endif).*)?$/)) {
            for (j = first; j <= last; j++) {
                print lines[j]
                comment = comment text_of(lines[j]) " "
            }
        } else {
            print_block(first, last)
        }
        if (i > NR)
            break
        if (lines[i] ~ /^\/\/ ---- /) {
            print_heading(lines[i])
            continue
        }
        if (group && lines[i] ~ /^#ifdef __cplusplus/) {
            print "/// @}"
            group = 0
        }
        column = lines[i] ~ /^ *\/\// ? 0 : match(lines[i], /\/\/ /)
        stop = i
        while (column && stop < NR && is_comment(stop + 1) && index(lines[stop + 1], "//") == column)
            stop++
        if (split_here) {
            for (j = i; j <= stop && column; j++)
                comment = comment text_of(lines[j]) " "
            print_split(lines[i], comment)
            for (j = i + 1; j <= stop; j++)
                print ""
        } else {
            # What stands behind an opening brace is about the whole.
            if (column && lines[i] ~ /^[^\/]*[{] *\/\//) {
                print "///" substr(lines[i], column + 2)
                lines[i] = substr(lines[i], 1, column - 1)
                column = 0
            }
            for (j = i; j <= stop; j++) {
                if (column)
                    sub(/\/\/ ?/, "///< ", lines[j])
                print lines[j]
            }
        }
        i = stop
    }
}
