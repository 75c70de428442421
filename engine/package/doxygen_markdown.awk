# doxygen_markdown.awk - Doxygen's input filter for the documents: what a repository's page links to and Doxygen's pages do
# not hold, such as files of the source tree and places within a page, becomes plain text.
#
#   [text](manual.md#place)     [text](manual.md)     where manual.md is one of `pages`
#   [text](../LICENSE)          text
#   [text](#place)              text
#   [text](https://...), ![picture](file)     as they stand
# -v pages="A.md docs/B.md ...": the documents, seen from the repository's root, where `root` lies.

BEGIN {
    count = split(pages, names, " ")
    for (i = 1; i <= count; i++)
        known[names[i]] = 1
}

# The link's target, seen from the root: FILENAME's folder and the link's own steps.
function from_root(link,    path) {
    path = FILENAME
    sub(/[^\/]*$/, "", path)
    path = path link
    while (path ~ /\/[^\/]+\/\.\.\//)
        sub(/\/[^\/]+\/\.\.\//, "/", path)
    return index(path, root "/") == 1 ? substr(path, length(root) + 2) : path
}

function as_page(text, link,    target) {
    if (link ~ /^[a-z]+:/)
        return "[" text "](" link ")"
    target = link
    sub(/#.*/, "", target)
    return target != "" && from_root(target) in known ? "[" text "](" target ")" : text
}

{ file = file $0 "\n" } # whole, since a link may go over two lines

END {
    while (match(file, /!?\[[^]]*\]\([^)]*\)/)) {
        whole = substr(file, RSTART, RLENGTH)
        printf "%s", substr(file, 1, RSTART - 1)
        file = substr(file, RSTART + RLENGTH)
        if (whole !~ /^!/) {
            text = link = whole
            sub(/^\[/, "", text)
            sub(/\]\(.*$/, "", text)
            sub(/^.*\]\(/, "", link)
            sub(/\)$/, "", link)
            whole = as_page(text, link)
        }
        printf "%s", whole
    }
    printf "%s", file
}
