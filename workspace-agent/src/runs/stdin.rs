//! Where a process's input goes.

use tokio::sync::mpsc::Sender;

use super::RunError;
use super::run::Input;

/// Where a process's input goes.
#[derive(Debug)]
pub(super) enum Stdin {
    /// Nowhere: it was started without.
    None,
    /// To whoever writes it.
    Open(Sender<Input>),
    /// Nowhere any more: it was ended, by whoever gave it or by the process.
    Closed,
}

impl Stdin {
    /// Returns where it goes.
    ///
    /// # Errors
    /// Where that is nowhere.
    pub(super) fn sender(&self) -> Result<Sender<Input>, RunError> {
        match self {
            Self::Open(sender) => Ok(sender.clone()),
            Self::None => Err(RunError::NoStdin),
            Self::Closed => Err(RunError::StdinClosed),
        }
    }
}
