//! A TCP proxy in the middle whose network can fail.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::servers::reset;

/// Passes connections on to one address until it is told not to.
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
}

#[derive(Default)]
struct Network {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stalled: bool,
    /// How many bytes pass until it stalls by itself.
    room: Option<usize>,
    connections: Vec<TcpStream>,
}

impl Proxy {
    /// Starts a proxy to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let network = Arc::new(Network::default());
        let shared = Arc::clone(&network);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else {
                    continue;
                };
                client.set_nodelay(true).ok();
                server.set_nodelay(true).ok();
                let ends = [&client, &server, &server, &client].map(TcpStream::try_clone);
                if let [Ok(a), Ok(b), Ok(c), Ok(d)] = ends {
                    shared
                        .state
                        .lock()
                        .unwrap()
                        .connections
                        .extend([client, server]);
                    for (from, to) in [(a, b), (c, d)] {
                        let network = Arc::clone(&shared);
                        thread::spawn(move || pump(from, to, &network));
                    }
                }
            }
        });
        Self { address, network }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops passing bytes on, in both directions, without closing anything: as
    /// a network that loses every packet.
    pub fn stall(&self) {
        self.network.state.lock().unwrap().stalled = true;
    }

    /// Stalls once about so many bytes more have passed, however fast they do.
    pub fn stall_after(&self, bytes: usize) {
        self.network.state.lock().unwrap().room = Some(bytes);
    }

    /// Passes bytes on again, those that were held back first.
    pub fn resume(&self) {
        let mut state = self.network.state.lock().unwrap();
        (state.stalled, state.room) = (false, None);
        drop(state);
        self.network.changed.notify_all();
    }

    /// Resets every connection on both sides: as a firewall that forgot them.
    pub fn cut(&self) {
        for stream in self.network.state.lock().unwrap().connections.drain(..) {
            let ours = stream.try_clone();
            reset(stream);
            if let Ok(ours) = ours {
                // The pumps hold clones, so it takes a shutdown to end it now.
                ours.shutdown(Shutdown::Both).ok();
            }
        }
        self.resume();
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, network: &Network) {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut chunk).unwrap_or(0);
        let mut state = network.state.lock().unwrap();
        if let Some(room) = &mut state.room {
            *room = room.saturating_sub(read);
            state.stalled |= *room == 0;
        }
        while state.stalled {
            state = network
                .changed
                .wait_timeout(state, Duration::from_mins(10))
                .unwrap()
                .0;
        }
        drop(state);
        if read == 0 || to.write_all(&chunk[..read]).is_err() {
            to.shutdown(Shutdown::Write).ok();
            return;
        }
    }
}
