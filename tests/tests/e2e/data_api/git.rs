//! Repositories in a workspace.

use e2e::caller::Caller;
use e2e::docker::{BUSYBOX, Containers};
use e2e::reach::Reach;
use e2e::target::Target;
use serde_json::json;

const SCRIPT: &str = "git init -q -b main origin && cd origin && git config user.email a@b && \
                      git config user.name n && echo 1 > a && echo 1 > 'b c' && git add . && \
                      git commit -q -m first";

#[test]
fn a_repository_is_cloned_and_its_state_is_shown() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    let made = caller.post("/processes?wait=true", &json!({ "script": SCRIPT }));
    let made = made.expect(200).json();
    assert_eq!(made["process"]["exit_code"], 0, "{made}");
    let none = caller.get("/git/status").expect(404).json();
    assert_eq!(none["code"], "no-repository");
    let none = caller.get("/git/status?path=missing").expect(404).json();
    assert_eq!(none["code"], "no-repository");

    let home = target.gateway().home();
    let url = format!("file://{}/origin", home.display());
    let request = json!({ "url": url, "path": "copies/one", "branch": "main", "depth": 1 });
    let cloned = caller
        .post("/git/clone?wait=true", &request)
        .expect(200)
        .json();
    assert_eq!(cloned["process"]["exit_code"], 0, "{cloned}");
    let status = caller.get("/git/status?path=copies/one").expect(200).json();
    assert_eq!(
        status["root"],
        home.join("copies/one").display().to_string()
    );
    assert_eq!(status["branch"], "main");
    assert_eq!(status["upstream"], "origin/main");
    assert_eq!(status["clean"], true);
    assert_eq!(status["head"].as_str().unwrap().len(), 40);

    // A look runs nothing that a repository names.
    let change = "cd copies/one && git config core.fsmonitor 'touch ../../ran;' && \
                  git mv 'b c' d && echo 2 > a && mkdir new && echo > 'new/ü' && \
                  git config user.email a@b && git config user.name n";
    let changed = caller.post("/processes?wait=true", &json!({ "script": change }));
    let changed = changed.expect(200).json();
    assert_eq!(changed["process"]["exit_code"], 0, "{changed}");
    let _ = std::fs::remove_file(home.join("ran"));
    let status = caller
        .get("/git/status?path=copies/one/new")
        .expect(200)
        .json();
    assert!(!home.join("ran").exists());
    assert_eq!(status["clean"], false);
    let entries = json!([
        { "path": "a", "index": "unmodified", "worktree": "modified", "kind": "changed" },
        {
            "path": "d", "from": "b c", "index": "renamed", "worktree": "unmodified",
            "kind": "renamed",
        },
        { "path": "new/ü", "index": "unmodified", "worktree": "added", "kind": "untracked" },
    ]);
    assert_eq!(status["entries"], entries);
}

#[test]
fn addresses_that_have_git_run_something_are_refused() {
    let target = Target::devgate(Reach::Unix);
    let caller = Caller::of(target.gateway());
    for url in ["ext::sh -c touch% evil", "-uevil", "/etc", "ftp://x/y"] {
        let answer = caller.post("/git/clone", &json!({ "url": url }));
        assert_eq!(answer.expect(400).json()["code"], "bad-request", "{url}");
    }
    let failed = caller.post(
        "/git/clone?wait=true",
        &json!({ "url": "file:///nowhere", "branch": "--upload-pack=touch evil" }),
    );
    let failed = failed.expect(200).json();
    let secret = json!({ "url": "https://me:secret@localhost:1/a" });
    let shown = caller.post("/git/clone?wait=true", &secret).expect(200);
    let command = shown.json()["process"]["command"].to_string();
    assert!(command.contains("https://***@localhost:1/a"), "{command}");
    assert!(!command.contains("secret"));
    assert_ne!(failed["process"]["exit_code"], 0);
    assert!(!target.gateway().home().join("evil").exists());
}

mod docker {
    use super::*;

    #[test]
    fn a_container_without_git_says_so() {
        let it = Containers::start(BUSYBOX, &[]);
        let caller = Caller::of(it.target().gateway());
        let status = caller.get("/git/status").expect(422).json();
        assert_eq!(status["code"], "no-git");
        let request = json!({ "url": "https://git.example/a" });
        let cloned = caller.post("/git/clone", &request).expect(422).json();
        assert_eq!(cloned["code"], "no-git");
    }
}
