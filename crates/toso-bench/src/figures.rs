//! What rounds gave: the least, the middle and the most of each figure, and how figures grow with a size.

use std::collections::BTreeMap;

use serde::Serialize;

/// An exponent above this is too steep: the cost grows faster than what it is for.
pub const EXPONENT_MAX: f64 = 1.1;
/// What should not depend on a size may vary by this factor over all of its steps.
pub const FLAT_FACTOR_MAX: f64 = 1.2;

/// The figures of one round, by their names; the unit is a name's last word.
pub type Round = BTreeMap<&'static str, f64>;

/// One size, and what each round gave there.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// How much there was of what grows.
    pub size: f64,
    /// The figures.
    pub rounds: Vec<Round>,
}

/// The spread of a figure over rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The most.
    pub max: f64,
}

/// How a figure is expected to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// At most in proportion.
    Proportional,
    /// Not at all.
    Flat,
}

/// How a figure grew.
#[derive(Debug, Clone, Serialize)]
pub struct Slope {
    /// Which figure.
    pub figure: &'static str,
    /// What was expected.
    pub expected: Expected,
    /// The exponent: 1 is in proportion, 0 not at all.
    pub exponent: f64,
    /// What the exponent makes of the way from the smallest size to the largest.
    pub factor: f64,
    /// True when it grew more than expected.
    pub too_steep: bool,
}

impl Step {
    /// The spread of a figure; `None` when no round has it.
    pub fn spread(&self, figure: &str) -> Option<Spread> {
        let mut values: Vec<f64> = self.rounds.iter().filter_map(|round| round.get(figure).copied()).collect();
        values.sort_by(f64::total_cmp);
        let median = match values.len() {
            0 => return None,
            count if count % 2 == 1 => *values.get(count / 2)?,
            count => (values.get(count / 2 - 1)? + values.get(count / 2)?) / 2.0,
        };
        Some(Spread { min: *values.first()?, median, max: *values.last()? })
    }

    /// All figures, by name.
    pub fn figures(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.rounds.iter().flat_map(|round| round.keys().copied()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Slope {
    /// How the least value of a figure (the one that noise has spoilt the least) grows over the steps; `None` when fewer
    /// than two steps have it, or it is nothing there.
    pub fn of(figure: &'static str, expected: Expected, steps: &[Step]) -> Option<Self> {
        let points: Vec<(f64, f64)> = steps
            .iter()
            .filter_map(|step| Some((step.size, step.spread(figure)?.min)))
            .filter(|(size, value)| *size > 0.0 && *value > 0.0)
            .collect();
        let exponent = exponent(&points)?;
        let sizes = || points.iter().map(|(size, _)| *size);
        let way = sizes().fold(0.0, f64::max) / sizes().fold(f64::INFINITY, f64::min);
        // Of the line and not of single steps: one that something disturbed is no growth.
        let factor = way.powf(exponent);
        let too_steep = match expected {
            Expected::Proportional => exponent > EXPONENT_MAX,
            Expected::Flat => factor > FLAT_FACTOR_MAX,
        };
        Some(Self { figure, expected, exponent, factor, too_steep })
    }
}

/// The slope of the line through the points' logarithms that leaves the least squares.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let logs = || points.iter().map(|(size, value)| (size.ln(), value.ln()));
    let (mean_x, mean_y) = (logs().map(|(x, _)| x).sum::<f64>() / count, logs().map(|(_, y)| y).sum::<f64>() / count);
    let across: f64 = logs().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let along: f64 = logs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (points.len() > 1 && across > 0.0).then(|| along / across)
}

/// The value below which so many per cent of `values` are, which it sorts; 0 when there are none.
pub(crate) fn percentile(values: &mut [f64], per_cent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) * per_cent / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(of: impl Fn(f64) -> f64) -> Vec<Step> {
        let round = |size| Round::from([("ms", of(size)), ("worse_ms", 5.0 * of(size))]);
        [1.0, 3.0, 10.0].map(|size| Step { size, rounds: vec![round(size), round(size * 1.5)] }).into()
    }

    #[test]
    fn a_spread_has_its_least_its_middle_and_its_most() {
        let rounds = [4.0, 1.0, 9.0].map(|value| Round::from([("ms", value)]));
        let step = |count: usize| Step { size: 1.0, rounds: rounds[..count].to_vec() };
        assert_eq!(step(3).spread("ms"), Some(Spread { min: 1.0, median: 4.0, max: 9.0 }));
        assert_eq!(step(2).spread("ms"), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(step(0).spread("ms"), None);
        assert_eq!(step(3).spread("bytes"), None);
    }

    #[test]
    fn exponents_are_those_of_the_power() {
        for power in [0.0, 0.5, 1.0, 2.0] {
            let slope = Slope::of("ms", Expected::Proportional, &steps(|size| 7.0 * size.powf(power))).unwrap();
            assert!((slope.exponent - power).abs() < 1e-9, "{slope:?}");
            assert_eq!(slope.too_steep, power > 1.1, "{slope:?}");
        }
    }

    #[test]
    fn what_should_be_flat_may_vary_by_a_fifth_and_may_fall() {
        let slope = |power: f64| Slope::of("ms", Expected::Flat, &steps(|size| size.powf(power))).unwrap();
        assert!(!slope(0.0).too_steep);
        assert!(!slope(1.19_f64.log10()).too_steep);
        assert!(slope(1.21_f64.log10()).too_steep);
        assert!(!slope(-0.5).too_steep);
    }

    #[test]
    fn one_step_has_no_slope_and_nothing_has_none() {
        assert!(Slope::of("ms", Expected::Flat, &steps(|size| size)[..1]).is_none());
        assert!(Slope::of("ms", Expected::Flat, &steps(|_| 0.0)).is_none());
        assert!(Slope::of("bytes", Expected::Flat, &steps(|size| size)).is_none());
    }

    #[test]
    fn percentiles_of_few_values() {
        assert!(percentile(&mut [], 50).abs() < f64::EPSILON);
        assert!((percentile(&mut [3.0, 1.0, 2.0], 50) - 2.0).abs() < f64::EPSILON);
        assert!((percentile(&mut [3.0, 1.0, 2.0], 100) - 3.0).abs() < f64::EPSILON);
    }
}
