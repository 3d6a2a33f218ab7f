//! Descriptors that cross a stream between a gateway and an agent on the same host, and
//! the connections that an agent hands over in this way.
//!
//! The descriptor crosses the stream's Unix socket (unix(7), `SCM_RIGHTS`), and from
//! then on nobody stands between the gateway and the other end. The stream stays open
//! beside it and carries nothing: when the agent ends it, the connection has ended.
//!
//! A workspace isn't trusted, and whoever else holds the descriptor shares its flags: no
//! call here relies on `O_NONBLOCK`, and nothing but a stream socket is taken.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketType, recvmsg, sendmsg, sockopt,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};
use tokio::net::UnixStream;

/// What goes with a descriptor, as nothing can't be sent.
const MARK: u8 = b'd';

/// Most descriptors that are given at once.
const MOST: usize = 2;

/// Sends descriptors, at most two, to the other end of `stream`.
///
/// # Errors
/// What the system says of the stream.
pub async fn give(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let sent = stream.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(descriptors));
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = sendmsg(stream, &[IoSlice::new(&[MARK])], &mut control, flags)?;
        Ok(sent)
    });
    sent.await.map(drop)
}

/// Has the kernel refuse descriptors that the other end attaches to what it sends. They
/// would be closed here, and closing some blocks. From Linux 6.16 on; before, nothing.
#[expect(unsafe_code, reason = "no kept library offers SO_PASSRIGHTS")]
pub fn refuse(stream: &UnixStream) {
    const SO_PASSRIGHTS: nix::libc::c_int = 83;
    let off: nix::libc::c_int = 0;
    let length = nix::libc::socklen_t::try_from(size_of_val(&off)).unwrap_or_default();
    // SAFETY: the pointer and the length describe `off`, which outlives the call. A kernel
    // that doesn't know the option says so, and nothing has changed.
    unsafe {
        nix::libc::setsockopt(
            stream.as_raw_fd(),
            nix::libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const off).cast(),
            length,
        );
    }
}

/// A connection that was handed over.
#[derive(Debug)]
pub struct Handed {
    socket: AsyncFd<OwnedFd>,
    stream: UnixStream,
}

impl Handed {
    /// Receives the descriptor that the other end of `stream` gives. Must be called
    /// within a runtime, which drives the connection from then on.
    ///
    /// # Errors
    /// `InvalidData` where something else came than one stream socket, otherwise what
    /// the system says of the stream.
    pub async fn take(stream: UnixStream) -> io::Result<Self> {
        let [socket] = take(&stream).await?;
        let domain = sockopt::socket_domain(&socket).ok();
        let known = [
            AddressFamily::INET,
            AddressFamily::INET6,
            AddressFamily::UNIX,
        ];
        let is_known = domain.is_some_and(|domain| known.contains(&domain));
        if !is_known || sockopt::socket_type(&socket)? != SocketType::STREAM {
            return Err(invalid("what was handed over is no stream socket"));
        }
        sockopt::set_socket_linger(&socket, None)?;
        Ok(Self {
            socket: register(socket)?,
            stream,
        })
    }

    /// Tells whether the agent has ended the connection.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let ended = match ready!(self.stream.poll_read_ready(cx)) {
                // Nothing is ever sent here: whatever there is to read is the end.
                Ok(()) => self.stream.try_read(&mut [0]).map(drop),
                error => error,
            };
            if !ended.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(error) = self.poll_ended(cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            match ready.try_io(|socket| receive_into(socket.get_ref(), buf)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(received) => return Poll::Ready(received),
                Err(_would_block) => {}
            }
        }
    }

    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.socket.poll_write_ready(cx))?;
            let sent = ready.try_io(|socket| {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let mut control = SendAncillaryBuffer::default();
                Ok(sendmsg(socket.get_ref(), bufs, &mut control, flags)?)
            });
            match sent {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(sent) => return Poll::Ready(sent),
                Err(_would_block) => {}
            }
        }
    }

    pub(crate) fn shutdown(&self) -> io::Result<()> {
        match rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Write) {
            // The other end has closed already.
            Err(rustix::io::Errno::NOTCONN) => Ok(()),
            ended => Ok(ended?),
        }
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        // The workspace may have asked for a close that waits for what wasn't sent.
        let _ = sockopt::set_socket_linger(self.socket.get_ref(), None);
    }
}

