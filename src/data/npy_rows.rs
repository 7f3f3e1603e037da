//! A NumPy file written row by row: as long as there is place for it, however little memory there is.

use super::npy::MAGIC;
use crate::Real;
use ndarray::ArrayView2;
use std::io::{Error, ErrorKind, Write};

/// An array of two axes in C order on its way into a file or a pipe.
///
/// ```
/// use ndarray::array;
/// use ndsm::data::NpyRows;
/// let mut rows = NpyRows::new(Vec::new(), [3, 2], false)?;
/// rows.add(array![[1.0, 2.0], [3.0, 4.0]].view())?;
/// rows.add(array![[5.0, 6.0]].view())?;
/// let bytes = rows.end()?;
/// assert_eq!(bytes.len(), 128 + 6 * 4);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct NpyRows<W: Write> {
    out: W,
    columns: usize,
    left: usize,
    double: bool,
    bytes: Vec<u8>,
}

impl<W: Write> NpyRows<W> {
    /// Begins an array [n, d] of `<f8` where `double`, of `<f4` otherwise.
    ///
    /// # Errors
    /// What writing its header comes to.
    pub fn new(mut out: W, [rows, columns]: [usize; 2], double: bool) -> std::io::Result<Self> {
        let size = if double { 8 } else { 4 };
        let mut header = format!("{{'descr': '<f{size}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
        // Magic, version and length take 10 bytes; the last byte of the padding is a line feed.
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        out.write_all(MAGIC)?;
        out.write_all(&[1, 0])?;
        out.write_all(&(header.len() as u16).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        Ok(NpyRows { out, columns, left: rows, double, bytes: Vec::new() })
    }

    /// The next rows, rounded to the numbers of the file.
    ///
    /// # Errors
    /// Rows of another length, or more than there are to be; what writing comes to.
    pub fn add<R: Real>(&mut self, x: ArrayView2<R>) -> std::io::Result<()> {
        if x.ncols() != self.columns || x.nrows() > self.left {
            let (n, d) = x.dim();
            let sentence = format!("{n} rows of {d} numbers do not fit {} of {}", self.left, self.columns);
            return Err(Error::new(ErrorKind::InvalidInput, sentence));
        }
        self.left -= x.nrows();
        for row in x.rows() {
            self.bytes.clear();
            for v in row {
                if self.double { v.f64().put_le(&mut self.bytes) } else { (v.f64() as f32).put_le(&mut self.bytes) }
            }
            self.out.write_all(&self.bytes)?;
        }
        Ok(())
    }

    /// The writer again, after the last row.
    ///
    /// # Errors
    /// Rows that are missing.
    pub fn end(self) -> std::io::Result<W> {
        if self.left > 0 {
            return Err(Error::new(ErrorKind::InvalidInput, format!("{} rows are missing", self.left)));
        }
        Ok(self.out)
    }
}

/// Whether samples like these lose in f32 what they are about: more than a thousandth of a coordinate's standard
/// deviation, or everything, beyond its range. The first such coordinate, and the share of its deviation that is lost.
pub fn lost_in_single(x: ArrayView2<f64>) -> Option<(usize, f64)> {
    const SHARE: f64 = 1e-3;
    x.columns().into_iter().enumerate().find_map(|(j, column)| {
        let lost = column.iter().map(|v| (v - f64::from(*v as f32)).abs()).fold(0.0, f64::max);
        let largest = column.iter().map(|v| v.abs()).fold(0.0, f64::max);
        // Of a constant coordinate there is its size alone.
        let deviation = column.std(0.0);
        let share = lost / if deviation > 0.0 { deviation } else { largest };
        (share > SHARE).then_some((j, share))
    })
}
