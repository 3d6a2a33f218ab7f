//! Tokens that are handed to programs in a workspace, which ask their server with them.

use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::api::Api;
use e2e::component::built;
use e2e::process::run;
use e2e::reach::Reach;
use e2e::target::Target;
use serde_json::json;

/// How long a command may take.
const LIMIT: Duration = Duration::from_mins(1);

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

/// What the README has people make for a build.
#[test]
fn a_token_for_files_and_processes_is_enough_for_exec_and_cp() {
    let target = Target::devgate(Reach::Unix);
    let gateway = target.gateway();
    let api = Api::of(&target);
    let words = "tokens create builder --workspace default \
                 --action files-read,files-write,processes --expires 2h";
    let made = gateway.cli(&words.split_whitespace().collect::<Vec<_>>());
    let token = made.ok().out().trim_end().to_owned();
    let home = target.path("elsewhere");
    fs::create_dir(&home).unwrap();
    let devgate = |args: &[&str]| {
        let mut command = Command::new(built("devgate"));
        command
            .args(args)
            .current_dir(&home)
            .env("HOME", &home)
            .env_remove("DEVGATE_DATA_DIR")
            .env("DEVGATE_URL", api.origin())
            .env("DEVGATE_TOKEN", &token)
            .env("DEVGATE_CA", gateway.data().join("certs/ca.pem"));
        run(&mut command, b"", LIMIT)
    };
    assert_eq!(
        devgate(&["exec", "default", "--", "echo", "hi"]).ok().out(),
        "hi\n"
    );
    fs::write(home.join("up"), "content").unwrap();
    let _ = devgate(&["cp", "up", "default:there"]).ok();
    let _ = devgate(&["cp", "default:there", "down"]).ok();
    assert_eq!(fs::read_to_string(home.join("down")).unwrap(), "content");

    let refused = devgate(&["stop", "default"]);
    assert_ne!(refused.code(), 0, "{refused:?}");
    assert!(refused.err().contains("the action run"), "{refused:?}");
    let refused = devgate(&["logs", "default"]);
    assert_ne!(refused.code(), 0, "{refused:?}");
    assert!(refused.err().contains("the action view"), "{refused:?}");
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
