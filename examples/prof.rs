use ndsm::config::{Config, Setting};
use ndsm::data::{Request, load, Pca};
use ndsm::train::{Reference, Trainer};
fn main() -> ndsm::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(std::env::args().nth(1).unwrap().parse().unwrap()).build_global().unwrap();
    let c = Config::resolve(&[Setting::new("reference.components", 8usize)])?;
    let data = load(&Request { name: "digits".into(), ..Request::default() })?;
    let pca = Pca::fit(data.points.view(), 24)?;
    let x = pca.encode(data.points.view())?;
    let r = Reference::fit(x.view(), &c)?;
    let mut t = Trainer::<f32>::new(&c, &r, x.view())?;
    for _ in 0..5 { t.step()?; }
    let n = 50;
    for _ in 0..3 {
    let t0 = std::time::Instant::now();
    for i in 0..n { t.draw(i)?; }
    let a = t0.elapsed().as_secs_f64() / n as f64;
    let t0 = std::time::Instant::now();
    for i in 0..n { t.gradient(i)?; }
    let b = t0.elapsed().as_secs_f64() / n as f64;
    let t0 = std::time::Instant::now();
    for _ in 0..n { t.step()?; }
    let s = t0.elapsed().as_secs_f64() / n as f64;
    println!("draw {:.3} ms, gradient {:.3} ms, step {:.3} ms", a * 1e3, b * 1e3, s * 1e3);
    }
    Ok(())
}
