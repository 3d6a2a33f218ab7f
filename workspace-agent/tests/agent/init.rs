//! The agent's binary: its start, its end, and what falls to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devgate_protocol::config::AgentConfig;
use devgate_protocol::control::{self, FromAgent, FromGateway};
use devgate_protocol::{Answer, Open, SessionOpen, socket};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::client::{DEADLINE, Session, config, connect, stands_still, within};
use crate::startup::step;

struct Process {
    folder: TempDir,
    config: AgentConfig,
    child: Child,
}

impl Process {
    async fn start(wrapper: &[&str]) -> Self {
        Self::configured(wrapper, |_| {}).await
    }

    async fn configured(wrapper: &[&str], change: impl FnOnce(&mut AgentConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path(), BTreeMap::new());
        change(&mut config);
        fs::write(
            folder.path().join("agent.toml"),
            toml::to_string(&config).unwrap(),
        )
        .unwrap();
        let child = spawn(folder.path(), wrapper);
        let process = Self {
            folder,
            config,
            child,
        };
        let deadline = Instant::now() + DEADLINE;
        while socket::connect(&process.socket()).await.is_err() {
            assert!(Instant::now() < deadline, "{}", process.log());
            tokio::task::yield_now().await;
        }
        process
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/agent.sock")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    async fn session(&self) -> Session {
        let open = Open::Session(SessionOpen::default());
        let (stream, answer) = connect(self.socket(), &open).await;
        assert_eq!(answer, Answer::Opened);
        Session::over(stream)
    }

    async fn run(&self, line: &str) -> String {
        let mut session = self.session().await;
        session.exec(line).await;
        session.outcome().await.text()
    }