/// Receives the descriptors that the other end of `stream` gives, `N` of at most two.
///
/// # Errors
/// `InvalidData` where something else came, otherwise what the system says of the stream.
pub async fn take<const N: usize>(stream: &UnixStream) -> io::Result<[OwnedFd; N]> {
    let received = stream
        .async_io(Interest::READABLE, || receive(stream))
        .await?;
    let wrong = |_| invalid("other descriptors were handed over than asked for");
    received.try_into().map_err(wrong)
}

fn receive(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut slices = [IoSliceMut::new(&mut mark)];
    if recvmsg(stream, &mut slices, &mut control, flags)?.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(descriptors.flatten().collect())
}

#[expect(
    unsafe_code,
    reason = "tokio can't know that the descriptor stays the same"
)]
fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped, and always the same.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

#[expect(
    unsafe_code,
    reason = "a ReadBuf's uninitialised part, without writing it twice"
)]
fn receive_into(socket: &OwnedFd, buf: &mut ReadBuf<'_>) -> io::Result<()> {
    // SAFETY: `recv` only writes, so that nothing initialised is taken back.
    let unfilled = unsafe { buf.unfilled_mut() };
    let ((received, _), _) = rustix::net::recv(socket, unfilled, RecvFlags::DONTWAIT)?;
    let len = received.len();
    // SAFETY: `recv` has written the first `len` bytes.
    unsafe { buf.assume_init(len) };
    buf.advance(len);
    Ok(())
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::Stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// A TCP connection's two ends.
    async fn tcp() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    /// The agent's end of a stream, a connection that it handed over, and its other end.
    async fn handed() -> (UnixStream, Stream, TcpStream) {
        let (gateway, agent) = UnixStream::pair().unwrap();
        let (given, other) = tcp().await;
        give(&agent, &[given.as_fd()]).await.unwrap();
        // Whoever has the descriptor may change its flags.
        rustix::io::ioctl_fionbio(&given, false).unwrap();
        let stream = Stream::from(Handed::take(gateway).await.unwrap());
        (agent, stream, other)
    }

    #[tokio::test]
    async fn bytes_and_the_end_of_each_direction_cross_a_connection_handed_over() {
        let (_agent, stream, mut other) = handed().await;
        let (mut reader, mut writer) = stream.split();
        let sent = vec![7; 3 << 20];
        let sending = async {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let echoing = async {
            let mut all = Vec::new();
            other.read_to_end(&mut all).await.unwrap();
            other.write_all(&all).await.unwrap();
            other.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let receiving = reader.read_to_end(&mut received);
        let (.., read) = tokio::join!(sending, echoing, receiving);
        read.unwrap();
        assert!(received == sent);
    }

    #[tokio::test]
    async fn the_agents_end_ends_what_it_handed_over() {
        let (agent, mut stream, mut other) = handed().await;
        drop(agent);
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        drop(stream);
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_descriptor_that_nobody_wants_never_arrives() {
        let (gateway, agent) = UnixStream::pair().unwrap();
        refuse(&gateway);
        let (given, mut other) = tcp().await;
        // A kernel that doesn't refuse it hands it to whoever looks for it.
        if give(&agent, &[given.as_fd()]).await.is_ok() {
            return;
        }
        drop(given);
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn nothing_but_a_stream_socket_is_taken() {
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = File::open("/dev/zero").unwrap();
        for descriptor in [datagrams.as_fd(), file.as_fd()] {
            let (gateway, agent) = UnixStream::pair().unwrap();
            give(&agent, &[descriptor]).await.unwrap();
            let error = Handed::take(gateway).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let (gateway, mut agent) = UnixStream::pair().unwrap();
        agent.write_all(b"d").await.unwrap();
        let error = Handed::take(gateway).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
