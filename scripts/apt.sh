#!/bin/sh
# Installs those of the named Debian packages that are missing. Quick, and needs
# no network, when none is.
#
#   sh scripts/apt.sh PACKAGE…
set -eu
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

echo "installing:$missing" >&2
install() {
    # shellcheck disable=SC2086  # package names hold no spaces
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 $missing >/dev/null
}
install 2>/dev/null && exit 0
# The package lists are absent or old.
$as_root apt-get update -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300
install
