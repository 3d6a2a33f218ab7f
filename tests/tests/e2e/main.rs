//! End-to-end tests: the real gateway and agent, with real clients.
//!
//! One binary, so that the harness is linked once; a module a topic. What goes
//! through the data path runs over both reaches (`over_both_reaches!`). With
//! `DEVGATE_TEST_TARGET=sshd` those tests run against OpenSSH's server instead,
//! to find out whether the tests themselves are right.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test reports by panicking"
)]

mod agent_forwarding;
mod api_document;
mod bad_input;
mod behind_proxies;
mod browser;
mod cli;
mod clients;
mod copying;
mod data_api;
mod docker;
mod draining;
mod exec;
mod extension;
mod faults;
mod forwards;
mod hostile_peers;
mod lifecycle;
mod many_channels;
mod odd_clients;
mod parting;
mod refused_starts;
mod rekeying;
mod repositories;
mod requirements;
mod sdk;
mod secrets;
mod session_requests;
mod shell;
mod sign_in;
mod sleep;
mod startup;
mod unix_forwards;
mod unread_input;
mod vscode;
mod x11;
