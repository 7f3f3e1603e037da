//! A training step as tests, benchmarks and the throughput example take it: a recorded loss, its batch, Adam.
#![allow(dead_code)]

use ndsm::Result;
use ndsm::nn::{Autoencoder, Pixels, ScoreNet, Sizes, UNet};
use ndsm::optim::{Adam, Decay, Schedule, State};
use ndsm::tape::{Blocks, Noise, Program, Recorder, Var};

/// A loss recorded for one block of rows.
pub struct Recorded {
    pub program: Program<f32>,
    pub inputs: Vec<Var>,
    pub loss: Var,
}

/// Mean over `n` rows of |sigma net(x) + z|^2; inputs x, sigma, z.
pub fn mlp(net: &ScoreNet, n: usize) -> Result<Recorded> {
    let mut r = Recorder::new();
    let x = r.input("x", &[n, net.inputs()])?;
    let (sigma, z) = (r.input("sigma", &[n, 1])?, r.input("z", &[n, net.dim()])?);
    let y = net.record(&mut r, x)?;
    let scaled = r.mul(y, sigma)?;
    let off = r.add(scaled, z)?;
    let per_row = r.row_dot(off, off)?;
    let loss = r.mean(per_row)?;
    Ok(Recorded { program: r.finish(), inputs: vec![x, sigma, z], loss })
}

/// A U-Net of one block a level for images of this shape, with as many time features as channels.
pub fn unet(shape: [usize; 3], width: usize, multipliers: &[usize]) -> Result<ScoreNet> {
    let (dim, frequencies, multipliers) = (shape.iter().product(), width / 2, multipliers.to_vec());
    let pixels = Some(Pixels { shape, maps: None });
    ScoreNet::of(UNet::of(&Sizes { dim, width, depth: 1, frequencies, multipliers, stem: 1, pixels, ..Sizes::default() })?)
}

/// Mean over `n` rows and all their numbers of (net(x) - z)^2; inputs x, z.
pub fn regression(net: &ScoreNet, n: usize) -> Result<Recorded> {
    let mut r = Recorder::new();
    let (x, z) = (r.input("x", &[n, net.inputs()])?, r.input("z", &[n, net.dim()])?);
    let y = net.record(&mut r, x)?;
    let loss = mean_square(&mut r, y, z)?;
    Ok(Recorded { program: r.finish(), inputs: vec![x, z], loss })
}

/// Mean over `n` images and all their pixels of (net(x) - x)^2; input x.
pub fn autoencoder(net: &Autoencoder, n: usize) -> Result<Recorded> {
    let mut r = Recorder::new();
    let [h, w, c] = net.image();
    let x = r.input("x", &[n, h, w, c])?;
    let (_, y) = net.record(&mut r, x)?;
    let loss = mean_square(&mut r, y, x)?;
    Ok(Recorded { program: r.finish(), inputs: vec![x], loss })
}

fn mean_square(r: &mut Recorder<f32>, a: Var, b: Var) -> Result<Var> {
    let off = r.sub(a, b)?;
    let square = r.square(off)?;
    r.mean(square)
}

/// Adam at a rate of 1e-3 and nothing else.
pub fn adam() -> Result<Adam> {
    Ok(Adam::new(Schedule::new(1e-3, 0, 1, Decay::Constant)?))
}

/// Everything that a step needs.
pub struct Training {
    recorded: Recorded,
    batch: Vec<Vec<f32>>,
    blocks: Blocks<f32>,
    adam: Adam,
    state: State<f32>,
    pub params: Vec<f32>,
    grad: Vec<f32>,
    /// The rows of a block, where steps have dropout.
    dropout: Option<usize>,
}

impl Training {
    /// `batch`: the rows of all `blocks` blocks, one vector for each of the recorded inputs.
    pub fn new(recorded: Recorded, batch: Vec<Vec<f32>>, blocks: usize, params: Vec<f32>, adam: Adam) -> Result<Self> {
        let (state, grad) = (adam.start(&params)?, vec![0.0; params.len()]);
        Ok(Training { blocks: Blocks::new(&recorded.program, blocks)?, recorded, batch, adam, state, params, grad, dropout: None })
    }

    /// Turns the network's dropout on, for blocks of `rows` rows.
    pub fn with_dropout(self, rows: usize) -> Self {
        Training { dropout: Some(rows), ..self }
    }

    /// One step; returns the loss before it.
    pub fn step(&mut self) -> Result<f64> {
        let Recorded { program, inputs, loss } = &self.recorded;
        let (batch, count) = (&self.batch, self.blocks.count());
        let (dropout, step) = (self.dropout, self.state.step);
        let seed = [1.0 / count as f32];
        self.blocks.run(&self.params, &mut self.grad, |block, params, ws, grad| {
            for (var, all) in inputs.iter().zip(batch) {
                let to = ws.input_mut(*var)?;
                to.copy_from_slice(&all[block * to.len()..][..to.len()]);
            }
            ws.set_noise(dropout.map(|rows| Noise { seed: 0, step, first: block * rows, share: 1 }))?;
            program.forward(params, ws)?;
            program.backward(params, ws, &[(*loss, &seed)], grad)
        })?;
        if !self.adam.step(&mut self.params, &self.grad, &mut self.state)?.norm.is_finite() {
            return Err(ndsm::Error::refused("training step", "the gradient is not finite"));
        }
        let sum = self.blocks.workspaces().map(|ws| ws.value(*loss).map(|l| f64::from(l[0]))).sum::<Result<f64>>()?;
        Ok(sum / count as f64)
    }

    /// MiB of all workspaces, and what they would be with a buffer for each node.
    pub fn mebibytes(&self) -> [f64; 2] {
        let memory = self.recorded.program.memory();
        [memory.total(), memory.unshared].map(|n| (n * self.blocks.count() * size_of::<f32>()) as f64 / f64::from(1 << 20))
    }

    /// Operations of the matrix products and convolutions of one forward pass over the batch: two per weight
    /// and place.
    pub fn flops(&self) -> f64 {
        let rows = self.recorded.program.table().rows;
        let elements = |shape: &[usize]| shape.iter().product::<usize>() as f64;
        let products = rows.iter().filter(|row| row.op.starts_with("linear") || row.op.starts_with("conv"));
        let each = |row: &ndsm::tape::Row| {
            let weights = &rows[row.inputs[1]].shape;
            2.0 * elements(&row.shape) * elements(&weights[..weights.len() - 1])
        };
        products.map(each).sum::<f64>() * self.blocks.count() as f64
    }
}
