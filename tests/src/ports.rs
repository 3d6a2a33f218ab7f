//! TCP ports for programs that can't take port 0 themselves.

use std::net::{Ipv4Addr, TcpListener};

use rand::RngExt;

/// Returns a port on 127.0.0.1 that nothing listens on. It lies outside the
/// range from which the kernel takes ports for others, so that it stays free
/// until the program that needs it binds it.
pub fn free() -> u16 {
    let mut rng = rand::rng();
    for _ in 0..1000 {
        let port = rng.random_range(10_000..30_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 10000 and 30000");
}
