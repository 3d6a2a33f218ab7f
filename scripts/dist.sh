#!/bin/sh
# Packs the static binaries of a folder, with completions and man pages, into
# dist/devgate-VERSION-x86_64-linux.tar.gz, and writes SHA256SUMS beside it.
#
# dist.sh BINARIES [DIST]
set -eu
cd "$(dirname "$0")/.."
binaries=${1:?which folder has the binaries?}
dist=${2:-dist}

command -v readelf >/dev/null || { echo "readelf is missing: apt-get install binutils" >&2; exit 1; }
for program in devgate devgate-agent; do
    # A static program names no loader.
    if readelf --program-headers "$binaries/$program" | grep -q INTERP; then
        echo "$binaries/$program isn't static: build it with -C target-feature=+crt-static" >&2
        exit 1
    fi
done
version=$("$binaries/devgate" --version | cut -d' ' -f2)
name=devgate-$version-$(uname -m)-linux
rm -rf "${dist:?}/$name" "$dist/$name.tar.gz"
at=$dist/$name
mkdir -p "$at/bin" "$at/share/doc/devgate"
install -m 755 "$binaries/devgate" "$binaries/devgate-agent" "$at/bin"
sh scripts/install-shell.sh "$at/bin/devgate" "$at/share"
install -m 644 README.md CHANGELOG.md LICENSE config.example.toml "$at/share/doc/devgate"
cp -R docs "$at/share/doc/devgate/"
# The same whoever packs it, and whenever: as of the commit.
when=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
tar --create --directory "$dist" --sort=name --mtime="@$when" --mode=u=rwX,go=rX \
    --owner=0 --group=0 --numeric-owner "$name" | gzip -n >"$dist/$name.tar.gz.part"
mv "$dist/$name.tar.gz.part" "$dist/$name.tar.gz"
rm -rf "$at"
# With those of other machines that lie there.
(cd "$dist" && sha256sum devgate-*.tar.gz >SHA256SUMS)
echo "packed $dist/$name.tar.gz"
