#!/bin/sh
# Builds the VS Code extension, ide-extension/package/devgate.vsix, which becomes part of
# the gateway's binary. Does nothing when it is newer than its sources.
set -eu
cd "$(dirname "$0")/../ide-extension"
stamp=node_modules/.built
# The API's types, the terminal's messages and what a workspace has are the dashboard's.
shared="../gateway/web/src/api ../gateway/web/src/terminal ../gateway/web/src/workspace"
if [ -f package/devgate.vsix ] && [ -f "$stamp" ] && [ -z "$(find . $shared \( -path ./node_modules -o -path ./dist -o -path ./package \) -prune -o -name .build.lock -prune -o -newer "$stamp" -type f -print -quit)" ]; then
    exit 0
fi

exec 9>.build.lock
flock 9                                      # two builds side by side would mix
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "extension: installing its packages" >&2
    npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=5 --loglevel=error
    touch node_modules/.package-lock.json
fi
echo "extension: building" >&2
rm -f "$stamp"
npm run --silent build >build.log 2>&1 || { cat build.log >&2; exit 1; }
rm -f build.log
touch "$stamp"
