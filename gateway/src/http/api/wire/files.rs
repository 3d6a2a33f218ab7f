//! The files of a workspace, as its agent shows them. These types are there for the
//! document alone.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Something in a workspace's filesystem.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// The last part of its path.
    pub name: String,
    /// Its absolute path.
    pub path: String,
    /// Its path, percent-encoded, where that is no UTF-8: `path` and `name` have
    /// replacement characters then.
    pub raw_path: Option<String>,
    /// What it is.
    pub kind: EntryKind,
    /// Its size, in bytes.
    pub size: u64,
    /// Its permissions, in octal digits.
    #[schema(pattern = "^[0-7]{4}$", example = "0644")]
    pub mode: String,
    /// When its content was last changed.
    pub modified: OffsetDateTime,
    /// The number of its owner.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// The name of its owner, where it has one.
    pub user: Option<String>,
    /// The name of its group, where it has one.
    pub group: Option<String>,
    /// What a symbolic link names.
    pub target: Option<String>,
    /// What is another one after each change, in quotes: for `If-Match`, `If-None-Match`
    /// and `If-Range`.
    pub etag: String,
}

/// What something in a filesystem is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A device.
    Device,
}

/// A place in a workspace's filesystem.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PathQuery {
    /// The path; a relative one begins at the home, an empty one is the home.
    #[param(max_length = 4096)]
    pub path: String,
}

/// What to show.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatQuery {
    /// The path; a relative one begins at the home, an empty one is the home.
    #[param(max_length = 4096)]
    pub path: String,
    /// Whether to show what a symbolic link names, and not the link.
    #[param(default = true)]
    pub follow: Option<bool>,
}

/// Which part of a folder.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The folder's path; a relative one begins at the home, an empty one is the home.
    #[param(max_length = 4096)]
    pub path: String,
    /// Most entries of the page.
    #[param(minimum = 1, maximum = 1000, default = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[param(max_length = 400, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

/// Where to write, and how.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WriteQuery {
    /// The file's path; a relative one begins at the home.
    #[param(min_length = 1, max_length = 4096)]
    pub path: String,
    /// Its permissions; default: those of what it replaces, else 0644.
    #[param(pattern = "^0?[0-7]{3}$")]
    pub mode: Option<String>,
    /// Whether to make the folders that are missing.
    #[param(default = false)]
    pub parents: Option<bool>,
    /// Whether to answer only once it would survive a power failure.
    #[param(default = false)]
    pub durable: Option<bool>,
}

/// Where to append, and how.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AppendQuery {
    /// The file's path; a relative one begins at the home. One that is missing is made.
    #[param(min_length = 1, max_length = 4096)]
    pub path: String,
    /// Whether to make the folders that are missing.
    #[param(default = false)]
    pub parents: Option<bool>,
    /// Whether to answer only once it would survive a power failure.
    #[param(default = false)]
    pub durable: Option<bool>,
}

/// A folder to make.
#[derive(Debug, Serialize, ToSchema)]
pub struct MakeFolder {
    /// Its path; a relative one begins at the home.
    #[schema(min_length = 1, max_length = 4096)]
    pub path: String,
    /// The same, percent-encoded, where it is no UTF-8: as `raw_path` of an entry. It counts
    /// then, and `path` doesn't.
    #[schema(min_length = 1, max_length = 12_288)]
    pub raw_path: Option<String>,
    /// Its permissions; default: 0755.
    #[schema(pattern = "^0?[0-7]{3}$")]
    pub mode: Option<String>,
    /// Whether to make the folders above it, too, and to mind none that is there.
    #[schema(default = false)]
    pub parents: Option<bool>,
}

/// What to move or copy, and where to.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoveFile {
    /// Its path; a relative one begins at the home.
    #[schema(min_length = 1, max_length = 4096)]
    pub from: String,
    /// The same, percent-encoded, where it is no UTF-8: as `raw_path` of an entry. It counts
    /// then, and `from` doesn't.
    #[schema(min_length = 1, max_length = 12_288)]
    pub raw_from: Option<String>,
    /// Its path from then on: the thing's own, and not that of a folder to put it in.
    #[schema(min_length = 1, max_length = 4096)]
    pub to: String,
    /// The same, percent-encoded, where it is no UTF-8: as `raw_path` of an entry. It counts
    /// then, and `to` doesn't.
    #[schema(min_length = 1, max_length = 12_288)]
    pub raw_to: Option<String>,
    /// Whether it replaces what is there: a folder with all that is in it, as nothing is
    /// merged. A file never replaces a folder (409, `is-a-folder`), nor a folder a file (409,
    /// `not-a-folder`).
    #[schema(default = false)]
    pub overwrite: Option<bool>,
}

