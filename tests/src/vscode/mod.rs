//! VS Code's side of Remote-SSH: the set-up script that it feeds to a shell, and
//! a client of the server that the script starts.
//!
//! Read from VS Code's sources: `src/vs/base/parts/ipc/common/ipc.net.ts` and
//! `ipc.ts`, `src/vs/platform/remote/common/remoteAgentConnection.ts`,
//! `src/vs/platform/files/common/diskFileSystemProviderClient.ts`.

mod client;
mod protocol;
mod values;

use std::fs;
use std::path::Path;

pub use client::Client;
pub use values::Value;

use crate::component::vscode_server;

/// Returns the script that starts a server, or finds the one that runs already,
/// as the extension's own does. It prints its findings between markers and
/// leaves the server behind as a background process.
///
/// `data` is the server's folder inside the workspace.
pub fn set_up_script(data: &Path, token: &str) -> String {
    let server = vscode_server();
    format!(
        r#"echo "{token}: running"
DATA='{data}'
mkdir -p "$DATA"
if [ -f "$DATA/pid" ] && kill -0 "$(cat "$DATA/pid")" 2>/dev/null; then
    echo "found running server"
else
    nohup node '{server}/out/server-main.js' --host 127.0.0.1 --port 0 \
        --accept-server-license-terms --connection-token '{token}' \
        --telemetry-level off --server-data-dir "$DATA" \
        > "$DATA/log" 2>&1 < /dev/null &
    echo "$!" > "$DATA/pid"
fi
for i in $(seq 600); do
    grep -q 'Extension host agent listening on' "$DATA/log" && break
    sleep 0.1
done
echo "{token}: start"
echo "listeningOn==$(sed -n 's/^Extension host agent listening on \([0-9]*\).*/\1/p' "$DATA/log")=="
echo "pid==$(cat "$DATA/pid")=="
echo "exitCode==0=="
echo "{token}: end"
"#,
        data = data.display(),
        server = server.display(),
    )
}

/// Returns what the script printed as `name==value==`.
#[track_caller]
pub fn found<'a>(output: &'a str, name: &str) -> &'a str {
    output
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix("==")?
                .strip_suffix("==")
        })
        .unwrap_or_else(|| panic!("no {name} in:\n{output}"))
}

/// Returns the commit that the server was built from, which its clients must name.
#[track_caller]
pub fn commit() -> String {
    let file = vscode_server().join("product.json");
    let product: serde_json::Value =
        serde_json::from_slice(&fs::read(&file).expect("the server has its product.json"))
            .expect("product.json is JSON");
    product["commit"]
        .as_str()
        .expect("it names a commit")
        .to_owned()
}
