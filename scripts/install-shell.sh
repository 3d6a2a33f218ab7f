#!/bin/sh
# Puts completions and man pages where shells and man look for them, below SHARE.
#
# install-shell.sh DEVGATE SHARE
set -eu
devgate=$1
share=$2
complete() { # SHELL FILE
    mkdir -p "$(dirname "$share/$2")"
    "$devgate" completions "$1" >"$share/$2"
}
complete bash bash-completion/completions/devgate
complete zsh zsh/site-functions/_devgate
complete fish fish/vendor_completions.d/devgate.fish
"$devgate" man --out "$share/man/man1"
