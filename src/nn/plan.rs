//! The formula of a network as steps over blocks of rows.

use super::layers::EPSILON;
use super::{Operations, ScoreNet, Value};
use crate::kernels::Activation;
use crate::kernels::gemm::Packed;
use crate::kernels::linear::linear_rows;
use crate::kernels::moments::{layer_norm_room, layer_norm_rows};
use crate::tape::Parameter;
use crate::{Error, Real, Result};
use std::ops::Range;

/// Rows that go through all steps at once: their units stay in the second-level cache.
pub(super) const ROWS: usize = 128;

/// Values of one block of rows, by slot, and room for a normalisation.
pub(super) struct Memory<R> {
    pub slots: Vec<Vec<R>>,
    pub room: Vec<R>,
}

/// The parameters as the steps read them.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, R> {
    pub panels: &'a [Vec<R>],
    pub vectors: &'a [Vec<R>],
}

/// What is done to a block of rows, step by step, and which parameters that takes.
pub(super) struct Plan {
    pub inputs: usize,
    pub outputs: usize,
    steps: Vec<Step>,
    pub weights: Vec<Parameter>,
    pub vectors: Vec<Parameter>,
    /// Columns of each slot: values that are not needed at the same time share one.
    pub slots: Vec<usize>,
    /// Numbers of working memory of the normalisations.
    pub room: usize,
}

/// One operation, what it reads (the same twice where that is one value), and its result.
struct Step {
    what: What,
    from: [Columns; 2],
    to: Columns,
}

enum What {
    /// By index, the weights and the bias.
    Linear(usize, usize, Activation),
    /// By index, the scale and the shift.
    LayerNorm(usize, usize),
    Add,
    /// From this column on.
    Columns(usize),
    Concat,
}

/// Where a value lies, and its number of columns.
#[derive(Clone, Copy)]
struct Columns {
    place: Place,
    width: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Input,
    Slot(usize),
    Output,
}

impl Plan {
    /// The plan of a network's formula.
    ///
    /// # Errors
    /// A formula that does not fit the layers.
    pub fn new(net: &ScoreNet) -> Result<Self> {
        let mut planner =
            Planner { parameters: net.parameters(), widths: vec![net.inputs()], lines: vec![], weights: vec![], vectors: vec![] };
        let y = net.architecture().formula(&mut planner, Value(0))?;
        planner.finish(y, net.inputs(), net.dim())
    }

    /// All steps for one block of rows after another.
    pub fn run<R: Real>(&self, weights: Weights<'_, R>, rows: &[R], out: &mut [R], memory: &mut Memory<R>) {
        for (rows, out) in rows.chunks(ROWS * self.inputs).zip(out.chunks_mut(ROWS * self.outputs)) {
            let n = rows.len() / self.inputs;
            for step in &self.steps {
                // The result's slot is taken out while the others are read.
                let mut taken = match step.to.place {
                    Place::Slot(s) => std::mem::take(&mut memory.slots[s]),
                    Place::Input | Place::Output => Vec::new(),
                };
                let y = if step.to.place == Place::Output { &mut *out } else { &mut taken[..n * step.to.width] };
                step.run(weights, rows, &memory.slots, &mut memory.room, y);
                if let Place::Slot(s) = step.to.place {
                    memory.slots[s] = taken;
                }
            }
        }
    }
}

impl Step {
    fn run<R: Real>(&self, weights: Weights<'_, R>, rows: &[R], slots: &[Vec<R>], room: &mut [R], y: &mut [R]) {
        let n = y.len() / self.to.width;
        let [x, z] = self.from.map(|from| match from.place {
            Place::Slot(s) => &slots[s][..n * from.width],
            // Nothing reads the output.
            Place::Input | Place::Output => rows,
        });
        let ([i, j], o) = (self.from.map(|from| from.width), self.to.width);
        match self.what {
            What::Linear(w, b, activation) => {
                linear_rows(activation, x, Packed::of(&weights.panels[w], i, o), i, &weights.vectors[b], y, &mut []);
            }
            What::LayerNorm(scale, shift) => layer_norm_rows(EPSILON, x, &weights.vectors[scale], &weights.vectors[shift], y, room),
            What::Add => y.iter_mut().zip(x.iter().zip(z)).for_each(|(y, (x, z))| *y = *x + *z),
            What::Columns(first) => {
                y.chunks_exact_mut(o).zip(x.chunks_exact(i)).for_each(|(y, x)| y.copy_from_slice(&x[first..first + o]));
            }
            What::Concat => {
                for (y, (x, z)) in y.chunks_exact_mut(o).zip(x.chunks_exact(i).zip(z.chunks_exact(j))) {
                    y[..i].copy_from_slice(x);
                    y[i..].copy_from_slice(z);
                }
            }
        }
    }
}

