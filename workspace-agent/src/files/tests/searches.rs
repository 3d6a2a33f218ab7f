//! Searches by name and by content.

use super::*;

/// Runs a search and returns its lines.
fn lines(search: impl FnOnce(&mut Outgoing) -> Result<(), FileError> + Send) -> Vec<String> {
    let runtime = runtime();
    let (mut out, mut pieces) = {
        let _entered = runtime.enter();
        outgoing()
    };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            search(&mut out).unwrap();
            std::io::Write::flush(&mut out).unwrap();
        });
        let mut text = Vec::new();
        while let Some(piece) = pieces.blocking_recv() {
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    })
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one tree, and all that is asked of it"
)]
fn searches_find_what_is_meant_and_leave_out_what_git_ignores() {
    let home = Home::new();
    let at = |path: &str| home.path(path);
    fs::create_dir_all(at("in/.git")).unwrap();
    fs::create_dir_all(at("in/src/deep")).unwrap();
    fs::create_dir_all(at("in/target")).unwrap();
    fs::write(at("in/.gitignore"), "/target\n*.log\n!kept.log\n").unwrap();
    for (path, text) in [
        ("in/src/main.rs", "fn main() {\n    let Needle = 1;\n}\n"),
        ("in/src/deep/lib.rs", "// a needle\r\nother\n"),
        ("in/src/x.log", "needle"),
        ("in/src/kept.log", "no\nneedle"),
        ("in/target/out.rs", "needle"),
        ("in/.hidden.rs", "needle"),
        ("in/binary", "needle\0needle"),
    ] {
        fs::write(at(path), text).unwrap();
    }
    let root = home.confined();
    let found = |path: &[u8], asked: search::Find| -> Vec<String> {
        let folder = search::folder(&root, path).unwrap();
        let mut found: Vec<String> =
            lines(|out| search::find(&root, &home.names, folder, &asked, out))
                .iter()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
                .map(|line| match line["name"].as_str() {
                    Some(name) => name.to_owned(),
                    None => format!("~{} {}", line["found"], line["truncated"]),
                })
                .collect();
        found.sort();
        found
    };
    let named = |name: &str| search::Find {
        name: Some(search::Glob::new(name.as_bytes()).unwrap()),
        kind: None,
        scope: search::Scope::default(),
        limit: 100,
    };
    assert_eq!(found(b"", named("*.rs")), ["lib.rs", "main.rs", "~2 false"]);
    assert_eq!(found(b"", named("src/*.rs")), ["main.rs", "~1 false"]);
    assert_eq!(found(b"", named("**/*.log")), ["kept.log", "~1 false"]);
    assert_eq!(
        found(b"src", named("*.log")),
        ["kept.log", "~1 false"],
        "rules from above"
    );
    let mut all = named("*.rs");
    all.scope = search::Scope {
        hidden: true,
        ignored: true,
    };
    assert_eq!(
        found(b"", all),
        [".hidden.rs", "lib.rs", "main.rs", "out.rs", "~4 false"]
    );
    let mut folders = named("*");
    folders.kind = Some(Kind::Folder);
    assert_eq!(found(b"", folders), ["deep", "src", "~2 false"]);
    let mut one = named("*.rs");
    one.limit = 1;
    assert_eq!(found(b"", one).last().unwrap(), "~1 true");

    let grepped = |path: &[u8], asked: search::Grep| -> Vec<serde_json::Value> {
        let from = search::start(&root, path).unwrap();
        let mut found: Vec<serde_json::Value> = lines(|out| search::grep(&root, from, &asked, out))
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        found.sort_by_key(|line| line["path"].as_str().map(str::to_owned));
        found
    };
    let how = search::Matching::default();
    let found = grepped(b"", search::Grep::new(b"needle", how).unwrap());
    let end = found.first().unwrap();
    assert_eq!(
        (&end["done"], &end["found"]),
        (&true.into(), &2.into()),
        "{found:?}"
    );
    let line = &found[1];
    assert!(
        line["path"]
            .as_str()
            .unwrap()
            .ends_with("/in/src/deep/lib.rs")
    );
    assert_eq!(
        (&line["line"], &line["text"]),
        (&1.into(), &"// a needle".into())
    );
    assert_eq!(line["matches"][0]["start"], 5);
    let how = search::Matching {
        ignore_case: true,
        ..how
    };
    let mut asked = search::Grep::new(b"needle", how).unwrap();
    asked.context = 1;
    let found = grepped(b"src/main.rs", asked);
    let shown: Vec<_> = found
        .iter()
        .map(|line| (&line["line"], &line["context"]))
        .collect();
    assert_eq!(shown.len(), 4, "{found:?}");
    assert!(
        found
            .iter()
            .any(|line| line["text"] == "}" && line["context"] == true)
    );
    let how = search::Matching {
        fixed: true,
        ..search::Matching::default()
    };
    let found = grepped(b"", search::Grep::new(b"main() {", how).unwrap());
    assert_eq!(found.len(), 2, "{found:?}");
    let bad = search::Grep::new(b"main() {(", search::Matching::default());
    assert!(matches!(bad, Err(FileError::Pattern { .. })));
}

#[test]
fn a_folder_that_may_be_read_and_not_entered_ends_no_search() {
    let home = Home::new();
    fs::create_dir(home.path("in/shut")).unwrap();
    fs::write(home.path("in/shut/file.rs"), "").unwrap();
    fs::write(home.path("in/z.rs"), "").unwrap();
    for (path, mode) in [("in/shut", 0o744), ("in", 0o755), ("", 0o755)] {
        allow(&home.path(path), mode);
    }
    let asked = search::Find {
        name: Some(search::Glob::new(b"*.rs").unwrap()),
        kind: None,
        scope: search::Scope::default(),
        limit: 100,
    };
    let found = as_nobody(|| {
        let root = home.free();
        let folder = search::folder(&root, b"in").unwrap();
        lines(|out| search::find(&root, &home.names, folder, &asked, out))
    });
    assert_eq!(found.len(), 2, "{found:?}");
    let end: serde_json::Value = serde_json::from_str(&found[1]).unwrap();
    assert_eq!((&end["found"], &end["unreadable"]), (&1.into(), &1.into()));
}

#[test]
fn the_end_of_a_line_is_found_before_a_carriage_return_and_binary_files_are_counted() {
    let home = Home::new();
    fs::write(home.path("in/dos"), "one end\r\nend two\r\n").unwrap();
    fs::write(home.path("in/binary"), "end\0").unwrap();
    let root = home.free();
    let grepped = |pattern: &[u8]| -> Vec<serde_json::Value> {
        let from = search::start(&root, b"in").unwrap();
        let asked = search::Grep::new(pattern, search::Matching::default()).unwrap();
        let found = lines(|out| search::grep(&root, from, &asked, out));
        found
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let found = grepped(b"end$");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0]["text"], "one end");
    assert_eq!(
        found[0]["matches"],
        serde_json::json!([{ "start": 4, "end": 7 }])
    );
    assert_eq!(
        (&found[1]["binary"], &found[1]["found"]),
        (&1.into(), &1.into())
    );
    assert_eq!(grepped(b"^end").len(), 2, "in whichever line");
    // Whoever looks for it finds it.
    assert_eq!(grepped(b"two\\r").len(), 2);
}
