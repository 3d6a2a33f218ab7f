//! Files, as a program with a token reads and writes them.

use std::process::Command;
use std::time::Duration;

use e2e::api::Api;
use e2e::component::program;
use e2e::everywhere;
use e2e::process::run;
use e2e::target::Target;
use e2e::wait::{SOON, until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_mins(1);

/// Runs a command of this host's.
#[track_caller]
fn local(name: &str, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(program(name));
    command.args(args);
    run(&mut command, b"", LIMIT).ok().stdout
}

/// Posts JSON.
#[track_caller]
fn post(api: &Api, path: &str, body: &Value) -> e2e::api::Answer {
    api.send("POST", path, body.to_string().as_bytes())
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

everywhere! {

fn files_are_written_read_listed_and_deleted(target: &Target) {
    let api = Api::of(target);
    let body: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let at = "/files/content?path=a%20b%2Fdata.bin";
    api.send("PUT", at, &body).refused(404, "no-file");
    let made = api.send("PUT", &format!("{at}&parents=true&mode=0640"), &body).json(201);
    assert_eq!((&made["kind"], &made["size"]), (&json!("file"), &json!(700_000)));
    assert_eq!(made["mode"], "0640");
    let path = made["path"].as_str().unwrap();
    assert!(path.starts_with('/') && path.ends_with("/a b/data.bin"), "{path}");
    let seen = target.ssh().run("stat -c %a 'a b/data.bin'; wc -c < 'a b/data.bin'");
    assert_eq!(seen.ok().out(), "640\n700000\n");

    let whole = api.file(at, &[]);
    assert!(whole.status == 200 && whole.body == body);
    let tag = made["etag"].as_str().unwrap();
    assert_eq!(whole.header("etag").unwrap(), tag);
    assert_eq!(whole.header("accept-ranges").unwrap(), "bytes");
    assert_eq!(whole.header("content-length").unwrap(), "700000");
    assert!(whole.header("content-disposition").unwrap().starts_with("attachment"));
    assert!(whole.header("last-modified").is_some());
    let part = api.file(at, &["--range", "256-511"]);
    assert!(part.status == 206 && part.body == body[256..512]);
    assert_eq!(part.header("content-range").unwrap(), "bytes 256-511/700000");
    api.file(at, &["--range", "700000-"]).refused(416, "no-range");
    let known = api.file(at, &["--header", &format!("If-None-Match: {tag}")]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    // A part is for GET alone (RFC 9110 §14.2).
    let head = api.file(at, &["--head", "--range", "256-511"]);
    assert_eq!((head.status, head.header("content-length").unwrap()), (200, "700000"));
    // The absolute path is the same file.
    let again = api.file(&format!("/files/stat?path={}", path.replace(' ', "%20")), &[]);
    assert_eq!(again.json(200)["etag"], tag);

    let conditional = |condition: &str, body: &str| {
        let address = api.inside(at);
        let args = ["--request", "PUT", "--data", body, "--header", condition];
        let mut curl = api.curl();
        curl.args(["--write-out", "%{http_code}", "--output", "/dev/null"]).args(args).arg(address);
        run(&mut curl, b"", LIMIT).ok().out()
    };
    assert_eq!(conditional("If-None-Match: *", "no"), "412");
    assert_eq!(conditional("If-Match: \"other\"", "no"), "412");
    assert_eq!(conditional(&format!("If-Match: {tag}"), "yes"), "200");
    let wrong = format!("Content-Digest: sha-256=:{}=:", "A".repeat(43));
    assert_eq!(conditional(&wrong, "no"), "400");
    let right = "Content-Digest: sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
    assert_eq!(conditional(right, "abc"), "200");
    assert_eq!(api.file(at, &[]).text(), "abc");
    assert_eq!(api.send("POST", "/files/append?path=a%20b/data.bin", b"def").json(200)["size"], 6);

    let _ = post(&api, "/files/folder", &json!({"path": "a b/x/y", "parents": true})).json(201);
    let _ = post(&api, "/files/folder", &json!({"path": "a b/x/y", "parents": true})).json(200);
    post(&api, "/files/folder", &json!({"path": "a b/x/y"})).refused(409, "exists");
    let linked = post(&api, "/files/link", &json!({"path": "a b/l", "target": "data.bin"}));
    assert_eq!(linked.json(201)["target"], "data.bin");
    assert_eq!(api.file("/files/stat?path=a%20b/l", &[]).json(200)["kind"], "file");
    let itself = api.file("/files/stat?path=a%20b/l&follow=false", &[]).json(200);
    assert_eq!((&itself["kind"], &itself["target"]), (&json!("symlink"), &json!("data.bin")));
    let way = json!({"from": "a b/data.bin", "to": "a b/x/moved"});
    let _ = post(&api, "/files/copy", &way).json(200);
    post(&api, "/files/move", &way).refused(409, "exists");
    let over = json!({"from": "a b/data.bin", "to": "a b/x/moved", "overwrite": true});
    let _ = post(&api, "/files/move", &over).json(200);
    let mode = json!({"path": "a b/x", "mode": "0700", "recursive": true});
    assert_eq!(post(&api, "/files/mode", &mode).json(200)["mode"], "0700");
    let first = api.file("/files/list?path=a%20b&limit=1", &[]).json(200);
    assert_eq!(names(&first), ["l"]);
    let next = first["next"].as_str().unwrap();
    let second = api.file(&format!("/files/list?path=a%20b&cursor={next}"), &[]).json(200);
    assert_eq!((names(&second), &second["next"]), (vec!["x".to_owned()], &Value::Null));
    api.file("/files?path=a%20b", &["--request", "DELETE"]).refused(409, "not-empty");
    let gone = api.file("/files?path=a%20b&recursive=true", &["--request", "DELETE"]);
    assert_eq!(gone.status, 204);
    api.file("/files/stat?path=a%20b", &[]).refused(404, "no-file");

    for (path, code) in [
        ("/files/stat?path=a%00b", "bad-path"),
        ("/files/stat", "bad-request"),
        ("/files/stat?path=x&folow=true", "bad-request"),
        ("/files/list?path=&limit=0", "bad-request"),
        ("/files/grep?path=&pattern=(", "bad-pattern"),
        ("/files/tree?path=&format=rar", "bad-request"),
    ] {
        api.file(path, &[]).refused(400, code);
    }
}

fn what_the_kernel_makes_up_is_read_to_its_end(target: &Target) {
    let api = Api::of(target);
    // Of no size, and of a page that isn't full.
    for path in ["/proc/version", "/sys/devices/system/cpu/online"] {
        let seen = target.ssh().run(format!("cat {path}")).ok().out();
        assert_eq!(api.file(&format!("/files/content?path={path}"), &[]).text(), seen);
    }
}

fn a_name_that_is_no_text_is_shown_and_reached(target: &Target) {
    let api = Api::of(target);
    let _ = target.ssh().run("mkdir odd; printf x > \"$(printf 'odd/\\377')\"").ok();
    let listed = api.file("/files/list?path=odd", &[]).json(200);
    let raw = listed["items"][0]["raw_path"].as_str().unwrap();
    assert!(raw.ends_with("/odd/%FF"), "{raw}");
    assert_eq!(api.file(&format!("/files/content?path={raw}"), &[]).text(), "x");
}

fn ten_thousand_files_go_both_ways_as_a_tree(target: &Target) {
    let api = Api::of(target);
    let folder = api.folder().join("many");
    for number in 0..10_000 {
        let part = folder.join(format!("{:02}", number % 100));
        if number < 100 {
            std::fs::create_dir_all(&part).unwrap();
        }
        std::fs::write(part.join(format!("{number}.txt")), format!("file {number}\n")).unwrap();
    }
    let own = api.folder().display().to_string();
    let tar = format!("{own}/up.tar");
    let _ = local("tar", &["-C", &format!("{own}/many"), "-cf", &tar, "."]);
    let (up, many) = (format!("@{tar}"), "/files/tree?path=many");
    let args = ["--request", "PUT", "--data-binary", &up];
    let unpacked = api.file(many, &args).json(200);
    assert_eq!(unpacked["entries"], 10_100);
    let count = target.ssh().run("find many -type f | wc -l; cat many/42/4242.txt");
    assert_eq!(count.ok().out().trim_start(), "10000\nfile 4242\n");
    for (format, unpack) in [
        ("tar", vec!["-xf"]),
        ("tar.gz", vec!["-xzf"]),
    ] {
        let down = format!("{own}/down.{format}");
        let got = api.file(&format!("{many}&format={format}"), &[]);
        assert_eq!(got.status, 200);
        std::fs::write(&down, &got.body).unwrap();
        let to = format!("{own}/down-{format}");
        std::fs::create_dir(&to).unwrap();
        let _ = local("tar", &[&["-C", &to][..], &unpack, &[&down]].concat());
        let _ = local("diff", &["-r", &format!("{own}/many"), &to]);
    }
    let zip = api.file(&format!("{many}&format=zip"), &[]);
    let back = api.send("PUT", "/files/tree?path=again&format=zip", &zip.body).json(200);
    assert_eq!(back["entries"], 10_100);
    assert_eq!(target.ssh().run("diff -r many again && echo same").ok().out(), "same\n");
    let evil = format!("{own}/evil.tar");
    let rename = "--transform=s,^,../../,";
    let args = ["-C", &own, "-P", rename, "-cf", &evil, "many/00/0.txt"];
    let _ = local("tar", &args);
    let up = std::fs::read(evil).unwrap();
    api.send("PUT", "/files/tree?path=many", &up).refused(403, "outside");
}

fn an_upload_that_was_cut_off_is_resumed(target: &Target) {
    let api = Api::of(target);
    let size = 20_000_000_usize;
    let body: Vec<u8> = (0_u32..).flat_map(u32::to_le_bytes).take(size).collect();
    let source = api.folder().join("source");
    std::fs::write(&source, &body).unwrap();
    let sum = local("sha256sum", &[source.to_str().unwrap()]);
    let sum = String::from_utf8(sum).unwrap()[..64].to_owned();
    let ask = json!({"path": "up/file", "size": size, "sha256": sum, "parents": true});
    let upload = post(&api, "/files/uploads", &ask).json(201);
    let one = format!("/files/uploads/{}", upload["id"].as_str().unwrap());
    post(&api, &format!("{one}/complete"), &json!({})).refused(409, "incomplete");
    // A client that sends slowly, and is killed.
    let mut slow = api.curl();
    slow.args(["--request", "PATCH", "--limit-rate", "4M", "--header", "Upload-Offset: 0"])
        .args(["--upload-file", source.to_str().unwrap()])
        .arg(api.inside(&one));
    let slow = e2e::process::Running::start(&mut slow);
    let offset = || api.file(&one, &[]).json(200)["offset"].as_u64().unwrap();
    until(SOON, "some of the upload", || offset() > 0);
    drop(slow);
    let wrong = ["--request", "PATCH", "--data", "x", "--header", "Upload-Offset: 20000000"];
    let told = api.file(&one, &wrong).refused(409, "wrong-offset")["offset"].as_u64().unwrap();
    assert!(told > 0 && told < 20_000_000, "{told}");
    let rest = api.folder().join("rest");
    std::fs::write(&rest, &body[usize::try_from(told).unwrap()..]).unwrap();
    let (begin, data) = (format!("Upload-Offset: {told}"), format!("@{}", rest.display()));
    let args = ["--request", "PATCH", "--data-binary", &data, "--header", &begin];
    let sent = api.file(&one, &args);
    assert_eq!(sent.json(200)["offset"], size);
    assert_eq!(sent.header("upload-offset").unwrap(), "20000000");
    assert_eq!(post(&api, &format!("{one}/complete"), &json!({})).json(200)["size"], size);
    let there = target.ssh().run("sha256sum < up/file; ls -A up").ok().out();
    assert!(there.starts_with(&sum) && there.ends_with("\nfile\n"), "{there}");
    api.file(&one, &[]).refused(404, "no-upload");
}

fn what_is_cut_off_leaves_nothing(target: &Target) {
    let api = Api::of(target);
    let _ = target.ssh().run("mkdir cut; echo before > cut/file").ok();
    let mut cut = api.curl();
    cut.args(["--upload-file", "-"]).arg(api.inside("/files/content?path=cut/file"));
    let mut cut = e2e::process::Running::start(&mut cut);
    // Once this returns most of it is on its way.
    cut.write(&vec![1; 4_000_000]);
    drop(cut);
    let there = || target.ssh().run("ls -A cut; cat cut/file").ok().out();
    until(SOON, "the old file alone", || there() == "file\nbefore\n");
}

fn files_are_found_by_name_and_content(target: &Target) {
    let api = Api::of(target);
    let script = "mkdir -p p/src p/out && cd p && mkdir .git && echo out > .gitignore && \
                  printf 'one\\nTWO needle\\nthree\\n' > src/a.rs && echo needle > out/b.rs && \
                  echo none > src/c.txt";
    let _ = target.ssh().run(script).ok();
    let lines = |path: &str| -> Vec<Value> {
        let found = api.file(path, &[]);
        assert_eq!(found.header("content-type").unwrap(), "application/x-ndjson");
        let text = found.text();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let found = lines("/files/find?path=p&name=*.rs");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((&found[0]["name"], &found[1]["done"]), (&json!("a.rs"), &json!(true)));
    let found = lines("/files/find?path=p&name=*.rs&ignored=true&kind=file");
    assert_eq!(found.len(), 3, "{found:?}");
    let found = lines("/files/grep?path=p&pattern=needle&context=1");
    let shown: Vec<_> = found.iter().map(|line| line["text"].as_str().unwrap_or("-")).collect();
    assert_eq!(shown, ["one", "TWO needle", "three", "-"]);
    assert_eq!(found[1]["matches"], json!([{"start": 4, "end": 10}]));
    assert_eq!(lines("/files/grep?path=p&pattern=two&ignore_case=true").len(), 2);
    assert_eq!(lines("/files/grep?path=p&pattern=n.n&fixed=true").len(), 1);
    let first = lines("/files/grep?path=p&pattern=.&limit=1");
    assert_eq!((first.len(), &first[1]["truncated"]), (2, &json!(true)));
}

fn a_token_for_one_folder_reaches_nothing_else(target: &Target) {
    let api = Api::of(target);
    let script = "mkdir jail && echo secret > file && ln -s ../file jail/l && echo in > jail/in";
    let _ = target.ssh().run(script).ok();
    let actions = json!(["files-read", "files-write"]);
    let own = api.narrowed(&json!({"folder": "jail", "actions": actions}));
    assert_eq!(own.file("/files/content?path=in", &[]).text(), "in\n");
    let _ = own.send("PUT", "/files/content?path=new", b"new").json(201);
    for more in ["Accept: */*", "Connection: devgate-confined-to", "Devgate-Confined-To: /"] {
        for path in ["../file", "l", "/etc/passwd", "%2e%2e%2ffile"] {
            let args = ["--header", more];
            own.file(&format!("/files/content?path={path}"), &args).refused(403, "outside");
        }
    }
    let way = json!({"from": "in", "to": "../out"});
    post(&own, "/files/move", &way).refused(403, "outside");
    own.file("/files?path=../file", &["--request", "DELETE"]).refused(403, "outside");
    let listed = own.file("/files/list?path=", &[]).json(200);
    assert_eq!(names(&listed), ["in", "l", "new"]);
    let reads = api.narrowed(&json!({"folder": "jail", "actions": ["files-read"]}));
    assert_eq!(reads.send("PUT", "/files/content?path=no", b"no").status, 403);
}

fn a_client_can_not_say_where_it_is_confined_to(target: &Target) {
    let api = Api::of(target);
    let _ = target.ssh().run("mkdir jail; echo out > file").ok();
    for more in ["Accept: */*", "Connection: devgate-confined-to"] {
        let args = ["--header", "Devgate-Confined-To: jail", "--header", more];
        assert_eq!(api.file("/files/content?path=file", &args).text(), "out\n");
    }
}

}
