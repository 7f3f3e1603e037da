//! The loss over the steps.

use super::axes::{Chart, padded};
use super::figure::Figure;
use super::legend::{color, legend};

/// Most points of a drawn line: neighbours are averaged beyond.
const POINTS: usize = 2000;

/// The losses of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Losses {
    /// What stands in the legend.
    pub name: String,
    /// Steps.
    pub steps: Vec<f64>,
    /// The loss of each.
    pub losses: Vec<f64>,
}

/// Running means of losses, of one run over the loss of every step, pale. y is logarithmic where all running means
/// are positive and far apart. Values that are not finite are left out.
pub fn loss_curves(runs: &[Losses]) -> Figure {
    let pairs = |run: &Losses| -> Vec<[f64; 2]> {
        let all = run.steps.iter().zip(&run.losses).map(|(s, l)| [*s, *l]);
        all.filter(|p| p[0].is_finite() && p[1].is_finite()).collect()
    };
    let all: Vec<Vec<[f64; 2]>> = runs.iter().map(pairs).collect();
    let smooth: Vec<Vec<[f64; 2]>> = all.iter().map(|pairs| thinned(&running_mean(pairs))).collect();
    let raw: Vec<[f64; 2]> = if runs.len() == 1 { thinned(&all[0]) } else { smooth.concat() };
    let last = all.iter().flatten().map(|p| p[0]).fold(1.0, f64::max);
    let lowest = smooth.iter().flatten().map(|p| p[1]).fold(f64::INFINITY, f64::min);
    let highest = smooth.iter().flatten().map(|p| p[1]).fold(f64::NEG_INFINITY, f64::max);
    let log_y = lowest > 0.0 && highest > 4.0 * lowest;
    let y = y_range(&raw, lowest, highest, log_y);
    let chart = Chart { title: "Loss of the batches", x: "optimiser steps", y: "loss (7)", height: 320.0 };
    let (mut panel, axes) = chart.panel([0.0, last], y, [false, log_y]);
    if runs.len() == 1 {
        axes.curve(&mut panel, &raw, (1.0, color(0), 0.3), None);
        axes.curve(&mut panel, &smooth[0], (2.2, color(0), 1.0), Some("running mean"));
        return Figure::new(vec![panel]);
    }
    for (i, (line, run)) in smooth.iter().zip(runs).enumerate() {
        axes.curve(&mut panel, line, (2.0, color(i), 0.9), Some(&run.name));
    }
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    Figure::new(vec![panel, legend(&names, axes.low[1])])
}

/// The range of the running means, widened to the middle 98 % of the single losses.
fn y_range(raw: &[[f64; 2]], lowest: f64, highest: f64, log_y: bool) -> [f64; 2] {
    let mut sorted: Vec<f64> = raw.iter().map(|p| p[1]).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(top) = sorted.len().checked_sub(1) else { return [0.0, 1.0] };
    let (a, b) = (lowest.min(sorted[top / 100]), highest.max(sorted[top - top / 100]));
    if log_y {
        let [low, high] = padded([a.max(lowest / 10.0).ln(), b.ln()], 0.05);
        [low.exp(), high.exp()]
    } else {
        padded([a, b], 0.05)
    }
}

/// Mean over a window of about a fiftieth of the run, centred, narrower at the ends.
fn running_mean(pairs: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let half = pairs.len() / 100;
    let mut sums = vec![0.0];
    sums.extend(pairs.iter().scan(0.0, |sum, p| {
        *sum += p[1];
        Some(*sum)
    }));
    let mean = |i: usize| {
        let reach = half.min(i).min(pairs.len() - 1 - i);
        (sums[i + reach + 1] - sums[i - reach]) / (2 * reach + 1) as f64
    };
    (0..pairs.len()).map(|i| [pairs[i][0], mean(i)]).collect()
}

fn thinned(pairs: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let group = pairs.len().div_ceil(POINTS).max(1);
    let mean = |c: &[[f64; 2]], k: usize| c.iter().map(|p| p[k]).sum::<f64>() / c.len() as f64;
    pairs.chunks(group).map(|c| [mean(c, 0), mean(c, 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_mean_keeps_a_straight_line() {
        let line: Vec<[f64; 2]> = (0..1000).map(|i| [f64::from(i), 3.0 * f64::from(i) - 7.0]).collect();
        let worst = running_mean(&line).iter().zip(&line).map(|(a, b)| (a[1] - b[1]).abs()).fold(0.0, f64::max);
        assert!(worst <= 1e-9, "{worst}");
        assert_eq!(thinned(&line).len(), 1000);
        // No steps, one step, losses that are not numbers: still a picture.
        for losses in [vec![], vec![1.0], vec![f64::NAN; 3], vec![-1.0, 2.0, -3.0], vec![0.0; 5]] {
            let steps: Vec<f64> = (0..losses.len()).map(|i| i as f64).collect();
            let run = Losses { name: "a".into(), steps, losses };
            assert_eq!(loss_curves(std::slice::from_ref(&run)).size(), (520.0, 320.0));
            assert_eq!(loss_curves(&[run.clone(), run]).panels.len(), 2);
        }
        assert_eq!(loss_curves(&[]).panels.len(), 2);
    }
}
