//! Says what to do where the dashboard hasn't been built yet: it becomes part of the
//! binary, as the VS Code extension does where that was built.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=web/dist");
    println!("cargo::rerun-if-changed=../ide-extension/package");
    if !Path::new("web/dist/index.html").is_file() {
        println!("cargo::error=the dashboard isn't built: run `make web` first");
    }
}
