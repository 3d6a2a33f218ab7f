//! The two ways in which a gateway reaches an agent, and the macro that makes
//! every test of the data path run over both.

use std::env;
use std::panic::Location;

use crate::docker::Containers;
use crate::target::Target;

/// How the gateway under test reaches its agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By a Unix socket in the workspace's runtime folder.
    Unix,
    /// The agent dials in: mutual TLS and WebSocket.
    Dial,
}

impl Reach {
    /// Returns the value of the gateway's configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Dial => "dial",
        }
    }
}

/// What the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// devgate.
    Devgate,
    /// OpenSSH's server, on which the tests themselves are tried: one that fails
    /// there asks for something that isn't so.
    Sshd,
}

impl Subject {
    /// Returns what `DEVGATE_TEST_TARGET` asks for.
    pub fn asked_for() -> Self {
        match env::var("DEVGATE_TEST_TARGET").as_deref() {
            Ok("sshd") => Self::Sshd,
            Ok(other) if other != "devgate" => {
                panic!("DEVGATE_TEST_TARGET is {other:?}: devgate or sshd")
            }
            _ => Self::Devgate,
        }
    }
}

/// Runs a test against a workspace that is reached in one way.
#[track_caller]
pub fn run(reach: Reach, test: impl FnOnce(&mut Target)) {
    match Subject::asked_for() {
        Subject::Devgate => test(&mut Target::devgate(reach)),
        Subject::Sshd if reach == Reach::Unix => test(&mut Target::sshd()),
        // There is no hop behind sshd: once is enough.
        Subject::Sshd => eprintln!("{}: not for sshd", Location::caller()),
    }
}

/// Runs a test against a workspace in a container that has this host's programs, its
/// network, and the test's folder.
#[track_caller]
pub fn run_in_a_container(test: impl FnOnce(&mut Target)) {
    match Subject::asked_for() {
        Subject::Devgate => test(Containers::like_this_host().target_mut()),
        Subject::Sshd => eprintln!("{}: not for sshd", Location::caller()),
    }
}

/// Makes of each function (of `&Target` or `&mut Target`) a module with one test
/// for each [`Reach`].
#[macro_export]
macro_rules! over_both_reaches {
    ($($(#[$meta:meta])* fn $name:ident($target:ident: $type:ty) $body:block)+) => {
        $($crate::tests_of! {
            $(#[$meta])* fn $name($target: $type) $body
        })+
    };
}

/// Makes of each function a module with one test for each [`Reach`], and one in a
/// container: for whatever doesn't look at the workspace's processes from outside.
#[macro_export]
macro_rules! everywhere {
    ($($(#[$meta:meta])* fn $name:ident($target:ident: $type:ty) $body:block)+) => {
        $($crate::tests_of! {
            $(#[$meta])* fn $name($target: $type) $body

            #[test]
            fn in_a_container() {
                $crate::reach::run_in_a_container(|target| check(target));
            }
        })+
    };
}

/// Makes of each function a module with one test for each [`Reach`] and one in a
/// container, of a gateway with settings: for what sshd is no measure of.
#[macro_export]
macro_rules! everywhere_with {
    ($settings:expr; $(fn $name:ident($target:ident: $type:ty) $body:block)+) => {
        $(mod $name {
            use super::*;

            fn check($target: $type) $body

            #[test]
            fn over_a_unix_socket() {
                let reach = $crate::reach::Reach::Unix;
                check(&$crate::target::Target::devgate_with(reach, &$settings));
            }

            #[test]
            fn over_tls() {
                let reach = $crate::reach::Reach::Dial;
                check(&$crate::target::Target::devgate_with(reach, &$settings));
            }

            #[test]
            fn in_a_container() {
                let it = $crate::docker::Containers::like_this_host_with(&$settings);
                check(it.target());
            }
        })+
    };
}

/// What the macros above have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! tests_of {
    ($(#[$meta:meta])* fn $name:ident($target:ident: $type:ty) $body:block $($more:item)*) => {
        $(#[$meta])*
        mod $name {
            use super::*;

            fn check($target: $type) $body

            #[test]
            fn over_a_unix_socket() {
                $crate::reach::run($crate::reach::Reach::Unix, |target| check(target));
            }

            #[test]
            fn over_tls() {
                $crate::reach::run($crate::reach::Reach::Dial, |target| check(target));
            }

            $($more)*
        }
    };
}
