//! The loss over the steps.

use super::axes::{Axes, padded};
use super::canvas::{BLUE, Canvas};

/// Most points of a drawn line: neighbours are averaged beyond.
const POINTS: usize = 2000;

/// The loss of every step, pale, and its running mean. y is logarithmic where all running means are positive
/// and far apart. `steps` and `losses` have the same length; values that are not finite are left out.
pub fn loss_curve(steps: &[f64], losses: &[f64]) -> Canvas {
    let (width, height) = (1480.0, 560.0);
    let mut canvas = Canvas::new(width as usize, height as usize);
    let pairs: Vec<[f64; 2]> = steps.iter().zip(losses).map(|(s, l)| [*s, *l]).filter(|p| p[0].is_finite() && p[1].is_finite()).collect();
    let smooth = thinned(&running_mean(&pairs));
    let raw = thinned(&pairs);
    let last = pairs.last().map_or(1.0, |p| p[0]);
    let lowest = smooth.iter().map(|p| p[1]).fold(f64::INFINITY, f64::min);
    let highest = smooth.iter().map(|p| p[1]).fold(f64::NEG_INFINITY, f64::max);
    let log_y = lowest > 0.0 && highest > 4.0 * lowest;
    let y = y_range(&raw, lowest, highest, log_y);
    let axes = Axes { low: [120.0, 64.0], high: [width - 32.0, height - 56.0], x: [0.0, last.max(1.0)], y, log_x: false, log_y };
    axes.frame(&mut canvas);
    axes.title(&mut canvas, if log_y { "loss (logarithmic) over steps" } else { "loss over steps" });
    for (line, thickness, alpha) in [(&raw, 1.5, 0.3), (&smooth, 4.0, 1.0)] {
        let inside = line.iter().map(|p| axes.at(p[0], p[1].clamp(y[0], y[1]))).collect::<Vec<_>>();
        canvas.line(&inside, thickness, BLUE, alpha);
    }
    canvas
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
            assert_eq!(loss_curve(&steps, &losses).size(), (1480.0, 560.0));
        }
    }
}
