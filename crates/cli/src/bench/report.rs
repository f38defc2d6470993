//! The lines that come out.
#![expect(
    clippy::print_stdout,
    reason = "the results are lines on standard output"
)]

use serde_json::{Map, Value, json};

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim {
    /// Rates.
    AtLeast(f64),
    /// Times and sizes.
    AtMost(f64),
    /// Shown only.
    None,
}

impl Aim {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(aim) => ratio >= aim,
            Self::AtMost(aim) => ratio <= aim,
            Self::None => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(aim) => format!(">= {aim}"),
            Self::AtMost(aim) => format!("<= {aim}"),
            Self::None => String::new(),
        }
    }
}

/// What one line is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// The bench.
    pub(super) bench: &'static str,
    /// Which of its numbers.
    pub(super) case: &'static str,
    /// Of the value and the limit.
    pub(super) unit: &'static str,
    /// Of their ratio.
    pub(super) aim: Aim,
}

/// A measured line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// What it is about.
    pub(super) case: Case,
    /// Ours: the median of the rounds.
    pub(super) value: f64,
    /// The raw side's: the median of the rounds.
    pub(super) limit: f64,
    /// Median of the rounds' ratios.
    pub(super) ratio: f64,
    /// (Largest − smallest ratio) / median.
    pub(super) spread: f64,
    /// Processors that others kept busy.
    pub(super) foreign: f64,
    /// Runs of all rounds, 1 if the first was quiet enough.
    pub(super) runs: usize,
    /// The rounds' ratios.
    pub(super) ratios: Vec<f64>,
    /// What else helps.
    pub(super) more: Map<String, Value>,
}

/// The spread above which a result is called noisy.
pub(super) const NOISY_SPREAD: f64 = 0.25;

/// Prints lines as they come.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    header: bool,
    missed: usize,
}

impl Report {
    /// Nothing printed yet.
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            header: false,
            missed: 0,
        }
    }

    /// Aims that were missed.
    pub(super) fn missed(&self) -> usize {
        self.missed
    }

    /// Something to know about what follows.
    pub(super) fn note(&self, text: &str) {
        if self.json {
            println!("{}", json!({ "note": text }));
        } else {
            println!("{text}");
        }
    }

    /// One result.
    pub(super) fn line(&mut self, line: &Line) {
        let holds = line.case.aim.holds(line.ratio);
        let noisy = line.spread > NOISY_SPREAD;
        self.missed += usize::from(!holds);
        if self.json {
            let round = |number: f64| (number * 1e4).round() / 1e4;
            let mut object = json!({
                "bench": line.case.bench, "case": line.case.case, "value": round(line.value), "unit": line.case.unit,
                "limit": round(line.limit), "ratio": round(line.ratio), "spread": round(line.spread),
                "aim": line.case.aim.text(), "holds": holds, "noisy": noisy, "foreign_cpus": round(line.foreign),
                "runs": line.runs, "ratios": line.ratios.iter().map(|ratio| round(*ratio)).collect::<Vec<_>>(),
            });
            if let Some(object) = object.as_object_mut() {
                object.extend(line.more.clone());
            }
            println!("{object}");
            return;
        }
        if !self.header {
            self.header = true;
            println!(
                "{:<18} {:>14} {:>14}  {:<14} {:>6} {:>7}  {:<8} ",
                "bench", "value", "limit", "unit", "ratio", "spread", "aim"
            );
        }
        let quiet = if noisy {
            format!("noisy, others used {:.2} processors", line.foreign)
        } else {
            String::new()
        };
        println!(
            "{:<18} {:>14} {:>14}  {:<14} {:>6.2} {:>6.0}%  {:<8} {} {quiet}",
            format!("{} {}", line.case.bench, line.case.case),
            number(line.value),
            number(line.limit),
            line.case.unit,
            line.ratio,
            line.spread * 100.0,
            line.case.aim.text(),
            if holds { "holds" } else { "MISSED" },
        );
    }
}

fn number(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}
