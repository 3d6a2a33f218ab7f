//! Whether the disk of an engine on this host has room for a copy that goes on.
//!
//! An archive has no holes, nor has an image: a file of 100 GB with 1 MB in it takes 100 GB
//! there. What would fill the disk that all workspaces are on is given up before it does.

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::time::sleep;

use super::engine::Engine;
use crate::drivers::DriverError;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);

/// What a copy may take without that anybody looks, in bytes.
const SMALL: u64 = 256 << 20;

/// Part of the disk that is left free, and most of that, in bytes.
const LEFT: (u64, u64) = (20, 2 << 30);

/// Waits until a copy takes more than there is room for; `copied` tells its bytes so far.
pub(super) async fn lacking(engine: &Engine, copied: impl Fn() -> u64) -> DriverError {
    let Some(root) = root(engine).await else {
        return pending().await;
    };
    loop {
        sleep(EVERY).await;
        let Ok(disk) = statvfs(&root) else {
            return pending().await;
        };
        let (free, all) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
        let copied = copied();
        if is_short((free, all), copied) {
            return DriverError::DiskFull {
                detail: format!(
                    "the copy of the home, {} MiB so far, would fill {}: files with holes take \
                     their whole size in it, look for such with `du --apparent-size`",
                    copied >> 20,
                    root.display()
                ),
            };
        }
    }
}

/// Returns the folder of an engine on this host that has its images.
async fn root(engine: &Engine) -> Option<PathBuf> {
    if !engine.is_local() {
        return None;
    }
    let info = engine.client().await.ok()?.info().await.ok()?;
    info.docker_root_dir.map(PathBuf::from)
}

/// Tells whether a disk has too little free of all that it has for an image of what is copied.
fn is_short((free, all): (u64, u64), copied: u64) -> bool {
    let (part, most) = LEFT;
    let left = (all / part).min(most);
    copied > SMALL && free < copied.saturating_add(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_copy_is_given_up_before_an_image_of_it_fills_the_disk() {
        let disk = |free: u64| (free * GIB, 1000 * GIB);
        assert!(!is_short(disk(100), 50 * GIB));
        assert!(is_short(disk(52), 50 * GIB + 1));
        assert!(is_short(disk(10), 50 * GIB));
        // A small one passes, and of a small disk less is left.
        assert!(!is_short(disk(0), SMALL));
        assert!(!is_short((2 * GIB, 10 * GIB), GIB));
        assert!(is_short((GIB, 10 * GIB), GIB));
    }
}
