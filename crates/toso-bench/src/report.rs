//! What the scenarios gave, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::bench::BenchOrder;
use crate::error::BenchError;
use crate::figures::{Expected, Spread, Step};
use crate::goals::{Bound, Goal, best_peer, goal};
use crate::runner::Outcome;

/// The version of the JSON.
const JSON_VERSION: u32 = 1;

/// All figures of all rounds, for programs.
#[derive(Serialize)]
struct Json<'a> {
    version: u32,
    scale: f64,
    rounds: u32,
    cores: usize,
    scenarios: &'a [Outcome],
    goals: Vec<Judged>,
}

/// A goal, and how far away it is.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// The scenario.
    pub scenario: &'static str,
    /// The figure.
    pub figure: &'static str,
    /// What it should be.
    pub goal: f64,
    /// True when more is better.
    pub at_least: bool,
    /// The best round.
    pub best: f64,
    /// Whether the goal is met by it; absent when the run was of another size and says nothing of it.
    pub met: Option<bool>,
}

/// Everything as JSON.
pub fn json(order: &BenchOrder, outcomes: &[Outcome]) -> Result<String, BenchError> {
    let json = Json {
        version: JSON_VERSION,
        scale: order.scale,
        rounds: order.rounds,
        cores: crate::parallel::cores(),
        scenarios: outcomes,
        goals: judged(outcomes),
    };
    serde_json::to_string_pretty(&json).map_err(BenchError::failed)
}

/// Every goal whose figure was measured.
pub fn judged(outcomes: &[Outcome]) -> Vec<Judged> {
    outcomes
        .iter()
        .filter_map(|outcome| Some((outcome, outcome.steps.get(outcome.full)?)))
        .flat_map(|(outcome, step)| step.figures().into_iter().map(move |figure| (outcome.name, step, figure)))
        .filter_map(|(scenario, step, figure)| judge(goal(scenario, figure)?, step))
        .collect()
}

/// By the best round: other work on the machine can only make a figure worse.
fn judge(goal: &Goal, step: &Step) -> Option<Judged> {
    let spread = step.spread(goal.figure)?;
    let at_least = matches!(goal.bound, Bound::AtLeast(_));
    let best = if at_least { spread.max } else { spread.min };
    Some(Judged {
        scenario: goal.scenario,
        figure: goal.figure,
        goal: goal.bound.value(),
        at_least,
        best,
        met: goal.judge(step.size, best),
    })
}

/// Everything as tables.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        // Writing to a string cannot fail.
        let _ = one(&mut text, outcome);
    }
    let judged = judged(outcomes);
    let count = |met| judged.iter().filter(|judged| judged.met == met).count();
    let _ = writeln!(
        text,
        "goals by the best round: {} met, {} missed, {} of another size than was run",
        count(Some(true)),
        count(Some(false)),
        count(None)
    );
    let steep = outcomes.iter().flat_map(|outcome| &outcome.slopes).filter(|slope| slope.too_steep).count();
    let _ = writeln!(text, "slopes: {steep} too steep");
    text
}

