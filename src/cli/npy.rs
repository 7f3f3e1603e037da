//! Samples as a NumPy file.

use super::run_dir::write_whole;
use crate::{Error, Result};
use ndarray::ArrayView2;
use std::path::Path;

/// Writes `[n, d]` as little-endian f32, row-major, NumPy format 1.0: magic, version, header length, header, numbers.
/// # Errors
/// `File` where writing fails.
pub fn write(path: &Path, x: ArrayView2<f64>) -> Result<()> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", x.nrows(), x.ncols());
    // Numbers begin at a multiple of 64 bytes; the header ends with a line break.
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.extend(std::iter::repeat_n(' ', padding).chain(['\n']));
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(x.iter().flat_map(|v| (*v as f32).to_le_bytes()));
    write_whole(path, &bytes).map_err(|e| Error::io(path, "cannot be written", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_laid_out_as_numpy_expects() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write(&path, ndarray::array![[1.0, 2.0, 3.0], [4.0, 5.0, -6.5]].view()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert!(header % 64 == 0 && bytes.len() == header + 24 && bytes[header - 1] == b'\n');
        assert_eq!(bytes[bytes.len() - 4..], (-6.5f32).to_le_bytes());
    }
}
