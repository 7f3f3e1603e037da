use super::*;
use crate::rng::{Purpose, Stream};

fn draw<R: Real>(n: usize, chunk: u32) -> Vec<R> {
    let mut x = vec![R::zero(); n];
    Stream::new(1, Purpose::Test, 0, chunk).fill_normal(&mut x);
    x
}

const LEVELS: [Level; 3] = [Level::Baseline, Level::Avx2, Level::Avx512];

/// A convolution with the sums of the definition, in f64: calls `f` with (place in x, place in w, place in y)
/// of every product.
fn each(c: &Convolution, mut f: impl FnMut(usize, usize, usize)) {
    let (cg, dg) = (c.c / c.groups, c.d / c.groups);
    for n in 0..c.images {
        for (i, j) in (0..c.small[0]).flat_map(|i| (0..c.small[1]).map(move |j| (i, j))) {
            for (a, b) in (0..c.kernel[0]).flat_map(|a| (0..c.kernel[1]).map(move |b| (a, b))) {
                let (y, x) = (i * c.stride[0] + a, j * c.stride[1] + b);
                let (Some(y), Some(x)) = (y.checked_sub(c.padding[0]), x.checked_sub(c.padding[1])) else { continue };
                if y >= c.large[0] || x >= c.large[1] {
                    continue;
                }
                for d in 0..c.d {
                    for k in 0..cg {
                        let large = ((n * c.large[0] + y) * c.large[1] + x) * c.c + d / dg * cg + k;
                        let weight = ((a * c.kernel[1] + b) * cg + k) * c.d + d;
                        f(large, weight, ((n * c.small[0] + i) * c.small[1] + j) * c.d + d);
                    }
                }
            }
        }
    }
}

/// |got - want| <= (terms + 3) eps size, the bound for any order of summation.
fn close<R: Real>(what: &str, got: &[R], want: &[(f64, f64)], terms: usize) {
    for (i, (got, (want, size))) in got.iter().zip(want).enumerate() {
        let (err, bound) = ((got.f64() - want).abs(), (terms + 3) as f64 * R::epsilon().f64() * size);
        assert!(err <= bound, "{what}, element {i}: {got} and not {want}, error {err}, bound {bound}");
    }
}

fn check<R: Real>(c: Convolution) {
    let sizes = [
        c.images * c.large[0] * c.large[1] * c.c,
        c.kernel[0] * c.kernel[1] * (c.c / c.groups) * c.d,
        c.images * c.small[0] * c.small[1] * c.d,
    ];
    let [x, w, y] = [0, 1, 2].map(|i| draw::<R>(sizes[i], i as u32));
    let bias = draw::<R>(c.c.max(c.d), 3);
    let from = |start: &[R]| start.iter().map(|v| (v.f64(), v.f64().abs())).collect::<Vec<_>>();
    let repeat = |channels: usize, n: usize| (0..n).map(|i| bias[i % channels]).collect::<Vec<R>>();
    for (ending, old) in [("zero", false), ("old", true)] {
        let start = |v: &[R]| if old { v.to_vec() } else { vec![R::zero(); v.len()] };
        let [mut fx, mut fw, mut fy] = [&x, &w, &y].map(|v| from(&start(v)));
        if !old {
            (fx, fy) = (from(&repeat(c.c, x.len())), from(&repeat(c.d, y.len())));
        }
        each(&c, |ix, iw, iy| {
            let [a, b, d] = [x[ix].f64(), w[iw].f64(), y[iy].f64()];
            for (sum, term) in [(&mut fy[iy], a * b), (&mut fx[ix], b * d), (&mut fw[iw], a * d)] {
                sum.0 += term;
                sum.1 += term.abs();
            }
        });
        for level in LEVELS {
            let what = |map| {
                let Convolution { images, large, c: ci, d, kernel, stride, padding, groups, .. } = c;
                format!(
                    "{map} from {ending}, {} {}, {images} images of {large:?}, channels {ci} -> {d}, kernel {kernel:?}, stride {stride:?}, padding {padding:?}, groups {groups}",
                    R::NAME,
                    level.name()
                )
            };
            let pick = |channels: usize| if old { Start::Old } else { Start::Bias(&bias[..channels]) };
            let stale = |v: &[R]| if old { v.to_vec() } else { vec![R::nan(); v.len()] };
            let scratch = |n: usize| vec![R::nan(); n];
            let mut got = stale(&y);
            c.apply(level, &x, &w, pick(c.d), &mut got, &mut scratch(c.apply_scratch::<R>(level)));
            close(&what("map"), &got, &fy, c.kernel[0] * c.kernel[1] * c.c);
            let mut got = stale(&x);
            c.adjoint(level, &y, &w, pick(c.c), &mut got, &mut scratch(c.adjoint_scratch::<R>(level)));
            close(&what("adjoint"), &got, &fx, c.kernel[0] * c.kernel[1] * c.d);
            let mut got = start(&w);
            c.add_weight_gradient(level, &x, &y, &mut got, &mut scratch(c.weight_gradient_scratch::<R>(level)));
            close(&what("weight gradient"), &got, &fw, c.images * c.small[0] * c.small[1]);
        }
    }
}

