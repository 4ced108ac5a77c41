//! Two lists of rounds side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// By scenario and figure, what each round gave.
type Figures = BTreeMap<(String, String), Vec<f64>>;

/// How the name of a figure ends of which more is better.
const RATE: &str = "_per_s";

/// The ratios of all figures that both have: of the best rounds, which noise has spoilt the least, and of the middle ones.
pub(super) fn table(against: &str, before: &[Value], now: &[Value]) -> String {
    let (before, now) = (figures(before), figures(now));
    let mut text = String::new();
    let mut last = "";
    for ((scenario, figure), old) in &before {
        let Some(new) = now.get(&(scenario.clone(), figure.clone())) else { continue };
        if scenario != last {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{scenario:30} {against:>12} {:>12} {:>9} {:>9}", "this tree", "best", "median");
            last = scenario;
        }
        let (old, new) = (spread(figure, old), spread(figure, new));
        let ratio = |old: f64, new: f64| if old == 0.0 { "–".to_owned() } else { format!("{:.2}×", new / old) };
        let _ = writeln!(
            text,
            "  {figure:28} {:>12.3} {:>12.3} {:>9} {:>9}",
            old.0,
            new.0,
            ratio(old.0, new.0),
            ratio(old.1, new.1)
        );
    }
    text
}

/// The best and the middle value.
fn spread(figure: &str, values: &[f64]) -> (f64, f64) {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    let middle = f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2));
    (if figure.ends_with(RATE) { at(values.len().saturating_sub(1)) } else { at(0) }, middle)
}

fn figures(rounds: &[Value]) -> Figures {
    let mut figures = Figures::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for run in rounds {
        for scenario in list(run.get("scenarios").unwrap_or(&Value::Null)) {
            let name = scenario.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            for step in list(scenario.get("steps").unwrap_or(&Value::Null)) {
                for round in list(step.get("rounds").unwrap_or(&Value::Null)) {
                    for (figure, value) in round.as_object().into_iter().flatten() {
                        let values = figures.entry((name.clone(), figure.clone())).or_default();
                        values.extend(value.as_f64());
                    }
                }
            }
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ms: f64) -> Value {
        let round = serde_json::json!({ "ms": ms, "syncs": 0.0, "docs_per_s": 1000.0 / ms });
        serde_json::json!({ "scenarios": [{ "name": "edit", "steps": [{ "size": 1, "rounds": [round] }] }] })
    }

    #[test]
    fn ratios_are_of_the_best_and_of_the_middle() {
        let text = table("main", &[run(4.0), run(2.0), run(9.0)], &[run(1.0), run(8.0), run(2.0)]);
        let words_of = |figure| {
            let line = text.lines().find(|line| line.trim_start().starts_with(figure)).expect("a line");
            line.split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(words_of("ms"), ["ms", "2.000", "1.000", "0.50×", "0.50×"], "{text}");
        assert_eq!(words_of("docs_per_s"), ["docs_per_s", "500.000", "1000.000", "2.00×", "2.00×"], "{text}");
        assert!(text.contains("edit") && text.contains("main"), "{text}");
        assert!(text.lines().any(|line| line.contains("syncs") && line.contains('–')), "nothing has no ratio: {text}");
    }

    #[test]
    fn what_only_one_has_is_left_out() {
        assert_eq!(table("main", &[run(1.0)], &[serde_json::json!({})]), "");
    }
}
