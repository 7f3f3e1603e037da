use super::figure::{BLUE, Color, INK, ORANGE};
use super::*;
use crate::data::ImageShape;
use crate::rng::{Purpose, Stream};
use ndarray::{Array2, Array3, array};

fn normals(n: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut z = Array2::zeros((n, d));
    Stream::new(seed, Purpose::Test, 0, 0).fill_normal(z.as_slice_mut().unwrap());
    z
}

/// Pixels close to a colour.
pub fn count(figure: &Figure, color: Color) -> usize {
    let canvas = figure.raster();
    let (w, h) = canvas.size();
    let near = |x: usize, y: usize| canvas.pixel(x, y).iter().zip(color).all(|(a, b)| a.abs_diff(b) < 40);
    (0..h).map(|y| (0..w).filter(|x| near(*x, y)).count()).sum()
}

/// Four modes at (+-4, +-4).
fn modes(n: usize, seed: u64) -> Array2<f64> {
    let mut x = normals(n, 2, seed);
    let mut s = Stream::new(seed, Purpose::Test, 1, 0);
    for mut p in x.rows_mut() {
        let k = s.weighted(&[0.4, 0.3, 0.2, 0.1]);
        p[0] = 0.5 * p[0] + if k.is_multiple_of(2) { 4.0 } else { -4.0 };
        p[1] = 0.5 * p[1] + if k < 2 { 4.0 } else { -4.0 };
    }
    x
}

#[test]
fn samples_stand_beside_data_on_the_same_axes() {
    let (data, mut samples) = (modes(2000, 1), modes(2000, 2));
    let picture = samples_beside_data(data.view(), samples.view());
    assert!(count(&picture, BLUE) > 500 && count(&picture, ORANGE) > 500);
    assert_eq!(picture, samples_beside_data(data.view(), samples.view()));
    // Points that are nowhere, or far away, neither break the picture nor move its window, which is the
    // data's.
    samples[[0, 0]] = f64::NAN;
    samples[[1, 0]] = 1e30;
    let with_strays = samples_beside_data(data.view(), samples.view());
    assert_eq!(with_strays.size(), picture.size());
    assert!(count(&with_strays, ORANGE) > 500);
    assert_eq!(window(array![[f64::NAN, f64::NAN]].view()), [[-1.0, 1.0]; 2]);
}

#[test]
fn image_tiles_show_each_pixel_as_a_square() {
    let shape = ImageShape { height: 2, width: 2, channels: 1, range: [0.0, 16.0], levels: None };
    let image = array![[0.0, 16.0, 8.0, f64::NAN]];
    let picture = image_grid(image.view(), image.view(), shape, 4).raster();
    // Two tiles of 96 pixels: one quarter of each is black, one grey.
    assert_eq!((picture.pixel(28, 64), picture.pixel(28 + 50, 64 + 10)), ([255; 3], [24; 3]));
    assert_eq!(picture.pixel(28 + 10, 64 + 90), [140; 3]);
    assert_eq!(picture.pixel(28 + 90, 64 + 90), [255; 3]);
    assert_eq!(picture.pixel(28 + 100 + 50, 64 + 10), [24; 3]);
    let none = Array2::zeros((0, 4));
    assert_eq!(image_grid(none.view(), none.view(), shape, 4).raster().size().0, 800);
}

#[test]
fn colours_are_red_green_and_blue() {
    let shape = ImageShape { height: 1, width: 2, channels: 3, range: [0.0, 1.0], levels: None };
    let image = array![[1.0, 0.0, 0.2, 0.0, 2.0, f64::NAN]];
    let picture = image_grid(image.view(), image.view(), shape, 4).raster();
    // Two pixels of 48 x 48, here and in the training image, which has no other paper.
    for x in [28, 28 + 100] {
        assert_eq!((picture.pixel(x + 10, 64 + 10), picture.pixel(x + 60, 64 + 40)), ([255, 0, 51], [0, 255, 0]));
    }
}

#[test]
fn arrows_point_along_the_score() {
    let at = array![[0.0, 0.0]];
    let none = Array2::zeros((0, 2));
    let draw = |s: [f64; 2]| score_field([[-1.0, 1.0]; 2], none.view(), at.view(), array![s].view(), "");
    // One arrow over the whole panel, to the right and up: dark on that diagonal, light on the other.
    let picture = draw([1.0, 1.0]).raster();
    let middle = [92.0 + 310.0, 68.0 + 310.0];
    let dark = |dx: f64, dy: f64| picture.pixel((middle[0] + dx) as usize, (middle[1] + dy) as usize)[0] < 120;
    assert!(dark(100.0, -100.0) && dark(-100.0, 100.0) && !dark(100.0, 100.0) && !dark(-100.0, -100.0));
    // A zero or broken vector draws nothing.
    assert_eq!(draw([0.0, 0.0]), draw([f64::NAN, 1.0]));
    assert!(count(&draw([0.0, 0.0]), INK) < count(&draw([1.0, 1.0]), INK));
}

/// Nothing that is written leaves its panel, in either font.
#[test]
fn texts_stay_inside_of_their_panels() {
    let name = "a rather long name of a method, as published".to_owned();
    let curve = Curve { name: name.clone(), points: vec![[1.0, 0.1, 0.2, 0.3], [2000.0, 0.05, 0.1, 0.2]] };
    let losses = Losses { name: name.clone(), steps: vec![1.0, 2000.0], losses: vec![1.0, 0.5] };
    let gain = Gains { name, points: vec![[0.0, -0.1, 0.01], [2000.0, -0.2, 0.01]] };
    let figures = [sweep("t", ["x", "y"], &[curve]), loss_curves(&[losses.clone(), losses]), gains("t", &[gain])];
    for panel in figures.iter().flat_map(|f| &f.panels) {
        for shape in &panel.shapes {
            let figure::Shape::Text { at, size, anchor, text, upright: false, .. } = shape else { continue };
            let width = size * pdf::width(text).max(raster::width(text));
            let left = match anchor {
                figure::Anchor::Left => at[0],
                figure::Anchor::Middle => at[0] - width / 2.0,
                figure::Anchor::Right => at[0] - width,
            };
            assert!(left >= 0.0 && left + width <= panel.width, "{text:?}: {left} to {} of {}", left + width, panel.width);
        }
    }
}

#[test]
fn paths_begin_and_end_in_their_colours() {
    let start = modes(60, 3);
    let mut forward = Array3::zeros((40, 60, 2));
    for (t, mut x) in forward.outer_iter_mut().enumerate() {
        x.assign(&(&start + 0.03 * t as f64 * &normals(60, 2, 10)));
    }
    let mut backward = forward.clone();
    backward.invert_axis(ndarray::Axis(0));
    let picture = trajectories(forward.view(), backward.view());
    assert!(count(&picture, BLUE) > 200 && count(&picture, ORANGE) > 200);
    let empty = Array3::zeros((0, 0, 2));
    assert_eq!(trajectories(empty.view(), empty.view()).size(), picture.size());
}