fn sized(
    images: usize,
    large: [usize; 2],
    [c, d]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> Option<Convolution> {
    let size = |a: usize| Convolution::small_size(large[a], kernel[a], stride[a], padding[a]);
    Some(Convolution { images, large, c, small: [size(0)?, size(1)?], d, kernel, stride, padding, groups })
}

/// Every level, both precisions, odd sizes, strides, paddings, groups, kernels, from scratch and onto what is
/// there.
#[test]
fn all_maps_agree_with_the_definition() {
    let images = [[5, 5], [1, 1], [4, 7], [9, 3], [12, 11], [0, 2]];
    let channels = [[3, 2], [1, 1], [6, 33], [4, 8], [17, 5], [32, 32], [2, 64], [20, 16]];
    let kernels = [[3, 3], [1, 1], [2, 2], [5, 5], [3, 1], [1, 4], [2, 3]];
    let steps = [[1, 1], [2, 2], [3, 3], [1, 2], [3, 1]];
    let paddings = [[1, 1], [0, 0], [2, 2], [0, 2], [1, 0]];
    let mut checked = 0;
    for i in 0..160 {
        let [c, d] = channels[i % 8];
        let groups = [1, 1, 2, 1, 4, 1][i % 6];
        let groups = if c % groups == 0 && d % groups == 0 { groups } else { 1 };
        let n = [1, 2, 0, 3][i % 4 + usize::from(i % 4 == 2 && i > 20)];
        let case = sized(n, images[i / 3 % 6], [c, d], kernels[i % 7], steps[i / 2 % 5], paddings[i / 7 % 5], groups);
        let Some(case) = case else { continue };
        check::<f32>(case);
        check::<f64>(case);
        checked += 1;
    }
    assert!(checked > 120, "{checked}");
}

/// More terms than a block, more pixels than a band and than a leaf, no channels at all, depthwise.
#[test]
fn blocks_and_bands_fit_together() {
    for case in [
        sized(1, [6, 5], [140, 40], [3, 3], [1, 1], [1, 1], 1),
        sized(2, [40, 33], [3, 5], [3, 3], [1, 1], [1, 1], 1),
        sized(70, [7, 7], [8, 16], [3, 3], [1, 1], [1, 1], 1),
        sized(30, [9, 9], [8, 1], [3, 3], [2, 2], [1, 1], 1),
        sized(2, [5, 5], [0, 3], [3, 3], [1, 1], [1, 1], 1),
        sized(2, [5, 5], [3, 0], [3, 3], [2, 2], [1, 1], 1),
        sized(2, [6, 5], [12, 12], [3, 3], [1, 1], [1, 1], 12),
        sized(1, [3, 4], [64, 64], [1, 1], [1, 1], [0, 0], 1),
        sized(1, [3, 4], [130, 3], [2, 2], [5, 7], [1, 6], 1),
    ] {
        check::<f32>(case.unwrap());
        check::<f64>(case.unwrap());
    }
}

#[test]
fn images_do_not_depend_on_their_neighbours() {
    let whole = sized(41, [7, 5], [6, 20], [3, 3], [2, 1], [1, 1], 1).unwrap();
    let (x, w) = (draw::<f32>(41 * 35 * 6, 0), draw::<f32>(9 * 6 * 20, 1));
    let level = crate::simd::level();
    let run = |c: Convolution, x: &[f32]| {
        let mut y = vec![0.0; c.images * c.small[0] * c.small[1] * c.d];
        c.apply(level, x, &w, Start::Zero, &mut y, &mut vec![0.0; c.apply_scratch::<f32>(level)]);
        y
    };
    let parts: Vec<f32> = x.chunks(3 * 35 * 6).flat_map(|x| run(Convolution { images: x.len() / (35 * 6), ..whole }, x)).collect();
    assert_eq!(run(whole, &x), parts);
}
