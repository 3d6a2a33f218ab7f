//! A proxy that connects where it is asked to (RFC 9110 §9.3.6), as networks have that let nothing
//! else out.

use std::io::{BufRead as _, BufReader, Write as _, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Knows one server by its name, which nobody else does, and lets those in who say this password.
pub struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What is let through.
#[derive(Clone)]
struct Rule {
    authority: String,
    server: SocketAddr,
    /// As `Proxy-Authorization` has it.
    authorization: String,
}

impl ConnectProxy {
    /// Starts one. `authorization` is what the header has to say, `Basic …`.
    pub fn start(authority: &str, server: SocketAddr, authorization: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let rule = Rule {
            authority: authority.to_owned(),
            server,
            authorization: authorization.to_owned(),
        };
        let told = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (rule, told) = (rule.clone(), Arc::clone(&told));
                // One that goes is no concern of the others.
                thread::spawn(move || serve(client, &rule, &told));
            }
        });
        Self { address, asked }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the first lines of what it was asked.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, rule: &Rule, told: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let first = head.first()?.clone();
    told.lock().unwrap().push(first.clone());
    let said = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization")
            .then_some(value)
    });
    let mut client = client;
    if said != Some(rule.authorization.as_str()) {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                        proxy-authenticate: Basic realm=\"out\"\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).ok();
    }
    if first != format!("CONNECT {} HTTP/1.1", rule.authority) {
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nno.\n";
        return client.write_all(refusal).ok();
    }
    let Ok(server) = TcpStream::connect(rule.server) else {
        let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).ok();
    };
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .ok()?;
    let (mut up, mut down) = (server.try_clone().ok()?, server);
    let going = thread::spawn(move || {
        let _ = copy(&mut reader, &mut up);
        let _ = up.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut down, &mut client);
    let _ = client.shutdown(Shutdown::Write);
    going.join().ok()
}
