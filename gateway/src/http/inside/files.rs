//! What of the data API is about files: each address goes to the agent as it is.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, post};

use super::{Inside, work};

/// Returns the addresses below a workspace's, and what answers them.
pub(super) fn routes() -> [(&'static str, MethodRouter<Arc<Inside>>); 16] {
    [
        ("files", delete(work)),
        ("files/stat", get(work)),
        ("files/list", get(work)),
        ("files/content", get(work).put(work)),
        ("files/append", post(work)),
        ("files/folder", post(work)),
        ("files/move", post(work)),
        ("files/copy", post(work)),
        ("files/mode", post(work)),
        ("files/link", post(work)),
        ("files/tree", get(work).put(work)),
        ("files/uploads", post(work)),
        ("files/uploads/{upload}", get(work).patch(work).delete(work)),
        ("files/uploads/{upload}/complete", post(work)),
        ("files/find", get(work)),
        ("files/grep", get(work)),
    ]
}
