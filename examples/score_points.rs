//! The learned score of a run at points from standard input, one a line, without the command line:
//!
//!     cargo build --release --no-default-features --features files --example score_points
//!     echo "4.0 3.5" | target/release/examples/score_points runs/RUN 0.1

use ndsm::train::Generator;
use ndsm::{Error, Result};
use std::io::BufRead;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(Ok(t))) = (arguments.next(), arguments.next().map(|t| t.parse::<f64>())) else {
        return Err(Error::invalid("arguments", "a run directory and a time", "others"));
    };
    let mut generator = Generator::<f32>::load(dir)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::refused("standard input", e.to_string()))?;
        let numbers = line.split_whitespace().map(str::parse);
        let x: Vec<f64> = numbers.collect::<std::result::Result<_, _>>().map_err(|_| Error::invalid("point", "numbers", &line))?;
        let mut score = vec![0.0; x.len()];
        generator.score_into(t, &x, &mut score)?;
        println!("{score:?}");
    }
    Ok(())
}
