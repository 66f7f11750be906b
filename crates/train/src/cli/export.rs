//! `affect-train export`: a weight file to a model folder: the int8 `.tflite` and its manifest.

use std::path::{Path, PathBuf};

use affect_core::expression::Expression;
use affect_core::manifest::{
    Activation, AgeHead, AttributeHeads, Element, EthnicityHead, ExpressionHead, GenderHead, Golden, Input,
    MANIFEST_VERSION, Manifest, Mood, MoodMethod, Output, Quantisation, Task,
};
use affect_train::data::sample;
use affect_train::evaluate::model::{expression_labels, open_network, runtime_path};
use affect_train::int8::{Exported, Options, export};
use affect_train::train::target::{SECOND_CLASSES, SECOND_HEAD};
use affect_train::weights::Weights;
use anyhow::Context as _;

use super::Set;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The weight file.
    weights: PathBuf,
    /// The model folder to write; its name is the model's id.
    #[arg(long)]
    out: PathBuf,
    /// One line for people.
    #[arg(long)]
    title: String,
    /// Where the weights come from, for the manifest.
    #[arg(long)]
    source: String,
    /// Their licence.
    #[arg(long, default_value = "Apache-2.0 OR MIT")]
    licence: String,
    /// Only these heads of the network, separated by commas; all without it.
    #[arg(long, value_delimiter = ',')]
    heads: Vec<String>,
    /// Data sets of calibration pictures, each as FORMAT:PATH or FORMAT:PATH:SPLIT.
    #[arg(long, required = true)]
    calibrate: Vec<Set>,
    /// How many calibration pictures, evenly from the sets.
    #[arg(long, default_value_t = 256)]
    pictures: usize,
    /// Of how many of the most probable ages the expectation is taken, the paper's L in eq. (1). `evaluate` takes it, too: choose it on
    /// validation pictures.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=100))]
    most_probable: u8,
    /// Leave the biases as they are.
    #[arg(long)]
    no_bias_correction: bool,
    /// The TensorFlow Lite library, to check the result with.
    #[arg(long, default_value_os_t = runtime_path())]
    runtime: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let device = affect_train::device::cpu();
    let (mut plan, weights, _) = open_network(&arguments.weights, &device)?;
    if !arguments.heads.is_empty() {
        let heads: Vec<(String, usize)> = arguments
            .heads
            .iter()
            .map(|name| {
                let head = plan
                    .find_head(name)
                    .with_context(|| format!("The network has no head `{name}`."))?;
                Ok((head.name.clone(), head.classes))
            })
            .collect::<anyhow::Result<_>>()?;
        let heads: Vec<(&str, usize)> = heads.iter().map(|(n, c)| (n.as_str(), *c)).collect();
        plan = plan.with_heads(&heads);
    }
    let id = arguments
        .out
        .file_name()
        .context("--out has no name")?
        .to_string_lossy()
        .into_owned();
    let pictures = pictures(&arguments.calibrate, arguments.pictures, &plan.input)?;
    let options = Options {
        bias_correction: !arguments.no_bias_correction,
        description: format!("affect-train {} {id}", env!("CARGO_PKG_VERSION")),
    };
    let exported = export(&plan, &weights, &pictures, &options, &device)?;
    std::fs::create_dir_all(&arguments.out)?;
    let file = arguments.out.join(format!("{id}.tflite"));
    affect_train::weights::write_whole(&file, &exported.bytes)?;
    write_manifest(&arguments.out, &manifest(arguments, &id, &exported, &weights)?)?;
    log::info!(
        "{}: {} bytes, {} operators.",
        file.display(),
        exported.bytes.len(),
        exported.graph.nodes.len()
    );
    for line in affect_train::int8::check::compare(&exported, &pictures, &arguments.runtime, &device)? {
        log::info!("{line}");
    }
    Ok(())
}

/// The tensors of `count` pictures, evenly from calibration sets.
pub(super) fn pictures(sets: &[Set], count: usize, input: &Input) -> anyhow::Result<Vec<f32>> {
    let share = count.div_ceil(sets.len());
    let mut planes = Vec::new();
    for source in sets {
        let set = source.format.read(&source.path)?;
        let faces = set.split(&source.split);
        let count = share.min(faces.len());
        for i in 0..count {
            sample::append(&mut planes, faces[i * faces.len() / count], input, None)?;
        }
    }
    Ok(planes)
}

fn manifest(
    arguments: &Arguments,
    id: &str,
    exported: &Exported,
    weights: &Weights,
) -> anyhow::Result<Manifest> {
    let plan = &exported.plan;
    let outputs: Vec<Output> = plan
        .heads
        .iter()
        .zip(&exported.graph.outputs)
        .map(|(head, place)| {
            let tensor = exported.graph.at(*place);
            let quantised = tensor.quantised.as_ref().map(|q| Quantisation {
                scale: q.scale[0],
                zero_point: q.zero_point[0] as i32,
            });
            Output {
                role: head.name.clone(),
                tensor: tensor.name.clone(),
                shape: vec![1, head.classes],
                element: Element::Int8,
                quantisation: quantised,
            }
        })
        .collect();
    let role = |name: &str| outputs.iter().any(|o| o.role == name).then(|| name.to_owned());
    let task = if role("expression").is_some() {
        Task::Expression
    } else {
        Task::Attributes
    };
    let expression = role("expression").map(|output| ExpressionHead {
        output,
        labels: expression_labels(weights),
        activation: Activation::Softmax,
    });
    let second_expression = role(SECOND_HEAD).map(|output| ExpressionHead {
        output,
        labels: Expression::ALL[..SECOND_CLASSES].to_vec(),
        activation: Activation::Softmax,
    });
    let attributes = AttributeHeads {
        age: role("age").map(|output| AgeHead {
            output,
            most_probable: usize::from(arguments.most_probable),
        }),
        gender: role("gender").map(|output| GenderHead { output }),
        ethnicity: role("ethnicity").map(|output| EthnicityHead {
            output,
            labels: weights
                .about
                .get("ethnicities")
                .map_or_else(Vec::new, |n| n.split(", ").map(str::to_owned).collect()),
        }),
    };
    Ok(Manifest {
        manifest_version: MANIFEST_VERSION,
        id: id.to_owned(),
        title: arguments.title.clone(),
        task,
        stand_in: false,
        file: format!("{id}.tflite"),
        sha256: affect_train::sha256(&exported.bytes),
        edge_tpu: None,
        licence: arguments.licence.clone(),
        source: arguments.source.clone(),
        input: Input {
            element: Element::Int8,
            quantisation: Some(exported.input),
            ..plan.input.clone()
        },
        outputs,
        mood: expression.is_some().then_some(Mood {
            method: MoodMethod::ExpressionScores,
            file: None,
            sha256: None,
            interim: true,
        }),
        expression,
        second_expression,
        attributes: (task == Task::Attributes).then_some(attributes),
        measured: Vec::new(),
        golden: Golden {
            file: "golden.json".to_owned(),
            recorded_with: "NumPy, Pillow and LiteRT (models/recipes/record_golden.py)".to_owned(),
        },
    })
}

/// Writes `model.toml`.
pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let text = format!(
        "# The truth about this model; see models/README.md. Written by affect-train.\n{}",
        toml::to_string(manifest)?
    );
    Manifest::from_toml(&text).context("the manifest that was written is not sound")?;
    affect_train::weights::write_whole(&folder.join("model.toml"), text.as_bytes())?;
    Ok(())
}
