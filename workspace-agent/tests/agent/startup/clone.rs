//! Repositories that are cloned when a workspace starts, and what their servers are shown.

use super::*;

fn repository(url: &str) -> Repository {
    Repository {
        url: url.to_owned(),
        branch: None,
        folder: None,
        credentials: Credentials::None,
        depth: None,
        wait: false,
    }
}

fn git(folder: &Path, args: &[&str]) {
    let done = Program::new("git")
        .current_dir(folder)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .output()
        .expect("apt-get install git");
    assert!(done.status.success(), "{done:?}");
}

/// Makes a bare repository with one file, and returns where it is.
fn origin(folder: &Path) -> String {
    let work = folder.join("work");
    fs::create_dir(&work).unwrap();
    git(&work, &["init", "-q"]);
    fs::write(work.join("README"), "cloned\n").unwrap();
    git(&work, &["add", "README"]);
    git(&work, &["commit", "-q", "-m", "first"]);
    let bare = folder.join("project.git");
    git(folder, &["clone", "-q", "--bare", "work", "project.git"]);
    git(&bare, &["update-server-info"]);
    bare.display().to_string()
}

#[tokio::test]
async fn a_repository_is_cloned_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let url = origin(folder.path());
    let startup = |url: &str| Startup {
        repository: Some(Repository {
            folder: Some("src/project".into()),
            branch: Some("main".into()),
            ..repository(url)
        }),
        ..steps(vec![step("after", "cat src/project/README")])
    };
    let workspace = started(|config| {
        // What a clone that was killed has left.
        let left = config.home.join("src/.project.devgate-clone/.git");
        fs::create_dir_all(left).unwrap();
        config.startup = startup(&url);
    })
    .await;
    let status = over(&workspace).await;
    let text = log(&workspace).await;
    assert_eq!(status["state"], "done", "{text}");
    assert!(text.contains("[after] cloned\n"), "{text}");
    assert_eq!(status["steps"][0]["name"], "clone");
    let names = fs::read_dir(workspace.home().join("src")).unwrap();
    assert_eq!(names.count(), 1);
    fs::write(workspace.home().join("src/project/README"), "mine\n").unwrap();
    let workspace = workspace.again(with(startup("/nowhere.git"))).await;
    let status = over(&workspace).await;
    assert_eq!(states(&status), ["skipped", "done"]);
    let text = log(&workspace).await;
    assert!(text.contains("[after] mine\n"), "{text}");
}

#[tokio::test]
async fn a_clone_that_fails_says_why_and_leaves_nothing() {
    let startup = |url: &str| Startup {
        repository: Some(repository(url)),
        ..steps(vec![step("never", "touch never")])
    };
    let workspace = started(with(startup("/nowhere/project.git"))).await;
    let status = over(&workspace).await;
    assert_eq!(status["state"], "failed");
    assert_eq!(states(&status), ["failed", "skipped"]);
    assert_eq!(status["failure"]["step"], "clone");
    assert_eq!(status["failure"]["exit"], 128, "{status}");
    let left: Vec<_> = fs::read_dir(workspace.home())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".local"]);
    // Without git, and with a password that git would write down.
    let nothing = BTreeMap::from([("PATH".to_owned(), "/nowhere".to_owned())]);
    let startup_of = startup("/nowhere/project.git");
    let workspace = Workspace::configured(nothing, with(startup_of)).await;
    let status = over(&workspace).await;
    assert_eq!(
        status["detail"],
        "clone failed: git is not in the workspace: put it into the image"
    );
    let workspace = started(with(startup("https://me:pass@git.invalid/project"))).await;
    let status = over(&workspace).await;
    assert!(
        status["detail"]
            .as_str()
            .unwrap()
            .contains("has a password in it")
    );
    assert!(!log(&workspace).await.contains("me:pass"));
}

/// Serves the files of a folder to whoever shows this user and password, as git's plain
/// HTTP transport reads them.
async fn serve_files(listener: TcpListener, folder: std::path::PathBuf, expected: String) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (folder, expected) = (folder.clone(), expected.clone());
        connections.spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    return;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap();
            let path = path.split('?').next().unwrap().trim_start_matches('/');
            let allowed = head
                .lines()
                .any(|line| line == format!("Authorization: Basic {expected}"));
            let (status, body) = match fs::read(folder.join(path)) {
                _ if !allowed => (
                    "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"",
                    Vec::new(),
                ),
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        });
    }
}

#[tokio::test]
async fn a_token_opens_a_repository_and_is_nowhere_afterwards() {
    const TOKEN: &str = "t0ken-of-the-repository";
    let folder = tempfile::tempdir().unwrap();
    origin(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(serve_files(
        listener,
        folder.path().to_owned(),
        STANDARD.encode(format!("robot:{TOKEN}")),
    ));
    let startup = Startup {
        repository: Some(Repository {
            credentials: Credentials::Token {
                secret: "GIT".into(),
                user: "robot".into(),
            },
            ..repository(&format!("http://{address}/project.git"))
        }),
        secrets: vec!["GIT".into()],
        ..Startup::default()
    };
    let workspace = started(|config| {
        // A helper of the home's own would write the token down.
        fs::create_dir_all(&config.home).unwrap();
        fs::write(
            config.home.join(".gitconfig"),
            "[credential]\n\thelper = store\n",
        )
        .unwrap();
        config.startup = startup;
    })
    .await;
    let _gateway = welcome(&workspace, vec![told("GIT", None, TOKEN)], Vec::new()).await;
    let status = over(&workspace).await;
    assert_eq!(status["state"], "done", "{}", log(&workspace).await);
    let text = fs::read_to_string(workspace.home().join("project/README")).unwrap();
    assert_eq!(text, "cloned\n");
    let found = Program::new("grep")
        .args(["-r", "-l", "--devices=skip", TOKEN])
        .arg(workspace.folder.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    assert_eq!(workspace.run("env | grep -c t0ken").await.text(), "0\n");
}

#[tokio::test]
async fn a_clone_with_a_forwarded_agent_waits_for_somebody_who_forwards_one() {
    let folder = tempfile::tempdir().unwrap();
    let url = origin(folder.path());
    let startup = Startup {
        repository: Some(Repository {
            credentials: Credentials::Agent,
            wait: true,
            ..repository(&url)
        }),
        ..Startup::default()
    };
    let workspace = started(with(startup)).await;
    let waiting = |status: &Value| status["needs_connection"] == true;
    let status = workspace.until("/startup", waiting).await;
    assert_eq!(
        status["detail"],
        "waiting for an ssh connection with agent forwarding (ssh -A)"
    );
    // One that forwards none is none.
    assert_eq!(workspace.run("echo in").await.text(), "in\n");
    assert!(waiting(&workspace.get("/startup").await));
    let mut session = workspace.session().await;
    session.send(Kind::AuthAgent, &[]).await;
    session.exec("cat").await;
    let status = over(&workspace).await;
    assert_eq!(status["state"], "done", "{}", log(&workspace).await);
    assert_eq!(status["needs_connection"], false);
    assert!(workspace.home().join("project/README").exists());
}
