//! The main job: VS Code's Remote-SSH flow.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use e2e::process::Running;
use e2e::proxy::Proxy;
use e2e::target::Target;
use e2e::vscode::{self, Client};
use e2e::wait::{SOON, eventually};
use e2e::{everywhere, ports, socks};

/// A server written in JavaScript starts in seconds, on a loaded machine in many.
const SERVER: Duration = Duration::from_secs(90);

/// One window's SSH connection, made as the extension makes it.
struct Window {
    ssh: Running,
    proxy: u16,
    output: String,
}

impl Window {
    fn open(target: &Target, via: Option<&Proxy>, token: &str) -> Self {
        let proxy = ports::free();
        let mut ssh = target.ssh();
        if let Some(via) = via {
            ssh = ssh.via(via.address());
        }
        let mut ssh = ssh
            .option("ConnectTimeout=15")
            .args(["-T", "-D", &proxy.to_string()])
            .start("bash");
        ssh.write(vscode::set_up_script(&data(target), token).as_bytes());
        let output = ssh.wait_for(&format!("{token}: end"), SERVER);
        assert!(
            output.starts_with(&format!("{token}: running\n")),
            "something came before the script's first byte: {output:?}"
        );
        assert_eq!(vscode::found(&output, "exitCode"), "0");
        Self { ssh, proxy, output }
    }

    fn server(&self) -> u32 {
        vscode::found(&self.output, "pid").parse().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let port = vscode::found(&self.output, "listeningOn").parse().unwrap();
        socks::connect(self.proxy, "127.0.0.1", port).expect("the server is reached through SOCKS")
    }
}

fn data(target: &Target) -> PathBuf {
    target.path("vscode-server")
}

everywhere! {
    fn a_window_edits_files_loses_its_network_and_finds_its_server_again(target: &Target) {
        let token = "0a1b2c3d";
        let network = Proxy::to(target.access().address);
        let mut window = Window::open(target, Some(&network), token);
        let server = window.server();
        let mut client = Client::connect(window.connect(), token, "7e1b5c7c-9a4e-4f0a-8f0e-3b7f6f1d2c3a");

        // Files are written and read through VS Code's own remote file system.
        let file = target.path("edited.txt");
        client.write_file(&file, b"first line\n");
        assert_eq!(std::fs::read(&file).unwrap(), b"first line\n");
        std::fs::write(&file, "changed by a program: \u{fc}\n").unwrap();
        assert_eq!(client.read_file(&file), "changed by a program: \u{fc}\n".as_bytes());
        let large: Vec<u8> = (0..=255).cycle().take(5_000_000).collect();
        client.write_file(&target.path("large"), &large);
        assert!(client.read_file(&target.path("large")) == large);

        // The connection's own shell takes further commands meanwhile.
        window.ssh.write(b"echo still-a-shell\n");
        window.ssh.wait_for("still-a-shell", SOON);

        // The network goes away under it.
        network.cut();
        eventually(SOON, "the client notices", || window.ssh.ended());
        let lives = target.ssh().run(format!("kill -0 {server}"));
        assert_eq!(lives.code(), 0, "the server died with its connection: {lives:?}");

        // The next connection finds the same server, and the same window in it.
        let window = Window::open(target, None, token);
        assert_eq!(window.server(), server);
        assert!(window.output.contains("found running server"), "{}", window.output);
        client.reconnect(window.connect());
        client.write_file(&file, b"second line\n");
        assert_eq!(client.read_file(&file), b"second line\n");
    }

    fn a_client_that_is_killed_leaves_the_server_running(target: &Target) {
        let token = "4e5f6a7b";
        let window = Window::open(target, None, token);
        let server = window.server();
        drop(window); // SIGKILL: no DISCONNECT, no CHANNEL_CLOSE
        let window = Window::open(target, None, token);
        assert_eq!(window.server(), server);
        let mut client = Client::connect(window.connect(), token, "0d9c4f3e-1b2a-4c5d-9e8f-7a6b5c4d3e2f");
        let file = target.path("file");
        client.write_file(&file, b"content");
        assert_eq!(std::fs::read(&file).unwrap(), b"content");
    }

    fn a_wrong_connection_token_is_the_servers_to_refuse(target: &Target) {
        let window = Window::open(target, None, "8c9d0e1f");
        let mut stream = window.connect();
        std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
}
