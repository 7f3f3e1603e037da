//! A tour of the tape in five steps: record, replay, print, check a gradient, train.
//!
//! ```text
//! cargo run --release --example tape_tour
//! ```

use ndsm::optim::{Adam, Decay, Schedule};
use ndsm::rng::{Purpose, Stream};
use ndsm::tape::{Recorder, Var};
use ndsm::{Real, Result};

/// A small network, y = w2 silu(w1 x + b1) + b2, and the mean square of y - t: written once, for f32 and f64
/// alike.
struct Model {
    x: Var,
    t: Var,
    loss: Var,
}

impl Model {
    const ROWS: usize = 64;

    fn record<R: Real>(r: &mut Recorder<R>) -> Result<Self> {
        // Leaves: inputs are filled before every replay, parameters lie in one flat vector of the caller's.
        let x = r.input("x", &[Self::ROWS, 1])?;
        let t = r.input("t", &[Self::ROWS, 1])?;
        let (w1, b1) = (r.parameter("w1", &[1, 16])?, r.parameter("b1", &[16])?);
        let (w2, b2) = (r.parameter("w2", &[16, 1])?, r.parameter("b2", &[1])?);
        // Operations: each is written down as one line of the program; shapes are checked here and never
        // again.
        let z = r.matmul(x, w1)?;
        let z = r.add(z, b1)?;
        let h = r.silu(z)?;
        let y = r.matmul(h, w2)?;
        let y = r.add(y, b2)?;
        let off = r.sub(y, t)?;
        let square = r.square(off)?;
        let loss = r.mean(square)?;
        Ok(Model { x, t, loss })
    }
}

fn main() -> Result<()> {
    // 1. Record. Ending the recording fuses operations and gives every buffer its place in memory.
    let mut r = Recorder::<f64>::new();
    let model = Model::record(&mut r)?;
    let program = r.finish();
    println!("1. The program, as fused (`->` points to the node that computes a line on the way):\n\n{program}");

    // 2. Replay: fill the inputs, run forward, pull the adjoint 1 of the loss back to the parameters.
    let mut params = vec![0.0; program.parameter_count()];
    Stream::new(0, Purpose::Init, 0, 0).fill_normal(&mut params);
    let mut ws = program.workspace()?;
    for i in 0..Model::ROWS {
        let x = 6.0 * (i as f64 + 0.5) / Model::ROWS as f64 - 3.0;
        ws.input_mut(model.x)?[i] = x;
        ws.input_mut(model.t)?[i] = (2.0 * x).sin();
    }
    let mut grad = vec![0.0; params.len()];
    program.forward(&params, &mut ws)?;
    program.backward(&params, &mut ws, &[(model.loss, &[1.0])], &mut grad)?;
    println!("2. Loss {:.6}; first derivatives {:.6?}\n", ws.value(model.loss)?[0], &grad[..3]);

    // 3. Print: a replay that shows what every value and every adjoint is like.
    println!("3. The same with values and adjoints:\n\n{}", program.trace(&params, &mut ws, &[(model.loss, &[1.0])])?);

    // 4. Check the gradient against central differences, which are certain to about (epsilon)^(2/3).
    let mut worst = 0f64;
    for i in 0..params.len() {
        let mut at = |shift: f64| {
            let mut moved = params.clone();
            moved[i] += shift;
            program.forward(&moved, &mut ws)?;
            Result::Ok(ws.value(model.loss)?[0])
        };
        let step = 1e-5;
        let difference = (at(step)? - at(-step)?) / (2.0 * step);
        worst = worst.max((difference - grad[i]).abs() / (1.0 + grad[i].abs()));
    }
    println!("4. Largest difference to central differences, of {} derivatives: {worst:.1e}\n", params.len());
    assert!(worst <= 1e-8, "the gradient is wrong");

    // 5. Train. A step replays the same program: it allocates nothing.
    let adam = Adam::new(Schedule::new(0.02, 0, 2000, Decay::Cosine)?);
    let mut state = adam.start(&params)?;
    for step in 0..2000 {
        grad.fill(0.0);
        program.forward(&params, &mut ws)?;
        program.backward(&params, &mut ws, &[(model.loss, &[1.0])], &mut grad)?;
        let report = adam.step(&mut params, &grad, &mut state)?;
        if step % 500 == 0 || step == 1999 {
            println!("5. Step {step:4}: loss {:.6}, norm of the gradient {:.1e}", ws.value(model.loss)?[0], report.norm);
        }
    }
    Ok(())
}
