//! Clients other than OpenSSH's, as they are: libraries, command lines, and what audits us.

mod audit;
mod dropbear;
mod jetbrains;
mod libraries;
mod putty;
mod transfers;
