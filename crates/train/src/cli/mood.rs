//! Which way of telling moods goes with an expression model: what `affect-train group --install` writes.

use std::path::Path;

use affect_core::expression::Expression;
use affect_core::manifest::{Measured, Mood, MoodMethod};
use affect_core::mood::{DESCRIPTOR, MoodClass, MoodClassifier};
use affect_train::evaluate::model::read_manifest;
use affect_train::group::Descriptor;
use affect_train::group::linear::LinearSvc;
use anyhow::bail;

use super::Set;
use super::group::Arguments;

/// The command by which the figures can be had again.
fn command(arguments: &Arguments, model: &str) -> String {
    let sets = |option: &str, sets: &[Set]| -> String {
        sets.iter()
            .map(|set| format!(" --{option} {}", short(set)))
            .collect()
    };
    format!(
        "affect-train group --model models/{model} --train {} --scenes {} --seed {}{}{}",
        short(&arguments.train),
        arguments.scenes,
        arguments.seed,
        sets("test", &arguments.test),
        sets("rooms", &arguments.rooms)
    )
}

/// A set without the path that it has on this machine.
pub(super) fn short(set: &Set) -> String {
    let folder = set.path.file_name().unwrap_or_default().to_string_lossy();
    let format = set.text.split(':').next().unwrap_or_default();
    match set.split.as_str() {
        "" => format!("{format}:{folder}"),
        split => format!("{format}:{folder}:{split}"),
    }
}

/// Says in the model's manifest that the mood is told by the rule, and what that is worth.
pub(super) fn install_rule(
    arguments: &Arguments,
    moods: bool,
    figures: &[(&str, usize, f64)],
) -> anyhow::Result<()> {
    if !moods || !arguments.model.is_dir() {
        bail!(
            "The rule needs a model folder's expression scores and clips that are negative, neutral and positive."
        );
    }
    let mut manifest = read_manifest(&arguments.model)?;
    let command = command(arguments, &manifest.id);
    let what = "mood accuracy by the rule, 3 classes";
    manifest.measured.retain(|known| known.what != what);
    // The first row is of the classifier's own kind of scenes.
    manifest
        .measured
        .extend(figures.iter().skip(1).map(|(on, clips, value)| Measured {
            what: what.to_owned(),
            value: (value * 1e4).round() / 1e4,
            on: format!("{on}: {clips} groups"),
            command: command.clone(),
        }));
    manifest.mood = Some(Mood {
        method: MoodMethod::ExpressionScores,
        file: None,
        sha256: None,
        interim: false,
    });
    super::export::write_manifest(&arguments.model, &manifest)?;
    match std::fs::remove_file(arguments.model.join("mood.toml")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes `mood.toml` beside the expression model, and its name and hash into the model's manifest.
pub(super) fn install_linear(
    arguments: &Arguments,
    linear: LinearSvc,
    sharpness: f64,
    classes: &[String],
    figures: &[(&str, usize, f64)],
) -> anyhow::Result<()> {
    let rows = linear.weights.first().map_or(0, Vec::len);
    if classes != MoodClass::ALL.map(MoodClass::name)
        || rows != DESCRIPTOR
        || arguments.descriptor != Descriptor::Group
        || !arguments.model.is_dir()
    {
        bail!(
            "The daemon's mood needs a classifier of negative, neutral and positive on group descriptors of a model folder's expression scores ({DESCRIPTOR} numbers); this one tells {} apart by {rows} numbers of the descriptor `{:?}`.",
            classes.join(", "),
            arguments.descriptor
        );
    }
    let mut manifest = read_manifest(&arguments.model)?;
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let command = command(arguments, &manifest.id);
    let measured = figures.iter().map(|(on, clips, value)| Measured {
        what: "mood accuracy, 3 classes".to_owned(),
        value: (value * 1e4).round() / 1e4,
        on: format!("{on}: {clips} clips"),
        command: command.clone(),
    });
    let classifier = MoodClassifier {
        title: "Mood of a group: LinearSVC on descriptors of expression scores".to_owned(),
        expression_model: manifest.id.clone(),
        source: match arguments.scenes {
            0 => format!("clips of {}", name(&arguments.train.path)),
            scenes => format!(
                "{scenes} scenes composed from faces of {}",
                name(&arguments.train.path)
            ),
        },
        licence: "Apache-2.0 OR MIT".to_owned(),
        expressions: Expression::ALL.to_vec(),
        classes: MoodClass::ALL.to_vec(),
        sharpness,
        bias: linear.bias,
        weights: linear.weights,
        measured: measured.collect(),
    };
    let text = format!(
        "# Written by `affect-train group --install`. Keys: MoodClassifier in crates/core/src/mood.rs.\n{}",
        toml::to_string(&classifier)?
    );
    MoodClassifier::from_toml(&text)?;
    affect_train::weights::write_whole(&arguments.model.join("mood.toml"), text.as_bytes())?;
    manifest.mood = Some(Mood {
        method: MoodMethod::Classifier,
        file: Some("mood.toml".to_owned()),
        sha256: Some(affect_train::sha256(text.as_bytes())),
        interim: false,
    });
    super::export::write_manifest(&arguments.model, &manifest)
}
