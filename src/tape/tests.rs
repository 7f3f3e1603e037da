//! Replays of small programs: seeds, errors, the table, fusion and shared memory.

use super::*;
use crate::tape::{Activation, Recorder};

/// y = silu(x w + b) of an input with gradient, z = y + y, and an untouched branch.
struct Net {
    x: Var,
    y: Var,
    z: Var,
    unused: Var,
    fixed: Var,
    program: Program<f64>,
}

fn net() -> Net {
    let mut r = Recorder::<f64>::new();
    let x = r.input_with_gradient("x", &[2, 2]).unwrap();
    let fixed = r.input("fixed", &[2, 2]).unwrap();
    let unused = r.input_with_gradient("unused", &[3]).unwrap();
    r.exp(unused).unwrap();
    let w = r.parameter("w", &[2, 2]).unwrap();
    let b = r.parameter("b", &[2]).unwrap();
    let y = r.linear(x, w, b, Activation::Silu).unwrap();
    let z = r.add(y, y).unwrap();
    Net { x, y, z, unused, fixed, program: r.finish() }
}

const PARAMS: [f64; 6] = [0.5, -1.0, 2.0, 0.25, 0.1, -0.2];
const X: [f64; 4] = [1.0, -2.0, 0.5, 3.0];

/// An input that is recorded behind operations keeps what it was filled with: nothing that is computed before
/// it may take its place.
#[test]
fn a_late_input_keeps_its_value() {
    let mut r = Recorder::<f64>::new();
    let x = r.input("x", &[64]).unwrap();
    let mut y = x;
    for _ in 0..4 {
        // A function of single elements and a move: not one operation, but two buffers.
        let square = r.square(y).unwrap();
        y = r.permute(square, &[0]).unwrap();
    }
    let late = r.input("late", &[64]).unwrap();
    let product = r.mul(y, late).unwrap();
    let program = r.finish_forward();
    let mut ws = program.workspace().unwrap();
    ws.input_mut(x).unwrap().fill(2.0);
    ws.input_mut(late).unwrap().fill(3.0);
    for _ in 0..2 {
        program.forward(&[], &mut ws).unwrap();
        assert!(ws.value(product).unwrap().iter().all(|v| *v == 3.0 * 65_536.0));
    }
}

#[test]
fn several_seeds_are_pulled_back_over_one_forward_pass() {
    let Net { x, y, z, unused, program, .. } = net();
    let mut ws = program.workspace().unwrap();
    ws.input_mut(x).unwrap().copy_from_slice(&X);
    program.forward(&PARAMS, &mut ws).unwrap();
    let mut pull = |seeds: &[(Var, &[f64])]| {
        let mut grad = vec![0.0; 6];
        program.backward(&PARAMS, &mut ws, seeds, &mut grad).unwrap();
        assert_eq!(ws.adjoint(unused).unwrap(), [0.0; 3]);
        grad.extend_from_slice(ws.adjoint(x).unwrap());
        grad
    };
    let (one, two) = ([1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, -1.0]);
    let (first, second) = (pull(&[(z, &one)]), pull(&[(y, &two)]));
    let sum: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
    let together = pull(&[(z, &one), (y, &two)]);
    assert!(together.iter().zip(&sum).all(|(a, b)| (a - b).abs() <= 1e-15 * (1.0 + b.abs())), "{together:?} {sum:?}");
    // Two seeds on one node add up; z = 2 y.
    assert_eq!(pull(&[(y, &one), (y, &one)]), first);
    // No seed: nothing.
    assert_eq!(pull(&[]), [0.0; 10]);
}

#[test]
fn wrong_use_is_an_error_with_a_sentence() {
    let Net { x, y, fixed, program, .. } = net();
    let other = net();
    let mut ws = program.workspace().unwrap();
    let grad = &mut [0.0; 6];
    let errors = [
        (program.forward(&PARAMS[1..], &mut ws), "parameters: must be 6 numbers long, got 5"),
        (other.program.forward(&PARAMS, &mut ws), "another program"),
        (program.backward(&PARAMS, &mut ws, &[], &mut grad[1..]), "gradient: must be 6 numbers long, got 5"),
        (program.backward(&PARAMS, &mut ws, &[(other.y, &[0.0; 4])], grad), "another recorder"),
        (program.backward(&PARAMS, &mut ws, &[(y, &[0.0; 3])], grad), "shape [2, 2]: must be 4 numbers long, got 3"),
        (program.backward(&PARAMS, &mut ws, &[(fixed, &[0.0; 4])], grad), "node 1 (fixed)"),
        (ws.input_mut(y).map(|_| ()), "not an input"),
        (ws.adjoint(y).map(|_| ()), "not an input recorded with gradient"),
        (ws.adjoint(fixed).map(|_| ()), "not an input recorded with gradient"),
        (ws.value(other.x).map(|_| ()), "another recorder"),
        (ws.input_mut(x).map(|_| ()), ""),
    ];
    for (result, words) in errors {
        match result {
            Ok(()) => assert!(words.is_empty()),
            Err(e) => assert!(!words.is_empty() && e.to_string().contains(words), "{e}"),
        }
    }
}

