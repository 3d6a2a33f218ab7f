#!/bin/sh
# Installs code-server, and with it a VS Code server, into a cache outside the
# checkout and prints the folder. Does nothing when it is there already.
#
# Its own install downloads prebuilt binaries from GitHub; this one needs the
# npm registry and a compiler only, and builds the native modules here.
set -eu
version=4.100.3
cache=${DEVGATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/devgate-tests}
final=$cache/code-server-$version
if [ -f "$final/.complete" ]; then
    echo "$final"
    exit 0
fi

command -v npm >/dev/null || { echo "code-server needs npm: install Node.js 20 (https://nodejs.org)" >&2; exit 1; }
node=$(node -p 'process.versions.node')
[ "${node%%.*}" -ge 20 ] || { echo "code-server needs Node.js 20, this is $node: install it (https://nodejs.org), Debian 12's is too old" >&2; exit 1; }
mkdir -p "$cache"
exec 9>"$cache/code-server.lock"
flock 9                                      # two runs side by side: the second finds it done
if [ -f "$final/.complete" ]; then
    echo "$final"
    exit 0
fi

log=$cache/code-server-$version.log
work=$cache/code-server-$version.partial
rm -rf "$work"
mkdir -p "$work"
echo "code-server $version: installing (a few minutes; log in $log)" >&2

export npm_config_unsafe_perm=true           # npm drops root's rights for scripts otherwise
export npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
export npm_config_fetch_retries=5
node_prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
if [ -z "${npm_config_nodedir:-}" ] && [ -f "$node_prefix/include/node/node.h" ]; then
    export npm_config_nodedir="$node_prefix" # node-gyp would download the headers
fi

# Runs one step with its output in the log, which is shown if the step fails.
step() {
    "$@" >>"$log" 2>&1 9>&- && return
    echo "code-server $version: '$*' failed:" >&2
    tail -n 40 "$log" >&2
    exit 1
}

: >"$log"
cd "$work"
printf '{"private":true}\n' >package.json
step npm install --ignore-scripts --no-save "code-server@$version"
mv node_modules/code-server server
mv node_modules server/node_modules.top      # hoisted dependencies belong beside it
mkdir -p server/node_modules
cp -a server/node_modules.top/. server/node_modules/
rm -rf server/node_modules.top package.json package-lock.json

cd server
step npm rebuild argon2
cd lib/vscode
step npm install --ignore-scripts --omit=dev --legacy-peer-deps
(cd extensions && step npm install --ignore-scripts --omit=dev --legacy-peer-deps)
# node-pty's post-install step complains after the module is already built.
npm rebuild node-pty >>"$log" 2>&1 9>&- || true
for module in @vscode/spdlog native-watchdog @parcel/watcher kerberos; do
    step npm rebuild "$module"
done
[ -f node_modules/node-pty/build/Release/pty.node ] || { tail -n 40 "$log" >&2; echo "code-server: node-pty wasn't built" >&2; exit 1; }

# What its postinstall.sh links.
[ -e node_modules.asar ] || ln -s node_modules node_modules.asar
for script in bin/remote-cli/code-linux.sh:bin/remote-cli/code-server bin/helpers/browser-linux.sh:bin/helpers/browser.sh; do
    source=${script%%:*} target=${script##*:}
    if [ -f "$source" ]; then
        chmod +x "$source"
        ln -sf "$(basename "$source")" "$target"
    fi
done
if command -v rg >/dev/null; then
    mkdir -p node_modules/@vscode/ripgrep/bin
    ln -sf "$(command -v rg)" node_modules/@vscode/ripgrep/bin/rg
fi

cd "$cache"
rm -rf "$final"
touch "$work/server/.complete"
mv "$work/server" "$final"
rm -rf "$work"
echo "$final"