/// Operations put down as steps, before their values have places.
struct Planner {
    parameters: Vec<Parameter>,
    /// Columns of each value; value k + 1 is the result of line k.
    widths: Vec<usize>,
    lines: Vec<(What, [usize; 2])>,
    weights: Vec<Parameter>,
    vectors: Vec<Parameter>,
}

impl Planner {
    fn put(&mut self, what: What, from: [Value; 2], width: usize) -> Result<Value> {
        if width == 0 {
            return Err(Error::refused("network", "an operation of its formula has a result without columns"));
        }
        self.lines.push((what, from.map(|v| v.0)));
        self.widths.push(width);
        Ok(Value(self.lines.len()))
    }

    fn find(&self, layer: &str, what: &str) -> Result<Parameter> {
        let name = format!("{layer}.{what}");
        let found = self.parameters.iter().find(|p| p.name == name).cloned();
        found.ok_or_else(|| Error::refused(name, "is another network's parameter"))
    }

    /// The index of the copy of a vector.
    fn vector(&mut self, layer: &str, what: &str) -> Result<usize> {
        let vector = self.find(layer, what)?;
        self.vectors.push(vector);
        Ok(self.vectors.len() - 1)
    }

    fn misfit(&self, what: &str, values: &[Value]) -> Error {
        let widths: Vec<[usize; 1]> = values.iter().map(|v| [self.widths[v.0]]).collect();
        Error::shape("network", what, &widths.iter().map(|w| &w[..]).collect::<Vec<_>>())
    }

    /// Gives every value its place.
    fn finish(self, y: Value, inputs: usize, outputs: usize) -> Result<Plan> {
        let mut last = vec![0; self.widths.len()];
        for (line, (_, from)) in self.lines.iter().enumerate() {
            from.iter().for_each(|v| last[*v] = line + 1);
        }
        if y.0 == 0 || last[y.0] > 0 || self.widths[y.0] != outputs {
            let sentence = format!("its formula must end with an operation whose result has {outputs} columns and is not read again");
            return Err(Error::refused("network", sentence));
        }
        let (mut slots, mut free) = (Vec::<usize>::new(), Vec::new());
        let (mut places, mut steps) = (vec![Columns { place: Place::Input, width: inputs }], Vec::new());
        for (line, (what, from)) in self.lines.into_iter().enumerate() {
            let width = self.widths[line + 1];
            let place = if line + 1 == y.0 {
                Place::Output
            } else {
                let slot = free.pop().unwrap_or(slots.len());
                slots.resize(slots.len().max(slot + 1), 0);
                slots[slot] = slots[slot].max(width);
                Place::Slot(slot)
            };
            places.push(Columns { place, width });
            steps.push(Step { what, from: from.map(|v| places[v]), to: places[line + 1] });
            let [a, b] = from;
            for v in if a == b { &from[..1] } else { &from[..] } {
                if let (Place::Slot(slot), true) = (places[*v].place, last[*v] == line + 1) {
                    free.push(slot);
                }
            }
        }
        let widest = steps.iter().filter(|s| matches!(s.what, What::LayerNorm(..))).map(|s| s.to.width).max();
        let room = widest.map_or(0, |c| layer_norm_room(ROWS, c));
        Ok(Plan { inputs, outputs, steps, weights: self.weights, vectors: self.vectors, slots, room })
    }
}

