use super::*;

fn resolve(settings: &[(&str, Value)]) -> Result<Config> {
    let settings: Vec<Setting> = settings.iter().map(|(k, v)| Setting::new(k, v.clone())).collect();
    Config::resolve(&settings)
}

/// The sentence with which these settings are refused.
fn refusal(settings: &[(&str, Value)]) -> String {
    match resolve(settings) {
        Ok(_) => panic!("accepted: {settings:?}"),
        Err(e) => {
            assert_eq!(e.exit_code(), 2, "{e}");
            e.to_string()
        }
    }
}

#[test]
fn the_defaults_are_the_best_measured() {
    let c = Config::default();
    assert!(c.validate().is_ok() && resolve(&[]).unwrap() == c);
    assert_eq!((c.sde.kind, c.sde.beta, c.sde.horizon, c.sde.t_min, c.sde.steps), (SdeKind::Langevin, 1.0, 0.0, 0.02, 0));
    assert_eq!((c.sde.grid, c.objective.kind), (Grid::PerPath, ObjectiveKind::Ndsm));
    assert_eq!((c.objective.control, c.objective.transition), (Control::Auto, Transition::Component));
    assert_eq!((c.objective.time_sampling, c.network.parametrisation), (TimeSampling::LogitNormal, Parametrisation::Residual));
    assert_eq!((c.network.kind, c.network.width, c.network.depth), (NetworkKind::AUTO, 0, 3));
    assert_eq!((c.train.steps, c.train.batch, c.train.lr), (2000, 256, 0.0));
}

#[test]
fn defaults_follow_the_choices() {
    let linear = resolve(&[("sde.kind", "vp".into())]).unwrap();
    assert_eq!((linear.reference.kind, linear.reference.components), (ReferenceKind::Gaussian, Components::Count(1)));
    assert_eq!((linear.objective.kind, linear.objective.transition), (ObjectiveKind::Dsm, Transition::Exact));
    assert_eq!(resolve(&[("sde.kind", "ou".into())]).unwrap(), linear, "a second name");
    // The paper's plain chain: either of the two keys brings the fixed grid.
    for setting in [("objective.transition", "euler"), ("sde.grid", "uniform"), ("objective.time_sampling", "grid")] {
        let plain = resolve(&[(setting.0, setting.1.into())]).unwrap();
        assert_eq!((plain.sde.grid, plain.objective.time_sampling), (Grid::Uniform, TimeSampling::Grid));
    }
    assert_eq!(resolve(&[("sde.kind", "ve".into()), ("objective.kind", "ndsm".into())]).unwrap().sde.grid, Grid::Uniform);
    let straight = resolve(&[("sde.kind", "straight".into())]).unwrap();
    assert_eq!((straight.objective.kind, straight.objective.coupling), (ObjectiveKind::FlowMatching, Coupling::Independent));
    assert_eq!((straight.network.parametrisation, straight.objective.weighting), (Parametrisation::Plain, Weighting::Network));
    assert_eq!((straight.objective.time_sampling, straight.sde.spacing), (TimeSampling::Grid, Spacing::Uniform));
    assert_eq!((straight.sde.horizon, straight.sde.t_min), (0.998, 0.002));
    let dsm = resolve(&[("sde.kind", "straight".into()), ("objective.kind", "dsm".into())]).unwrap();
    assert_eq!((dsm.network.parametrisation, dsm.objective.weighting), (Parametrisation::Residual, Weighting::Variance));
    let paired = resolve(&[("sde.kind", "straight".into()), ("objective.coupling", "optimal-transport".into())]).unwrap();
    assert_eq!(paired.objective.control, Control::Antithetic);
    let edm = resolve(&[("sde.kind", "ve".into()), ("network.parametrisation", "preconditioned".into())]).unwrap();
    assert_eq!((edm.objective.weighting, edm.objective.time_spread), (Weighting::Network, 1.2));
    // ln sigma has the mean -1.2 where the data have standard deviation 1/2.
    assert!((edm.objective.time_mean - (-1.2 - 0.5f64.ln())).abs() <= 1e-15);
    // The law of times of (17) as it was.
    for (kind, mean) in [("langevin", -0.6), ("vp", -0.3), ("ve", -0.3), ("sub-vp", -0.3)] {
        let o = resolve(&[("sde.kind", kind.into())]).unwrap().objective;
        assert_eq!((o.time_mean, o.time_spread, o.weighting), (mean, 1.2, Weighting::Variance), "{kind}");
    }
    assert_eq!(resolve(&[("data.name", "ring".into())]).unwrap().data.latent, 0);
    // Of two settings of one key the later wins.
    assert_eq!(resolve(&[("train.steps", 10.into()), ("train.steps", 20.into())]).unwrap().train.steps, 20);
}

