use super::*;

const NONE: [(String, String); 0] = [];

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devgate.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn error_of(text: &str) -> String {
    let (folder, path) = file(text);
    let error = load(Some(&path), NONE, &Flags::default())
        .unwrap_err()
        .to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn environment(name: &str, value: &str) -> [(String, String); 1] {
    [(name.to_owned(), value.to_owned())]
}

#[test]
fn later_layers_win_and_siblings_are_kept() {
    let (_folder, path) = file("[ssh]\nlisten = \"0.0.0.0:22\"\nmax-unauthenticated = 7\n");
    let loaded = load(Some(&path), NONE, &Flags::default()).unwrap();
    assert_eq!(loaded.config.ssh.listen.to_string(), "0.0.0.0:22");
    assert_eq!(loaded.config.ssh.max_unauthenticated, 7);
    assert_eq!(loaded.config.ssh.keepalive_count, 6);

    let variables = environment("DEVGATE_SSH_LISTEN", "localhost:23");
    let loaded = load(Some(&path), variables.clone(), &Flags::default()).unwrap();
    assert_eq!(loaded.config.ssh.listen.to_string(), "localhost:23");
    assert_eq!(loaded.config.ssh.max_unauthenticated, 7);

    let mut flags = Flags::default();
    flags.set("--ssh-listen", "ssh.listen", Some("localhost:24"));
    let loaded = load(Some(&path), variables, &flags).unwrap();
    assert_eq!(loaded.config.ssh.listen.to_string(), "localhost:24");
}

#[test]
fn the_environment_sets_numbers_lists_and_what_is_absent_by_default() {
    let variables = [
        (
            "DEVGATE_SSH_MAX_UNAUTHENTICATED".to_owned(),
            "12".to_owned(),
        ),
        (
            "DEVGATE_HTTP_NAMES".to_owned(),
            "a.example, 10.0.0.1".to_owned(),
        ),
        ("DEVGATE_PROCESS_AGENT".to_owned(), "/opt/agent".to_owned()),
    ];
    let config = load(None, variables, &Flags::default()).unwrap().config;
    assert_eq!(config.ssh.max_unauthenticated, 12);
    assert_eq!(config.http.names, ["a.example", "10.0.0.1"]);
    assert_eq!(config.process.agent, Some(PathBuf::from("/opt/agent")));
}

#[test]
fn an_environment_has_names_of_the_readers_own() {
    let (_folder, path) = file("[process.environment]\nEDITOR = \"vim\"\nTZ = \"UTC\"\n");
    let variables = environment("DEVGATE_PROCESS_ENVIRONMENT", "TZ=Europe/Berlin, A=b=c");
    let config = load(Some(&path), variables, &Flags::default())
        .unwrap()
        .config;
    let set = config.process.environment.iter();
    let set: Vec<_> = set.map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(set, ["A=b=c", "EDITOR=vim", "TZ=Europe/Berlin"]);
    assert_eq!(
        error_of("[process.environment]\nN = 3\n"),
        "devgate.toml:2: process.environment.N: write the value in quotes"
    );
    assert!(error_of("[process.environment]\nDEVGATE_X = \"1\"\n").contains("DEVGATE_X"));
    assert!(error_of("[process]\nenvironment = 3\n").contains("process.environment"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_one() {
    assert_eq!(
        error_of("[ssh]\n\nlisten = \"[::]:22\"\nmax-unauthentcated = 3\n"),
        "devgate.toml:4: unknown key \"ssh.max-unauthentcated\": did you mean \"ssh.max-unauthenticated\"?"
    );
    assert_eq!(
        error_of("listen = \"[::]:22\"\n"),
        "devgate.toml:1: unknown key \"listen\": did you mean \"ssh.listen\"?"
    );
    assert_eq!(
        error_of("[weather]\nsunny = true\n"),
        "devgate.toml:1: unknown key \"weather\": `devgate config print` shows all keys"
    );
}

#[test]
fn a_bad_value_is_refused_with_its_place_and_what_is_allowed() {
    assert_eq!(
        error_of("drain-timeout = \"soon\""),
        "devgate.toml:1: drain-timeout: \"soon\" is not a time: write a whole number and \
         a unit, as in 500ms, 30s, 10m, 1h or 7d"
    );
    assert_eq!(
        error_of("[process]\nreach = \"carrier-pigeon\""),
        "devgate.toml:2: process.reach: \"carrier-pigeon\" is not allowed: choose from unix, dial"
    );
    assert_eq!(
        error_of("ssh = 3"),
        "devgate.toml:1: ssh: it is a section: write [ssh] and its keys below"
    );
    assert_eq!(
        error_of("[lockout]\nfailures = 0"),
        "devgate.toml:2: lockout.failures: 0 is out of range: 1 to 1000000 are allowed"
    );
    assert!(
        error_of("[ssh]\nmax-unauthenticated = \"many\"")
            .starts_with("devgate.toml:2: ssh.max-unauthenticated: ")
    );
    assert!(
        error_of("[ssh]\nmax-unauthenticated = -1")
            .starts_with("devgate.toml:2: ssh.max-unauthenticated: ")
    );
    for bad in ["-1", "\"many\""] {
        let error = error_of(&format!("[limits.user]\nworkspaces = {bad}"));
        let whole =
            "devgate.toml:2: limits.user.workspaces: write a whole number from 0 on, as in 20";
        assert_eq!(error, whole, "{bad}");
    }
    let same = error_of("[ssh]\nlisten = \"[::]:443\"\n[http]\nlisten = \"0.0.0.0:443\"");
    assert!(
        same.starts_with("devgate.toml:4: http.listen: ssh.listen is the same"),
        "{same}"
    );
    assert!(error_of("[http]\nnames = [1]").starts_with("devgate.toml:2: http.names"));

    let variables = environment("DEVGATE_SSH_LISTEN", "nowhere");
    let error = load(None, variables, &Flags::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("DEVGATE_SSH_LISTEN: ssh.listen: \"nowhere\" is not an address"),
        "{error}"
    );
}

#[test]
fn what_containers_need_is_checked_before_any_is_made() {
    assert_eq!(
        error_of("[workspaces]\ndriver = \"docker\"\n"),
        "devgate.toml:2: workspaces.driver: \"docker\" needs an image: name one with \
         docker.image (--image), as in \"debian:12\""
    );
    let mut flags = Flags::default();
    flags.set("--driver", "workspaces.driver", Some("docker"));
    flags.set("--image", "docker.image", Some("debian:12"));
    let config = load(None, NONE, &flags).unwrap().config;
    assert_eq!(config.workspaces.driver, crate::config::DriverName::Docker);
    for (line, says) in [
        (
            "image = \"de bian\"",
            "docker.image: \"de bian\" is not the name",
        ),
        ("user = \"a:b:c\"", "docker.user: \"a:b:c\" is not a user"),
        ("home = \"home\"", "docker.home: write an absolute path"),
        (
            "home = \"/.devgate/x\"",
            "docker.home: write an absolute path",
        ),
        (
            "cpus = \"none\"",
            "docker.cpus: \"none\" is not a number of processors",
        ),
        ("memory = \"1KiB\"", "docker.memory: 1KiB is out of range"),
        ("pids = 1", "docker.pids: 1 is out of range"),
        ("home = \"/tmp\"", "docker.home: write an absolute path"),
        ("mounts = [\"/a\"]", "\"/a\" is not a mount"),
        ("mounts = [\"/a:/home/dev/\"]", "home is at /home/dev"),
        (
            "mounts = [\"/a:/b\", \"/a:/tmp\"]",
            "/a:/tmp: each workspace",
        ),
        ("mounts = [\"/a:/.devgate/run\"]", "is not a mount"),
        ("mounts = [\"/a:/b\", \"c:/b:ro\"]", "mounted at /b already"),
        ("extra-hosts = [\"db\"]", "\"db\" is not a host"),
        (
            "gpus = \"some\"",
            "docker.gpus: \"some\" is not allowed: choose from none, all",
        ),
        (
            "network = \"a b\"",
            "docker.network: \"a b\" is not the name",
        ),
        ("environment = 3", "docker.environment"),
    ] {
        let error = error_of(&format!("[docker]\n{line}\n"));
        assert!(error.starts_with("devgate.toml:2: docker."), "{error}");
        assert!(error.contains(says), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let error = error_of("[ssh]\nlisten = \n");
    assert!(
        error.starts_with("devgate.toml:2: not valid TOML: "),
        "{error}"
    );
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn a_file_that_is_missing_or_huge_is_named() {
    let error = load(Some(Path::new("/nowhere/x.toml")), NONE, &Flags::default());
    assert!(error.unwrap_err().to_string().contains("/nowhere/x.toml"));
    assert!(error_of(&"# long\n".repeat(200_000)).contains("larger than"));
}

#[test]
fn a_misspelt_variable_is_only_told() {
    let variables = [
        ("DEVGATE_SSH_LISTN".to_owned(), "x".to_owned()),
        ("DEVGATE_PORT_8443_TCP_ADDR".to_owned(), "x".to_owned()),
        ("DEVGATE_WORKSPACE".to_owned(), "x".to_owned()),
        // What programs in a workspace find.
        ("DEVGATE_KEEP_AWAKE".to_owned(), "/x".to_owned()),
    ];
    let loaded = load(None, variables, &Flags::default()).unwrap();
    assert_eq!(
        loaded.warnings,
        ["DEVGATE_SSH_LISTN in the environment is no setting: did you mean DEVGATE_SSH_LISTEN?"]
    );
}
