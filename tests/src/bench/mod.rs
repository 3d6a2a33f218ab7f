//! The benchmark: devgate against OpenSSH's server and its `ProxyJump`, and against
//! nginx and `docker` by hand, on one machine and in one run.
//!
//! Absolute numbers say little on a machine that others use too, so peers take
//! turns and what counts are the ratios of their medians. Nothing is asserted:
//! it prints what was measured beside what was aimed for.

mod bulk;
mod connect;
mod containers;
mod data;
mod echo;
mod editor;
mod forward;
mod http;
mod many;
mod memory;
mod path;
mod peers;
mod report;
mod sftp;
mod shared;
mod workspace;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

use peers::{Kind, Peer};
use report::{Aim, Report, Row};

/// Measures devgate against OpenSSH and nginx on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench", version, max_term_width = 100)]
pub struct Options {
    /// Measure only what has one of these words in its name
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Less of everything: a minute instead of many, and a rougher result
    #[arg(long)]
    quick: bool,
    /// Rounds, in each of which every peer has its turn
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// List the measurements
    #[arg(long)]
    list: bool,
    /// Be the web application that is measured, and print its port
    #[arg(long, hide = true, value_name = "ADDRESS")]
    serve: Option<SocketAddr>,
}

/// What is measured, under which name, and how.
type Measurement = (&'static str, fn(&mut Bench));

const MEASUREMENTS: &[Measurement] = &[
    ("connect", connect::measure),
    ("echo", echo::measure),
    ("bulk", bulk::measure),
    ("forward", forward::measure),
    ("sftp", sftp::measure),
    ("data", data::measure),
    ("long-path", path::measure),
    ("memory", memory::measure),
    ("workspace", workspace::measure),
    ("many", many::measure),
    ("http", http::measure),
    ("editor", editor::measure),
    ("containers", containers::measure),
];

/// Those of them that bring what they are measured against.
const WITH_PEERS: &[&str] = &["http", "editor", "containers"];

/// A run of the benchmark.
struct Bench {
    options: Options,
    /// Those that speak SSH; none where nothing asks for them.
    peers: Vec<Peer>,
    report: Report,
}

impl Bench {
    /// How often every peer has its turn: `usual` times, unless asked otherwise.
    fn rounds(&self, usual: u16) -> u16 {
        let quick = if self.options.quick {
            usual.min(3)
        } else {
            usual
        };
        self.options.rounds.unwrap_or(quick)
    }

    /// Returns `usual`, or less of it in a hurry.
    fn size(&self, usual: u32) -> u32 {
        if self.options.quick {
            (usual / 8).max(1)
        } else {
            usual
        }
    }

    /// Measures one quantity: in each round one sample of every peer.
    fn compare(&mut self, mut row: Row, rounds: u16, sample: impl Fn(&Peer) -> f64) {
        eprintln!("{} …", row.name());
        for _ in 0..rounds {
            for peer in &self.peers {
                row.add(peer.kind(), [sample(peer)]);
            }
        }
        self.report.add(row);
    }
}

/// Runs the benchmark and prints its result.
pub fn run() -> ExitCode {
    let options = Options::parse();
    if let Some(address) = options.serve {
        return http::serve(address);
    }
    if options.list {
        for (name, _) in MEASUREMENTS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| {
        options.names.is_empty()
            || options
                .names
                .iter()
                .any(|word| name.contains(word.as_str()))
    };
    let chosen: Vec<_> = MEASUREMENTS
        .iter()
        .filter(|(name, _)| wanted(name))
        .collect();
    if chosen.is_empty() {
        eprintln!("bench: nothing has such a name; bench --list shows the names");
        return ExitCode::FAILURE;
    }
    let by_ssh = chosen.iter().any(|(name, _)| !WITH_PEERS.contains(name));
    let peers = if by_ssh { Kind::ALL.as_slice() } else { &[] };
    let mut bench = Bench {
        options,
        peers: peers.iter().copied().map(Peer::start).collect(),
        report: Report::default(),
    };
    let mut failed = ExitCode::SUCCESS;
    for (name, measure) in chosen {
        // The harness reports by panicking; the other measurements go on.
        if catch_unwind(AssertUnwindSafe(|| measure(&mut bench))).is_err() {
            eprintln!("bench: {name} failed");
            failed = ExitCode::FAILURE;
        }
    }
    if bench.options.json {
        println!("{}", bench.report.json());
    } else {
        print!("{}", bench.report.table());
    }
    failed
}
