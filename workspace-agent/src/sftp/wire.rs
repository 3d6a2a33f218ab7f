//! The protocol's numbers, and the reading of a request's fields.
//!
//! Numbers and layouts are those of draft-ietf-secsh-filexfer-02; the OpenSSH
//! extensions are in the file PROTOCOL of its sources.

/// The protocol's version, the only one that is spoken.
pub(super) const VERSION: u32 = 3;

/// Largest packet without its length, in bytes; OpenSSH's limit.
pub(super) const MAX_PACKET: usize = 256 * 1024;

/// Most data that one `READ` or `WRITE` carries, in bytes; OpenSSH's limit.
pub(super) const MAX_DATA: usize = MAX_PACKET - 1024;

/// Types of packets, §3.
pub(super) mod kind {
    pub(in crate::sftp) const INIT: u8 = 1;
    pub(in crate::sftp) const VERSION: u8 = 2;
    pub(in crate::sftp) const OPEN: u8 = 3;
    pub(in crate::sftp) const CLOSE: u8 = 4;
    pub(in crate::sftp) const READ: u8 = 5;
    pub(in crate::sftp) const WRITE: u8 = 6;
    pub(in crate::sftp) const LSTAT: u8 = 7;
    pub(in crate::sftp) const FSTAT: u8 = 8;
    pub(in crate::sftp) const SETSTAT: u8 = 9;
    pub(in crate::sftp) const FSETSTAT: u8 = 10;
    pub(in crate::sftp) const OPENDIR: u8 = 11;
    pub(in crate::sftp) const READDIR: u8 = 12;
    pub(in crate::sftp) const REMOVE: u8 = 13;
    pub(in crate::sftp) const MKDIR: u8 = 14;
    pub(in crate::sftp) const RMDIR: u8 = 15;
    pub(in crate::sftp) const REALPATH: u8 = 16;
    pub(in crate::sftp) const STAT: u8 = 17;
    pub(in crate::sftp) const RENAME: u8 = 18;
    pub(in crate::sftp) const READLINK: u8 = 19;
    pub(in crate::sftp) const SYMLINK: u8 = 20;
    pub(in crate::sftp) const STATUS: u8 = 101;
    pub(in crate::sftp) const HANDLE: u8 = 102;
    pub(in crate::sftp) const DATA: u8 = 103;
    pub(in crate::sftp) const NAME: u8 = 104;
    pub(in crate::sftp) const ATTRS: u8 = 105;
    pub(in crate::sftp) const EXTENDED: u8 = 200;
    pub(in crate::sftp) const EXTENDED_REPLY: u8 = 201;
}

/// What a status says, §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Status {
    /// Done.
    Ok = 0,
    /// No more data, or no more entries.
    Eof = 1,
    /// A file or a folder on the way to it isn't there.
    NoSuchFile = 2,
    /// The workspace's user may not do that.
    PermissionDenied = 3,
    /// Anything else; the message says what.
    Failure = 4,
    /// The request can't be read, or asks for something impossible.
    BadMessage = 5,
    /// The server doesn't know this request.
    OpUnsupported = 8,
}

/// A request that ends before its fields do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Truncated;

/// The fields of a request that are still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Reads fields from the beginning of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads a `byte`.
    pub(super) fn byte(&mut self) -> Result<u8, Truncated> {
        let (&first, rest) = self.0.split_first().ok_or(Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    /// Reads a `uint32`.
    pub(super) fn u32(&mut self) -> Result<u32, Truncated> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Reads a `uint64`.
    pub(super) fn u64(&mut self) -> Result<u64, Truncated> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Reads a `string`, which is any bytes.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Truncated> {
        let length = usize::try_from(self.u32()?).map_err(|_| Truncated)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(Truncated)?;
        self.0 = rest;
        Ok(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_never_beyond_the_end() {
        let bytes = b"\x05\0\0\0\x02ab\0\0\0\0\0\0\0\x09\0\0\0\x03no";
        let mut fields = Fields::new(bytes);
        assert_eq!(fields.byte(), Ok(5));
        assert_eq!(fields.string(), Ok(&b"ab"[..]));
        assert_eq!(fields.u64(), Ok(9));
        assert_eq!(fields.string(), Err(Truncated));
        assert_eq!(Fields::new(b"\xff\xff\xff\xff").string(), Err(Truncated));
        assert_eq!(Fields::new(b"abc").u32(), Err(Truncated));
    }
}
