//! Tests of the broadcasting loops.

use super::*;

#[test]
fn shapes_follow_the_rule() {
    assert_eq!(shape(&[3, 1, 5], &[4, 1]), Some(vec![3, 4, 5]));
    assert_eq!(shape(&[], &[2]), Some(vec![2]));
    assert_eq!(shape(&[0, 3], &[1, 3]), Some(vec![0, 3]));
    assert_eq!(shape(&[2], &[3]), None);
    assert_eq!(shape(&[0], &[2]), None);
}

#[test]
fn axes_broadcast_alike_become_one() {
    let p = Plan::new(&[4, 3, 2], &[4, 3, 2], &[4, 3, 2]);
    assert_eq!((p.outer, p.inner, p.step), ([1; 3], 24, [1, 1, 1]));
    let p = Plan::new(&[4, 3, 2], &[2], &[4, 3, 2]);
    assert_eq!((p.outer, p.inner, p.step), ([1, 1, 12], 2, [1, 1, 1]));
    let p = Plan::new(&[4, 3], &[4, 1], &[4, 3]);
    assert_eq!((p.outer, p.inner, p.step), ([1, 1, 4], 3, [1, 0, 1]));
}

#[test]
fn sums_of_rows_have_the_order_of_sums_of_contiguous_numbers() {
    for n in [1, 5, 16, 17, 31, 512, 513, 1500] {
        let mut x = vec![0f32; 3 * n];
        crate::rng::Stream::new(3, crate::rng::Purpose::Test, 0, 0).fill_normal(&mut x);
        let mut sums = [1.0; 3];
        Plan::new(&[3, 1], &[3, n], &[3, n]).sum(0, Terms::Times(1.0, &x), true, &mut sums);
        for (i, sum) in sums.iter().enumerate() {
            let row = &x[i * n..][..n];
            assert_eq!(sum.to_bits(), crate::kernels::sums::sum_of(n, |j| row[j]).to_bits());
        }
        Plan::new(&[3, 1], &[3, n], &[3, n]).sum(0, Terms::Times(1.0, &x), false, &mut sums);
        assert_eq!(sums[2], 2.0 * sums_of(&x[2 * n..]));
    }
    fn sums_of(x: &[f32]) -> f32 {
        crate::kernels::sums::sum_of(x.len(), |j| x[j])
    }
}

#[test]
fn sums_of_columns_do_not_see_their_neighbours() {
    // Every number of columns around the width of a block; next to the last one lies NaN.
    for n in 1..70 {
        for rows in [1, 2, 64, 65, 200] {
            let x: Vec<f64> = (0..2 * rows * n).map(|i| if i % n == n - 1 { f64::NAN } else { (i % 7) as f64 }).collect();
            let mut sums = vec![0.0; 2 * n];
            Plan::new(&[2, 1, n], &[2, rows, n], &[2, rows, n]).sum(0, Terms::Times(1.0, &x), true, &mut sums);
            for (k, sum) in sums.iter().enumerate() {
                let (block, j) = (k / n, k % n);
                let exact: f64 = (0..rows).map(|i| x[(block * rows + i) * n + j]).sum();
                assert!(*sum == exact || j == n - 1 && sum.is_nan(), "{n} {rows} {k}");
            }
        }
    }
}
