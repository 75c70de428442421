#!/bin/bash
# bare_root.sh - README's two commands, apps/run.sh and tests/run.sh, on a Debian 12 where nothing is installed, as root,
# in a clone under /root that no other user may enter: what a container starts from.
#
#   tests/bare_root.sh [FOLDER]     FOLDER: where the root is made and removed again, default /var/tmp
# Clones HEAD, so commit first. Needs root, debootstrap, about 6 GB and the network; see root.sh. It takes half an hour,
# and is no step of .ci/run for that. Exit status 0: both commands passed; 77: nothing was done, and why.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/root.sh"
suite=bookworm
need_roots

bare=$(mktemp -d "${1:-/var/tmp}/bare-root-XXXXXX")
trap 'remove_root "$bare"' EXIT
trap 'exit 1' INT TERM

echo "== debootstrap $suite"
make_root $suite "$bare"
chmod 700 "$bare/root"
git clone -q --no-hardlinks "$root" "$bare/root/cardinal"
chmod 700 "$bare/root/cardinal"
echo "== $(git -C "$root" log -1 --format='%h %s')"
failed=0
for command in apps/run.sh tests/run.sh; do
    echo "== $command"
    start=$SECONDS status=0
    in_root "$bare" "unset DEBIAN_FRONTEND; cd /root/cardinal && $command" 2>&1 || status=$?
    echo "== $command: exit status $status after $((SECONDS - start)) s"
    [ $status = 0 ] || failed=1
done
exit $failed
