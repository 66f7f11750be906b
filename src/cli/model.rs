//! `affectd model`: what a model is, and whether it is what it says.

use std::path::PathBuf;

use affect_core::manifest::{Manifest, Task};
use affect_tflite::{Delegate, Delegation, Options, Runtime};

use super::{Exit, Failure, say};
use crate::config::{self, Level};
use crate::delegate;
use crate::golden;
use crate::logging;
use crate::place;
use affect_vision::LoadedModel;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The model's folder, or its name.
    path: String,
    /// The TensorFlow Lite library, if not in one of the usual places.
    #[arg(long, value_name = "FILE")]
    runtime: Option<PathBuf>,
    /// What does the arithmetic.
    #[arg(long, value_enum, default_value_t)]
    delegate: Arithmetic,
    /// Print checksums of the network's input and outputs, too: equal ones are equal bit for bit.
    #[arg(long)]
    bits: bool,
}

/// What may do the arithmetic.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Arithmetic {
    /// XNNPACK, or the library's own kernels where it does not work.
    #[default]
    Auto,
    /// XNNPACK.
    Xnnpack,
    /// The library's own kernels.
    None,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start(&config::Log {
        level: Level::Warn,
        ..config::Log::default()
    });
    let bad = |error: anyhow::Error| Failure::new(Exit::Config, error);
    let given = PathBuf::from(&arguments.path);
    let folder = if given.is_dir() {
        given
    } else {
        place::model(&arguments.path, None).map_err(|e| bad(e.into()))?
    };
    let model = LoadedModel::open(&folder).map_err(|e| bad(e.into()))?;
    for line in describe(&model.manifest) {
        say(line)?;
    }
    say("file       matches its manifest: SHA-256, structure, tensors, quantisation")?;
    if let Some(compiled) = model.for_edge_tpu() {
        let file = compiled.map_err(|e| bad(e.into()))?.file;
        say(format_args!(
            "edge tpu   its file matches, too: {}",
            file.operators().join(", ")
        ))?;
    }
    let path = place::runtime(arguments.runtime.as_deref()).map_err(|e| bad(e.into()))?;
    let runtime = Runtime::load(&path).map_err(|e| bad(e.into()))?;
    let on = |delegate| delegate::with(&runtime, &model.file, delegate);
    let (delegate, interpreter) = match arguments.delegate {
        Arithmetic::Auto => delegate::usual(&runtime, &model.file),
        Arithmetic::Xnnpack => on(Delegate::Xnnpack),
        Arithmetic::None => on(Delegate::None),
    }
    .map_err(|e| bad(e.into()))?;
    let kernels = match delegate {
        Delegate::Xnnpack => "XNNPACK",
        _ => "its own kernels",
    };
    let options = Options { threads: 1, delegate };
    say(format_args!(
        "delegate   TensorFlow Lite {} with {} takes {}",
        runtime.version(),
        kernels,
        interpreter
            .delegation()
            .map_or_else(|| "an unknown part".to_owned(), taken)
    ))?;
    let outcomes = golden::run(&runtime, &model, &options).map_err(|e| bad(e.into()))?;
    let mut wrong = 0;
    for outcome in &outcomes {
        wrong += usize::from(!outcome.differences.is_empty());
        let result = if outcome.differences.is_empty() {
            "ok".to_owned()
        } else {
            outcome.differences.join("; ")
        };
        say(format_args!("golden     {}: {result}", outcome.image))?;
        if arguments.bits {
            say(format_args!("bits       {}:{}", outcome.image, outcome.bits))?;
        }
    }
    if wrong > 0 {
        let total = outcomes.len();
        return Err(bad(anyhow::anyhow!(
            "{wrong} of {total} golden vectors of `{}` differ from the recording: do not use this model on this machine.",
            folder.display()
        )));
    }
    Ok(())
}

fn taken(delegation: &Delegation) -> String {
    let mut text = format!(
        "{} of {} operators",
        delegation.operators_delegated, delegation.operators_total
    );
    if !delegation.left.is_empty() {
        text += &format!(" (not {})", delegation.left.join(", "));
    }
    text
}

/// The manifest for people.
fn describe(manifest: &Manifest) -> Vec<String> {
    let input = &manifest.input;
    let mut lines = vec![
        format!("model      {}: {}", manifest.id, manifest.title),
        format!("task       {}", manifest.task),
        format!("source     {}", manifest.source),
        format!("licence    {}", manifest.licence),
        format!(
            "input      {}×{} {:?}, {}, mean {:?}, std {:?}",
            input.width, input.height, input.channels, input.element, input.mean, input.std
        ),
    ];
    if manifest.stand_in {
        lines.insert(
            1,
            "stand-in   this model only holds the place of one of our own".to_owned(),
        );
    }
    if let (Task::Expression, Some(head)) = (manifest.task, &manifest.expression) {
        let names: Vec<&str> = head.labels.iter().map(|label| label.name()).collect();
        lines.push(format!("labels     {}", names.join(", ")));
    }
    if let Some(heads) = &manifest.attributes {
        let names = [
            ("age", heads.age.is_some()),
            ("gender", heads.gender.is_some()),
            ("ethnicity", heads.ethnicity.is_some()),
        ];
        let names: Vec<&str> = names
            .into_iter()
            .filter(|head| head.1)
            .map(|head| head.0)
            .collect();
        lines.push(format!("heads      {}", names.join(", ")));
    }
    for measured in &manifest.measured {
        lines.push(format!(
            "measured   {}: {} on {}",
            measured.what, measured.value, measured.on
        ));
    }
    lines
}
