//! What a network answers to pictures as they are, and how good that is.

use affect_core::attributes::{expected_age, logistic};
use affect_core::expression::softmax;
use affect_core::manifest::Input;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::target::{AGES, Target};
use crate::data::Face;
use crate::data::sample::{self, SampleError};
use crate::network::{Network, values};

/// Pictures that are computed together.
const TOGETHER: usize = 32;

/// The probabilities of every head for every face: `[head][face][class]`; for a single logit the probability
/// of `male`.
///
/// # Errors
/// [`SampleError`] for the first picture that cannot be read.
pub fn predict(
    network: &Network,
    faces: &[&Face],
    device: &Device,
) -> Result<Vec<Vec<Vec<f32>>>, SampleError> {
    let input = &network.plan().input;
    let parts: Vec<Vec<Vec<Vec<f32>>>> = faces
        .par_chunks(TOGETHER)
        .map(|part| {
            let logits = network.forward(tensor_of(part, input, device)?);
            Ok(logits.into_iter().map(rows).collect())
        })
        .collect::<Result<_, SampleError>>()?;
    let heads = network.plan().heads.len();
    let mut all = vec![Vec::with_capacity(faces.len()); heads];
    for part in parts {
        for (head, rows) in all.iter_mut().zip(part) {
            head.extend(rows);
        }
    }
    Ok(all)
}

/// The embeddings of all faces.
///
/// # Errors
/// [`SampleError`] for the first picture that cannot be read.
pub fn embed(network: &Network, faces: &[&Face], device: &Device) -> Result<Vec<Vec<f32>>, SampleError> {
    let input = &network.plan().input;
    let parts: Vec<Vec<Vec<f32>>> = faces
        .par_chunks(TOGETHER)
        .map(|part| {
            let pictures = tensor_of(part, input, device)?;
            let embedding = network.embed(pictures);
            let features = embedding.dims()[1];
            Ok(values(embedding)
                .chunks_exact(features)
                .map(<[f32]>::to_vec)
                .collect())
        })
        .collect::<Result<_, SampleError>>()?;
    Ok(parts.into_iter().flatten().collect())
}

/// Pictures as a tensor `[count, 3, size, size]`.
pub(super) fn tensor_of(faces: &[&Face], input: &Input, device: &Device) -> Result<Tensor<4>, SampleError> {
    let size = input.width;
    let mut planes = Vec::with_capacity(faces.len() * size * size * 3);
    for face in faces {
        sample::append(&mut planes, face, input, None)?;
    }
    Ok(Tensor::from_data(
        TensorData::new(planes, [faces.len(), 3, size, size]),
        device,
    ))
}

fn rows(logits: Tensor<2>) -> Vec<Vec<f32>> {
    let classes = logits.dims()[1];
    values(logits).chunks_exact(classes).map(probabilities).collect()
}

/// Softmax, or the logistic function of a single logit.
#[must_use]
pub fn probabilities(logits: &[f32]) -> Vec<f32> {
    if let [logit] = logits {
        return vec![logistic(*logit)];
    }
    let mut scores = logits.to_vec();
    softmax(&mut scores);
    scores
}

/// Per head: its name, the mean cross-entropy and its figure (accuracy; for age the mean error in years).
///
/// # Errors
/// [`SampleError`] for the first picture that cannot be read.
pub fn validate(
    network: &Network,
    faces: &[&Face],
    targets: &[Target],
    device: &Device,
) -> Result<Vec<(String, f64, f64)>, SampleError> {
    let answers = predict(network, faces, device)?;
    let mut verdicts = Vec::new();
    for (target, answers) in targets.iter().zip(&answers) {
        let (mut loss, mut figure, mut count) = (0.0, 0.0, 0usize);
        for (face, answer) in faces.iter().zip(answers) {
            let Some(class) = target.class(face) else { continue };
            let pair;
            let answer = if let [male] = answer[..] {
                pair = [1.0 - male, male];
                &pair[..]
            } else {
                answer
            };
            loss -= f64::from(answer[class].max(1e-9).ln());
            figure += match face.age {
                Some(age) if target.classes == AGES => f64::from((expected_age(answer, 2) - age).abs()),
                _ => f64::from(u8::from(argmax(answer) == class)),
            };
            count += 1;
        }
        let count = count.max(1) as f64;
        verdicts.push((target.head.clone(), loss / count, figure / count));
    }
    Ok(verdicts)
}

/// The place of the largest number; the first wins a tie.
#[must_use]
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (place, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = place;
        }
    }
    best
}
