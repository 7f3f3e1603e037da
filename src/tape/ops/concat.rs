//! Tensors side by side.

use crate::Real;
use crate::kernels::copy::Region;
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads};
use crate::tape::sample::{Checked, Refusal, Sample};
use crate::tape::{Recorder, Var};

impl<R: Real> Recorder<R> {
    /// The inputs side by side on the last axis.
    ///
    /// # Errors
    /// If the other axes differ, or a variable is another recorder's.
    #[track_caller]
    pub fn concat(&mut self, parts: &[Var]) -> crate::Result<Var> {
        self.apply(Concat { axis: None }, parts)
    }

    /// The inputs side by side on one axis.
    ///
    /// # Errors
    /// If the other axes differ, or a variable is another recorder's.
    #[track_caller]
    pub fn concat_axis(&mut self, axis: usize, parts: &[Var]) -> crate::Result<Var> {
        self.apply(Concat { axis: Some(axis) }, parts)
    }
}

/// The inputs side by side on one axis.
#[derive(Clone, Copy)]
pub struct Concat {
    /// The axis; None: the last.
    pub axis: Option<usize>,
}

impl Concat {
    fn axis(self, shape: &[usize]) -> usize {
        self.axis.unwrap_or(shape.len().saturating_sub(1))
    }
    /// Where a part lies in the result, `start` entries of the axis behind its beginning.
    fn region(self, y: &[usize], part: &[usize], start: usize) -> Region {
        let along = self.axis(y);
        Region::new(y, part, |axis| if axis == along { start } else { 0 })
    }
}

impl<R: Real> Op<R> for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn label(&self) -> String {
        self.axis.map_or("concat".to_string(), |axis| format!("concat axis {axis}"))
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let Some(first) = x.first().filter(|x| !x.is_empty()) else { return Err("inputs with at least one axis".to_string()) };
        let along = self.axis(first);
        if along >= first.len() {
            return Err(format!("inputs that have an axis {along}"));
        }
        let others = |s: &[usize]| s.len() == first.len() && (0..s.len()).all(|axis| axis == along || s[axis] == first[axis]);
        if !x.iter().all(|s| others(s)) {
            return Err(match self.axis {
                None => "shapes equal but for the last axis".to_string(),
                Some(axis) => format!("shapes equal but for axis {axis}"),
            });
        }
        let mut y = first.to_vec();
        y[along] = x.iter().try_fold(0usize, |n, s| n.checked_add(s[along])).ok_or("an axis that fits into memory")?;
        Ok(y)
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let y = x.out_shape();
        let mut start = 0;
        for k in 0..x.count() {
            self.region(y, x.shape(k), start).write(x.value(k), out.y, false);
            start += x.shape(k)[self.axis(y)];
        }
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let y = x.out_shape();
        let mut start = 0;
        for k in 0..x.count() {
            if let Some((dx, fresh)) = dx.slot(k) {
                self.region(y, x.shape(k), start).read(at.dy, dx, !fresh);
            }
            start += x.shape(k)[self.axis(y)];
        }
    }
}

impl Checked for Concat {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let sets: [(Option<usize>, &[&[usize]]); 9] = [
            (None, &[&[3, 2], &[3, 5], &[3, 1]]),
            (None, &[&[4], &[1]]),
            (None, &[&[2, 3, 1], &[2, 3, 2]]),
            (None, &[&[0, 2], &[0, 3]]),
            (None, &[&[3, 0], &[3, 2]]),
            (Some(0), &[&[2, 3], &[1, 3], &[3, 3]]),
            (Some(1), &[&[2, 1, 2, 3], &[2, 2, 2, 3]]),
            (Some(2), &[&[2, 1, 3, 2], &[2, 1, 1, 2]]),
            (Some(1), &[&[2, 0, 3], &[2, 1, 3], &[2, 2, 3]]),
        ];
        let parts = |set: &[&[usize]]| set.iter().zip(0..).map(|(s, salt)| Sample::normal(s, salt)).collect();
        let mut all: Vec<_> = sets.iter().map(|(axis, set)| (Concat { axis: *axis }, parts(set))).collect();
        all.push((Concat { axis: None }, vec![Sample::points(&[800.0, -800.0]), Sample::points(&[1e-3])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let last = Concat { axis: None };
        vec![
            (last, vec![vec![2, 3], vec![3, 3]], "but for the last axis"),
            (last, vec![vec![2, 3], vec![3]], "but for the last axis"),
            (Concat { axis: Some(0) }, vec![vec![2, 3], vec![2, 2]], "but for axis 0"),
            (Concat { axis: Some(2) }, vec![vec![2, 3], vec![2, 3]], "an axis 2"),
            (last, vec![vec![]], "at least one axis"),
            (last, vec![], "at least one axis"),
        ]
    }
}
