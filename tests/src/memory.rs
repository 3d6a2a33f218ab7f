//! How much memory a process uses.

use std::fs;

/// Returns a process's proportional set size in KiB: its private pages and its
/// share of those that it shares (proc(5), `smaps_rollup`).
pub fn pss_kib(process: u32) -> u64 {
    rolled_up(process, "Pss:")
}

/// Returns what a process has taken for itself, in KiB. Its program's pages aren't in it: its
/// share of those grows when another process of the program ends.
pub fn anonymous_kib(process: u32) -> u64 {
    rolled_up(process, "Pss_Anon:")
}

fn rolled_up(process: u32, field: &str) -> u64 {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no {field} in {path}"))
}
