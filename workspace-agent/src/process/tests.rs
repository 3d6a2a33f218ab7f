use std::fs;
use std::thread;

use nix::unistd::{Pid as ThreadId, gettid};

use super::*;
use crate::notices::Notices;

/// How many programs are to start at once.
const MANY: usize = 20;

fn program() -> Program {
    let null = || {
        OwnedFd::from(
            fs::File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .unwrap(),
        )
    };
    Program {
        file: c"/bin/true".into(),
        arguments: vec![c"true".into()],
        environment: Vec::new(),
        folder: c"/".into(),
        stdio: Stdio::Pipes {
            stdin: null(),
            stdout: null(),
            stderr: null(),
        },
        inherited: None,
    }
}

/// Waits until a thread waits for something.
fn until_it_waits(thread: ThreadId) {
    let stat = format!("/proc/self/task/{thread}/stat");
    while !fs::read_to_string(&stat).unwrap().contains(") S ") {
        thread::yield_now();
    }
}

#[test]
fn who_reaps_waits_for_one_fork_whatever_many_are_to_come() {
    let memory = Arc::new(Memory::new(Notices::default()));
    let children = Arc::new(Children::new(Orphans::Leave, memory));
    let (tell, started) = std::sync::mpsc::channel();
    let held = children.lock();
    let forking: Vec<_> = (0..MANY)
        .map(|_| {
            let (children, tell) = (Arc::clone(&children), tell.clone());
            let fork = thread::spawn(move || {
                tell.send(gettid()).unwrap();
                children.spawn_blocking(&program()).unwrap()
            });
            until_it_waits(started.recv().unwrap());
            fork
        })
        .collect();
    let reaping = thread::spawn({
        let children = Arc::clone(&children);
        move || {
            tell.send(gettid()).unwrap();
            children.lock().count
        }
    });
    until_it_waits(started.recv().unwrap());
    drop(held);
    let forked = reaping.join().unwrap();
    assert!(forked <= 1, "{forked} programs began before");
    for fork in forking {
        let (child, _) = fork.join().unwrap();
        while child.is_running() {
            children.reap_own();
        }
    }
}
