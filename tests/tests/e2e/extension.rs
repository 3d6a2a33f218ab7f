//! The VS Code extension, in the real editor of a workspace.

mod browser {
    use std::env;
    use std::ffi::OsString;
    use std::os::unix::fs::symlink;

    use e2e::component::{code_server, program};
    use e2e::process::run;
    use tempfile::TempDir;

    use crate::browser::{FLOW, Flow};

    /// A workspace whose editor is installed, and a flow that works in it.
    struct Editor {
        flow: Flow,
        _folder: TempDir,
    }

    #[track_caller]
    fn editor(name: &str, settings: &[(&str, &str)]) -> Editor {
        program("ssh");
        let folder = TempDir::new().unwrap();
        symlink(code_server(), folder.path().join("code-server")).unwrap();
        let inherited = env::var("PATH").unwrap();
        let path = format!("{}:{inherited}", folder.path().display());
        let mut flow = Flow::prepare(name, &[&[("PATH", path.as_str())], settings].concat());
        flow.node.env("CODE_SERVER", code_server());
        Editor {
            flow,
            _folder: folder,
        }
    }

    /// Returns a link that signs somebody in to the gateway of a flow.
    #[track_caller]
    fn link(flow: &Flow) -> OsString {
        let mut variables = flow.node.get_envs();
        let link = variables.find(|(name, _)| *name == "DEVGATE_LINK");
        link.and_then(|(_, link)| link).expect("a link").to_owned()
    }

    #[test]
    fn the_extension_signs_in_shows_starts_and_opens_workspaces() {
        let mut editor = editor("extension", &[]);
        let _ = run(&mut editor.flow.node, b"", FLOW).ok();
    }

    #[test]
    fn the_extension_signs_in_again_stops_restarts_and_shows_logs() {
        let startup = [("DEVGATE_STARTUP_SCRIPT", "echo begun-$DEVGATE_WORKSPACE")];
        let mut editor = editor("extension-commands", &startup);
        let _ = run(&mut editor.flow.node, b"", 2 * FLOW).ok();
    }

    #[test]
    fn the_extension_opens_pages_copies_and_says_what_is_missing() {
        let mut editor = editor("extension-opening", &[]);
        // Every page is an editor that starts.
        let _ = run(&mut editor.flow.node, b"", 2 * FLOW).ok();
    }

    #[test]
    fn the_extension_tells_servers_apart_creates_and_keeps_awake() {
        let second = Flow::prepare("extension-servers", &[]);
        let mut editor = editor("extension-servers", &[]);
        let node = &mut editor.flow.node;
        node.env("DEVGATE_SECOND_LINK", link(&second));
        // A workspace falls asleep in it.
        let _ = run(node, b"", 2 * FLOW).ok();
    }
}
