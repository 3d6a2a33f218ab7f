//! Folders as archives, and names that are no text, through the gateway.

use e2e::api::Api;
use e2e::everywhere;
use e2e::target::Target;
use serde_json::{Value, json};

/// Posts JSON.
#[track_caller]
fn post(api: &Api, path: &str, body: &Value) -> e2e::api::Answer {
    api.send("POST", path, body.to_string().as_bytes())
}

everywhere! {

fn a_name_that_is_no_text_is_moved_copied_and_watched_by_what_is_told_of_it(target: &Target) {
    let api = Api::of(target);
    let _ = target.ssh().run("mkdir odd; printf x > \"$(printf 'odd/\\377')\"").ok();
    let listed = api.file("/files/list?path=odd", &[]).json(200);
    let found = &listed["items"][0];
    let way = json!({
        "from": found["path"], "raw_from": found["raw_path"],
        "to": "odd/-", "raw_to": "odd/%FE",
    });
    let moved = post(&api, "/files/move", &way).json(200);
    let raw = moved["raw_path"].as_str().unwrap();
    assert!(raw.ends_with("/odd/%FE"), "{raw}");
    let way = json!({ "from": "-", "raw_from": raw, "to": "odd/copy" });
    assert_eq!(post(&api, "/files/copy", &way).json(200)["size"], 1);
    let mode = json!({ "path": moved["path"], "raw_path": raw, "mode": "0600" });
    assert_eq!(post(&api, "/files/mode", &mode).json(200)["mode"], "0600");
    let made = post(&api, "/files/folder", &json!({ "path": "-", "raw_path": "odd/%FD" })).json(201);
    assert!(made["raw_path"].as_str().unwrap().ends_with("/odd/%FD"));
    let unnamed = json!({ "path": "", "raw_path": "odd/%FA" });
    post(&api, "/files/folder", &unnamed).refused(400, "bad-request");
    let _ = post(&api, "/files/link", &json!({ "path": "-", "raw_path": "odd/%FC", "target": "odd" }))
        .json(201);
    let begun = post(&api, "/files/uploads", &json!({ "path": "-", "raw_path": "odd/%FB", "size": 0 }));
    let id = begun.json(201)["id"].as_str().unwrap().to_owned();
    let _ = post(&api, &format!("/files/uploads/{id}/complete"), &json!({})).json(200);
    let _ = post(&api, "/watches", &json!({ "path": "-", "raw_path": "odd/%FD" })).json(201);
    let listed = api.file("/files/list?path=odd", &[]).json(200);
    let ends: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["raw_path"].as_str().unwrap_or("/text"))
        .map(|path| path.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(ends, ["text", "%FB", "%FC", "%FD", "%FE"]);
}

fn an_archive_says_what_it_leaves_out_and_zip_takes_no_name_that_is_no_text(target: &Target) {
    let api = Api::of(target);
    let _ = target.ssh().run("mkdir odd; printf x > \"$(printf 'odd/\\377')\"").ok();
    let tar = api.file("/files/tree?path=odd&unreadable=skip", &[]);
    assert_eq!((tar.status, tar.header("left-out")), (200, Some("0")));
    api.file("/files/tree?path=odd&format=zip", &[]).refused(409, "not-text");
    api.file("/files/tree?path=odd&unreadable=no", &[]).refused(400, "bad-request");
}

}
