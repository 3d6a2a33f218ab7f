#!/bin/sh
# Installs what the SDKs are made and tested with, builds that for TypeScript, and packs and
# installs both as people get them (sdk/.installed). Quick when nothing is missing. With
# `generate` it makes anew what is generated from the API's document.
set -eu
cd "$(dirname "$0")/../sdk"
sdk=$PWD
cache=${DEVGATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devgate-tests}/sdk
python=$cache/python/bin/python

# Whether something of an SDK is newer than a file, or that is missing.
newer() {
    [ ! -f "$1" ] || [ -n "$(find "$2" -newer "$1" -type f -not -path '*/__pycache__/*' \
        -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/build/*' \
        -not -path '*/.*_cache/*' -print -quit)" ]
}

wanted() {
    cat python/requirements-dev.txt python/pyproject.toml
}

if ! wanted | cmp -s - "$cache/wanted"; then
    echo "installing what the SDK for Python needs" >&2
    rm -rf "$cache/wanted" "$cache/python" "$cache/wheels"
    python3 -m venv "$cache/python"
    "$python" -m pip install --quiet --disable-pip-version-check -r python/requirements-dev.txt
    # What the package depends on, to install it from.
    "$python" -m pip wheel --quiet --disable-pip-version-check --no-build-isolation \
        -c python/requirements-dev.txt -w "$cache/wheels" ./python
    rm "$cache"/wheels/devgate-*
    wanted >"$cache/wanted"
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

to=$sdk/.installed/typescript
if newer "$to/done" .; then
    echo "packing and installing the SDK for TypeScript" >&2
    rm -rf "$to"
    mkdir -p "$to"
    touch "$to/begun"
    npm pack --silent --ignore-scripts --pack-destination "$to" >/dev/null
    cd "$to"
    echo '{ "private": true }' >package.json
    npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
        --cache "$cache/npm" ./devgate-*.tgz
    cp -R node_modules/devgate/examples .
    mv begun done
fi

cd "$sdk/python"
to=$sdk/.installed/python
if newer "$to/done" .; then
    echo "packing and installing the SDK for Python" >&2
    rm -rf "$to"
    mkdir -p "$to"
    touch "$to/begun"
    # The source package, that of it which people install, and its examples.
    "$python" -m hatchling build -t sdist -d "$to" >/dev/null
    cd "$to"
    "$python" -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps \
        -w . devgate-*.tar.gz
    python3 -m venv --without-pip venv
    "$python" -m pip --python venv/bin/python install --quiet --disable-pip-version-check \
        --no-index --find-links "$cache/wheels" devgate-*.whl
    tar -xzf devgate-*.tar.gz
    mv devgate-*/examples .
    rm -r devgate-*/
    mv begun done
fi
