#!/bin/bash
# bare_root.sh - README's two commands, apps/run.sh and tests/run.sh, on a Debian 12 where nothing is installed, as root,
# in a clone under /root that no other user may enter: what a container starts from.
#
#   tests/bare_root.sh [FOLDER]     FOLDER: where the root is made and removed again, default /var/tmp
# Clones HEAD, so commit first. Needs root, debootstrap, about 6 GB and the network; installs from the mirror that apt is
# configured with on this machine. It takes half an hour, and is no step of .ci/run for that. Exit status 0: both commands
# passed; 77: nothing was done, and why.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
suite=bookworm

skip() { echo "SKIPPED: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "it needs root"
command -v debootstrap >/dev/null || skip "no debootstrap"
# "ADDRESS SUITE COMPONENT" of what apt installs from here, Debian's own suites alone
sources=$(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u |
    awk -v suite=$suite '$2 == suite || index($2, suite "-") == 1')
mirror=$(awk -v suite=$suite '$2 == suite { print $1; exit }' <<<"$sources")
[ -n "$mirror" ] || skip "apt is configured with no mirror of $suite here"

bare=$(mktemp -d "${1:-/var/tmp}/bare-root-XXXXXX")
chmod 755 "$bare" # it becomes /, which every user may enter
mounts=(proc dev/pts dev/shm)
# shellcheck disable=SC2317
clean_up() {
    local at
    for at in "${mounts[@]}"; do
        ! mountpoint -q "$bare/$at" || umount -l "$bare/$at"
    done
    rm -rf --one-file-system "$bare"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

echo "== debootstrap $suite"
more=()
[[ $mirror != https:* ]] || more=(--include=ca-certificates)
debootstrap --variant=minbase "${more[@]}" $suite "$bare" "$mirror" >"$bare.log" 2>&1 || { tail -20 "$bare.log"; rm "$bare.log"; exit 1; }
rm "$bare.log"
sed 's/^/deb /' <<<"$sources" >"$bare/etc/apt/sources.list"
apt-config dump | grep '^Acquire::' >"$bare/etc/apt/apt.conf.d/90host" # proxies among it
cp -L /etc/resolv.conf "$bare/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$bare/usr/sbin/policy-rc.d" # packages start no services, as in a container
chmod +x "$bare/usr/sbin/policy-rc.d"
mount -t proc proc "$bare/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$bare/dev/pts"
mkdir -p "$bare/dev/shm"
mount -t tmpfs tmpfs "$bare/dev/shm"

chmod 700 "$bare/root"
git clone -q --no-hardlinks "$root" "$bare/root/cardinal"
chmod 700 "$bare/root/cardinal"
echo "== $(git -C "$root" log -1 --format='%h %s')"
failed=0
for command in apps/run.sh tests/run.sh; do
    echo "== $command"
    start=$SECONDS status=0
    env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$bare" /bin/bash -c "cd /root/cardinal && $command" </dev/null 2>&1 || status=$?
    echo "== $command: exit status $status after $((SECONDS - start)) s"
    [ $status = 0 ] || failed=1
done
exit $failed
