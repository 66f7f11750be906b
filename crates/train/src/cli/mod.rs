//! The command line: one file per command.

mod data;
mod evaluate;
mod export;
mod import;
mod stage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "affect-train", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what is in data sets: classes, splits, duplicates, sizes.
    Data(data::Arguments),
    /// Turn published weights into a weight file of ours.
    Import(import::Arguments),
    /// Stage 1 of the paper: learn to tell people apart.
    Identity(stage::Arguments),
    /// Stage 2 of the paper: age, gender and ethnicity on a frozen base.
    Attributes(stage::Arguments),
    /// Stage 3 of the paper: expressions.
    Emotion(stage::Arguments),
    /// Quantise a weight file to int8 and write a model folder.
    Export(export::Arguments),
    /// Measure a model: the paper's tables.
    Evaluate(evaluate::Arguments),
}

/// Runs a command; says on stderr what went wrong.
pub(crate) fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .format_target(false)
        .init();
    use affect_train::train::recipe::Stage;
    let done = match Arguments::parse().command {
        Command::Data(arguments) => data::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Identity(arguments) => stage::run(&arguments, Stage::Identity),
        Command::Attributes(arguments) => stage::run(&arguments, Stage::Attributes),
        Command::Emotion(arguments) => stage::run(&arguments, Stage::Emotion),
        Command::Export(arguments) => export::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
