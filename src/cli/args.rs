//! The command line: what can be typed, and the help texts.

use crate::config::{Config, KEYS};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Score-based generative modelling with nonlinear noising dynamics.
///
/// A reference law is fitted to the data, a Gaussian mixture by default. Langevin dynamics toward it turn
/// data into noise, a network learns the score of the noised data, and running time backwards turns draws of
/// the reference into new samples.
///
/// Without a command, `ndsm` does what `ndsm train` does.
#[derive(Debug, Parser)]
#[command(
    name = "ndsm",
    version,
    after_help = "Examples:
  ndsm                                       train on the built-in digits; samples, pictures and a report in runs/
  ndsm train --set data.name=four-modes      a law in the plane instead
  ndsm sample runs/digits-ndsm-seed0 --n 64 --out more.npy
  ndsm eval runs/digits-ndsm-seed0 --json
  ndsm audit
  ndsm reproduce low-dim --quick
  ndsm report runs/digits-ndsm-seed0
  ndsm inspect runs/digits-ndsm-seed0

Exit code: 0 on success, 2 on bad input or usage, 1 on any other failure."
)]
pub struct Cli {
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what each phase took, too, on a terminal or not
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// What to do; `train` if nothing is given.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a score network; leaves a run directory with samples, pictures and a report
    Train(TrainArgs),
    /// Fit the reference law alone and report on it; a run takes it up by reference.kind = "file"
    Fit(FitArgs),
    /// Draw samples from a run
    Sample(SampleArgs),
    /// Measure fresh samples of a run against the data's law or held-out data
    Eval(EvalArgs),
    /// Check the program's formulas against what does not know them; exit code 1 if one fails
    Audit(AuditArgs),
    /// Run the experiments that compare the method with tuned baselines; tables, pictures and one page
    Reproduce(ReproduceArgs),
    /// Write a run's report.html anew: one file that needs nothing else; or one page that compares several runs
    Report(ReportArgs),
    /// Say what is in a run directory, a checkpoint, another safetensors file or an array
    Inspect(InspectArgs),
    /// Write the network of a run, with the parameters that generate, as an ONNX model
    Export(ExportArgs),
    /// Print what makes a shell complete the program's arguments
    Completions(CompletionsArgs),
    /// Print the manual page of the program, or of a command
    Man(ManArgs),
}

/// `ndsm train`.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  ndsm train
  ndsm train --set data.name=idx --set data.path=mnist/ --out runs/mnist
  ndsm train --set data.name=cifar --set data.path=cifar-10-batches-bin/ --out runs/cifar
  ndsm train --config examples/configs/paper-chain.toml --set objective.control=self
  ndsm train --out runs/mnist --resume

