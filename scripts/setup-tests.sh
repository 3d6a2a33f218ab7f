#!/bin/sh
# Installs what the tests drive, on Debian or Ubuntu with Rust and Node 20: real
# clients, real servers. Quick when nothing is missing.
set -eu
cd "$(dirname "$0")"
sh setup.sh
sh apt.sh \
    bash chromium curl default-jdk-headless diffutils dropbear-bin firefox-esr fuse3 git iproute2 less lftp \
    libjsch-java libnss3-tools openssh-client openssl procps putty-tools python3 python3-venv rsync socat sshfs \
    tmux vim x11-utils xauth xvfb \
    g++ libkrb5-dev libsecret-1-dev libx11-dev libxkbfile-dev pkg-config ripgrep wrk
# The tests run these servers themselves.
sh apt.sh --no-services caddy docker-registry nginx openssh-server
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    sh apt.sh nodejs npm libnode-dev         # the headers, for native modules
fi
if ! cargo nextest --version >/dev/null 2>&1; then
    echo "installing cargo-nextest" >&2
    # Outside the checkout: its configuration would link the tool statically.
    (cd / && cargo install cargo-nextest --version 0.9.143 --locked --quiet)
fi
sh code-server.sh >/dev/null
sh docker.sh >/dev/null
sh sdk.sh
python=${XDG_CACHE_HOME:-$HOME/.cache}/devgate-tests/python
if [ ! -x "$python/bin/schemathesis" ]; then
    echo "installing schemathesis" >&2
    python3 -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5
fi
# SSH clients that are libraries, and what audits us. The lists are copied last, so that what
# was cut short is begun anew.
clients=${DEVGATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devgate-tests}/clients
wanted=../tests/clients
if ! cmp -s $wanted/requirements.txt "$clients/requirements.txt"; then
    echo "installing SSH clients for Python" >&2
    rm -rf "$clients/requirements.txt" "$clients/python"
    python3 -m venv "$clients/python"
    "$clients/python/bin/pip" install --quiet --disable-pip-version-check -r $wanted/requirements.txt
    cp $wanted/requirements.txt "$clients/"
fi
if ! cmp -s $wanted/package-lock.json "$clients/.installed"; then
    echo "installing SSH clients for Node" >&2
    rm -f "$clients/.installed"
    cp $wanted/package.json $wanted/package-lock.json "$clients/"
    (cd "$clients" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2
    cp $wanted/package-lock.json "$clients/.installed"
fi
(
    cd ../tests/browser
    [ node_modules/.package-lock.json -nt package-lock.json ] ||
        { echo "installing the browser's tests" >&2 && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json; } >&2
)
