#!/bin/sh
# Installs those of the named Debian packages that are missing. Quick, and needs
# no network, when none is.
#
#   sh scripts/apt.sh [--no-services] PACKAGE…
#
# With --no-services what they bring as a service is neither started now nor at boot.
set -eu
services=yes
if [ "${1:-}" = --no-services ]; then
    services=no
    shift
fi
missing=
for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "missing:$missing (install what your system calls them)" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "as root: apt-get install -y$missing" >&2; exit 1; }
    as_root=sudo
fi

policy=/usr/sbin/policy-rc.d                 # what packages ask before they start something
if [ $services = no ] && [ ! -e $policy ]; then
    trap '$as_root rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
fi

echo "installing:$missing" >&2
install() {
    # shellcheck disable=SC2086  # package names hold no spaces
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 $missing >/dev/null
}
if ! install 2>/dev/null; then
    # The package lists are absent or old.
    $as_root apt-get update -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300
    install
fi
if [ $services = no ] && [ -d /run/systemd/system ]; then
    for package in $missing; do
        dpkg -L "$package" | sed -n 's|^.*/systemd/system/\([^/@]*\.service\)$|\1|p' |
            xargs -r $as_root systemctl disable --quiet
    done
fi
