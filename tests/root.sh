# shellcheck shell=bash
# root.sh - a Debian where nothing is installed, in a folder; to be sourced. Needs root, debootstrap and the network;
# takes everything from the mirror that apt is configured with on this machine, whatever the suite.
#
# What was fetched is kept in $CARDINAL_ROOTS (default /var/cache/cardinal-roots): a root as debootstrap leaves it, made
# anew after a month, and packages.

root_mounts=(proc dev/pts dev/shm var/cache/apt/archives)

skip() { echo "SKIPPED: $*"; exit 77; }

# need_roots: ends the script with 77 where none can be made; sets $mirror.
need_roots() {
    [ "$(id -u)" = 0 ] || skip "it needs root"
    command -v debootstrap >/dev/null || skip "no debootstrap"
    host_suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    # "ADDRESS SUITE COMPONENT" of what apt installs from here, Debian's own suites alone
    host_sources=$(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u |
        awk -v suite="$host_suite" '$2 == suite || index($2, suite "-") == 1')
    mirror=$(awk -v suite="$host_suite" '$2 == suite { print $1; exit }' <<<"$host_sources")
    [[ $mirror == *debian* ]] || skip "apt is configured with no mirror of Debian here"
}

# make_root SUITE FOLDER: an empty FOLDER becomes a root, ready for in_root. 1: the mirror has no such suite, or so.
make_root() {
    local suite=$1 at=$2 more=() store=${CARDINAL_ROOTS:-/var/cache/cardinal-roots} log
    mkdir -p "$store/packages-$suite/partial"
    chmod 755 "$at" # it becomes /, which every user may enter
    find "$store" -maxdepth 1 -name "$suite.tar" -mtime +30 -delete
    if [ ! -e "$store/$suite.tar" ]; then
        [[ $mirror != https:* ]] || more=(--include=ca-certificates)
        log=$(mktemp)
        debootstrap --variant=minbase "${more[@]}" "$suite" "$at" "$mirror" >"$log" 2>&1 || { tail -20 "$log"; rm "$log"; return 1; }
        rm "$log" "$at"/var/cache/apt/archives/*.deb
        tar -C "$at" --one-file-system -cf "$store/$suite.tar.part" . && mv "$store/$suite.tar.part" "$store/$suite.tar"
    else
        tar -C "$at" -xf "$store/$suite.tar"
    fi
    if [ "$suite" = "$host_suite" ]; then
        sed 's/^/deb /' <<<"$host_sources" >"$at/etc/apt/sources.list"
    else
        echo "deb $mirror $suite main" >"$at/etc/apt/sources.list"
    fi
    apt-config dump | grep '^Acquire::' >"$at/etc/apt/apt.conf.d/90host" || true # proxies among it
    echo 'APT::Keep-Downloaded-Packages "true";' >>"$at/etc/apt/apt.conf.d/90host"
    echo force-unsafe-io >"$at/etc/dpkg/dpkg.cfg.d/90test" # it is thrown away
    cp -L /etc/resolv.conf "$at/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$at/usr/sbin/policy-rc.d" # packages start no services, as in a container
    chmod +x "$at/usr/sbin/policy-rc.d"
    mount -t proc proc "$at/proc"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$at/dev/pts"
    mkdir -p "$at/dev/shm"
    mount -t tmpfs tmpfs "$at/dev/shm"
    mount --bind "$store/packages-$suite" "$at/var/cache/apt/archives"
}

in_root() { # FOLDER COMMAND: a line for its bash, with an environment of its own; programs' caches are in /tmp
    env -i HOME=/root XDG_CACHE_HOME=/tmp/caches DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$1" /bin/bash -c "$2" </dev/null
}

remove_root() { # FOLDER
    local at
    for at in "${root_mounts[@]}"; do
        ! mountpoint -q "$1/$at" || umount -l "$1/$at"
    done
    rm -rf --one-file-system "$1"
}
