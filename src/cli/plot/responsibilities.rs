//! Which component explains which point.

use super::figure::{Anchor, FAINT, Figure, INK, MUTED, Panel, Shape};
use super::legend::color;
use ndarray::ArrayView2;

/// Most points and components shown.
const POINTS: usize = 1200;
const COMPONENTS: usize = 40;

/// `r`, [n, k]: a row for each component, the heaviest first, a column for each point, sorted by the
/// component that explains it best and how well; the darker, the more. Clusters that are apart make blocks,
/// those that overlap make smears beneath each other.
pub fn responsibilities(r: ArrayView2<f64>) -> Figure {
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
    let (left, top, width) = (72.0, 34.0, 438.0);
    let row = (300.0 / order.len().max(1) as f64).clamp(14.0, 45.0);
    let height = top + row * order.len() as f64 + 30.0;
    let mut panel = Panel::new(520.0, height);
    let title = format!("Responsibilities of {} components for {} points", k, n);
    panel.text([left, top - 12.0], 15.0, Anchor::Left, INK, &title);
    for (c, k) in order.iter().enumerate() {
        let y = top + row * c as f64;
        let share = mass[*k] / n.max(1) as f64;
        panel.text([left - 6.0, y + 0.5 * row + 4.5], 12.0, Anchor::Right, MUTED, &format!("{:.1} %", 100.0 * share));
        let [red, green, blue] = color(c);
        let rgba: Vec<u8> = points.iter().flat_map(|(_, point)| [red, green, blue, (255.0 * r[[*point, *k]]) as u8]).collect();
        if !rgba.is_empty() {
            let (low, high) = ([left, y], [left + width, y + row - 1.0]);
            panel.shapes.push(Shape::Image { low, high, size: [points.len(), 1], rgba });
        }
        panel.line(&[[left, y + row - 0.5], [left + width, y + row - 0.5]], 0.5, FAINT, 1.0);
    }
    panel.text([left, height - 9.0], 13.0, Anchor::Left, INK, "points; left: the components' shares of all");
    Figure::new(vec![panel])
}

#[cfg(test)]
mod tests {
    use super::super::figure::BLUE;
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn certain_points_are_blocks_and_nothing_is_a_picture_too() {
        let pixels = responsibilities(array![[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]].view()).raster();
        // The heavier component comes first: two thirds of its row are of its colour.
        let blue = (144..1020).filter(|x| pixels.pixel(*x, 90) == BLUE).count();
        assert!((580..=588).contains(&blue), "{blue}");
        for r in [Array2::zeros((0, 3)), Array2::zeros((4, 0)), Array2::from_elem((5000, 60), 1.0 / 60.0)] {
            assert_eq!(responsibilities(r.view()).size().0, 520.0);
        }
    }
}
