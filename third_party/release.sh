#!/bin/bash
# release.sh [OUT] - everything that a release consists of, from a clean clone of HEAD, checked, into the folder OUT
# (build-release): source archive, Debian packages for this Debian and for the next one, an archive for other Linuxes, one
# for Windows, recipes for package managers; SHA256SUMS. Prints a table of them, and the command that tags.
#
# For Debian 12 as root, with the network: half an hour on two cores. What cannot be made or checked is an error, unless it
# is named: RELEASE_WITHOUT="windows trixie". CARDINAL_URL: where the source archive will be downloaded from, and
# CARDINAL_HOMEPAGE, for the recipes. CARDINAL_MAINTAINER: "NAME <ADDRESS>" of the packages. .ci/run is run before this.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$root/build-release}"
out=$(cd "${1:-$root/build-release}" && pwd)
. "$root/third_party/packages.sh"
. "$root/tests/host/install/symbols.sh"
. "$root/tests/root.sh"
[ -z "$(ls -A "$out")" ] || { echo "$out is not empty: remove what an earlier run left" >&2; exit 2; }
[ -z "$(git -C "$root" status --porcelain)" ] || echo "What is not committed is not in the release: git status"
without=" ${RELEASE_WITHOUT-} "
left_out() { [[ $without == *" $1 "* ]] && echo "left out: $1"; }

# shellcheck disable=SC2086
install_packages $packages_build $packages_demo $packages_release
need_roots
work=$(mktemp -d /var/tmp/cardinal-release-XXXXXX)
bare=$work/root
# shellcheck disable=SC2317
clean_up() {
    [ ! -d "$bare" ] || { ! mountpoint -q "$bare/source" || umount -l "$bare/source"; remove_root "$bare"; }
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

git clone -q --no-hardlinks "$root" "$work/source"
cd "$work/source"
version=$(header_version engine/include/cdl/cdl.h)
maintainer=("-DCARDINAL_MAINTAINER=${CARDINAL_MAINTAINER-Cardinal contributors <cardinal@example.org>}")
grep -qF "## [$version]" CHANGELOG.md || { echo "CHANGELOG.md has no heading [$version]: say what is new" >&2; exit 1; }
tagged=$(git rev-parse -q --verify "refs/tags/v$version^{commit}" || true)
[ -z "$tagged" ] || [ "$tagged" = "$(git rev-parse HEAD)" ] || { echo "v$version is tagged, and is not HEAD: raise the version in engine/include/cdl/cdl.h" >&2; exit 1; }
echo "== Cardinal $version, $(git log -1 --format='%h %s')"

# With stb_image, which not every system has as a package
git archive --prefix="cardinal-$version/headers/stb/" --add-file=/usr/include/stb/stb_image.h --add-file=/usr/include/stb/stb_image_write.h \
    --prefix="cardinal-$version/" HEAD | xz -T0 >"$out/cardinal-$version.tar.xz"

echo "== packages of this Debian, and the archive"
third_party/package.sh deb build "$out" -DCARDINAL_WERROR=ON "${maintainer[@]}" >"$work/deb.log" 2>&1 || { tail -40 "$work/deb.log"; exit 1; }
third_party/package.sh tar build "$out" -DCARDINAL_WERROR=ON >"$work/tar.log" 2>&1 || { tail -40 "$work/tar.log"; exit 1; }

left_out trixie || {
    echo "== packages of Debian 13, whose FFmpeg has libraries of other names"
    mkdir "$bare"
    make_root trixie "$bare"
    mkdir "$bare/source" "$bare/out"
    mount --bind "$work/source" "$bare/source"
    in_root "$bare" ". /source/third_party/packages.sh && apt-get update -qq && install_packages \$packages_build \$packages_demo git file &&
        git config --global safe.directory /source && cd /source && third_party/package.sh deb build-13 /out '${maintainer[0]}'" >"$work/deb13.log" 2>&1 ||
        { tail -40 "$work/deb13.log"; exit 1; }
    mv "$bare"/out/*.deb "$out/"
    umount -l "$bare/source"
    remove_root "$bare"
}

left_out windows || {
    echo "== Windows"
    # shellcheck disable=SC2086
    install_packages $packages_wine
    third_party/windows.sh build-windows >"$work/windows.log" 2>&1 || { tail -40 "$work/windows.log"; exit 1; }
    tests/windows.sh build-windows
    third_party/package.sh zip build-windows "$out" >"$work/zip.log" 2>&1 || { cat "$work/zip.log"; exit 1; }
}

echo "== checks"
tests/packages.sh "$out" build
tests/recipes.sh
for file in homebrew/cardinal.rb aur/PKGBUILD; do
    third_party/fill_recipe.sh "third_party/recipes/$file.in" "${CARDINAL_URL-file://$out/cardinal-$version.tar.xz}" \
        "$(sha256sum "$out/cardinal-$version.tar.xz" | cut -d' ' -f1)" >"$out/${file##*/}"
done

cd "$out"
sha256sum -- * >SHA256SUMS
echo "== $out"
while read -r sum file; do
    printf '%-52s %9d bytes  %s\n' "$file" "$(stat -c %s "$file")" "$sum"
done <SHA256SUMS
[ -n "$tagged" ] || echo "To tag: git tag -a v$version -m 'Cardinal $version' $(git -C "$work/source" rev-parse --short HEAD), with the day in CHANGELOG.md"
