#!/bin/sh
# Starts the tests' own Docker Engines, with their images, unless they run already, and prints
# their sockets: one with networks of its own, which nobody else sees come and go, and one in
# this host's. They stay for the next run of the tests; end them with
#
#   sh scripts/docker.sh stop
set -eu
cd "$(dirname "$0")"
cache=${DEVGATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devgate-tests}
apart=$cache/docker
here=$cache/docker-here
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo

engine() {
    docker -H "unix://$folder/docker.sock" "$@"
}

# Starts the engine of a folder, by the rest of the arguments.
start() {
    folder=$1
    shift
    mkdir -p "$folder"
    engine version >/dev/null 2>&1 && return
    echo "starting a Docker Engine for the tests" >&2
    # Nobody else's: everything of it is in the tests' folder. Its containers outlive
    # neither it nor the tests, which remove theirs.
    $as_root rm -f "$folder/docker.pid"
    mountpoint -q /sys/fs/cgroup || $as_root mount -t cgroup2 cgroup2 /sys/fs/cgroup
    $as_root setsid "$@" dockerd --host "unix://$folder/docker.sock" --group "$(id -gn)" --bridge none \
        --data-root "$folder/data" --exec-root "$folder/run" --pidfile "$folder/docker.pid" \
        >"$folder/dockerd.log" 2>&1 </dev/null &
    tries=300
    until engine version >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ $tries = 0 ]; then
            echo "dockerd doesn't start: see $folder/dockerd.log" >&2
            tail -n 20 "$folder/dockerd.log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

# Imports what is in $root as an image, and removes it.
import() {
    tar --owner=0 --group=0 -C "$root" -c . | engine import - "$1" >/dev/null
    rm -rf "$root"
}

# A root with a shell and nothing else: neither accounts nor a C library.
have_busybox() {
    engine image inspect devgate-test/busybox >/dev/null 2>&1 && return
    root=$(mktemp -d)
    mkdir "$root/bin"
    cp /bin/busybox "$root/bin/"
    for program in $(/bin/busybox --list); do
        [ "$program" = busybox ] || ln -s busybox "$root/bin/$program"
    done
    import devgate-test/busybox
}

# A root for a mounted /usr: the rest is links into it.
have_host() {
    engine image inspect devgate-test/host >/dev/null 2>&1 && return
    root=$(mktemp -d)
    mkdir "$root/etc" "$root/usr" "$root/var"
    for part in bin lib lib64 sbin; do ln -s "usr/$part" "$root/$part"; done
    cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/services /etc/protocols "$root/etc/"
    import devgate-test/host
}

# A Debian root with a user of its own.
have_debian() {
    engine image inspect devgate-test/debian >/dev/null 2>&1 && return
    echo "making a Debian image" >&2
    sh apt.sh debootstrap
    root=$(mktemp -d)
    $as_root debootstrap --variant=minbase --include=procps bookworm "$root/root" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$folder/debootstrap.log" 2>&1 ||
        { tail -n 20 "$folder/debootstrap.log" >&2; exit 1; }
    $as_root chroot "$root/root" useradd --create-home --shell /bin/bash ana
    $as_root tar -C "$root/root" -c . | engine import - devgate-test/debian >/dev/null
    $as_root rm -rf "$root"
}

if [ "${1:-}" = stop ]; then
    for folder in "$apart" "$here"; do
        [ ! -e "$folder/docker.pid" ] || $as_root kill "$(cat "$folder/docker.pid")"
    done
    exit
fi

root=
trap '[ -z "$root" ] || $as_root rm -rf "$root"' EXIT
sh apt.sh --no-services busybox-static docker.io iproute2 iptables
start "$apart" unshare --net sh -c 'ip link set lo up && exec "$@"' sh
have_busybox
have_debian
echo "$folder/docker.sock"
start "$here"
have_busybox
have_host
echo "$folder/docker.sock"
