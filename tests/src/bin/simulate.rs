//! Runs the simulation from the command line: `cargo xtask simulate` starts it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use toso_tests::sim::{Plan, run};

const USAGE: &str = "\
Usage: cargo xtask simulate [--seeds N] [--from S] [--minutes M] [--newer]
       cargo xtask simulate --seed S [--trace] [--newer]

  --seeds N     that many seeds (100 unless --minutes is given)
  --from S      beginning with this one (1)
  --minutes M   as many seeds as there is time for
  --seed S      this one only
  --trace       show everything that happens in it
  --newer       with a newer build among the phones and at the centre
";

#[derive(Default)]
struct Order {
    seeds: Option<u64>,
    from: Option<u64>,
    minutes: Option<u64>,
    seed: Option<u64>,
    trace: bool,
    newer: bool,
}

fn main() -> ExitCode {
    if let Some(order) = order(std::env::args().skip(1)) {
        obey(&order)
    } else {
        eprint!("{USAGE}");
        ExitCode::from(2)
    }
}

fn order(mut arguments: impl Iterator<Item = String>) -> Option<Order> {
    let mut order = Order::default();
    while let Some(argument) = arguments.next() {
        if argument == "--trace" {
            order.trace = true;
            continue;
        }
        if argument == "--newer" {
            order.newer = true;
            continue;
        }
        let number = arguments.next()?.parse().ok()?;
        let place = match argument.as_str() {
            "--seeds" => &mut order.seeds,
            "--from" => &mut order.from,
            "--minutes" => &mut order.minutes,
            "--seed" => &mut order.seed,
            _ => return None,
        };
        *place = Some(number);
    }
    Some(order)
}

fn obey(order: &Order) -> ExitCode {
    if let Some(seed) = order.seed {
        let outcome = run(Plan { print: order.trace, newer: order.newer, ..Plan::of(seed) });
        println!("{}\ntrace hash {}, {:?}", outcome.report(), outcome.hash, outcome.counts);
        return if outcome.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let from = order.from.unwrap_or(1);
    let end = order.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let last = order.seeds.or(end.is_none().then_some(100)).map_or(u64::MAX, |count| from.saturating_add(count));
    let (begun, mut ran, mut failed) = (Instant::now(), 0_u64, Vec::new());
    for seed in from..last {
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        let outcome = run(Plan { newer: order.newer, ..Plan::of(seed) });
        ran += 1;
        if outcome.violation.is_some() {
            println!("{}\n", outcome.report());
            failed.push(seed);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{ran} seeds in {seconds:.1} s ({:.1}/s), {} ran clean, failed: {failed:?}",
        ran as f64 / seconds,
        ran - failed.len() as u64
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
