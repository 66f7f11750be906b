//! The command line: one file per command.

mod blend;
mod calibrate;
mod data;
mod evaluate;
mod export;
mod frames;
mod group;
mod import;
mod mood;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use affect_train::data::Format;
use clap::{Parser, Subcommand, ValueEnum as _};

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
    /// Turn a data set of videos into one of frames, by ffmpeg.
    Frames(frames::Arguments),
    /// Turn published weights into a weight file of ours.
    Import(import::Arguments),
    /// Stage 1 of the paper: learn to tell people apart.
    Identity(stage::Arguments),
    /// Stage 2 of the paper: age, gender and ethnicity on a frozen base.
    Attributes(stage::Arguments),
    /// Stage 3 of the paper: expressions.
    Emotion(stage::Arguments),
    /// Learn and compare classifiers of groups and videos; write the one that the daemon loads.
    Group(group::Arguments),
    /// Mix the weights a run started from with those it came to.
    Blend(blend::Arguments),
    /// Make the expression head of a weight file as sure as it is right, on several data sets.
    Calibrate(calibrate::Arguments),
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
        Command::Frames(arguments) => frames::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Identity(arguments) => stage::run(&arguments, Stage::Identity),
        Command::Attributes(arguments) => stage::run(&arguments, Stage::Attributes),
        Command::Emotion(arguments) => stage::run(&arguments, Stage::Emotion),
        Command::Group(arguments) => group::run(&arguments),
        Command::Blend(arguments) => blend::run(&arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
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

/// A data set on the command line: `FORMAT:PATH`, or `FORMAT:PATH:SPLIT` for one split of it.
#[derive(Debug, Clone)]
struct Set {
    text: String,
    format: Format,
    path: PathBuf,
    split: String,
}

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let format = parts.next().unwrap_or_default();
        let format = Format::from_str(format, true)
            .map_err(|_| format!("`{format}` is no known layout; write FORMAT:PATH or FORMAT:PATH:SPLIT."))?;
        let path = parts
            .next()
            .filter(|path| !path.is_empty())
            .ok_or("the path is missing; write FORMAT:PATH or FORMAT:PATH:SPLIT.")?;
        Ok(Self {
            text: text.to_owned(),
            format,
            path: path.into(),
            split: parts.next().unwrap_or_default().to_owned(),
        })
    }
}
