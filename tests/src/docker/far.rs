//! A second Docker Engine, which is reached as one on another host is: by TLS, with a
//! certificate on either side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use super::{BUSYBOX, Engine};
use crate::component::program;
use crate::ports;
use crate::process::{Finished, run, wait_until_gone};
use crate::survivors::{Folder, at_the_end};
use crate::wait::eventually;

/// How long it may take to start or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// Ends the engine and its containers, however the test ended.
const END: &str = r#"
read nothing
[ -e "$1/pid" ] && kill "$(cat "$1/pid")"
for i in $(seq 200); do [ -e "$1/pid" ] || break; sleep 0.1; done
grep -o "$1[^ ]*" /proc/mounts | sort -r | xargs -r umount -l
rm -rf -- "$1"
"#;

/// A CA, the engine's certificate and a client's.
const CERTIFICATES: &str = r#"
set -e
cd "$1"
new() { openssl ecparam -name prime256v1 -genkey -noout -out "$1-key.pem"; }
new ca
openssl req -x509 -new -key ca-key.pem -subj /CN=engine-ca -days 2 -out ca.pem
for who in server client; do
    new $who
    openssl req -new -key $who-key.pem -subj /CN=$who -out $who.csr
    printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=%sAuth\n' $who > $who.ext
    openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial \
        -days 2 -extfile $who.ext -out $who-cert.pem
done
# Such as aren't accepted: one of the client's that is over, and another authority.
openssl x509 -req -in client.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial \
    -days -1 -extfile client.ext -out expired-client-cert.pem
new other
openssl req -x509 -new -key other-key.pem -subj /CN=other-ca -days 2 -out other-ca.pem
"#;

/// The engine. Dropping it ends it.
pub struct FarEngine {
    folder: Folder,
    port: u16,
    process: Option<Child>,
    end: Child,
}

impl FarEngine {
    /// Starts one, which has the image [`BUSYBOX`].
    #[track_caller]
    pub fn start() -> Self {
        Self::start_on(None)
    }

    /// Starts one whose images, containers and volumes have a disk of their own of that
    /// size, in memory.
    #[track_caller]
    pub fn with_disk(size: &str) -> Self {
        Self::start_on(Some(size))
    }

    #[track_caller]
    fn start_on(disk: Option<&str>) -> Self {
        let folder = Folder::new();
        let own = folder.path().join("engine");
        fs::create_dir(&own).expect("the test's folder is writable");
        let mut certificates = Command::new("/bin/sh");
        certificates.args(["-c", CERTIFICATES, "sh"]).arg(&own);
        let _ = run(&mut certificates, b"", PATIENCE).ok();
        let end = at_the_end(END, &own).spawn().expect("/bin/sh runs");
        if let Some(size) = disk {
            let data = own.join("data");
            fs::create_dir(&data).expect("the test's folder is writable");
            let mut mount = Command::new("mount");
            let size = format!("size={size}");
            mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&data);
            let _ = run(&mut mount, b"", PATIENCE).ok();
        }
        let mut far = Self {
            folder,
            port: ports::free(),
            process: None,
            end,
        };
        far.start_again();
        let image = far.path("busybox.tar");
        let image = image.to_str().expect("a plain path");
        let _ = Engine::of_the_tests()
            .run(&["save", "-o", image, BUSYBOX])
            .ok();
        let _ = far.run(&["load", "-i", image]).ok();
        far
    }

    /// Starts it after it ended.
    #[track_caller]
    pub fn start_again(&mut self) {
        let log = fs::File::create(self.path("log")).expect("the folder is writable");
        let mut dockerd = Command::new(program("dockerd"));
        dockerd
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .arg("--tlsverify")
            .arg("--host")
            .arg(self.address())
            .arg("--tlscacert")
            .arg(self.path("ca.pem"))
            .arg("--tlscert")
            .arg(self.path("server-cert.pem"))
            .arg("--tlskey")
            .arg(self.path("server-key.pem"))
            .arg("--data-root")
            .arg(self.path("data"))
            .arg("--exec-root")
            .arg(self.path("run"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log);
        self.process = Some(dockerd.spawn().expect("dockerd is installed"));
        eventually(PATIENCE, "the second engine", || {
            (self.run(&["version"]).code() == 0).then_some(())
        });
    }

    /// Ends it, and its containers with it.
    #[track_caller]
    pub fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            crate::process::signal(process.id(), nix::sys::signal::Signal::SIGTERM);
            process.wait().expect("it is our child");
            wait_until_gone(process.id(), PATIENCE);
        }
    }

    /// Runs `docker` with arguments.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(program("docker"));
        command
            .arg("--tlsverify")
            .arg("--tlscacert")
            .arg(self.path("ca.pem"))
            .arg("--tlscert")
            .arg(self.path("client-cert.pem"))
            .arg("--tlskey")
            .arg(self.path("client-key.pem"))
            .arg("--host")
            .arg(self.address())
            .args(args);
        run(&mut command, b"", PATIENCE)
    }

    /// Returns its entry in the configuration, for a gateway at that address.
    pub fn entry(&self, name: &str, gateway: &str) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "[[docker.hosts]]\nname = {name:?}\nurl = {:?}\nca = {:?}\ncertificate = {:?}\n\
             key = {:?}\ngateway = {gateway:?}\nlabels = [{name:?}]\n",
            self.address(),
            path("ca.pem"),
            path("client-cert.pem"),
            path("client-key.pem"),
        )
    }

    fn address(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join("engine").join(name)
    }
}

impl Drop for FarEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for id in self.run(&["ps", "-aq"]).out().lines() {
                let logs = self.run(&["logs", "--tail", "40", id]);
                eprintln!("--- container {id}\n{}{}", logs.out(), logs.err());
            }
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(20).collect();
            eprintln!("--- the second engine, latest first\n{}", lines.join("\n"));
        }
        if let Some(mut process) = self.process.take() {
            crate::process::signal(process.id(), nix::sys::signal::Signal::SIGTERM);
            process.wait().ok();
        }
        drop(self.end.stdin.take());
        self.end.wait().ok();
    }
}