fn one(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let Some(step) = outcome.steps.get(outcome.full) else { return Ok(()) };
    let at = outcome.grows.map_or_else(String::new, |grows| format!(" ({} {grows})", number(step.size)));
    writeln!(text, "{}: {}{at}", outcome.name, outcome.what)?;
    writeln!(text, "  {:28} {:>10} {:>10} {:>10}  goal and best of others", "", "min", "median", "max")?;
    for figure in step.figures() {
        let Some(Spread { min, median, max }) = step.spread(figure) else { continue };
        let mut notes = Vec::new();
        let bound = goal(outcome.name, figure).map(|goal| goal.bound);
        if let Some(judged) = goal(outcome.name, figure).and_then(|goal| judge(goal, step)) {
            let sign = if judged.at_least { "≥" } else { "≤" };
            let verdict = match judged.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "for the full size",
            };
            notes.push(format!("{sign} {} {verdict}", number(judged.goal)));
        }
        if let Some(peer) = best_peer(outcome.name, figure) {
            let ratio = if matches!(bound, Some(Bound::AtLeast(_))) { max / peer.value } else { peer.value / min };
            notes.push(format!("{} {}, {ratio:.2}× as good", peer.name, number(peer.value)));
        }
        let line = format!(
            "  {figure:28} {:>10} {:>10} {:>10}  {}",
            number(min),
            number(median),
            number(max),
            notes.join("; ")
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    if !outcome.slopes.is_empty() {
        let sizes: Vec<_> = outcome.steps.iter().map(|step| number(step.size)).collect();
        writeln!(text, "  over {} {}:", sizes.join(", "), outcome.grows.unwrap_or_default())?;
        for slope in &outcome.slopes {
            let expected = match slope.expected {
                Expected::Flat => "flat",
                Expected::Proportional => "proportional",
            };
            let mark = if slope.too_steep { "  TOO STEEP" } else { "" };
            writeln!(
                text,
                "  {:28} {:+.2} ({:.2}× over all; {expected} at most){mark}",
                slope.figure, slope.exponent, slope.factor
            )?;
        }
    }
    writeln!(text)
}

/// About three digits, thousands apart.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || (size - size.round()).abs() < 1e-9 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, part) = text.split_once('.').map_or((text.as_str(), ""), |(whole, part)| (whole, part));
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if place > 0 && left % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    if part.is_empty() { out } else { format!("{out}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Round, Slope};

    fn outcome(name: &'static str, figure: &'static str, values: [f64; 3], size: f64) -> Outcome {
        let rounds = values.map(|value| Round::from([(figure, value)])).into();
        let steps = vec![Step { size, rounds }];
        Outcome { name, what: "it is tested", grows: Some("things"), steps, full: 0, slopes: Vec::new() }
    }

    #[test]
    fn a_goal_is_judged_by_the_best_round() {
        let met = |outcome: Outcome| judged(&[outcome]).first().map(|judged| (judged.best, judged.met));
        assert_eq!(met(outcome("reconnect", "round_trips", [9.0, 2.0, 5.0], 1.0)), Some((2.0, Some(true))));
        assert_eq!(met(outcome("reconnect", "round_trips", [9.0, 3.0, 5.0], 1.0)), Some((3.0, Some(false))));
        assert_eq!(met(outcome("load", "acknowledged_per_s", [7_000.0, 5.0, 9.0], 1.0)), Some((7_000.0, Some(true))));
        assert_eq!(met(outcome("reconnect", "messages_up", [1.0; 3], 1.0)), None, "it has no goal");
    }

    #[test]
    fn a_small_run_says_nothing_about_a_national_goal() {
        let of = |size| judged(&[outcome("national", "whole_s", [40.0; 3], size)]).first().map(|judged| judged.met);
        assert_eq!(of(27_000.0), Some(None));
        assert_eq!(of(273_955.0), Some(Some(true)));
    }

    #[test]
    fn the_table_shows_spread_goal_peer_and_slope() {
        let mut reconnect = outcome("reconnect", "round_trips", [2.0, 2.5, 4.0], 60_060.0);
        reconnect.slopes = vec![Slope {
            figure: "round_trips",
            expected: Expected::Flat,
            exponent: 0.5,
            factor: 3.2,
            too_steep: true,
        }];
        let text = table(&[reconnect]);
        for part in ["60,060 things", "2       2.50          4", "≤ 2 met", "Evolu 3, 1.50× as good", "TOO STEEP"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.contains("1 met, 0 missed") && text.contains("1 too steep"), "{text}");
    }

    #[test]
    fn numbers_have_about_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.123_4, "0.123"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (273_955.0, "273,955"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_json_has_everything() {
        let order = BenchOrder { scale: 1.0, rounds: 3, ..BenchOrder::default() };
        let text = json(&order, &[outcome("reconnect", "round_trips", [2.0, 2.5, 4.0], 1.0)]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["scenarios"][0]["steps"][0]["rounds"][1]["round_trips"], 2.5);
        assert_eq!(json["goals"][0]["met"], true);
    }
}