/// Permissions to set.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetFileMode {
    /// The path; a relative one begins at the home.
    #[schema(min_length = 1, max_length = 4096)]
    pub path: String,
    /// The same, percent-encoded, where it is no UTF-8: as `raw_path` of an entry. It counts
    /// then, and `path` doesn't.
    #[schema(min_length = 1, max_length = 12_288)]
    pub raw_path: Option<String>,
    /// The permissions, in octal digits.
    #[schema(pattern = "^[0-7]{3,4}$", example = "0755")]
    pub mode: String,
    /// Whether all that is in a folder has them, too.
    #[schema(default = false)]
    pub recursive: Option<bool>,
}

/// A symbolic link to make.
#[derive(Debug, Serialize, ToSchema)]
pub struct MakeLink {
    /// Its path; a relative one begins at the home.
    #[schema(min_length = 1, max_length = 4096)]
    pub path: String,
    /// The same, percent-encoded, where it is no UTF-8: as `raw_path` of an entry. It counts
    /// then, and `path` doesn't.
    #[schema(min_length = 1, max_length = 12_288)]
    pub raw_path: Option<String>,
    /// What it names.
    #[schema(min_length = 1, max_length = 4095)]
    pub target: String,
}

/// What to delete.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteFileQuery {
    /// Its path; a relative one begins at the home.
    #[param(min_length = 1, max_length = 4096)]
    pub path: String,
    /// Whether a folder goes with all that is in it.
    #[param(default = false)]
    pub recursive: Option<bool>,
}

/// A tree of files that is fetched.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadTreeQuery {
    /// The folder's path; a relative one begins at the home, an empty one is the home.
    #[param(max_length = 4096)]
    pub path: String,
    /// What kind of archive; a tar unless said.
    #[param(inline)]
    pub format: Option<ArchiveFormat>,
    /// What becomes of what the workspace's user may not read; refused unless said.
    #[param(inline)]
    pub unreadable: Option<Unreadable>,
}

/// What becomes of what may not be read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// The answer names it, and there is no archive.
    Refuse,
    /// It is left out.
    Skip,
}

/// A tree of files that is brought.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TreeQuery {
    /// The folder's path; a relative one begins at the home, an empty one is the home.
    #[param(max_length = 4096)]
    pub path: String,
    /// What kind of archive; a tar unless said.
    #[param(inline)]
    pub format: Option<ArchiveFormat>,
}

/// A kind of archive.
#[derive(Debug, Serialize, ToSchema)]
pub enum ArchiveFormat {
    /// A tar archive.
    #[serde(rename = "tar")]
    Tar,
    /// A tar archive, compressed by gzip.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// A zip archive.
    #[serde(rename = "zip")]
    Zip,
}

/// What came out of an archive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unpacked {
    /// How many things were made.
    pub entries: u64,
    /// How much is in the files among them.
    pub bytes: u64,
    /// How many were left out, as they are neither files nor folders nor links.
    pub skipped: u64,
}

/// A file that is to come in pieces.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateUpload {
    /// Its path; a relative one begins at the home.
    #[schema(min_length = 1, max_length = 4096)]
    pub path: String,
    /// The same, percent-encoded, where it is no UTF-8: as `raw_path` of an entry. It counts
    /// then, and `path` doesn't.
    #[schema(min_length = 1, max_length = 12_288)]
    pub raw_path: Option<String>,
    /// Its size, in bytes.
    #[schema(minimum = 0)]
    pub size: u64,
    /// The SHA-256 of all of it, in hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
    /// Its permissions; default: those of what it replaces, else 0644.
    #[schema(pattern = "^0?[0-7]{3}$")]
    pub mode: Option<String>,
    /// Whether to make the folders that are missing.
    #[schema(default = false)]
    pub parents: Option<bool>,
}

/// A file that comes in pieces.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The path that the file is to have.
    pub path: String,
    /// Its size, in bytes.
    pub size: u64,
    /// How much of it is there: where the next piece begins.
    pub offset: u64,
    /// When it is given up, unless more of it comes.
    pub expires_at: OffsetDateTime,
}

/// Ends an upload.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompleteUpload {
    /// The SHA-256 of all of it, in hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
    /// Whether to answer only once it would survive a power failure.
    #[schema(default = false)]
    pub durable: Option<bool>,
}
