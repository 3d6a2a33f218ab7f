//! What drivers keep of workspaces apart from them.

use std::fmt;

use super::{DriverError, Pending};
use crate::names::{SnapshotId, WorkspaceId};
use crate::workspaces::Workspace;

/// Keeps snapshots: what a workspace has, its home included, as it was at one time.
///
/// The contract, which `drivers::contract` tests:
///
/// - Every method is idempotent, and finishes or replaces what a call has left that was
///   dropped or killed in the middle.
/// - Calls for one snapshot come one after another. While one is taken its workspace is
///   neither stopped nor removed, nor started where it doesn't run.
/// - A snapshot doesn't change, and goes with nothing but `remove_snapshot`.
pub trait Snapshots {
    /// Takes a snapshot of a workspace, whether it runs or not.
    fn take<'a>(
        &'a self,
        workspace: &'a Workspace,
        id: &'a SnapshotId,
        label: &'a Label,
    ) -> Pending<'a, Result<Taken, DriverError>>;

    /// Removes a snapshot, and what a call has left that was to take it. `Ok` where there
    /// is none.
    fn remove_snapshot<'a>(&'a self, id: &'a SnapshotId) -> Pending<'a, Result<(), DriverError>>;

    /// Tells of which snapshots anything is kept, whether they are whole or not.
    fn kept_snapshots(&self) -> Pending<'_, Result<Vec<SnapshotId>, DriverError>>;

    /// Fails where a workspace that is there can't be restored from a snapshot now:
    /// `SnapshotMissing` where that isn't kept where the workspace is.
    fn can_restore<'a>(
        &'a self,
        workspace: &'a WorkspaceId,
        id: &'a SnapshotId,
    ) -> Pending<'a, Result<(), DriverError>>;

    /// Tells whether the home that a workspace has is the one that it is made with. Asks
    /// nothing that may be away.
    fn home_is_in_place<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<bool, DriverError>>;

    /// Tells which snapshots a workspace needs from now on, of those that it is made from
    /// or may be made from again.
    fn needed_by<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<Vec<SnapshotId>, DriverError>>;

    /// Tells a person who waits how far a snapshot is that is taken, pushed or pulled.
    fn snapshot_progress(&self, id: &SnapshotId) -> Option<String>;

    /// Copies a snapshot to a registry as `image`.
    fn push<'a>(
        &'a self,
        id: &'a SnapshotId,
        image: &'a str,
        credentials: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(), DriverError>>;

    /// Copies `image` from a registry into a snapshot, and tells what it says of itself.
    fn pull<'a>(
        &'a self,
        id: &'a SnapshotId,
        image: &'a str,
        credentials: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(Label, Taken), DriverError>>;

    /// Forgets the name under which a snapshot was copied, to a registry or from one.
    fn end_transfer<'a>(&'a self, image: &'a str) -> Pending<'a, Result<(), DriverError>>;

    /// Removes images that were built for templates, but those whose digest is `needed`.
    /// Returns the names of those that it removed.
    fn remove_builds<'a>(
        &'a self,
        needed: &'a [String],
    ) -> Pending<'a, Result<Vec<String>, DriverError>>;
}

/// What a snapshot says of itself wherever it is copied to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The user that its workspace's programs ran as, where that is its own.
    pub user: Option<String>,
}

/// A snapshot that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it takes on disk beside what its workspace was made of, in bytes.
    pub size: u64,
}

/// What a registry asks for. `Debug` prints no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password, or a token.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Credentials");
        shown.field("username", &self.username);
        shown.field("password", &"***").finish()
    }
}
