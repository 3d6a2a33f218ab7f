//! Tokens that are handed to programs in a workspace, which ask their server with them.

use std::fs;

use e2e::api::Api;
use e2e::component::built;
use e2e::reach::Reach;
use e2e::target::Target;
use serde_json::json;

/// How programs get the token, and nothing else that would tell them of a server.
const SETTINGS: [(&str, &str); 1] = [("DEVGATE_STARTUP_SECRETS", "DEVGATE_TOKEN")];

fn check(target: &Target) {
    let gateway = target.gateway();
    let api = Api::of(target);
    let to = json!({"workspace": api.workspace, "actions": ["view", "files-read"]});
    let token = api.narrowed(&to);
    let file = target.path("token");
    fs::write(&file, token.token()).unwrap();
    let file = file.display().to_string();
    let set = ["secrets", "set", "DEVGATE_TOKEN", "--file", &file];
    let _ = gateway.cli(&set).ok();
    let _ = gateway.cli(&["restart", "default"]).ok();

    let ask = |more: &str| {
        let command = format!(
            "curl --silent --cacert \"$DEVGATE_CA\" --output /dev/null \
             --header \"Authorization: Bearer $DEVGATE_TOKEN\" --write-out '%{{http_code}}' \
             \"$DEVGATE_URL/api/v1/workspaces/$DEVGATE_WORKSPACE_ID{more}"
        );
        target.ssh().run(command).ok().out()
    };
    fs::write(gateway.home().join("file"), "x").unwrap();
    assert_eq!(ask("/files/content?path=file\""), "200");
    assert_eq!(ask("/files?path=file\" -X DELETE"), "403");
    assert_eq!(ask("/restart\" -X POST"), "403");
    assert!(gateway.home().join("file").exists());
    // The command line finds all of it by itself, too.
    let devgate = built("devgate").display().to_string();
    let shown = target
        .ssh()
        .run(format!("{devgate} cp default:file copied && cat copied"));
    assert_eq!(shown.ok().out().lines().last(), Some("x"));
}

#[test]
fn a_program_asks_its_server_with_the_token_that_it_was_handed_over_a_unix_socket() {
    check(&Target::devgate_with(Reach::Unix, &SETTINGS));
}

#[test]
fn a_program_asks_its_server_with_the_token_that_it_was_handed_over_tls() {
    check(&Target::devgate_with(Reach::Dial, &SETTINGS));
}

#[test]
fn without_a_token_a_command_in_a_workspace_means_what_it_means_elsewhere() {
    let target = Target::devgate(Reach::Unix);
    let devgate = built("devgate").display().to_string();
    let data = target.gateway().data().display().to_string();
    let shown = target.ssh().run(format!(
        "test -n \"$DEVGATE_URL\" && DEVGATE_DATA_DIR={data} {devgate} list --json"
    ));
    assert!(shown.ok().out().contains("\"default\""));
}