Run with --help for the list of keys.", after_long_help = train_help())]
pub struct TrainArgs {
    /// The configuration.
    #[command(flatten)]
    pub keys: ConfigArgs,
    /// Run directory; must be new, unless the run in it is to be resumed [default: runs/DATA-OBJECTIVE-seedN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on from the last checkpoint in the run directory, or start anew where there is none
    #[arg(long)]
    pub resume: bool,
    /// How and where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// `ndsm fit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm fit --set data.name=near-c4 --set reference.group=auto
  ndsm fit --set data.name=idx --set data.path=mnist/ --set data.latent=0 --set reference.covariance=low-rank --out runs/mnist-reference
  ndsm train --set reference.kind=file --set reference.path=runs/mnist-reference/reference.safetensors ...

Leaves reference.safetensors, pictures and reference.html in the directory. The keys are those of ndsm train --help.")]
pub struct FitArgs {
    /// The configuration.
    #[command(flatten)]
    pub keys: ConfigArgs,
    /// Directory; one that exists is refused [default: runs/DATA-reference-seedN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How and where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Where the configuration comes from.
#[derive(Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration in TOML; keys that it leaves out have their defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key, over the file; may be repeated
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
}

/// Threads and device, for every command that computes.
#[derive(Debug, Default, Args)]
pub struct ComputeArgs {
    /// Threads to use; results do not depend on it [default: all processors]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub threads: Option<i64>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA graphics card.
    Cuda,
}

/// `ndsm sample`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm sample runs/digits-ndsm-seed0 --n 1000 --method sde --steps 64 --out samples.npy
  ndsm sample runs/labelled --class 7 --guidance 1.5 --out sevens.npy

The file is a NumPy array [n, d], float32, in the units of the data. The same run, n, seed, method and steps give the same bytes.")]
pub struct SampleArgs {
    /// Run directory
    pub dir: PathBuf,
    /// How many samples
    #[arg(long, default_value_t = 10_000, allow_negative_numbers = true)]
    pub n: i64,
    /// Seed of the starting points and of the noise
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub seed: i64,
    /// Probability-flow ODE, reverse SDE, or reverse SDE with a Langevin corrector after each step
    #[arg(long, value_enum, default_value_t = Method::Ode)]
    pub method: Method,
    /// Steps from the horizon to t_min [default: what the process needs]
    #[arg(long, allow_negative_numbers = true)]
    pub steps: Option<i64>,
    /// Less than 1: samples nearer to the middle of their modes, whose weights stay; more: farther
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Samples of this class alone, of a model with network.classes [default: of all, each with its share]
    #[arg(long, allow_negative_numbers = true)]
    pub class: Option<i64>,
    /// Weight of what the label changes: more than 1 exaggerates what tells a class from the others
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub guidance: f64,
    /// Where the samples go
    #[arg(long, value_name = "FILE.npy")]
    pub out: PathBuf,
    /// How and where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// How time runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Method {
    /// The reverse SDE, eq. (3); costs one evaluation a step, needs more of them
    Sde,
    /// The probability-flow ODE, eq. (4), by Heun's method
    #[default]
    Ode,
    /// Predictor and corrector: the reverse SDE, each step followed by Langevin dynamics toward the learned
    /// law
    Pc,
}

/// `ndsm eval`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ndsm eval runs/digits-ndsm-seed0 --n 2000 --json

Each metric stands beside its floor: what the training data themselves score against held-out
data. Differences below it mean nothing. The interval says how much the value owes to the draw of
samples and held-out data, at 95 % confidence, from 40 random halves of both.")]
pub struct EvalArgs {
    /// Run directory
    pub dir: PathBuf,
    /// How many samples
    #[arg(long, default_value_t = 10_000, allow_negative_numbers = true)]
    pub n: i64,
    /// Seed of the samples
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub seed: i64,
    /// How time runs backwards, as for `sample`
    #[arg(long, value_enum, default_value_t = Method::Ode)]
    pub method: Method,
    /// Steps from the horizon to t_min [default: what the process needs]
    #[arg(long, allow_negative_numbers = true)]
    pub steps: Option<i64>,
    /// Also the likelihood of held-out points under the model, by its probability flow: up to 64 dimensions,
    /// takes its time
    #[arg(long)]
    pub likelihood: bool,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub json: bool,
    /// How and where to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// `ndsm audit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm audit
  ndsm audit tape --json
  ndsm audit integrators --quick --out audit/

tape: the derivatives of every operation of the automatic differentiation, against dual numbers and differences.
integrators: the strong and weak orders of every method for stochastic differential equations, and its invariant law.
transitions: one-step laws, exact laws, Fokker-Planck and Chapman-Kolmogorov against each other.
scores: the chain's score against the equation's, trained networks against both, and what the samplers make of it.
control: every control variate's mean, gradient and minimiser.
generalisation: when memorising pays, the corrections of a trained network on held-out points, what a run keeps, dropout.
Takes a few minutes. Exit code: 0 if every row keeps its bound, 1 if one does not.")]
pub struct AuditArgs {
    /// What to check: tape, integrators, transitions, scores, control, generalisation, or all
    #[arg(default_value = "all")]
    pub what: String,
    /// Fewer paths and step sizes: seconds
    #[arg(long)]
    pub quick: bool,
    /// Write convergence plots, and one page with them, into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub json: bool,
}

/// `ndsm reproduce`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm reproduce low-dim --quick
  ndsm reproduce low-dim --out runs/low-dim
  ndsm reproduce low-dim --group less-data --data mnist/

low-dim: mixtures, rings and moons in 2 to 16 dimensions, principal components of digits and images; every method with several seeds,
each baseline tuned by the same search.
The group less-data takes half an hour on two cores, all of them two hours and more, --quick a minute. Stopped, it goes on where it was when called again.")]
pub struct ReproduceArgs {
    /// Which experiments: low-dim, latent (images in the latent space of an autoencoder), or images (in pixels)
    pub what: String,
    /// One small case of each kind: shows that everything works, and no more
    #[arg(long)]
    pub quick: bool,
    /// Only this group of cases: of low-dim clusters, small-sets, few-sampling-steps, few-optimiser-steps,
    /// symmetry, misfit or less-data; of latent and images full, parts, small-sets or imbalance, of latent
    /// joint and of images symmetry and larger, too
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Images in IDX format (MNIST, say): of low-dim for the group less-data, of latent and images in place of the
    /// embedded digits
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Part i of n of the trainings, for several machines; their results.csv are put together by hand, line by
    /// line
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Largest side of an image; larger ones are halved [default: 64, of images 14]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub side: Option<i64>,
    /// Directory of results, tables, pictures and the page [default: runs/reproduce-low-dim, -latent or -images,
    /// with -quick at its end where that is asked for]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Trainings that run side by side; figures do not depend on it [default: all processors]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub threads: Option<i64>,
}

/// `ndsm report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm report runs/digits-ndsm-seed0
  ndsm report runs/* --out comparison.html
  ndsm report runs/digits-ndsm-seed0 --csv > log.csv")]
pub struct ReportArgs {
    /// Run directories
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// The page that compares several runs [default: comparison.html]
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    pub out: Option<PathBuf>,
    /// Print the numbers of every step as comma-separated values, and write no page
    #[arg(long)]
    pub csv: bool,
}

/// `ndsm inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm inspect runs/digits-ndsm-seed0
  ndsm inspect runs/digits-ndsm-seed0/checkpoint.safetensors --json
  ndsm inspect samples.npy")]
pub struct InspectArgs {
    /// Run directory, or a file that ends in .safetensors or .npy
    pub path: PathBuf,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub json: bool,
}

/// `ndsm export`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ndsm export runs/digits-ndsm-seed0 --out score.onnx

The model takes rows [x/std, features of the time] in whitened coordinates, as the network does; what becomes a score of its
value is on the page guide::files of the documentation. examples/score_numpy.py does the same in NumPy.")]
pub struct ExportArgs {
    /// Run directory
    pub dir: PathBuf,
    /// Where the model goes
    #[arg(long, value_name = "FILE.onnx")]
    pub out: PathBuf,
}

/// `ndsm completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm completions bash > ~/.local/share/bash-completion/completions/ndsm
  ndsm completions zsh > ~/.zfunc/_ndsm
  ndsm completions fish > ~/.config/fish/completions/ndsm.fish")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `ndsm man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ndsm man | man -l -
  ndsm man train > ndsm-train.1")]
pub struct ManArgs {
    /// The command [default: the program itself]
    pub command: Option<String>,
}

/// The examples, then every key with what it accepts, its meaning and its default.
fn train_help() -> String {
    let mut text = String::from(
        "Examples:
  ndsm train
  ndsm train --set data.name=idx --set data.path=mnist/ --out runs/mnist
  ndsm train --config examples/configs/paper-chain.toml --set objective.control=self
  ndsm train --out runs/mnist --resume

Keys, for --set and for the file (there under [table] headings). A default that depends on other keys is the one for the default run:
",
    );
    let default = Config::default();
    let mut table = "";
    for key in KEYS {
        let (head, _) = key.name.split_once('.').unwrap_or((key.name, ""));
        if head != table {
            text.push('\n');
            table = head;
        }
        let shown = (key.get)(&default).map_or("not set".to_owned(), |v| v.to_string());
        text.push_str(&format!("  {} = {shown}\n      {}\n      {}\n", key.name, key.doc.trim(), (key.accepts)()));
    }
    text
}
