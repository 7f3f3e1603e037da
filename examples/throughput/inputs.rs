//! Where inputs come from: files, or fixed seeds.

use ndarray::ArrayD;
use ndsm::data::npy;
use ndsm::rng::{Purpose, Stream};
use ndsm::{Error, Real, Result};
use std::path::PathBuf;

/// The folder of the files, if there is one.
pub struct Inputs(pub Option<PathBuf>);

impl Inputs {
    /// The array `name` of this shape, row-major: from its file, or made by `draw`.
    pub fn get<R: Real>(&self, name: &str, shape: &[usize], draw: impl FnOnce(&mut [R])) -> Result<Vec<R>> {
        let mut x = vec![R::zero(); shape.iter().product()];
        match self.file(name, shape)? {
            Some(file) => x.iter_mut().zip(&file).for_each(|(x, v)| *x = R::of(*v)),
            None => draw(&mut x),
        }
        Ok(x)
    }

    /// The array in the file `name`; None without a folder.
    pub fn file(&self, name: &str, shape: &[usize]) -> Result<Option<ArrayD<f64>>> {
        let Some(folder) = &self.0 else { return Ok(None) };
        let x = npy::read_array(&folder.join(format!("{name}.npy")))?;
        if x.shape() == shape { Ok(Some(x)) } else { Err(Error::shape(name, format!("{shape:?}"), &[x.shape()])) }
    }

    pub fn normal<R: Real>(&self, name: &str, shape: &[usize], scale: f64) -> Result<Vec<R>> {
        self.get(name, shape, |x| {
            stream(name).fill_normal(x);
            x.iter_mut().for_each(|x| *x *= R::of(scale));
        })
    }

    pub fn uniform<R: Real>(&self, name: &str, shape: &[usize], low: f64, high: f64) -> Result<Vec<R>> {
        self.get(name, shape, |x: &mut [R]| {
            stream(name).fill_uniform(x);
            x.iter_mut().for_each(|x| *x = R::of(low + (high - low) * x.f64()));
        })
    }
}

/// Random numbers of the input `name`.
pub fn stream(name: &str) -> Stream {
    let key = name.bytes().fold(0, |key: u64, b| key.wrapping_mul(256).wrapping_add(u64::from(b)));
    Stream::new(key, Purpose::Test, 0, 0)
}
