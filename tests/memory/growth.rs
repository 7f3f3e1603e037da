//! Models that train and generate for long hold what they held.

use crate::counting::LIVE;
use ndsm::config::{Config, Setting};
use ndsm::sample::Method;
use ndsm::train::{Checkpoint, Generator, prepare};

fn config(steps: usize) -> Config {
    let mut settings = vec![Setting::new("data.name", "four-modes"), Setting::new("data.n", 300usize), Setting::new("train.steps", steps)];
    settings.extend([("network.width", 16usize), ("train.batch", 100), ("train.warmup", 5)].map(|(key, n)| Setting::new(key, n)));
    Config::resolve(&settings).unwrap()
}

/// On one thread, this one, whose memory is counted.
fn alone(work: impl FnOnce() + Send) {
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap().install(work);
}

#[test]
fn a_loaded_model_holds_the_same_after_a_thousand_calls() {
    let dir = tempfile::tempdir().unwrap();
    let prepared = prepare(&config(10)).unwrap();
    let mut trainer = prepared.trainer::<f32>().unwrap();
    trainer.step().unwrap();
    Checkpoint::of(&prepared, &trainer).save(dir.path()).unwrap();
    alone(|| {
        let mut generator = Generator::<f32>::load(dir.path()).unwrap();
        let mut call = |seed: u64| {
            let method = [Method::Ode, Method::Sde][(seed % 2) as usize];
            let x = generator.sample(20 + (seed % 50) as usize, seed, method, Some(4)).unwrap();
            generator.score(0.5, x.view()).unwrap();
            generator.sample_reference(10, seed).unwrap();
        };
        // The largest of these calls, too, once by each method.
        (0..100).for_each(&mut call);
        let before = LIVE.get();
        (100..1100).for_each(&mut call);
        assert_eq!(LIVE.get() - before, 0);
    });
}

/// What grows is the record of held-out gains: some numbers a look.
#[test]
fn training_holds_the_same_after_a_thousand_steps() {
    let prepared = prepare(&config(2000)).unwrap();
    alone(|| {
        let mut trainer = prepared.trainer::<f32>().unwrap();
        let mut steps = |n: usize| (0..n).for_each(|_| drop(trainer.step().unwrap()));
        steps(500);
        let before = LIVE.get();
        steps(1000);
        let grown = LIVE.get() - before;
        assert!(grown <= 16 << 10, "{grown} bytes");
    });
}
