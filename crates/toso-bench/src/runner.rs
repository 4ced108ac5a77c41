//! Runs scenarios: one data folder for each server, one step after the other, round by round.

use serde::Serialize;

use crate::bench::{Bench, BenchOrder, FACTOR_MAX, SCALE_MAX};
use crate::error::BenchError;
use crate::figures::{Slope, Step};
use crate::scenarios::{Full, SCENARIOS, Scenario};

/// What a scenario gave.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The scenario.
    pub name: &'static str,
    /// What it measures.
    pub what: &'static str,
    /// What there is more of from step to step.
    pub grows: Option<&'static str>,
    /// Its steps, from small to large.
    pub steps: Vec<Step>,
    /// Which of them has the size that is looked at.
    pub full: usize,
    /// How its figures grow.
    pub slopes: Vec<Slope>,
}

/// The names of all scenarios, and what each measures.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
    SCENARIOS.iter().map(|scenario| (scenario.name, scenario.what, scenario.grows))
}

/// Runs what is ordered. Progress goes to stderr.
pub fn run(order: &BenchOrder) -> Result<Vec<Outcome>, BenchError> {
    if !(order.scale > 0.0 && order.scale.is_finite()) {
        return Err(BenchError::usage(format!("--scale {} is no size; give a number above 0", order.scale)));
    }
    if order.rounds == 0 || order.factors.is_empty() || order.factors.contains(&0) {
        return Err(BenchError::usage("0 rounds or a step of 0 measure nothing; give at least 1"));
    }
    let largest = order.factors.iter().copied().max().unwrap_or_default();
    let scale = order.scale * f64::from(largest) / f64::from(FACTOR_MAX);
    if scale > SCALE_MAX {
        return Err(BenchError::usage(format!(
            "--scale {} with a step of {largest} is {scale} times the full size, and at most {SCALE_MAX} are measured; give \
             a smaller --scale or --steps",
            order.scale
        )));
    }
    let chosen = choose(&order.only)?;
    let folder = tempfile::Builder::new().prefix("toso-bench-").tempdir()?;
    let bench = Bench::new(order.clone(), folder.path().to_owned())?;
    let mut outcomes = Vec::new();
    for scenario in chosen {
        eprintln!("{}: {}", scenario.name, scenario.what);
        outcomes.push(run_scenario(&bench, scenario).map_err(|error| {
            // What went wrong alone does not say where.
            BenchError::failed(format!("scenario {}: {error}", scenario.name))
        })?);
    }
    if order.keep {
        eprintln!("data folders: {}", folder.keep().display());
    }
    Ok(outcomes)
}

fn choose(only: &[String]) -> Result<Vec<&'static Scenario>, BenchError> {
    let names = |wish: &str, exact: bool, scenario: &Scenario| {
        if exact { scenario.name == wish } else { scenario.name.starts_with(wish) }
    };
    if only.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    for wish in only {
        if !SCENARIOS.iter().any(|scenario| names(wish, false, scenario)) {
            let all: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            return Err(BenchError::usage(format!("there is no scenario {wish:?}; there are {}", all.join(", "))));
        }
    }
    // A name that is another's beginning means itself alone.
    let wanted = |scenario: &&Scenario| {
        only.iter().any(|wish| {
            let exact = SCENARIOS.iter().any(|scenario| scenario.name == wish);
            names(wish, exact, scenario)
        })
    };
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

fn run_scenario(bench: &Bench, scenario: &Scenario) -> Result<Outcome, BenchError> {
    let factors = match (bench.order.factors.as_slice(), scenario.full) {
        // What does not grow has the size that is looked at; so has what is to run at one step only.
        ([_], Full::First) => vec![1],
        _ if scenario.grows.is_none() => vec![1],
        (factors, _) => factors.to_vec(),
    };
    let steps = factors.into_iter().map(|factor| (scenario.run)(bench, factor)).collect::<Result<Vec<_>, _>>()?;
    let slopes = scenario.slopes.iter().filter_map(|(figure, expected)| Slope::of(figure, *expected, &steps));
    Ok(Outcome {
        name: scenario.name,
        what: scenario.what,
        grows: scenario.grows,
        full: match scenario.full {
            Full::First => 0,
            Full::Last => steps.len().saturating_sub(1),
        },
        slopes: slopes.collect(),
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Vec<&'static str> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        choose(&only).unwrap().into_iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn scenarios_are_chosen_by_name_or_by_its_beginning() {
        assert_eq!(names(&[]).len(), SCENARIOS.len());
        assert_eq!(names(&["edit"]), ["edit"]);
        assert_eq!(names(&["re"]), ["reconnect", "report", "rebuild"]);
        assert_eq!(names(&["rush", "load"]), ["load", "rush"]);
        let error = choose(&["storm".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("storm") && error.contains("reconnect"), "{error}");
    }

    #[test]
    fn orders_that_measure_nothing_are_refused() {
        let order = BenchOrder { scale: 1.0, rounds: 1, factors: vec![1], ..BenchOrder::default() };
        for wrong in [
            BenchOrder { scale: 0.0, ..order.clone() },
            BenchOrder { scale: f64::NAN, ..order.clone() },
            BenchOrder { scale: SCALE_MAX * 10.1, ..order.clone() },
            BenchOrder { scale: SCALE_MAX, factors: vec![1, 11], ..order.clone() },
            BenchOrder { rounds: 0, ..order.clone() },
            BenchOrder { factors: vec![], ..order.clone() },
            BenchOrder { only: vec!["nothing".to_owned()], ..order },
        ] {
            assert!(matches!(run(&wrong), Err(BenchError::Usage(_))), "{wrong:?}");
        }
        // The largest size itself gets as far as the names.
        let only = vec!["nothing".to_owned()];
        let at_limit = BenchOrder { scale: SCALE_MAX, rounds: 1, factors: vec![10], only, keep: false };
        assert!(run(&at_limit).is_err_and(|error| error.to_string().contains("no scenario")));
    }
}
