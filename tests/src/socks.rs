//! A SOCKS 5 client (RFC 1928) for `ssh -D`.

use std::io::{Error, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Why a SOCKS server gave no connection.
#[derive(Debug)]
pub enum Refused {
    /// It answered with this reply code (RFC 1928 §6), or closed: OpenSSH closes
    /// when the channel isn't opened.
    Answer(Option<u8>),
    /// The connection to it broke.
    Broken(Error),
}

/// Connects to `host:port` through the SOCKS server on 127.0.0.1:`proxy`. The
/// name is resolved at the other end.
pub fn connect(proxy: u16, host: &str, port: u16) -> Result<TcpStream, Refused> {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy)).map_err(Refused::Broken)?;
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).map_err(Refused::Broken)?;
    stream.set_nodelay(true).map_err(Refused::Broken)?;
    stream.write_all(&[5, 1, 0]).map_err(Refused::Broken)?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).map_err(Refused::Broken)?;
    assert_eq!(method, [5, 0], "the server wants no authentication");

    let mut request = vec![5, 1, 0, 3, u8::try_from(host.len()).expect("a short name")];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).map_err(Refused::Broken)?;
    let mut answer = [0; 10];
    match stream.read_exact(&mut answer) {
        Ok(()) if answer[1] == 0 => Ok(stream),
        Ok(()) => Err(Refused::Answer(Some(answer[1]))),
        Err(_) => Err(Refused::Answer(None)),
    }
}
