#!/bin/sh
# Installs what the SDKs are made and tested with, and builds that for TypeScript. Quick when
# nothing is missing. With `generate` it makes anew what is generated from the API's document.
set -eu
cd "$(dirname "$0")/../sdk"
cache=${DEVGATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devgate-tests}/sdk
python=$cache/python/bin/python
if ! cmp -s python/requirements-dev.txt "$cache/requirements-dev.txt"; then
    echo "installing what the SDK for Python needs" >&2
    rm -rf "$cache/requirements-dev.txt" "$cache/python"
    python3 -m venv "$cache/python"
    "$python" -m pip install --quiet --disable-pip-version-check -r python/requirements-dev.txt
    cp python/requirements-dev.txt "$cache/"
fi
cd typescript
if ! [ node_modules/.package-lock.json -nt package-lock.json ]; then
    echo "installing what the SDK for TypeScript needs" >&2
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    touch node_modules/.package-lock.json
fi
if [ "${1:-}" = generate ]; then
    npm run --silent generate
    "$python" ../python/scripts/generate.py
fi
if [ ! -f dist/index.js ] || [ -n "$(find src package-lock.json tsconfig.json tsconfig.build.json -newer dist/index.js -type f -print -quit)" ]; then
    npm run --silent build >&2
fi
