//! code-server under its supervisor.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devgate_protocol::{Answer, Open, RefusalReason};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;

use crate::browser::request;
use crate::client::Workspace;

/// Returns code-server's program, as scripts/setup-tests.sh installs it.
fn code_server() -> PathBuf {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let cache = std::env::var_os("DEVGATE_TEST_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            std::env::var_os("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("devgate-tests"))
        })
        .unwrap_or_else(|| home.join(".cache/devgate-tests"));
    let program = cache.join("code-server-4.100.3/out/node/entry.js");
    assert!(
        program.exists(),
        "code-server is missing: run scripts/setup-tests.sh"
    );
    program
}

async fn workspace(change: impl FnOnce(&mut devgate_protocol::config::EditorConfig)) -> Workspace {
    Workspace::configured(BTreeMap::new(), |config| {
        config.editor.program = Some(code_server());
        change(&mut config.editor);
    })
    .await
}

async fn healthz(workspace: &Workspace) -> StatusCode {
    let wanted = Request::get("/healthz")
        .header(header::HOST, "editor")
        .body(Full::default())
        .unwrap();
    request(workspace, &Open::Editor, wanted)
        .await
        .response
        .status()
}

#[tokio::test]
async fn it_starts_when_it_is_opened_and_comes_back_when_it_is_killed() {
    let workspace = workspace(|_| {}).await;
    assert_eq!(workspace.get("/editor").await["state"], "stopped");
    assert_eq!(healthz(&workspace).await, StatusCode::OK);
    let status = workspace.get("/editor").await;
    assert_eq!(
        (&status["state"], &status["version"]),
        (&"running".into(), &"4.100.3".into())
    );
    assert!(status["since"].is_string());
    let socket = workspace.folder.path().join("run/editor.sock");
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let killed = workspace
        .run("ps -eo pid,args | awk -v s=\"$PWD/../run/editor.sock\" '{ sub(\"/home/../\", \"/\", s) } index($0, s) { print $1 }'")
        .await
        .text();
    let first = killed
        .split_whitespace()
        .next()
        .expect("a process")
        .to_owned();
    workspace.run(&format!("kill -9 {first}")).await;
    let since = status["since"].clone();
    workspace
        .until("/editor", |status| {
            status["state"] == "running" && status["since"] != since
        })
        .await;
    assert_eq!(healthz(&workspace).await, StatusCode::OK);

    let (accepted, _) = workspace
        .http(Method::POST, "/editor/stop", Value::Null)
        .await;
    assert_eq!(accepted, StatusCode::ACCEPTED);
    workspace
        .until("/editor", |status| status["state"] == "stopped")
        .await;
    let (accepted, status) = workspace
        .http(Method::POST, "/editor/start", Value::Null)
        .await;
    assert_eq!(
        (accepted, &status["state"]),
        (StatusCode::ACCEPTED, &"starting".into())
    );
    workspace
        .until("/editor", |status| status["state"] == "running")
        .await;
    let (accepted, _) = workspace
        .http(Method::POST, "/editor/restart", Value::Null)
        .await;
    assert_eq!(accepted, StatusCode::ACCEPTED);
    assert_eq!(healthz(&workspace).await, StatusCode::OK);
    let log = log(&workspace).await;
    assert!(log.contains("signal 9 ended code-server"), "{log}");
    workspace
        .http(Method::POST, "/editor/stop", Value::Null)
        .await;
    workspace
        .until("/editor", |status| status["state"] == "stopped")
        .await;
}

async fn log(workspace: &Workspace) -> String {
    let wanted = Request::get("/editor/log?tail=1000")
        .header(header::HOST, "agent")
        .body(Full::default())
        .unwrap();
    request(workspace, &Open::Http, wanted).await.text().await
}

