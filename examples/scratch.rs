use ndsm::config::{Config, Setting};
use ndsm::data::{Request, load};
use ndsm::metrics;
use ndsm::sample::Method;
use ndsm::train::{Reference, Trainer};
fn main() -> ndsm::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let seeds: u64 = args[1].parse().unwrap();
    let mut set = vec![];
    for a in &args[2..] {
        let (k, v) = a.split_once('=').unwrap();
        let v: ndsm::config::Value = if let Ok(i) = v.parse::<usize>() {
            i.into()
        } else if let Ok(f) = v.parse::<f64>() {
            f.into()
        } else {
            v.into()
        };
        set.push(Setting::new(k, v));
    }
    for seed in 0..seeds {
        let mut s = set.clone();
        s.push(Setting::new("train.seed", seed as usize));
        s.push(Setting::new("data.seed", seed as usize));
        let c = Config::resolve(&s)?;
        let data = load(&Request { name: c.data.name.name().into(), n: Some(c.data.n), seed, ..Request::default() })?;
        let t0 = std::time::Instant::now();
        let r = Reference::fit(data.points.view(), &c)?;
        let fit = t0.elapsed().as_secs_f64();
        let t0 = std::time::Instant::now();
        let mut t = Trainer::<f32>::new(&c, &r, data.points.view())?;
        let mut last = 0.0;
        for i in 0..c.train.steps {
            let s = t.step()?;
            last = s.loss;
            if i % 100 == 0 {
                eprint!("{:.3}/{:.2}/{:.2} ", s.loss, s.deviation, s.gradient);
            }
        }
        let tr = t0.elapsed().as_secs_f64();
        let mut g = t.generator(&r)?;
        for (m, name, steps) in [(Method::Ode, "ode", None), (Method::Sde, "sde", None), (Method::Pc, "pc", Some(50))] {
            if let Ok(x) = g.sample(10_000, seed, m, steps) {
                let e = metrics::evaluate(x.view(), &data, None, seed)?;
                println!(
                    "seed {seed} {name} k={} loss {last:.3} out {:?} tv {:?} sw2 {:.4} (floor {:.4}) en {:.5} fit {fit:.2}s train {tr:.1}s",
                    r.mixture.components(),
                    e.outlier_share,
                    e.mode_weight_tv,
                    e.sliced_w2,
                    e.sliced_w2_floor,
                    e.energy_distance
                );
            }
        }
        let x = g.sample_reference(10_000, seed)?;
        let e = metrics::evaluate(x.view(), &data, None, seed)?;
        println!("seed {seed} reference out {:?} tv {:?} sw2 {:.4}", e.outlier_share, e.mode_weight_tv, e.sliced_w2);
    }
    Ok(())
}
