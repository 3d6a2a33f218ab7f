//! A web application in a workspace, through the gateway and through nginx in front of
//! the very same application.

mod application;
mod nginx;
mod site;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::component::program;
use crate::process::{Finished, run};

use super::peers::Kind;
use super::report::Better;
use super::{Aim, Bench, Row};

pub(super) use application::serve;
pub(super) use site::{Page, Site};

use nginx::Nginx;

/// Where the application has its small answer.
const SMALL: &str = "/small";

/// Connections that ask for the small answer at once.
const CONNECTIONS: u16 = 32;

/// How long one large body may take.
const LIMIT: Duration = Duration::from_mins(5);

/// Whether there is TLS between client and proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    Tls,
}

impl Security {
    fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }
}

pub(super) fn measure(bench: &mut Bench) {
    for security in [Security::Plain, Security::Tls] {
        let site = Site::start(security);
        let application = site.application();
        let through = site.page(&application.port().to_string(), SMALL);
        let nginx = Nginx::start(security, application.port());
        let mut pages = vec![(Kind::Unix, through), (Kind::Nginx, nginx.page())];
        if security == Security::Plain {
            pages.push((Kind::Direct, application.page()));
        }
        small(bench, security, &pages);
        large(bench, security, &pages);
    }
}

fn row(what: &str, security: Security, unit: &'static str, better: Better) -> Row {
    let limit = match better {
        Better::Higher => 0.9,
        Better::Lower => 1.1,
    };
    let aim = Aim {
        of: Kind::Unix,
        against: Some(Kind::Nginx),
        limit,
    };
    Row::new(
        format!("{}, {what}", security.scheme()),
        unit,
        better,
        vec![aim],
    )
}

/// Many small answers: how many, and how late the late ones are.
fn small(bench: &mut Bench, security: Security, pages: &[(Kind, Page)]) {
    let seconds = bench.size(8).max(2);
    let mut rate = row("small answers", security, "1/s", Better::Higher);
    let mut late = row("small answers, p99", security, "ms", Better::Lower);
    eprintln!("{} …", rate.name());
    for (_, page) in pages {
        load(page, 1);
    }
    for _ in 0..bench.rounds(5) {
        for (kind, page) in pages {
            let (per_second, p99) = load(page, seconds);
            rate.add(*kind, [per_second]);
            late.add(*kind, [p99]);
        }
    }
    bench.report.add(rate);
    bench.report.add(late);
}

/// Runs wrk and returns requests a second, and the 99th percentile in milliseconds.
fn load(page: &Page, seconds: u32) -> (f64, f64) {
    let mut wrk = Command::new(program("wrk"));
    wrk.args(["--threads", "1", "--latency", "--timeout", "10s"])
        .arg(format!("--connections={CONNECTIONS}"))
        .arg(format!("--duration={seconds}s"));
    for header in page.headers() {
        wrk.args(["--header", &header]);
    }
    wrk.arg(page.numeric(SMALL));
    let said = run(&mut wrk, b"", LIMIT).ok().out();
    assert!(!said.contains("Non-2xx"), "{said}");
    assert!(!said.contains("Socket errors"), "{said}");
    understood(&said).unwrap_or_else(|| panic!("wrk said:\n{said}"))
}

fn understood(said: &str) -> Option<(f64, f64)> {
    let after = |label: &str| {
        let line = said
            .lines()
            .find(|line| line.trim_start().starts_with(label))?;
        line.split_whitespace().last()
    };
    Some((
        after("Requests/sec:")?.parse().ok()?,
        milliseconds(after("99%")?)?,
    ))
}

/// A time as wrk writes it.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = if let Some(number) = text.strip_suffix("us") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else {
        (text.strip_suffix('s')?, 1e3)
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

/// One large body, there and back.
fn large(bench: &mut Bench, security: Security, pages: &[(Kind, Page)]) {
    let size = u64::from(bench.size(1024)) << 20;
    let sparse = tempfile::NamedTempFile::new().expect("/tmp is writable");
    let file: &File = sparse.as_file();
    file.set_len(size).expect("files can have holes");
    let mut rows = [
        row("one large download", security, "MB/s", Better::Higher),
        row("one large upload", security, "MB/s", Better::Higher),
    ];
    for row in &rows {
        eprintln!("{} …", row.name());
    }
    for _ in 0..bench.rounds(5) {
        for (kind, page) in pages {
            let [down, up] = &mut rows;
            down.add(*kind, [download(page, size)]);
            up.add(*kind, [upload(page, sparse.path(), size)]);
        }
    }
    for row in rows {
        bench.report.add(row);
    }
}

/// Decimal megabytes a second of a download.
fn download(page: &Page, size: u64) -> f64 {
    let mut curl = page.curl(&format!("/zeros/{size}"));
    curl.args(["--output", "/dev/null"]);
    curl.args(["--write-out", "%{size_download} %{speed_download}"]);
    speed(&run(&mut curl, b"", LIMIT).ok(), size)
}

/// Decimal megabytes a second of an upload.
fn upload(page: &Page, file: &Path, size: u64) -> f64 {
    let mut curl = page.curl("/sink");
    curl.arg("--upload-file").arg(file);
    curl.args(["--header", "Expect:", "--output", "/dev/null"]);
    curl.args(["--write-out", "%{size_upload} %{speed_upload}"]);
    speed(&run(&mut curl, b"", LIMIT).ok(), size)
}

fn speed(finished: &Finished, size: u64) -> f64 {
    let said = finished.out();
    let (carried, speed) = said.split_once(' ').expect("it was asked for two numbers");
    assert_eq!(carried.parse(), Ok(size), "not all was carried");
    speed.parse::<f64>().expect("a number") / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_understood() {
        let said = "Running 1s test @ http://127.0.0.1:1/\n  Latency Distribution\n     \
                    50%  310.00us\n     99%    1.32ms\n  9 requests in 1.00s\n\
                    Requests/sec:  43210.12\nTransfer/sec:      1.00MB\n";
        assert_eq!(understood(said), Some((43210.12, 1.32)));
        assert_eq!(milliseconds("1.50s"), Some(1500.0));
        assert_eq!(milliseconds("1.50m"), None);
    }
}