    /// Returns its resident memory, in bytes.
    fn resident(&self) -> u64 {
        let pages = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, wrapper: &[&str]) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    let binary = env!("CARGO_BIN_EXE_devgate-agent");
    let mut words = wrapper.iter().copied().chain([binary, "--grace", "1"]);
    Command::new(words.next().unwrap())
        .args(words)
        .arg("--config")
        .arg(folder.join("agent.toml"))
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn the_end_of_the_agent_is_the_end_of_all_that_it_started_and_a_clean_exit() {
    let mut process = Process::start(&[]).await;
    let stubborn = "trap '' HUP TERM; while :; do sleep 0.1; done";
    let daemon = process
        .run(&format!(
            "setsid bash -c \"{stubborn}\" >/dev/null 2>&1 </dev/null & echo $!"
        ))
        .await;
    let detached = process
        .run("(setsid env -i /bin/sleep 300 >/dev/null 2>&1 </dev/null & echo $!)")
        .await;
    let mut session = process.session().await;
    session.exec("echo $$; exec sleep 301").await;
    let foreground = session.until("\n").await;
    assert!(is_alive(&daemon) && is_alive(&detached) && is_alive(&foreground));
    assert_eq!(process.terminate(), Some(0), "{}", process.log());
    assert!(!is_alive(&daemon) && !is_alive(&detached) && !is_alive(&foreground));
    // What ended it was told before the stream closed.
    let signal = session.outcome().await.signal.unwrap().signal;
    assert!(signal == "HUP" || signal == "TERM", "{signal}");
    assert!(!process.socket().exists() || socket::connect(&process.socket()).await.is_err());
}

#[tokio::test]
async fn what_a_killed_agent_has_left_is_found_by_the_next_one() {
    let mut process = Process::start(&[]).await;
    let orphan = process
        .run("setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $!")
        .await;
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    assert!(is_alive(&orphan));
    process.child = spawn(process.folder.path(), &[]);
    let deadline = Instant::now() + DEADLINE;
    while socket::connect(&process.socket()).await.is_err() {
        assert!(Instant::now() < deadline, "{}", process.log());
    }
    assert_eq!(process.run("echo again").await, "again\n");
    assert_eq!(process.terminate(), Some(0));
    assert!(!is_alive(&orphan));
}

#[tokio::test]
async fn a_step_that_a_killed_agent_was_running_is_ended_and_runs_again() {
    let line = "echo $$ >> pids; until test -e go; do sleep 0.05; done; echo over >> ended";
    let step = step("step", line);
    let mut process = Process::configured(&[], |config| config.startup.steps = vec![step]).await;
    let home = process.config.home.clone();
    let lines = |name: &str, count| {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let text = fs::read_to_string(home.join(name)).unwrap_or_default();
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            if lines.len() == count {
                return lines;
            }
            assert!(Instant::now() < deadline, "{name}: {lines:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let first = lines("pids", 1);
    // The agent notes it a moment after it has started it.
    let note = process.config.runtime.join(format!("startup-{}", first[0]));
    let deadline = Instant::now() + DEADLINE;
    while !note.exists() {
        assert!(Instant::now() < deadline, "{}", note.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    assert!(is_alive(&first[0]));
    process.child = spawn(process.folder.path(), &[]);
    let both = lines("pids", 2);
    assert!(!is_alive(&first[0]) && is_alive(&both[1]));
    fs::write(home.join("go"), "").unwrap();
    lines("ended", 1);
    assert_eq!(process.terminate(), Some(0), "{}", process.log());
}

#[tokio::test]
async fn a_second_agent_for_the_workspace_says_that_there_is_one() {
    let process = Process::start(&[]).await;
    let output = Command::new(env!("CARGO_BIN_EXE_devgate-agent"))
        .arg("--config")
        .arg(process.folder.path().join("agent.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("another agent already serves"), "{said}");
    assert_eq!(process.run("echo unharmed").await, "unharmed\n");
}

#[tokio::test]
async fn a_broken_configuration_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("agent.toml"), "workspace = 3").unwrap();
    let mut child = spawn(folder.path(), &[]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.starts_with("devgate-agent: the configuration"), "{log}");
}

#[tokio::test]
async fn as_process_one_it_reaps_orphans_keeps_its_own_statuses_and_ends_with_everything() {
    let mut process = Process::start(&[
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child=KILL",
    ])
    .await;
    assert_eq!(process.run("echo $PPID").await, "1\n");
    for round in 0..20 {
        let line = format!("(setsid sh -c 'sleep 0.01' >/dev/null 2>&1 &); exit {round}");
        let mut session = process.session().await;
        session.exec(&line).await;
        assert_eq!(session.outcome().await.status, Some(round));
    }
    let deadline = Instant::now() + DEADLINE;
    let zombies = "grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null";
    while !process.run(zombies).await.is_empty() {
        assert!(Instant::now() < deadline, "orphans weren't reaped");
    }
    process
        .run("setsid env -i /bin/sleep 300 >/dev/null 2>&1 </dev/null &")
        .await;
    // unshare forwards no signals: the namespace's own processes can send one.
    let mut session = process.session().await;
    session.exec("kill -TERM 1; sleep 300").await;
    let _ = session.outcome().await;
    assert_eq!(
        process.child.wait().unwrap().code(),
        Some(0),
        "{}",
        process.log()
    );
}

#[tokio::test]
async fn a_control_stream_greets_and_answers_pings_and_several_are_fine() {
    let process = Process::start(&[]).await;
    for _ in 0..2 {
        let (mut stream, answer) = connect(process.socket(), &Open::Control).await;
        assert_eq!(answer, Answer::Opened);
        let hello: FromAgent = within(control::read(&mut stream)).await.unwrap().unwrap();
        let FromAgent::Hello { workspace, pid, .. } = hello else {
            panic!("{hello:?}");
        };
        assert_eq!(workspace, process.config.workspace);
        assert_eq!(pid, process.child.id());
        let welcome = FromGateway::Welcome {
            protocol: devgate_protocol::VERSION,
            version: "test".into(),
            features: Vec::new(),
            environment: BTreeMap::new(),
            secrets: Vec::new(),
            missing: Vec::new(),
            authority: None,
        };
        control::write(&mut stream, &welcome).await.unwrap();
        control::write(&mut stream, &FromGateway::Ping { number: 9 })
            .await
            .unwrap();
        let pong: FromAgent = within(control::read(&mut stream)).await.unwrap().unwrap();
        assert_eq!(pong, FromAgent::Pong { number: 9 });
    }
}

#[tokio::test]
async fn a_reader_that_stalls_stops_the_program_and_takes_no_memory() {
    let process = Process::start(&[]).await;
    let mut session = process.session().await;
    let line = "echo $$; exec head -c 300000000 /dev/zero";
    session.exec(line).await;
    let pid = session.until("\n").await.lines().next().unwrap().to_owned();
    let before = process.resident();
    let io = format!("/proc/{pid}/io");
    // Its writes stand still once the pipe, of 64 KiB, and the socket are full.
    let written = stands_still(100_000, || {
        let io = fs::read_to_string(&io).unwrap();
        let mut fields = io.lines().filter_map(|line| line.split_once(": "));
        let (_, count) = fields.find(|(name, _)| *name == "wchar").unwrap();
        count.parse().unwrap()
    })
    .await;
    assert!(written < 100_000_000, "{written} bytes are under way");
    let grown = process.resident().saturating_sub(before);
    assert!(grown < 8_000_000, "{grown} bytes");
    let outcome = session.outcome().await;
    assert!(outcome.stdout.len() > 299_000_000);
    assert_eq!(outcome.status, Some(0));
}
