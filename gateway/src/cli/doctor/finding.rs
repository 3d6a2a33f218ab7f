//! What was found.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::output::printable;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not for everything.
    Warning,
    /// It doesn't work.
    Failed,
    /// It couldn't be looked at.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// All of them, in order.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.add(check, Verdict::Ok, detail.into(), None);
    }

    pub(super) fn skipped(&mut self, check: &'static str, detail: impl Into<String>) {
        self.add(check, Verdict::Skipped, detail.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Verdict::Warning, detail.into(), Some(remedy.into()));
    }

    pub(super) fn failed(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Verdict::Failed, detail.into(), Some(remedy.into()));
    }

    fn add(
        &mut self,
        check: &'static str,
        verdict: Verdict,
        detail: String,
        remedy: Option<String>,
    ) {
        self.0.push(Finding {
            check,
            verdict,
            detail,
            remedy,
        });
    }

    /// Returns how many are so.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        let so = |finding: &&Finding| finding.verdict == verdict;
        self.0.iter().filter(so).count()
    }

    /// Returns them for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.0 {
            let word = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Failed => "FAILED",
                Verdict::Skipped => "skipped",
            };
            let detail = printable(&finding.detail);
            // Writing to a string can't fail.
            let _ = writeln!(text, "{word:<8} {:<13} {detail}", finding.check);
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(text, "{:<22} to do: {}", "", printable(remedy));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stands_below_what_it_is_for() {
        let mut findings = Findings::default();
        findings.ok("dns", "found");
        findings.failed("tls", "expired", "renew it");
        let text = findings.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "ok       dns           found");
        assert_eq!(lines[1], "FAILED   tls           expired");
        assert_eq!(lines[2].trim(), "to do: renew it");
        assert_eq!(findings.count(Verdict::Failed), 1);
    }
}
