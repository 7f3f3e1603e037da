//! A training step allocates nothing after the first one: counted by the allocator itself.

use ndsm::nn::{Inference, ScoreNet};
use ndsm::optim::{Adam, Decay, Schedule};
use ndsm::rng::{Purpose, Stream};
use ndsm::tape::{Blocks, Recorder};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Allocations of this thread: the test harness has threads of its own.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // No access while a thread ends.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_training_step_allocates_nothing() {
    let net = ScoreNet::new(2, 32, 3, 6).unwrap();
    let n = 100;
    let mut r = Recorder::<f32>::new();
    let x = r.input("x", &[n, net.inputs()]).unwrap();
    let (sigma, z) = (r.input("sigma", &[n, 1]).unwrap(), r.input("z", &[n, 2]).unwrap());
    let s = net.record(&mut r, x).unwrap();
    let scaled = r.mul(s, sigma).unwrap();
    let off = r.add(scaled, z).unwrap();
    let per_row = r.row_dot(off, off).unwrap();
    let loss = r.mean(per_row).unwrap();
    let program = r.finish();

    let mut params = net.init::<f32>(0);
    let mut grad = vec![0.0; params.len()];
    let mut blocks = Blocks::new(&program, 1).unwrap();
    let adam =
        Adam { clip: Some(1.0), ema: Some(0.99), weight_decay: 0.01, ..Adam::new(Schedule::new(1e-3, 5, 100, Decay::Cosine).unwrap()) };
    let mut state = adam.start(&params).unwrap();
    let mut inference = Inference::new(net, &params).unwrap();
    let rows = vec![0.1f32; n * net.inputs()];
    let mut out = vec![0f32; n * 2];
    let mut losses = [0f32; 100];

    let mut step = |step: usize| {
        blocks
            .run(&params, &mut grad, |_, params, ws, grad| {
                Stream::new(0, Purpose::Test, step as u64, 0).fill_normal(ws.input_mut(x)?);
                Stream::new(0, Purpose::Test, step as u64, 1).fill_normal(ws.input_mut(z)?);
                ws.input_mut(sigma)?.fill(0.7);
                program.forward(params, ws)?;
                program.backward(params, ws, &[(loss, &[1.0])], grad)
            })
            .unwrap();
        losses[step] = blocks.workspaces().next().unwrap().value(loss).unwrap()[0];
        assert!(adam.step(&mut params, &grad, &mut state).unwrap().norm.is_finite());
        inference.load(&params).unwrap();
        inference.run(&rows, &mut out).unwrap();
    };
    step(0);
    let before = COUNT.get();
    (1..100).for_each(&mut step);
    let after = COUNT.get();
    assert_eq!(after - before, 0, "steps 2 to 100 allocated");
    // And they were steps: the loss starts at E|z|^2 = 2 (std of a batch's mean .2).
    assert!((losses[0] - 2.0).abs() <= 0.8 && losses.iter().all(|l| l.is_finite()), "{losses:?}");
}
