//! The VS Code extension, in the real editor of a workspace.

mod browser {
    use std::env;
    use std::os::unix::fs::symlink;

    use e2e::component::{code_server, program};
    use e2e::process::run;
    use tempfile::TempDir;

    use crate::browser::{FLOW, Flow};

    #[test]
    fn the_extension_signs_in_shows_starts_and_opens_workspaces() {
        program("ssh");
        let folder = TempDir::new().unwrap();
        symlink(code_server(), folder.path().join("code-server")).unwrap();
        let inherited = env::var("PATH").unwrap();
        let path = format!("{}:{inherited}", folder.path().display());
        let mut flow = Flow::prepare("extension", &[("PATH", &path)]);
        flow.node.env("CODE_SERVER", code_server());
        let _ = run(&mut flow.node, b"", FLOW).ok();
    }
}
