# doxygen_readme.awk - Doxygen's input filter for README.md: links to files of the source tree become plain names, since
# these are not among the pages.
{
    while (match($0, /\[[^]]*\]\([^)h#][^)]*\)/) && substr($0, RSTART - 1, 1) != "!") {
        link = substr($0, RSTART, RLENGTH)
        text = link
        sub(/^\[/, "", text)
        sub(/\]\(.*/, "", text)
        $0 = substr($0, 1, RSTART - 1) text substr($0, RSTART + RLENGTH)
    }
    print
}
