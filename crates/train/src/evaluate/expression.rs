//! The answers of expression heads beside the labels.

use affect_core::expression::Expression;
use serde::Serialize;

use super::metrics::{Rate, calibration_error, confusion};
use super::model::Answers;
use crate::data::Face;
use crate::data::faces::expression_by_name;

/// How well expressions are read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpressionReport {
    /// Labels that were compared.
    pub labels: Vec<String>,
    /// Accuracy over all labels that model and data share.
    pub accuracy: Rate,
    /// On seven classes: pictures of contempt left out, and its score not looked at.
    pub seven: Rate,
    /// Seven classes against the data set's second labelling, where it has one (FER2013 beside FER+).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seven_other_labels: Option<Rate>,
    /// The same by the head that learnt those labels, where the model has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seven_second_head: Option<Rate>,
    /// `[label][answer]`.
    pub confusion: Vec<Vec<usize>>,
    /// Per label.
    pub recall: Vec<Rate>,
    /// Expected calibration error, 0 to 1.
    pub calibration_error: f64,
    /// What the best answers say of themselves, on average.
    pub confidence: f64,
}

impl ExpressionReport {
    /// The mean of the recalls: what accuracy would be if every label were as frequent.
    #[must_use]
    pub fn mean_recall(&self) -> f64 {
        let found: Vec<f64> = self.recall.iter().filter(|r| r.of > 0).map(|r| r.value).collect();
        found.iter().sum::<f64>() / found.len().max(1) as f64
    }
}

/// How often the second head gives the set's second label.
pub(super) fn second_labels(answers: &Answers, faces: &[&Face]) -> Option<Rate> {
    let places = places(answers);
    let verdicts: Vec<bool> = faces
        .iter()
        .zip(&answers.scores)
        .filter_map(|(face, scores)| {
            let label = face.other_expression?;
            best(scores, &places, &|_| true).map(|(answer, _)| answer == label)
        })
        .collect();
    (!verdicts.is_empty()).then(|| Rate::of(verdicts))
}

/// The places of a label among [`Expression::ALL`], for all labels of the model.
pub(super) fn places(answers: &Answers) -> Vec<Option<Expression>> {
    answers
        .labels
        .iter()
        .map(|label| expression_by_name(label))
        .collect()
}

/// The best answer among the allowed expressions.
pub(super) fn best(
    scores: &[f32],
    places: &[Option<Expression>],
    allowed: &dyn Fn(Expression) -> bool,
) -> Option<(Expression, f32)> {
    let known = scores
        .iter()
        .zip(places)
        .filter_map(|(s, p)| p.filter(|e| allowed(*e)).map(|e| (e, *s)));
    known.fold(None, |best: Option<(Expression, f32)>, (e, s)| match best {
        Some((_, most)) if most >= s => best,
        _ => Some((e, s)),
    })
}

fn in_data(e: Expression, faces: &[&Face]) -> bool {
    faces.iter().any(|face| face.majority() == Some(e))
}

/// The expressions that model and data share.
pub(super) fn shared(places: &[Option<Expression>], faces: &[&Face]) -> Vec<Expression> {
    let both = |e: &Expression| places.contains(&Some(*e)) && in_data(*e, faces);
    Expression::ALL.into_iter().filter(both).collect()
}

/// Accuracies and confusions; what model or data lack is added to `left_out`.
pub(super) fn expression(
    answers: &Answers,
    faces: &[&Face],
    left_out: &mut Vec<String>,
) -> Option<ExpressionReport> {
    let places = places(answers);
    let shared = shared(&places, faces);
    if shared.is_empty() {
        return None;
    }
    for e in Expression::ALL {
        match (places.contains(&Some(e)), in_data(e, faces)) {
            (true, false) => left_out.push(format!("{}: not in the data", e.name())),
            (false, true) => left_out.push(format!("{}: not in the model", e.name())),
            _ => {}
        }
    }
    let is_shared = |e: Expression| shared.contains(&e);
    let not_contempt = |e: Expression| e != Expression::Contempt && is_shared(e);
    let index = |e: Expression| shared.iter().position(|s| *s == e).unwrap_or(0);
    let (mut pairs, mut confidences, mut seven, mut other) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (face, scores) in faces.iter().zip(&answers.scores) {
        if let Some(label) = face.majority().filter(|l| is_shared(*l)) {
            if let Some((answer, confidence)) = best(scores, &places, &is_shared) {
                pairs.push((index(label), index(answer)));
                confidences.push((confidence, answer == label));
            }
            if label != Expression::Contempt
                && let Some((answer, _)) = best(scores, &places, &not_contempt)
            {
                seven.push(answer == label);
            }
        }
        if let Some(label) = face.other_expression
            && let Some((answer, _)) = best(scores, &places, &not_contempt)
        {
            other.push(answer == label);
        }
    }
    let confusion = confusion(&pairs, shared.len());
    Some(ExpressionReport {
        labels: shared.iter().map(|e| e.name().to_owned()).collect(),
        accuracy: Rate::of(pairs.iter().map(|(label, answer)| label == answer)),
        seven: Rate::of(seven),
        seven_other_labels: (!other.is_empty()).then(|| Rate::of(other)),
        seven_second_head: None,
        recall: confusion
            .iter()
            .enumerate()
            .map(|(i, row)| Rate::new(row[i], row.iter().sum()))
            .collect(),
        confusion,
        calibration_error: calibration_error(&confidences),
        confidence: confidences.iter().map(|(c, _)| f64::from(*c)).sum::<f64>()
            / confidences.len().max(1) as f64,
    })
}
