# undocumented.awk - names what has no text in Doxygen's XML: structures, functions, fields, macros and, which Doxygen itself
# passes over, enumerators. Exit status 1: there is one. To be run on all .xml files of a folder.
function begin(kind) { depth++; kinds[depth] = kind; name[depth] = ""; text[depth] = 0 }
function end() {
    if (!text[depth] && name[depth] != "" && name[depth] !~ /\.md$/) {
        print FILENAME ": no text for " kinds[depth] " " name[depth]
        bad = 1
    }
    if (name[depth] != "")
        known++
    depth--
}
/<compounddef .*kind="(struct|file)"/ { begin("compound") }
/<memberdef / { begin("member"); text[depth] = /prot="private"/ }
/<enumvalue / { begin("enumerator") }
depth && name[depth] == "" && /<(name|compoundname)>/ {
    name[depth] = $0
    gsub(/^ *<[a-z]*>|<.*$/, "", name[depth])
}
/<para>/ { if (depth) text[depth] = 1 }
/<\/enumvalue>|<\/memberdef>|<\/compounddef>/ { if (depth) end() }
END {
    if (known < 100) {
        print "the XML was not understood: " known " names"
        bad = 1
    }
    exit bad
}