impl Operations for Planner {
    fn linear(&mut self, layer: &str, x: Value, activation: Activation) -> Result<Value> {
        let weight = self.find(layer, "weight")?;
        let [i, o] = weight.shape[..] else { return Err(self.misfit(&format!("linear layer {layer}"), &[x])) };
        if i != self.widths[x.0] {
            return Err(self.misfit(&format!("{i} columns before {layer}"), &[x]));
        }
        self.weights.push(weight);
        let bias = self.vector(layer, "bias")?;
        self.put(What::Linear(self.weights.len() - 1, bias, activation), [x; 2], o)
    }
    fn layer_norm(&mut self, layer: &str, x: Value) -> Result<Value> {
        let (scale, shift, c) = (self.vector(layer, "scale")?, self.vector(layer, "shift")?, self.widths[x.0]);
        if self.vectors[scale].shape != [c] {
            return Err(self.misfit(&format!("as many columns as {layer} has"), &[x]));
        }
        self.put(What::LayerNorm(scale, shift), [x; 2], c)
    }
    fn add(&mut self, x: Value, y: Value) -> Result<Value> {
        if self.widths[x.0] != self.widths[y.0] {
            return Err(self.misfit("summands of one width", &[x, y]));
        }
        self.put(What::Add, [x, y], self.widths[x.0])
    }
    fn columns(&mut self, x: Value, range: Range<usize>) -> Result<Value> {
        if range.start > range.end || range.end > self.widths[x.0] {
            return Err(self.misfit(&format!("columns {range:?}"), &[x]));
        }
        self.put(What::Columns(range.start), [x; 2], range.len())
    }
    fn concat(&mut self, x: Value, y: Value) -> Result<Value> {
        self.put(What::Concat, [x, y], self.widths[x.0] + self.widths[y.0])
    }
    fn dropout(&mut self, x: Value, _p: f64) -> Result<Value> {
        Ok(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Architecture, Inference, Layers, Start};

    /// Slots are shared: a deep network needs two for its units, whatever its depth.
    #[test]
    fn values_share_their_memory() {
        let slots = |kind: &str, depth| {
            let kind = crate::nn::ARCHITECTURES.iter().find(|k| k.name == kind).unwrap();
            let sizes = crate::nn::Sizes { dim: 2, width: 8, depth, frequencies: 1, ..Default::default() };
            let net = (kind.network)(&sizes).unwrap();
            Plan::new(&net).unwrap().slots
        };
        assert_eq!(slots("mlp", 9), [8, 8]);
        assert_eq!(slots("residual", 9).len(), slots("residual", 2).len());
    }

    /// A formula that does not fit its layers, each time another way.
    #[derive(Debug)]
    struct Wrong(Layers, fn(&mut dyn Operations, Value) -> Result<Value>);

    impl Architecture for Wrong {
        fn dim(&self) -> usize {
            2
        }
        fn frequencies(&self) -> usize {
            0
        }
        fn layers(&self) -> &Layers {
            &self.0
        }
        fn formula(&self, on: &mut dyn Operations, row: Value) -> Result<Value> {
            (self.1)(on, row)
        }
    }

    #[test]
    fn formulas_that_do_not_fit_are_refused() {
        const IDENTITY: Activation = Activation::Identity;
        type Formula = fn(&mut dyn Operations, Value) -> Result<Value>;
        let cases: [(Formula, &str); 7] = [
            (|_, row| Ok(row), "must end with an operation whose result has 2 columns"),
            (|on, row| on.concat(row, row), "must end with an operation whose result has 2 columns"),
            (|on, row| on.linear("b", row, IDENTITY), "b.weight: is another network's parameter"),
            (|on, row| on.concat(row, row).and_then(|x| on.linear("a", x, IDENTITY)), "2 columns before a, got [4]"),
            (|on, row| on.columns(row, 1..3), "columns 1..3, got [2]"),
            (|on, row| on.columns(row, 1..1), "without columns"),
            (|on, row| on.columns(row, 1..2).and_then(|x| on.add(x, row)), "summands of one width, got [1] and [2]"),
        ];
        for (formula, words) in cases {
            let mut layers = Layers::default();
            layers.linear("a", 2, 2, Start::Zero);
            let net = ScoreNet::of(Wrong(layers, formula)).unwrap();
            let e = Inference::<f32>::new(&net, &[0.0; 6]).err().unwrap().to_string();
            assert!(e.contains(words), "{e}");
        }
    }
}
