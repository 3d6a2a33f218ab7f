#!/bin/sh
# Installs what building and running devgate needs, on Debian or Ubuntu with Rust.
set -eu
cd "$(dirname "$0")"
if ! command -v cargo >/dev/null; then
    echo "Rust is missing: install 1.95 or newer from https://rustup.rs" >&2
    exit 1
fi
# The C library for static linking (libc6-dev), a compiler, cmake and perl for
# AWS-LC's sources; patch for scripts/patch-russh.sh; certificates to fetch crates.
sh apt.sh ca-certificates gcc libc6-dev make cmake perl patch
sh patch-russh.sh
