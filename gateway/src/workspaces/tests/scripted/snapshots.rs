//! What a scripted driver has of snapshots.

use super::*;

impl Snapshots for Scripted {
    fn take<'a>(
        &'a self,
        workspace: &'a Workspace,
        id: &'a SnapshotId,
        _: &'a Label,
    ) -> Pending<'a, Result<Taken, DriverError>> {
        Box::pin(async move {
            // In two steps, each of which may be the last.
            self.call(async {
                self.is_there()?;
                self.inner.lock().snapshots.insert(id.clone(), None);
                Ok::<_, DriverError>(())
            })
            .await?;
            self.call(async {
                if matches!(self.inner.lock().fault, Fault::Full) {
                    let detail = "no space left on device".to_owned();
                    return Err(DriverError::DiskFull { detail });
                }
                let text = self.read(&workspace.id).unwrap_or_default();
                self.inner.lock().snapshots.insert(id.clone(), Some(text));
                Ok(Taken { size: 1 })
            })
            .await
        })
    }

    fn remove_snapshot<'a>(&'a self, id: &'a SnapshotId) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async move {
            self.inner.lock().snapshots.remove(id);
            Ok(())
        }))
    }

    fn kept_snapshots(&self) -> Pending<'_, Result<Vec<SnapshotId>, DriverError>> {
        Box::pin(self.call(async move {
            self.is_there()?;
            Ok(self.inner.lock().snapshots.keys().cloned().collect())
        }))
    }

    fn can_restore<'a>(
        &'a self,
        _: &'a WorkspaceId,
        id: &'a SnapshotId,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(async move {
            self.is_there()?;
            self.content(id).map(drop)
        })
    }

    fn home_is_in_place<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<bool, DriverError>> {
        let home = workspace.blueprint.home.as_ref();
        let wanted = home.map(|home| &home.restoring);
        let is_it = self.inner.lock().restored.get(&workspace.id) == wanted;
        Box::pin(std::future::ready(Ok(is_it)))
    }

    fn needed_by<'a>(
        &'a self,
        workspace: &'a Workspace,
    ) -> Pending<'a, Result<Vec<SnapshotId>, DriverError>> {
        let needed = workspace.blueprint.all_snapshots().cloned().collect();
        Box::pin(std::future::ready(Ok(needed)))
    }

    fn snapshot_progress(&self, _: &SnapshotId) -> Option<String> {
        Some("copying".to_owned())
    }

    fn push<'a>(
        &'a self,
        _: &'a SnapshotId,
        _: &'a str,
        _: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async { Ok(()) }))
    }

    fn pull<'a>(
        &'a self,
        id: &'a SnapshotId,
        _: &'a str,
        _: Option<&'a Credentials>,
    ) -> Pending<'a, Result<(Label, Taken), DriverError>> {
        Box::pin(self.call(async move {
            let text = Some("pulled".to_owned());
            self.inner.lock().snapshots.insert(id.clone(), text);
            Ok((Label::default(), Taken { size: 1 }))
        }))
    }

    fn end_transfer<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), DriverError>> {
        Box::pin(self.call(async { Ok(()) }))
    }

    fn remove_builds<'a>(
        &'a self,
        needed: &'a [String],
    ) -> Pending<'a, Result<Vec<String>, DriverError>> {
        Box::pin(async move {
            let mut inner = self.inner.lock();
            let (kept, gone) = std::mem::take(&mut inner.builds)
                .into_iter()
                .partition(|digest| needed.contains(digest));
            inner.builds = kept;
            Ok(gone)
        })
    }
}
