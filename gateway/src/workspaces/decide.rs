//! What a command leads to, from where a workspace is and what is wanted of it.

use std::sync::Arc;

use super::Wake;
use super::blueprint::Blueprint;
use super::error::CommandError;
use super::state::{Intent, State};

/// What can be asked of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
    /// A restart that makes everything but the home anew.
    Rebuild(Arc<Blueprint>),
    Sleep,
    Delete,
    Purge,
    Restore,
    Wake(Wake),
}

impl Verb {
    /// Returns its name.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Sleep => "sleep",
            Self::Rebuild(_) => "rebuild",
            Self::Delete => "delete",
            Self::Purge => "purge",
            Self::Restore => "restore",
            Self::Wake(_) => "wake",
        }
    }
}

/// What comes of it.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is so already.
    Granted,
    /// It can't be.
    Refused(CommandError),
    /// It is recorded, and the workspace enters that state.
    Go(Intent, State),
}

/// Decides, without doing anything.
///
/// A stop that is under way is always finished; the intent then says what comes
/// next. So a restart is a stop with the intent to run, and going to sleep one with the
/// intent to sleep; both survive `kill -9` as the state `stopping` with that intent.
pub(super) fn decide(state: &State, intent: Intent, verb: &Verb) -> Decision {
    use Decision::{Go, Granted, Refused};

    match (intent, state, verb) {
        (Intent::Run | Intent::Stop | Intent::Sleep, ..) => {}
        (Intent::Delete, State::Failed(_), Verb::Delete) => {
            return Go(Intent::Delete, State::Stopping);
        }
        (Intent::Delete, _, Verb::Purge)
        | (Intent::Purge, State::Failed(_), Verb::Delete | Verb::Purge) => {
            return Go(Intent::Purge, State::Stopping);
        }
        (Intent::Delete, State::Deleted, Verb::Restore) => {
            return Go(Intent::Stop, State::Stopped);
        }
        (Intent::Delete, _, Verb::Restore) => return Go(Intent::Stop, State::Stopping),
        (Intent::Delete, _, Verb::Delete) | (Intent::Purge, _, Verb::Delete | Verb::Purge) => {
            return Granted;
        }
        (Intent::Delete, ..) => return Refused(CommandError::Deleted),
        (Intent::Purge, ..) => return Refused(CommandError::Deleting),
    }
    match (state, verb) {
        (_, Verb::Restore) => Refused(CommandError::NotDeleted),
        (_, Verb::Delete) => Go(Intent::Delete, State::Stopping),
        (_, Verb::Purge) => Go(Intent::Purge, State::Stopping),
        // Not with these intents.
        (State::Deleted, _) => Refused(CommandError::Deleted),
        (State::Starting | State::Running, Verb::Start | Verb::Wake(_))
        | (State::Stopped, Verb::Stop)
        | (State::Asleep, Verb::Sleep) => Granted,
        (
            State::Created | State::Stopped | State::Asleep | State::Failed(_),
            Verb::Start | Verb::Wake(Wake::Interactive),
        )
        | (State::Created, Verb::Wake(Wake::Background | Wake::Again))
        | (State::Asleep, Verb::Wake(Wake::Background))
        | (State::Created | State::Stopped | State::Asleep, Verb::Restart | Verb::Rebuild(_)) => {
            Go(Intent::Run, State::Starting)
        }
        (State::Stopped, Verb::Wake(Wake::Background | Wake::Again)) => {
            Refused(CommandError::Stopped)
        }
        (State::Asleep, Verb::Wake(Wake::Again)) => Refused(CommandError::Asleep),
        (State::Failed(reason), Verb::Wake(Wake::Background | Wake::Again)) => {
            Refused(CommandError::Failed(reason.clone()))
        }
        (State::Created | State::Asleep, Verb::Stop) => Go(Intent::Stop, State::Stopped),
        (State::Running, Verb::Sleep) => Go(Intent::Sleep, State::Stopping),
        (State::Stopping, Verb::Sleep) if intent == Intent::Sleep => Granted,
        (_, Verb::Sleep) => Refused(CommandError::NotRunning(state.clone())),
        (
            State::Starting | State::Running | State::Stopping | State::Failed(_),
            Verb::Restart | Verb::Rebuild(_),
        )
        | (State::Stopping, Verb::Start | Verb::Wake(Wake::Interactive)) => {
            Go(Intent::Run, State::Stopping)
        }
        (State::Starting | State::Running | State::Stopping | State::Failed(_), Verb::Stop) => {
            Go(Intent::Stop, State::Stopping)
        }
        (State::Stopping, Verb::Wake(wake @ (Wake::Background | Wake::Again))) => {
            match (intent, wake) {
                (Intent::Run, _) => Granted,
                (Intent::Sleep, Wake::Again) => Refused(CommandError::Asleep),
                (Intent::Sleep, _) => Go(Intent::Run, State::Stopping),
                (Intent::Stop | Intent::Delete | Intent::Purge, _) => {
                    Refused(CommandError::Stopped)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspaces::FailureReason;

    const INTERACTIVE: Verb = Verb::Wake(Wake::Interactive);
    const BACKGROUND: Verb = Verb::Wake(Wake::Background);
    const AGAIN: Verb = Verb::Wake(Wake::Again);

    #[test]
    fn whatever_comes_wakes_what_sleeps_but_for_what_was_cut_off_by_that() {
        for verb in [Verb::Start, Verb::Restart, INTERACTIVE, BACKGROUND] {
            assert!(matches!(
                decide(&State::Asleep, Intent::Sleep, &verb),
                Decision::Go(Intent::Run, State::Starting)
            ));
            // Still on its way to sleep: that is finished, and then it starts.
            assert!(matches!(
                decide(&State::Stopping, Intent::Sleep, &verb),
                Decision::Go(Intent::Run, State::Stopping)
            ));
        }
        for state in [State::Asleep, State::Stopping] {
            assert!(matches!(
                decide(&state, Intent::Sleep, &AGAIN),
                Decision::Refused(CommandError::Asleep)
            ));
        }
    }

    #[test]
    fn only_what_runs_goes_to_sleep() {
        assert!(matches!(
            decide(&State::Running, Intent::Run, &Verb::Sleep),
            Decision::Go(Intent::Sleep, State::Stopping)
        ));
        for state in [State::Asleep, State::Stopping] {
            assert!(matches!(
                decide(&state, Intent::Sleep, &Verb::Sleep),
                Decision::Granted
            ));
        }
        for (state, intent) in [
            (State::Created, Intent::Stop),
            (State::Starting, Intent::Run),
            (State::Stopping, Intent::Stop),
            (State::Stopping, Intent::Run),
            (State::Stopped, Intent::Stop),
            (State::Failed(FailureReason::Unknown), Intent::Run),
        ] {
            assert!(matches!(
                decide(&state, intent, &Verb::Sleep),
                Decision::Refused(CommandError::NotRunning(_))
            ));
        }
    }

    #[test]
    fn a_stop_of_what_sleeps_is_respected_like_any_other() {
        assert!(matches!(
            decide(&State::Asleep, Intent::Sleep, &Verb::Stop),
            Decision::Go(Intent::Stop, State::Stopped)
        ));
        assert!(matches!(
            decide(&State::Stopping, Intent::Sleep, &Verb::Stop),
            Decision::Go(Intent::Stop, State::Stopping)
        ));
    }

    #[test]
    fn background_retries_never_start_what_a_person_stopped() {
        for (state, intent) in [
            (State::Stopped, Intent::Stop),
            (State::Stopping, Intent::Stop),
        ] {
            assert!(matches!(
                decide(&state, intent, &BACKGROUND),
                Decision::Refused(CommandError::Stopped)
            ));
            assert!(matches!(
                decide(&state, intent, &INTERACTIVE),
                Decision::Go(Intent::Run, _)
            ));
        }
        assert!(matches!(
            decide(&State::Stopping, Intent::Run, &BACKGROUND),
            Decision::Granted
        ));
    }

    #[test]
    fn a_workspace_that_was_never_started_is_started_by_anyone() {
        for verb in [Verb::Start, Verb::Restart, INTERACTIVE, BACKGROUND] {
            assert!(matches!(
                decide(&State::Created, Intent::Stop, &verb),
                Decision::Go(Intent::Run, State::Starting)
            ));
        }
    }

    #[test]
    fn only_a_restore_brings_back_a_workspace_that_is_deleted() {
        let failed = State::Failed(FailureReason::Unknown);
        for state in [State::Stopping, State::Deleted, failed] {
            for verb in [
                Verb::Start,
                Verb::Stop,
                Verb::Restart,
                INTERACTIVE,
                BACKGROUND,
            ] {
                assert!(matches!(
                    decide(&state, Intent::Delete, &verb),
                    Decision::Refused(CommandError::Deleted)
                ));
                assert!(matches!(
                    decide(&state, Intent::Purge, &verb),
                    Decision::Refused(CommandError::Deleting)
                ));
            }
            assert!(matches!(
                decide(&state, Intent::Delete, &Verb::Restore),
                Decision::Go(Intent::Stop, State::Stopped | State::Stopping)
            ));
            // Some of the home may be gone already.
            assert!(matches!(
                decide(&state, Intent::Purge, &Verb::Restore),
                Decision::Refused(CommandError::Deleting)
            ));
            assert!(matches!(
                decide(&state, Intent::Delete, &Verb::Purge),
                Decision::Go(Intent::Purge, State::Stopping)
            ));
        }
        assert!(matches!(
            decide(
                &State::Failed(FailureReason::Unknown),
                Intent::Delete,
                &Verb::Delete
            ),
            Decision::Go(Intent::Delete, State::Stopping)
        ));
    }

    #[test]
    fn a_failed_workspace_is_started_again_by_a_person_only() {
        let failed = State::Failed(FailureReason::Unknown);
        assert!(matches!(
            decide(&failed, Intent::Run, &BACKGROUND),
            Decision::Refused(CommandError::Failed(_))
        ));
        assert!(matches!(
            decide(&failed, Intent::Run, &INTERACTIVE),
            Decision::Go(Intent::Run, State::Starting)
        ));
    }
}
