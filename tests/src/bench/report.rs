//! What was measured, and how it is printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::peers::Kind;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Better {
    Higher,
    Lower,
}

/// What a ratio, or a number, is meant to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    /// Whose number.
    pub(super) of: Kind,
    /// Divided by whose; by one where it is nobody's.
    pub(super) against: Option<Kind>,
    /// At least or at most this, as is better.
    pub(super) limit: f64,
}

impl Aim {
    /// Aims for devgate against sshd: the same however the agent is reached.
    pub(super) fn against_sshd(limit: f64) -> Vec<Self> {
        [Kind::Unix, Kind::Dial]
            .map(|of| Self {
                of,
                against: Some(Kind::Sshd),
                limit,
            })
            .into()
    }
}

/// One quantity of every peer.
pub(super) struct Row {
    name: String,
    unit: &'static str,
    better: Better,
    aims: Vec<Aim>,
    samples: BTreeMap<Kind, Vec<f64>>,
}

impl Row {
    pub(super) fn new(
        name: impl Into<String>,
        unit: &'static str,
        better: Better,
        aims: Vec<Aim>,
    ) -> Self {
        Self {
            name: name.into(),
            unit,
            better,
            aims,
            samples: BTreeMap::new(),
        }
    }

    /// Adds an aim.
    pub(super) fn aiming(mut self, aim: Aim) -> Self {
        self.aims.push(aim);
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn add(&mut self, kind: Kind, samples: impl IntoIterator<Item = f64>) {
        self.samples.entry(kind).or_default().extend(samples);
    }

    /// Whom the row compares.
    fn kinds(&self) -> &'static [Kind] {
        let has = |kinds: [Kind; 2]| kinds.iter().any(|kind| self.samples.contains_key(kind));
        if has([Kind::Nginx, Kind::Direct]) {
            &Kind::BY_HTTP
        } else if has([Kind::ByHand, Kind::Docker]) {
            &Kind::WITH_WORKSPACES
        } else {
            &Kind::ALL
        }
    }

    /// The middle one of a peer's samples.
    fn median(&self, kind: Kind) -> Option<f64> {
        self.samples
            .get(&kind)
            .map(|samples| quantile(samples, 0.5))
    }

    /// The lowest and the highest of a peer's samples.
    fn range(&self, kind: Kind) -> Option<(f64, f64)> {
        let samples = self.samples.get(&kind)?;
        Some((quantile(samples, 0.0), quantile(samples, 1.0)))
    }

    /// The number that an aim is about.
    fn value(&self, aim: &Aim) -> Option<f64> {
        let of = self.median(aim.of)?;
        match aim.against {
            Some(against) => Some(of / self.median(against)?),
            None => Some(of),
        }
    }

    fn meets(&self, aim: &Aim, value: f64) -> bool {
        match self.better {
            Better::Higher => value >= aim.limit,
            Better::Lower => value <= aim.limit,
        }
    }

    fn verdict(&self, aim: &Aim) -> String {
        let Some(value) = self.value(aim) else {
            return String::new();
        };
        let sign = match self.better {
            Better::Higher => "≥",
            Better::Lower => "≤",
        };
        let mark = if self.meets(aim, value) { "✓" } else { "✗" };
        let what = match aim.against {
            Some(against) => format!("{} : {}", aim.of.label(), against.label()),
            None => aim.of.label().to_owned(),
        };
        format!("{mark} {what} {} {sign} {}", short(value), short(aim.limit))
    }

    /// Its medians in a line, for whoever waits for the table.
    fn told(&self) -> String {
        let kinds = self.kinds().iter();
        let medians: Vec<_> = kinds
            .filter_map(|&kind| Some(format!("{} {}", kind.label(), short(self.median(kind)?))))
            .collect();
        format!("{}, {}: {}", self.name, self.unit, medians.join(", "))
    }

    fn json(&self) -> Value {
        let peers: serde_json::Map<_, _> = self
            .samples
            .iter()
            .map(|(kind, samples)| {
                let (low, high) = self.range(*kind).unwrap_or_default();
                let one = json!({
                    "median": self.median(*kind), "low": low, "high": high,
                    "samples": samples.len(),
                });
                (kind.label().to_owned(), one)
            })
            .collect();
        let aims: Vec<_> = self
            .aims
            .iter()
            .filter_map(|aim| {
                let value = self.value(aim)?;
                Some(json!({
                    "of": aim.of, "against": aim.against, "value": value,
                    "limit": aim.limit, "met": self.meets(aim, value),
                }))
            })
            .collect();
        json!({
            "name": self.name, "unit": self.unit, "better": self.better,
            "peers": peers, "aims": aims,
        })
    }
}

