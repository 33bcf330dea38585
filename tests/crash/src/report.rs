//! What came of the matrix, as a table and as JSON.

use crate::{matrix::Moment, play::Played, points::Dies};
use serde_json::{Value, json};
use std::{fmt::Write as _, time::Duration};

/// All of it.
#[derive(Debug)]
pub struct Report {
    pub rounds: usize,
    pub lanes: usize,
    pub seconds: u64,
    pub lines: Vec<Line>,
}

/// One moment, in all its rounds.
#[derive(Debug)]
pub struct Line {
    row: &'static str,
    moment: &'static str,
    point: String,
    played: usize,
    hits: usize,
    unknown: usize,
    violations: Vec<String>,
    slowest: Duration,
}

impl Line {
    pub(crate) fn new(moment: &Moment) -> Self {
        let point = moment.dies().iter().map(point).collect::<Vec<_>>().join("`, `");
        let (row, moment, slowest) = (moment.row(), moment.name(), Duration::ZERO);
        Self { row, moment, point, played: 0, hits: 0, unknown: 0, violations: Vec::new(), slowest }
    }

    pub(crate) fn add(&mut self, played: Played) {
        self.played += 1;
        self.hits += played.hits;
        self.unknown += usize::from(played.unknown_seen);
        self.slowest = self.slowest.max(played.closed_after);
        self.violations.extend(played.violations);
    }
}

fn point(dies: &Dies) -> String {
    match *dies {
        Dies::At { point, .. } => point.to_owned(),
        Dies::AtWithWorker { point, .. } => format!("{point} + worker"),
        Dies::Holding(victims) => format!("kill {victims:?}"),
        Dies::Tool => "the tool's own end".to_owned(),
    }
}

impl Report {
    /// Everything that went wrong.
    pub fn violations(&self) -> usize {
        self.lines.iter().map(|line| line.violations.len()).sum()
    }

    fn sum(&self, of: impl Fn(&Line) -> usize) -> usize {
        self.lines.iter().map(of).sum()
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::from("| row | moment | dies at | played | hits | unknown | closed within | violations |\n");
        text.push_str("|---|---|---|---:|---:|---:|---:|---:|\n");
        for line in &self.lines {
            let _ = writeln!(
                text,
                "| {} | {} | `{}` | {} | {} | {} | {:.1} s | {} |",
                line.row,
                line.moment,
                line.point,
                line.played,
                line.hits,
                line.unknown,
                line.slowest.as_secs_f64(),
                line.violations.len()
            );
        }
        text.push_str("| C22 | ssh, ansible and Proxmox steps | *these actions do not exist yet* | 0 | 0 | 0 | – | – |\n");
        let _ = write!(
            text,
            "\n{} moments, {} scenarios, {} deaths at their point, {} unknown and settled, {} violations, {} s with {} fleets at a time",
            self.lines.len(),
            self.sum(|line| line.played),
            self.sum(|line| line.hits),
            self.sum(|line| line.unknown),
            self.violations(),
            self.seconds,
            self.lanes
        );
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let line = |line: &Line| {
            json!({
                "row": line.row, "moment": line.moment, "point": line.point, "played": line.played, "hits": line.hits,
                "unknown": line.unknown, "slowest_ms": line.slowest.as_millis() as u64, "violations": line.violations,
            })
        };
        json!({
            "rounds": self.rounds, "lanes": self.lanes, "seconds": self.seconds, "violations": self.violations(),
            "scenarios": self.sum(|line| line.played), "hits": self.sum(|line| line.hits),
            "points": self.lines.iter().map(line).collect::<Vec<_>>(),
            "not_played": [{"row": "C22", "why": "the actions ssh, ansible and pve do not exist yet"}],
        })
    }
}
