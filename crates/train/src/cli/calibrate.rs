//! `affect-train calibrate`: the expression head of a weight file, made as sure as it is right.

use std::path::PathBuf;

use affect_train::data::Face;
use affect_train::evaluate::calibrate::{
    Answer, Calibration, centred, cross_fitted, risk_and_coverage, worth,
};
use affect_train::evaluate::model::{expression_labels, open_network};
use affect_train::train::target::SECOND_HEAD;
use affect_train::train::validate::predict;
use anyhow::{Context as _, bail};

use super::Set;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The weight file.
    weights: PathBuf,
    /// The weight file to write.
    #[arg(long)]
    out: PathBuf,
    /// Data sets on which the head is calibrated, each as FORMAT:PATH or FORMAT:PATH:SPLIT; each counts the same. Never those that the
    /// result is measured on.
    #[arg(long, required = true)]
    set: Vec<Set>,
    /// Let the second head have a say.
    #[arg(long)]
    second: bool,
}

/// Thresholds of confidence for the curve of risk and coverage.
const THRESHOLDS: [f64; 9] = [0.0, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7];

#[allow(clippy::print_stdout)] // the tables are what is shown
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let device = affect_train::device::cpu();
    let (plan, mut weights, network) = open_network(&arguments.weights, &device)?;
    let labels = expression_labels(&weights);
    let place = |head: &str| plan.heads.iter().position(|known| known.name == head);
    let first = place("expression").context("The weights have no head `expression`.")?;
    let second = match (arguments.second, place(SECOND_HEAD)) {
        (true, None) => bail!("The weights have no head `{SECOND_HEAD}`: leave --second out."),
        (true, place) => place,
        (false, _) => None,
    };
    let mut sets = Vec::new();
    for set in &arguments.set {
        let data = set.format.read(&set.path)?;
        let mut faces: Vec<(&Face, usize)> = Vec::new();
        for face in data
            .split(&set.split)
            .into_iter()
            .filter(|face| !face.known_duplicate)
        {
            let label = face.majority().and_then(|e| labels.iter().position(|l| *l == e));
            faces.extend(label.map(|label| (face, label)));
        }
        if faces.is_empty() {
            bail!("{}: no face here has a label that the head knows.", set.text);
        }
        let shown: Vec<&Face> = faces.iter().map(|(face, _)| *face).collect();
        let said = predict(&network, &shown, &device)?;
        let answers: Vec<Answer> = faces
            .iter()
            .enumerate()
            .map(|(i, (_, label))| Answer {
                first: centred(&said[first][i], labels.len()),
                second: second.map_or_else(
                    || vec![0.0; labels.len()],
                    |second| centred(&said[second][i], labels.len()),
                ),
                label: *label,
            })
            .collect();
        sets.push(answers);
    }
    let classes = labels.len();
    let fitted = cross_fitted(&sets, classes, arguments.second);
    println!(
        "| set | faces | accuracy | mean recall | loss | calibration error |\n|---|---|---|---|---|---|"
    );
    let mut curves = Vec::new();
    for ((set, answers), after) in arguments.set.iter().zip(&sets).zip(fitted) {
        let labels: Vec<usize> = answers.iter().map(|answer| answer.label).collect();
        let none = Calibration::none(classes);
        let before: Vec<Vec<f64>> = answers.iter().map(|answer| none.scores(answer)).collect();
        for (title, scores) in [("before", &before), ("cross-fitted", &after)] {
            let [accuracy, recall, loss, error] = worth(scores, &labels);
            println!(
                "| {}, {title} | {} | {:.2} % | {:.2} % | {loss:.3} | {error:.3} |",
                set.text,
                labels.len(),
                accuracy * 100.0,
                recall * 100.0
            );
        }
        curves.push((after, labels));
    }
    println!("\n| unknown below | answered | of them right |\n|---|---|---|");
    for (threshold, answered, right) in risk_and_coverage(&curves, &THRESHOLDS) {
        println!(
            "| {threshold:.2} | {:.1} % | {:.1} % |",
            answered * 100.0,
            right * 100.0
        );
    }
    let all: Vec<Vec<&Answer>> = sets.iter().map(|set| set.iter().collect()).collect();
    let calibration = Calibration::fit(&all, classes, arguments.second);
    let added: Vec<String> = labels
        .iter()
        .zip(&calibration.bias)
        .map(|(label, bias)| format!("{} {bias:+.2}", label.name()))
        .collect();
    log::info!(
        "Logits × {:.3}, the second head's × {:.3}; added: {}.",
        calibration.sharpness,
        calibration.second,
        added.join(", ")
    );
    calibration.install(&mut weights)?;
    let words: Vec<&str> = arguments
        .set
        .iter()
        .map(|set| set.text.rsplit('/').next().unwrap_or_default())
        .collect();
    weights.about.insert("calibrated on".to_owned(), words.join(", "));
    weights.write(&arguments.out)?;
    Ok(())
}