/// All that was measured, and what couldn't be.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<Row>,
    remarks: Vec<String>,
}

impl Report {
    /// Adds a row, and shows it at once: the whole takes long.
    pub(super) fn add(&mut self, row: Row) {
        eprintln!("{}", row.told());
        self.rows.push(row);
    }

    /// Says something about the numbers, or why some aren't there.
    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    pub(super) fn json(&self) -> Value {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        json!({ "measurements": rows, "remarks": self.remarks })
    }

    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let groups = [&Kind::ALL[..], &Kind::BY_HTTP, &Kind::WITH_WORKSPACES];
        for kinds in groups {
            let rows = self.rows.iter().filter(|row| row.kinds() == kinds);
            let rows: Vec<_> = rows.collect();
            if !rows.is_empty() {
                text.push_str(&section(&rows, kinds));
                text.push('\n');
            }
        }
        text.push_str("Median, and lowest to highest of all rounds; MB/s are decimal.\n");
        for remark in &self.remarks {
            let _ = writeln!(text, "{remark}");
        }
        text
    }
}

/// The rows of those that are compared with each other.
fn section(rows: &[&Row], kinds: &[Kind]) -> String {
    let mut header = vec![String::new(), "unit".to_owned()];
    header.extend(kinds.iter().map(|kind| kind.label().to_owned()));
    header.push("aims".to_owned());
    let mut lines = vec![header];
    for row in rows {
        let mut line = vec![row.name.clone(), row.unit.to_owned()];
        line.extend(kinds.iter().map(|kind| cell(row, *kind)));
        let mut aims = row.aims.iter().map(|aim| row.verdict(aim));
        line.push(aims.next().unwrap_or_default());
        lines.push(line);
        for aim in aims {
            let mut line = vec![String::new(); 2 + kinds.len()];
            line.push(aim);
            lines.push(line);
        }
    }
    align(&lines)
}

fn cell(row: &Row, kind: Kind) -> String {
    match (row.median(kind), row.range(kind)) {
        (Some(median), Some((low, high))) if low < high => {
            format!("{} ({}–{})", short(median), short(low), short(high))
        }
        (Some(median), _) => short(median),
        _ => "–".to_owned(),
    }
}

/// Three digits that mean something.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        0.0..0.1 => format!("{value:.3}"),
        0.1..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Columns of equal width, the first to the left and the others as they are.
fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(row, "{cell:<width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// The sample below which a share of them lies; none is zero.
pub(super) fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut rest = share * f64::from(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
    for sample in &sorted {
        rest -= 1.0;
        if rest < 0.0 {
            return *sample;
        }
    }
    sorted.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(better: Better) -> Row {
        let aim = Aim {
            of: Kind::Unix,
            against: Some(Kind::Sshd),
            limit: 1.4,
        };
        let mut row = Row::new("bulk", "MB/s", better, vec![aim]);
        row.add(Kind::Sshd, [300.0, 100.0, 200.0]);
        row.add(Kind::Unix, [300.0]);
        row
    }

    #[test]
    fn quantiles_are_samples() {
        let samples = [4.0, 1.0, 3.0, 2.0];
        assert!((quantile(&samples, 0.5) - 3.0).abs() < f64::EPSILON);
        assert!((quantile(&samples, 0.0) - 1.0).abs() < f64::EPSILON);
        assert!((quantile(&samples, 1.0) - 4.0).abs() < f64::EPSILON);
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn an_aim_is_met_on_its_better_side() {
        let row = row(Better::Higher);
        assert_eq!(row.verdict(&row.aims[0]), "✓ devgate : sshd 1.50 ≥ 1.40");
        let row = self::row(Better::Lower);
        assert_eq!(row.verdict(&row.aims[0]), "✗ devgate : sshd 1.50 ≤ 1.40");
    }

    #[test]
    fn a_table_shows_medians_ranges_and_gaps() {
        let mut report = Report::default();
        report.add(row(Better::Higher));
        report.remark("nothing else");
        let table = report.table();
        assert!(table.contains("200 (100–300)"), "{table}");
        assert!(table.contains("–  "), "{table}");
        assert!(table.ends_with("nothing else\n"), "{table}");
        let json = report.json();
        assert_eq!(json["measurements"][0]["peers"]["sshd"]["samples"], 3);
        assert_eq!(json["measurements"][0]["aims"][0]["met"], true);
    }
}
