//! The program `ndsm`.

fn main() -> std::process::ExitCode {
    ndsm::cli::main()
}
