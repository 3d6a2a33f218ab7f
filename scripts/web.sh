#!/bin/sh
# Builds the dashboard, gateway/web/dist, which becomes part of the binary. Does
# nothing when it is newer than its sources.
set -eu
cd "$(dirname "$0")/../gateway/web"
# A file that a build didn't change keeps its time; the stamp says when it ran.
stamp=node_modules/.built
if [ -f dist/index.html ] && [ -f "$stamp" ] && [ -z "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -name .build.lock -prune -o -newer "$stamp" -type f -print -quit)" ]; then
    exit 0
fi

if ! command -v npm >/dev/null; then
    echo "the dashboard needs Node.js 20.19 or newer with npm: install it (https://nodejs.org)" >&2
    exit 1
fi
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
    echo "the dashboard needs Node.js 20.19 or newer, this is $(node --version): install it (https://nodejs.org), Debian 12's is too old" >&2
    exit 1
fi
exec 9>.build.lock
flock 9                                      # two builds side by side would mix
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "dashboard: installing its packages" >&2
    npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=5 --loglevel=error
    touch node_modules/.package-lock.json
fi
echo "dashboard: building" >&2
rm -f "$stamp"
npm run --silent build -- >build.log 2>&1 || { cat build.log >&2; exit 1; }
rm -f build.log
touch "$stamp"
