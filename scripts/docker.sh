#!/bin/sh
# Starts a Docker Engine of the tests' own, with three images, unless it runs already; and
# prints its socket. It stays for the next run of the tests; end it with
#
#   sh scripts/docker.sh stop
set -eu
cd "$(dirname "$0")"
cache=${DEVGATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devgate-tests}
folder=$cache/docker
socket=$folder/docker.sock
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo

engine() {
    docker -H "unix://$socket" "$@"
}

if [ "${1:-}" = stop ]; then
    [ ! -e "$folder/docker.pid" ] || $as_root kill "$(cat "$folder/docker.pid")"
    exit
fi

sh apt.sh --no-services busybox-static docker.io iptables
mkdir -p "$folder"
if ! engine version >/dev/null 2>&1; then
    echo "starting the tests' Docker Engine" >&2
    # Nobody else's: everything of it is in the tests' folder. Its containers outlive
    # neither it nor the tests, which remove theirs.
    $as_root rm -f "$folder/docker.pid"
    mountpoint -q /sys/fs/cgroup || $as_root mount -t cgroup2 cgroup2 /sys/fs/cgroup
    $as_root setsid dockerd --host "unix://$socket" --group "$(id -gn)" \
        --bridge none --data-root "$folder/data" --exec-root "$folder/run" --pidfile "$folder/docker.pid" \
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
fi

# A root with a shell and nothing else: neither accounts nor a C library.
if ! engine image inspect devgate-test/busybox >/dev/null 2>&1; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mkdir "$root/bin"
    cp /bin/busybox "$root/bin/"
    for program in $(/bin/busybox --list); do
        [ "$program" = busybox ] || ln -s busybox "$root/bin/$program"
    done
    tar --owner=0 --group=0 -C "$root" -c . | engine import - devgate-test/busybox >/dev/null
    rm -rf "$root"
fi

# A root for a mounted /usr: the rest is links into it.
if ! engine image inspect devgate-test/host >/dev/null 2>&1; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mkdir "$root/etc" "$root/usr" "$root/var"
    for part in bin lib lib64 sbin; do ln -s "usr/$part" "$root/$part"; done
    cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/services /etc/protocols "$root/etc/"
    tar --owner=0 --group=0 -C "$root" -c . | engine import - devgate-test/host >/dev/null
    rm -rf "$root"
fi

# A Debian root with a user of its own.
if ! engine image inspect devgate-test/debian >/dev/null 2>&1; then
    echo "making a Debian image" >&2
    sh apt.sh debootstrap
    root=$(mktemp -d)
    trap '$as_root rm -rf "$root"' EXIT
    $as_root debootstrap --variant=minbase --include=procps bookworm "$root/root" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$folder/debootstrap.log" 2>&1 ||
        { tail -n 20 "$folder/debootstrap.log" >&2; exit 1; }
    $as_root chroot "$root/root" useradd --create-home --shell /bin/bash ana
    $as_root tar -C "$root/root" -c . | engine import - devgate-test/debian >/dev/null
fi
echo "$socket"
