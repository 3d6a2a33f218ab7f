//! Forwarded X11 displays.

use std::path::PathBuf;
use std::process::Command;

use e2e::component::program;
use e2e::everywhere;
use e2e::process::{Running, run};
use e2e::target::Target;
use e2e::wait::{SOON, until};

/// Starts an X server that wants a cookie; returns its display's name and the
/// file with the cookie.
fn start_x(target: &Target) -> (Running, String, PathBuf) {
    // The server takes a free number itself and tells it on a descriptor.
    let authority = target.path("Xauthority");
    let cookie = "0123456789abcdef0123456789abcdef";
    let add = |display: &str| {
        let mut xauth = Command::new(program("xauth"));
        let _ = run(
            xauth
                .arg("-f")
                .arg(&authority)
                .args(["add", display, ".", cookie]),
            b"",
            SOON,
        )
        .ok();
    };
    add(":0");
    let mut command = Command::new(program("Xvfb"));
    command
        .args([
            "-displayfd",
            "1",
            "-nolisten",
            "tcp",
            "-screen",
            "0",
            "640x480x24",
            "-auth",
        ])
        .arg(&authority);
    let server = Running::start(&mut command);
    until(SOON, "the display's number", || {
        server.output().contains('\n')
    });
    let display = format!(":{}", server.output().trim());
    add(&display);
    (server, display, authority)
}

everywhere! {
    fn a_program_in_the_workspace_reaches_the_local_display(target: &Target) {
        program("xdpyinfo");
        let (_server, display, authority) = start_x(target);
        let done = target.ssh().args(["-Y"]).env("DISPLAY", &display).env("XAUTHORITY", &authority)
            .run("echo \"display=$DISPLAY\"; xdpyinfo").ok();
        assert!(done.out().contains("dimensions:    640x480 pixels"), "{done:?}");
        assert!(!done.out().contains(&format!("display={display}\n")), "the display isn't forwarded: {done:?}");
    }

    fn without_the_request_there_is_no_display(target: &Target) {
        let done = target.ssh().run("echo \"<$DISPLAY>\"").ok();
        assert_eq!(done.out(), "<>\n");
    }
}