/// Files of earlier versions name the step twice. Where both names are the same they are read as they were.
#[test]
fn the_former_key_of_the_step_is_read_where_it_agrees() {
    for settings in [vec![], vec![("sde.kind", "vp".into())], vec![("objective.transition", "euler".into())]] {
        let config = resolve(&settings).unwrap();
        let step = config.objective.transition.name();
        assert_eq!(resolve(&[&settings[..], &[("sde.integrator", step.into())]].concat()).unwrap(), config);
    }
    let mut other = Setting::new("sde.integrator", "exact");
    other.origin = "config.toml".to_owned();
    let sentence = "config.toml: sde.integrator: objective.transition = \"component\" says which steps a chain takes, got \"exact\"; \
                    leave this key out";
    assert_eq!(Config::resolve(&[other]).unwrap_err().to_string(), sentence);
}

#[test]
fn every_key_reads_what_it_writes() {
    let mut c =
        resolve(&[("data.name", "mixture".into()), ("data.means", Value::List(vec![1.5.into(), 2.into()])), ("data.std", 0.5.into())])
            .unwrap();
    assert_eq!(c.data.means, [[1.5], [2.0]]);
    c.data.weights = vec![0.25, 0.75];
    let settings: Vec<Setting> = KEYS.iter().filter_map(|k| Some(Setting::new(k.name, (k.get)(&c)?))).collect();
    assert_eq!(Config::resolve(&settings).unwrap(), c);
    for k in KEYS {
        assert!(!k.doc.trim().is_empty() && !(k.accepts)().is_empty(), "{}", k.name);
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_every_key() {
    assert_eq!(refusal(&[("sde.beta", (-1).into())]), "sde.beta: must be > 0, got -1");
    assert_eq!(refusal(&[("network.width", Value::Int(99_999_999_999))]), "network.width: must be <= 16384, got 99999999999");
    assert_eq!(refusal(&[("train.steps", "many".into())]), "train.steps: must be an integer, got \"many\"");
    assert_eq!(refusal(&[("train.steps", 2.5.into())]), "train.steps: must be an integer, got 2.5");
    assert_eq!(refusal(&[("train.ema", 1.into())]), "train.ema: must be < 1, got 1");
    assert_eq!(refusal(&[("network.dropout", 1.into())]), "network.dropout: must be < 1, got 1");
    assert_eq!(refusal(&[("train.lr", f64::NAN.into())]), "train.lr: must be a finite number, got nan");
    for k in KEYS {
        let accepts = (k.accepts)();
        for bad in
            [Value::Int(-1), Value::Int(i128::MAX), Value::Real(f64::INFINITY), Value::Real(0.5), Value::Bool(true), Value::List(vec![])]
        {
            let mut c = Config::default();
            let taken = (k.set)(&mut c, &bad).is_ok();
            let may = match bad {
                Value::Bool(_) => accepts == "true or false",
                Value::Real(x) => x.is_finite() && accepts.contains("number"),
                Value::Int(-1) => ["data.means", "reference.generators", "objective.time_mean"].contains(&k.name),
                Value::List(_) => accepts.starts_with("list"),
                _ => false,
            };
            assert!(taken == may, "{} {} {bad}", k.name, if taken { "takes" } else { "refuses" });
        }
    }
    let mut c = Config::default();
    c.sde.beta = f64::NAN;
    assert_eq!(c.validate().unwrap_err().to_string(), "sde.beta: must be a finite number, got nan");
}

#[test]
fn impossible_combinations_say_what_would_work() {
    let cases: &[(&[(&str, Value)], &str)] = &[
        (&[("objective.kind", "dsm".into()), ("objective.time_sampling", "grid".into()), ("sde.grid", "quadratic".into())], "uniform"),
        (&[("objective.kind", "component-flow".into()), ("sde.kind", "vp".into())], "langevin"),
        (&[("objective.kind", "dsm".into()), ("objective.transition", "euler".into())], "ndsm"),
        (&[("objective.transition", "exact".into())], "vp"),
        (&[("objective.transition", "component".into()), ("sde.kind", "ve".into())], "exact"),
        (&[("objective.transition", "local-linear".into()), ("objective.kind", "dsm".into())], "ndsm"),
        (&[("objective.transition", "ito-taylor".into()), ("sde.kind", "sub-vp".into())], "exact"),
        (&[("objective.kind", "sliced".into()), ("objective.control", "self".into())], "none"),
        (&[("train.diagnose", true.into()), ("train.batch", 8.into())], ">= 64"),
        (&[("sde.integrator", "euler".into())], "objective.transition = \"component\" says which steps a chain takes, got \"euler\""),
        (&[("sde.kind", "vp".into()), ("reference.kind", "mixture".into())], "langevin"),
        (&[("sde.kind", "vp".into()), ("sde.integrator", "component".into())], "exact"),
        (&[("reference.kind", "gaussian".into()), ("reference.components", 3.into())], "mixture"),
        (&[("data.name", "ring".into()), ("data.n", 5.into()), ("reference.components", 6.into())], "<= data.n = 5"),
        (&[("sde.t_min", 3.into()), ("sde.horizon", 3.into())], "sde.horizon"),
        (&[("data.name", "idx".into())], "needs the file"),
        (&[("data.path", "x.npy".into())], "npy"),
        (&[("data.name", "moons".into()), ("data.latent", 2.into())], "must be 0"),
        (&[("data.name", "mixture".into())], "data.means"),
        (&[("data.means", 1.into())], "mixture"),
        (&[("train.times_per_path", 9.into()), ("sde.steps", 4.into())], "sde.steps = 4"),
        (&[("network.width", 16_384.into()), ("network.depth", 64.into())], "at most"),
        (&[("train.batch", 1_000_000.into()), ("train.times_per_path", 4.into())], "at most"),
        (&[("sde.beta", 1e3.into()), ("sde.horizon", 3.into())], "sde.horizon"),
        (&[("reference.kind", "file".into())], "needs the file to read"),
        (&[("reference.path", "r.safetensors".into())], "only reference.kind = \"file\" reads a file, got \"mixture\""),
        (
            &[("reference.kind", "file".into()), ("reference.path", "r".into()), ("reference.components", 2.into())],
            "has the components it has",
        ),
        (&[("sde.t_min", 1e-20.into())], "sde.t_min"),
        (&[("sde.kind", "ve".into()), ("sde.t_min", 1e-9.into())], "sde.t_min"),
        (&[("sde.gird", "uniform".into())], "unknown key"),
        (&[("objective.kind", "flow-matching".into())], "needs sde.kind = \"straight\", got \"langevin\""),
        (&[("objective.kind", "flow-matching".into()), ("sde.kind", "ve".into())], "with it use \"dsm\""),
        (&[("objective.coupling", "optimal-transport".into())], "needs objective.kind = \"flow-matching\", got \"ndsm\""),
        (
            &[("sde.kind", "straight".into()), ("objective.coupling", "optimal-transport".into()), ("objective.control", "self".into())],
            "use \"antithetic\" or \"none\", got \"self\"",
        ),
        (&[("sde.kind", "straight".into()), ("network.parametrisation", "scaled".into())], "use \"plain\" or \"residual\""),
        (&[("sde.kind", "straight".into()), ("objective.weighting", "likelihood".into())], "use \"network\""),
        (&[("sde.kind", "straight".into()), ("sde.horizon", 1.into())], "must be in (0, 1), got 1"),
        (&[("sde.kind", "straight".into()), ("sde.beta", 2.into())], "leave it at 1, got 2"),
        (&[("sde.kind", "straight".into()), ("objective.kind", "ndsm".into()), ("objective.transition", "euler".into())], "use \"exact\""),
        (&[("sde.kind", "straight".into()), ("reference.kind", "mixture".into())], "takes \"gaussian\""),
        (&[("sde.kind", "ve".into()), ("sde.spacing", "spectral".into())], "use \"karras\""),
    ];
    for (settings, word) in cases {
        let sentence = refusal(settings);
        assert!(sentence.contains(word), "{settings:?}: {sentence}");
    }
}