#[test]
fn names_and_sizes_are_checked_at_recording() {
    let mut r = Recorder::<f32>::new();
    let a = r.input("a", &[2, 3]).unwrap();
    let long = usize::MAX / 2;
    for (result, words) in [
        (r.parameter("a", &[2]), "the name is taken"),
        (r.input("b", &[1; 5]), "at most 4 axes"),
        (r.input("b", &[long, 4]), "fits into memory"),
        (r.matmul(a, a), "matmul, recorded at src/tape/tests.rs:"),
    ] {
        let e = result.unwrap_err().to_string();
        assert!(e.contains(words), "{e}");
    }
    // Each fits, both do not: the sum overflows.
    let half = isize::MAX as usize / 8;
    let sizes: Vec<crate::Result<Var>> = (0..9).map(|i| r.input(&format!("c{i}"), &[half])).collect();
    assert!(sizes.iter().all(Result::is_ok));
    assert!(r.finish().workspace().is_err_and(|e| e.to_string().contains("MiB of memory")));
}

#[test]
fn the_table_and_the_graph_show_every_node() {
    let Net { x, z, program, .. } = net();
    let mut ws = program.workspace().unwrap();
    ws.input_mut(x).unwrap().copy_from_slice(&[1.0, f64::NAN, 0.5, 3.0]);
    let table = program.trace(&PARAMS, &mut ws, &[(z, &[1.0; 4])]).unwrap();
    let x = table.rows[0].value.unwrap();
    assert_eq!((x.min, x.mean, x.max, x.nan), (0.5, 1.5, 3.0, 1));
    let linear = &table.rows[6];
    // 2 x 2 numbers of 2 products and sums each, a bias, a SiLU with its derivative; x, w, b, y and what is
    // kept.
    assert_eq!((linear.op.as_str(), linear.flops, linear.bytes), ("linear silu", 4 * (2 * 2 + 9), 8 * (4 + 4 + 2 + 4 + 4)));
    // The adjoint that arrives, not what the operation makes of it.
    assert_eq!(linear.adjoint.map(|a| (a.min, a.max)), Some((2.0, 2.0)));
    assert!(table.rows[2].adjoint.is_none() && table.rows[4].value.is_some_and(|v| v.max == 2.0) && table.rows[4].adjoint.is_some());
    let text = table.to_string();
    assert!(text.contains("(1 NaN)") && text.contains("parameter w") && text.contains("6 parameters"), "{text}");
    assert_eq!(program.to_string().lines().count(), table.rows.len() + 2);
    let dot = program.dot();
    assert!(dot.contains("n0 -> n6;") && dot.matches("[shape=").count() == table.rows.len(), "{dot}");
}

/// A network written out operation by operation, with a residual branch and a loss: (program, input,
/// intermediate, loss).
fn written_out(plain: bool, keep: bool) -> (Program<f32>, Var, Var, Var) {
    let mut r = Recorder::<f32>::new();
    let x = r.input("x", &[9, 4]).unwrap();
    let mut h = x;
    let mut inner = x;
    for layer in 0..4 {
        let w = r.parameter(&format!("w{layer}"), &[4, 4]).unwrap();
        let b = r.parameter(&format!("b{layer}"), &[4]).unwrap();
        let z = r.matmul(h, w).unwrap();
        inner = r.add(z, b).unwrap();
        let a = if layer % 2 == 0 { r.silu(inner) } else { r.tanh(inner) }.unwrap();
        h = if layer == 2 { r.add(a, h).unwrap() } else { a };
    }
    if keep {
        r.keep(inner).unwrap();
    }
    let scaled = r.scale(h, 0.7).unwrap();
    let wave = r.sin(scaled).unwrap();
    let gate = r.sigmoid(h).unwrap();
    let product = r.mul(wave, gate).unwrap();
    let off = r.sub(product, x).unwrap();
    let square = r.square(off).unwrap();
    let loss = r.mean(square).unwrap();
    (if plain { r.finish_plain() } else { r.finish() }, x, inner, loss)
}

