//! Which component explains which point.

use super::canvas::{Anchor, Canvas, FAINT, INK, MUTED};
use super::legend::color;
use ndarray::ArrayView2;

/// Most points and components shown.
const POINTS: usize = 1200;
const COMPONENTS: usize = 40;

/// `r`, [n, k]: a row for each component, the heaviest first, a column for each point, sorted by the
/// component that explains it best and how well; the darker, the more. Clusters that are apart make blocks,
/// those that overlap make smears beneath each other.
pub fn responsibilities(r: ArrayView2<f64>) -> Canvas {
    let (n, k) = r.dim();
    let mass: Vec<f64> = r.columns().into_iter().map(|c| c.sum()).collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|a, b| mass[*b].total_cmp(&mass[*a]));
    order.truncate(COMPONENTS);
    let best = |i: usize| (0..order.len()).fold(0, |best, c| if r[[i, order[c]]] > r[[i, order[best]]] { c } else { best });
    // Evenly spaced points of many, which have no order of their own.
    let shown = if k > 0 { n.min(POINTS) } else { 0 };
    let mut points: Vec<(usize, usize)> = (0..shown).map(|i| i * n / shown.max(1)).map(|i| (best(i), i)).collect();
    points.sort_by(|(a, i), (b, j)| a.cmp(b).then(r[[*j, order[*b]]].total_cmp(&r[[*i, order[*a]]])));
    let (left, top, width) = (150.0, 64.0, 1290.0);
    let row = (560.0 / order.len().max(1) as f64).clamp(14.0, 90.0);
    let height = top + row * order.len() as f64 + 56.0;
    let mut canvas = Canvas::new(1480, height as usize);
    let title = format!("responsibilities of {} components for {} points", k, n);
    canvas.text([left, top - 22.0], 17.0, Anchor::Left, INK, &title);
    let x = |i: usize| left + width * i as f64 / points.len().max(1) as f64;
    for (c, k) in order.iter().enumerate() {
        let y = top + row * c as f64;
        let share = mass[*k] / n.max(1) as f64;
        canvas.text([left - 14.0, y + 0.5 * row + 6.0], 13.0, Anchor::Right, MUTED, &format!("{:.1} %", 100.0 * share));
        for (i, (_, point)) in points.iter().enumerate() {
            canvas.rect([x(i), y], [x(i + 1), y + row - 2.0], color(c), r[[*point, *k]]);
        }
        canvas.line(&[[left, y + row - 1.0], [left + width, y + row - 1.0]], 1.0, FAINT, 1.0);
    }
    let below = "points, by the component that explains each best; left: the components' share of all";
    canvas.text([left, height - 22.0], 13.0, Anchor::Left, MUTED, below);
    canvas
}

#[cfg(test)]
mod tests {
    use super::super::canvas::BLUE;
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn certain_points_are_blocks_and_nothing_is_a_picture_too() {
        let canvas = responsibilities(array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]].view());
        // The heavier component comes first: two thirds of its row are of its colour.
        let blue = (150..1440).filter(|x| canvas.pixel(*x, 90) == BLUE).count();
        assert!((850..=870).contains(&blue), "{blue}");
        for r in [Array2::zeros((0, 3)), Array2::zeros((4, 0)), Array2::from_elem((5000, 60), 1.0 / 60.0)] {
            assert_eq!(responsibilities(r.view()).size().0, 1480.0);
        }
    }
}
