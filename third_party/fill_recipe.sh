#!/bin/bash
# fill_recipe.sh FILE URL SHA256 - a recipe of a release, third_party/recipes/*/*.in, to standard output: with the version
# of this tree, where its source archive lies, and its sum. CARDINAL_HOMEPAGE: the project's page.
set -euo pipefail
. "$(dirname "$0")/../tests/host/install/symbols.sh"
version=$(header_version "$(dirname "$0")/../engine/include/cdl/cdl.h")
sed "s|@VERSION@|$version|g; s|@URL@|$2|g; s|@SHA256@|$3|g; s|@HOMEPAGE@|${CARDINAL_HOMEPAGE-https://example.org/cardinal}|g" "$1"