#[test]
fn fusion_and_shared_memory_change_no_result() {
    let ((plain, ..), (planned, _, inner, _)) = (written_out(true, false), written_out(false, false));
    let table = planned.table();
    let ops: Vec<&str> = table.rows.iter().filter(|row| row.fused.is_none()).map(|row| row.op.as_str()).collect();
    let layers: Vec<&&str> = ops.iter().filter(|op| op.starts_with("linear")).collect();
    assert_eq!(layers, [&"linear silu", &"linear tanh", &"linear silu", &"linear tanh"]);
    assert!(ops.contains(&"sigmoid, scale 0.7, sin, mul, sub, square"), "{ops:?}");
    let memory = planned.memory();
    assert!(memory.unshared == plain.memory().total() && memory.total() < memory.unshared, "{memory:?}");

    let mut params = vec![0f32; plain.parameter_count()];
    let run = |(program, x, _, loss): (Program<f32>, Var, Var, Var), params: &[f32]| {
        let mut ws = program.workspace().unwrap();
        ws.poison();
        let input: Vec<f32> = (0..36).map(|i| (i as f32 * 0.37).sin()).collect();
        ws.input_mut(x).unwrap().copy_from_slice(&input);
        program.forward(params, &mut ws).unwrap();
        let mut grads = vec![];
        for seed in [1.0, -2.5] {
            let mut grad = vec![0.0; params.len()];
            program.backward(params, &mut ws, &[(loss, &[seed])], &mut grad).unwrap();
            grads.push(grad);
        }
        (ws.value(loss).unwrap().to_vec(), grads)
    };
    params.iter_mut().enumerate().for_each(|(i, p)| *p = (i as f32 * 0.77).cos());
    let (plain, planned, kept) = (written_out(true, false), written_out(false, false), written_out(false, true));
    let (expected, got, partly) = (run(plain, &params), run(planned, &params), run(kept, &params));
    assert_eq!(expected.0, got.0);
    for other in [got, partly] {
        for (a, b) in expected.1.iter().flatten().zip(other.1.iter().flatten()) {
            assert!((a - b).abs() <= 4.0 * f32::EPSILON * (1.0 + a.abs()), "{a} {b}");
        }
    }

    // What is gone says so, and how to have it.
    let (program, ..) = written_out(false, false);
    let mut ws = program.workspace().unwrap();
    let e = ws.value(Var { tape: program.inner.tape, ..inner }).unwrap_err().to_string();
    assert!(e.contains("call Recorder::keep"), "{e}");
    assert!(ws.input_mut(Var { tape: program.inner.tape, ..inner }).is_err());
    let seed = (Var { tape: program.inner.tape, ..inner }, &[0f32; 36][..]);
    let e = program.backward(&params, &mut ws, &[seed], &mut vec![0.0; params.len()]).unwrap_err().to_string();
    assert!(e.contains("computed as part of node"), "{e}");
    let (program, _, inner, _) = written_out(false, true);
    assert!(program.workspace().unwrap().value(inner).is_ok());
}

#[test]
fn a_forward_pass_alone_needs_two_buffers() {
    let mut r = Recorder::<f64>::new();
    let mut x = r.input("x", &[64]).unwrap();
    for i in 0..10 {
        // A broadcast keeps the sums from being fused.
        let c = r.input(&format!("c{i}"), &[1]).unwrap();
        x = r.add(x, c).unwrap();
    }
    let program = r.finish();
    assert_eq!(program.memory().values, 64 + 9 * 16 + 1 + 2 * 64, "{program}");
    assert_eq!(program.memory().adjoints + program.memory().kept, 0);
}

#[test]
fn a_bias_goes_into_a_convolution_and_an_activation_into_a_norm() {
    let mut r = Recorder::<f64>::new();
    let (x, w) = (r.input("x", &[1, 3, 3, 2]).unwrap(), r.parameter("w", &[3, 3, 2, 4]).unwrap());
    let (b, scale) = (r.parameter("b", &[4]).unwrap(), r.parameter("scale", &[4]).unwrap());
    let z = r.conv2d(x, w, crate::tape::Conv2d::default()).unwrap();
    let z = r.add(z, b).unwrap();
    // A second one is no bias of the convolution's any more.
    let z = r.add(z, b).unwrap();
    let y = r.group_norm(z, scale, b, 2, 1e-5, Activation::Identity).unwrap();
    r.silu(y).unwrap();
    let table = r.finish().table();
    let fused: Vec<Option<usize>> = table.rows[4..].iter().map(|row| row.fused).collect();
    assert_eq!(fused, [Some(5), None, None, Some(8), None], "{table}");
    assert_eq!(table.rows[5].inputs, [0, 1, 2]);
}
