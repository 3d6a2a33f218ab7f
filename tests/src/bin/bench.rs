//! Prints devgate's numbers beside OpenSSH's and nginx's, measured on this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::bench::run()
}
