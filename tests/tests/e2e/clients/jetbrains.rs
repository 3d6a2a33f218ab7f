//! What JetBrains Gateway does, with two libraries as its client: it looks around, uploads
//! a worker of 25 MB, polls it 200 times in parallel, all over one connection, through
//! which the IDE talks meanwhile.

use e2e::clients::{Errand, Library, old_key};
use e2e::everywhere;
use e2e::target::Target;

const STEPS: [&str; 3] = ["uploaded", "polled", "direct-tcpip"];

everywhere! {
    fn an_ide_starts_and_talks_over_ssh2(target: &Target) {
        let errand = Errand::new(target, &target.access().identity);
        assert_eq!(errand.run(Library::Node("ssh2_client.cjs"), &["jetbrains"]), STEPS);
    }

    fn an_ide_starts_and_talks_over_jsch(target: &Target) {
        if !target.is_devgate() {
            return; // the tests' sshd has no host key that JSch knows
        }
        let errand = Errand::new(target, &old_key(target));
        assert_eq!(errand.run(Library::Java("JschClient.java"), &["jetbrains"]), STEPS);
    }
}
