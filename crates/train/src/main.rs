//! `affect-train`: trains, evaluates, quantises and exports the models of affectd.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