#[tokio::test]
async fn it_stops_when_nobody_has_used_it_for_a_while() {
    let workspace = workspace(|editor| editor.idle_timeout = Duration::from_secs(1)).await;
    let (stream, answer) = workspace.open(&Open::Editor).await;
    assert_eq!(answer, Answer::Opened);
    assert_eq!(workspace.get("/editor").await["connections"], 1);
    // Used longer than it may be idle.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(workspace.get("/editor").await["state"], "running");
    drop(stream);
    workspace
        .until("/editor", |status| status["state"] == "stopped")
        .await;
}

#[tokio::test]
async fn where_there_is_none_it_says_how_to_get_it() {
    let workspace = Workspace::configured(BTreeMap::new(), |config| {
        config.editor.program = Some("no-such-editor".into());
    })
    .await;
    let (_, answer) = workspace.open(&Open::Editor).await;
    let Answer::Refused(refusal) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.reason, RefusalReason::EditorMissing);
    assert!(refusal.detail.contains("install"), "{}", refusal.detail);
    assert_eq!(workspace.get("/editor").await["state"], "missing");
    let (status, problem) = workspace
        .http(Method::POST, "/editor/start", Value::Null)
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &"editor-missing".into())
    );
}

#[tokio::test]
async fn one_that_ends_again_and_again_is_given_up_with_its_last_words() {
    let workspace = Workspace::configured(BTreeMap::new(), |config| {
        let program = config.runtime.parent().unwrap().join("broken");
        fs::write(
            &program,
            "#!/bin/sh\necho cannot find my heart >&2\nexit 3\n",
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        config.editor.program = Some(program);
    })
    .await;
    let (_, answer) = workspace.open(&Open::Editor).await;
    let Answer::Refused(refusal) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.reason, RefusalReason::EditorFailed);
    assert!(refusal.detail.contains("status 3"), "{}", refusal.detail);
    assert!(refusal.detail.contains("my heart"), "{}", refusal.detail);
    assert_eq!(workspace.get("/editor").await["state"], "failed");
}

/// Makes the smallest extension there is, as a `.vsix`.
async fn extension(workspace: &Workspace) -> PathBuf {
    let made = workspace
        .run(
            "mkdir -p vsix/extension && cd vsix && cat > extension/package.json <<'END'
{\"name\":\"tiny\",\"publisher\":\"devgate\",\"version\":\"1.2.3\",\"engines\":{\"vscode\":\"^1.0.0\"}}
END
cat > extension.vsixmanifest <<'END'
<?xml version=\"1.0\" encoding=\"utf-8\"?>
<PackageManifest Version=\"2.0.0\" xmlns=\"http://schemas.microsoft.com/developer/vsx-schema/2011\">
<Metadata><Identity Language=\"en-US\" Id=\"tiny\" Version=\"1.2.3\" Publisher=\"devgate\"/></Metadata>
</PackageManifest>
END
python3 -m zipfile -c ../tiny.vsix extension extension.vsixmanifest",
        )
        .await;
    assert_eq!(made.status, Some(0), "{made:?}");
    workspace.home().join("tiny.vsix")
}

#[tokio::test]
async fn extensions_are_installed_and_one_that_cannot_be_holds_up_nothing() {
    let workspace = workspace(|editor| {
        editor.extensions = vec!["missing.vsix".into(), "tiny.vsix".into()];
    })
    .await;
    extension(&workspace).await;
    assert_eq!(healthz(&workspace).await, StatusCode::OK);
    let folder = workspace.home().join(".local/share/code-server/extensions");
    let installed = || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name());
        names.any(|name| name.to_string_lossy().starts_with("devgate.tiny-1.2.3"))
    };
    let deadline = std::time::Instant::now() + crate::client::DEADLINE;
    while !installed() {
        assert!(
            std::time::Instant::now() < deadline,
            "{}",
            log(&workspace).await
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = log(&workspace).await;
    assert!(
        log.contains("the extension missing.vsix wasn't installed"),
        "{log}"
    );
    workspace
        .http(Method::POST, "/editor/stop", Value::Null)
        .await;
}
