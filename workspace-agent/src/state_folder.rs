//! Where devgate keeps what it has to remember, in a home.

macro_rules! state_folder {
    ($below:literal) => {
        concat!(".local/state/devgate", $below)
    };
}

/// The folder, in the home.
pub(crate) const STATE_FOLDER: &str = state_folder!("");

/// The folder of the notes of unfinished uploads, in the home.
pub(crate) const UPLOADS: &str = state_folder!("/uploads");
