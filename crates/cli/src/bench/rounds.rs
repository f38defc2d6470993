//! Alternating rounds, their medians and spreads.

use anyhow::{Context, ensure};
use serde_json::{Map, Value};

use crate::bench::{
    BenchArgs,
    process::ForeignLoad,
    report::{Case, Line, NOISY_SPREAD, Report},
};

/// What one side's round measured: a value per case, and what else helps.
#[derive(Debug)]
pub(super) struct Sample {
    /// In the order of the cases.
    pub(super) values: Vec<f64>,
    /// Shown beside them.
    pub(super) more: Value,
}

/// Runs both sides in turns and reports a line per case. Run again while a case is noisy; the run with the smallest spread counts.
pub(super) fn alternate(
    args: &BenchArgs,
    cases: &[Case],
    report: &mut Report,
    mut ours: impl FnMut() -> anyhow::Result<Sample>,
    mut raw: impl FnMut() -> anyhow::Result<Sample>,
) -> anyhow::Result<()> {
    let mut best: Option<Vec<Line>> = None;
    for run in 1..=args.again + 1 {
        let foreign = ForeignLoad::new()?;
        let mut rounds = Vec::new();
        for round in 0..args.rounds.max(1) {
            // Who goes first changes too.
            rounds.push(if round % 2 == 0 {
                let limit = raw()?;
                (ours()?, limit)
            } else {
                let value = ours()?;
                (value, raw()?)
            });
        }
        let mut lines = lines(cases, &rounds, foreign.processors()?)?;
        let worst = |lines: &[Line]| lines.iter().map(|line| line.spread).fold(0.0, f64::max);
        let found = worst(&lines);
        if best.as_deref().is_none_or(|best| found < worst(best)) {
            lines.iter_mut().for_each(|line| line.runs = run);
            best = Some(lines);
        } else if let Some(best) = &mut best {
            best.iter_mut().for_each(|line| line.runs = run);
        }
        if found <= NOISY_SPREAD {
            break;
        }
    }
    for line in best.context("no rounds")? {
        report.line(&line);
    }
    Ok(())
}

fn lines(cases: &[Case], rounds: &[(Sample, Sample)], foreign: f64) -> anyhow::Result<Vec<Line>> {
    let (last_ours, last_raw) = rounds.last().context("no rounds")?;
    cases
        .iter()
        .enumerate()
        .map(|(at, case)| {
            let of = |sample: &Sample| {
                sample
                    .values
                    .get(at)
                    .copied()
                    .context("a case without a value")
            };
            let values: Vec<f64> = rounds
                .iter()
                .map(|(ours, _)| of(ours))
                .collect::<anyhow::Result<_>>()?;
            let limits: Vec<f64> = rounds
                .iter()
                .map(|(_, raw)| of(raw))
                .collect::<anyhow::Result<_>>()?;
            let ratios: Vec<f64> = values
                .iter()
                .zip(&limits)
                .map(|(value, limit)| value / limit)
                .collect();
            let ratio = median(&ratios)?;
            let (least, most) = ratios
                .iter()
                .fold((f64::MAX, 0.0f64), |(a, b), r| (a.min(*r), b.max(*r)));
            let mut more = Map::new();
            if at == 0 {
                if let Some(ratio) = ratio_per_cpu(rounds)? {
                    more.insert("ratio_per_cpu".to_owned(), ratio.into());
                }
                more.insert("ours".to_owned(), last_ours.more.clone());
                more.insert("raw".to_owned(), last_raw.more.clone());
            }
            Ok(Line {
                case: *case,
                value: median(&values)?,
                limit: median(&limits)?,
                ratio,
                spread: (most - least) / ratio,
                foreign,
                runs: 1,
                ratios,
                more,
            })
        })
        .collect()
}

/// The median ratio of what both sides did per second of processor time, where they say so: foreign load moves it less.
fn ratio_per_cpu(rounds: &[(Sample, Sample)]) -> anyhow::Result<Option<f64>> {
    let of = |sample: &Sample| sample.more["per_cpu_second"].as_f64();
    let ratios: Option<Vec<f64>> = rounds
        .iter()
        .map(|(ours, raw)| Some(of(ours)? / of(raw)?))
        .collect();
    ratios.map(|ratios| median(&ratios)).transpose()
}

/// The middle one; of two the mean.
pub(super) fn median(values: &[f64]) -> anyhow::Result<f64> {
    ensure!(
        values.iter().all(|value| value.is_finite()),
        "not a number among {values:?}"
    );
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).context("no values")?;
    let lower = sorted.get((sorted.len() - 1) / 2).context("no values")?;
    Ok((upper + lower) / 2.0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::bench::report::Aim;

    #[test]
    fn ratio_is_the_median_of_the_rounds_ratios() {
        let sample = |value| Sample {
            values: vec![value],
            more: Value::Null,
        };
        let rounds: Vec<_> = [(50.0, 100.0), (90.0, 100.0), (12.0, 20.0)]
            .map(|(ours, raw)| (sample(ours), sample(raw)))
            .into();
        let case = Case {
            bench: "b",
            case: "c",
            unit: "u",
            aim: Aim::AtLeast(0.6),
        };
        let line = lines(&[case], &rounds, 0.0).unwrap().remove(0);
        assert_eq!(line.ratio, 0.6);
        assert!((line.spread - 0.4 / 0.6).abs() < 1e-9);
        assert_eq!((line.value, line.limit), (50.0, 100.0));
    }

    #[test]
    fn median_refuses_what_is_no_number() {
        assert!(median(&[1.0, f64::NAN]).is_err());
        assert!(median(&[]).is_err());
        assert_eq!(median(&[4.0, 1.0]).unwrap(), 2.5);
    }
}
