//! The embedded data set: 1,797 handwritten digits of 8 x 8 pixels.
//!
//! The test part of *Optical Recognition of Handwritten Digits* by E. Alpaydin and C. Kaynak (UCI Machine
//! Learning Repository, 1998, <https://doi.org/10.24432/C50P49>), licensed under CC BY 4.0; see
//! `LICENSE-DATA.md` beside the file. Each pixel counts the ink in a 4 x 4 block of a 32 x 32 scan: 0 to 16,
//! here divided by 16. The writers of this part (13 persons) wrote none of the other part.
//!
//! `digits.bin` is a lossless packing of 45,082 bytes; half of all pixels are empty, and the others have 16
//! values:
//!
//! | per image | holds |
//! |---|---|
//! | 8 bytes, little-endian | which of the 64 pixels, row by row, are not empty |
//! | half bytes, lower half first | the label, then (pixel - 1) of each pixel that is not empty, then padding to a whole byte |

use super::{ImageShape, Table};
use ndarray::Array2;

static PACKED: &[u8] = include_bytes!("digits.bin");
/// Images in the file.
pub const COUNT: usize = 1797;
const PIXELS: usize = 64;

/// The digits in the order of the original file: pixels in [0, 1] and labels.
pub(super) fn table() -> Table {
    let mut values = Vec::with_capacity(COUNT * PIXELS);
    let mut labels = Vec::with_capacity(COUNT);
    let mut left = PACKED;
    while let Some((mask, rest)) = left.split_first_chunk() {
        let mask = u64::from_le_bytes(*mask);
        let (halves, rest) = rest.split_at((1 + mask.count_ones() as usize).div_ceil(2));
        let mut halves = halves.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        labels.push(u32::from(halves.next().unwrap_or(0)));
        let inked = (0..PIXELS).map(|i| mask >> i & 1 == 1);
        values.extend(inked.map(|ink| if ink { f64::from(1 + halves.next().unwrap_or(0)) / 16.0 } else { 0.0 }));
        left = rest;
    }
    let values = Array2::from_shape_vec((labels.len(), PIXELS), values).unwrap_or_default();
    Table {
        values,
        images: Some(ImageShape { height: 8, width: 8, channels: 1, range: [0.0, 1.0], levels: Some(17) }),
        labels: Some(labels),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums taken from the original text file.
    #[test]
    fn the_packing_loses_nothing() {
        let Table { values, labels, .. } = table();
        let labels = labels.unwrap();
        assert_eq!(values.dim(), (COUNT, PIXELS));
        let pixels = values.mapv(|v| (v * 16.0) as u64);
        assert!(pixels.iter().zip(&values).all(|(p, v)| *p as f64 == v * 16.0 && *p <= 16));
        let (mut count, mut ink) = ([0; 10], [0; 10]);
        // A checksum that depends on every number and its place.
        let mut check = 0u64;
        for (row, label) in pixels.rows().into_iter().zip(&labels) {
            count[*label as usize] += 1;
            ink[*label as usize] += row.sum();
            for v in row.iter().copied().chain([u64::from(*label)]) {
                check = check.wrapping_mul(31).wrapping_add(v);
            }
        }
        assert_eq!(count, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!(ink, [56415, 57007, 55566, 56151, 56239, 55915, 56336, 54289, 57408, 56392]);
        assert_eq!(check, 7_221_630_388_133_563_626);
        #[rustfmt::skip]
        let zero: [u64; PIXELS] = [
            0, 0,  5, 13,  9,  1,  0, 0,
            0, 0, 13, 15, 10, 15,  5, 0,
            0, 3, 15,  2,  0, 11,  8, 0,
            0, 4, 12,  0,  0,  8,  8, 0,
            0, 5,  8,  0,  0,  9,  8, 0,
            0, 4, 11,  0,  1, 12,  7, 0,
            0, 2, 14,  5, 10, 12,  0, 0,
            0, 0,  6, 13, 10,  0,  0, 0,
        ];
        assert!(labels[0] == 0 && pixels.row(0).iter().eq(&zero));
    }
}
