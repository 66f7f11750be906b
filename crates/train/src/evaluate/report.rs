//! The paper's tables for one model on one data set, as JSON and as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use affect_core::attributes::expected_age;
use affect_core::expression::Expression;
use serde::Serialize;

use super::metrics::{Rate, calibration_error, confusion};
use super::model::{Answers, Run};
use super::rank::Rank1;
use crate::data::faces::expression_by_name;
use crate::data::{Face, Faces, Gender};
use crate::train::target::SECOND_HEAD;
use crate::train::validate::argmax;

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// The data.
    pub data: String,
    /// Faces that were asked about.
    pub faces: usize,
    /// Of them, pictures that the data set knows to be in another split, and that were left out.
    pub duplicates_left_out: usize,
    /// Labels that the model or the data lack.
    pub left_out: Vec<String>,
    /// Present where the model and the data have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<ExpressionReport>,
    /// Mean absolute error in years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_error: Option<f64>,
    /// Accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<Rate>,
    /// Accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ethnicity: Option<Rate>,
    /// LFW: people recognised by the float network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_1: Option<Rank1>,
    /// The same by the int8 network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_1_int8: Option<Rank1>,
    /// Per group of people: the same accuracies.
    pub groups: Vec<Group>,
    /// Whole time for one face ÷ bare invoke; of a model in the interpreter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ratio: Option<f64>,
    /// Bare invoke on this machine, milliseconds; of a model in the interpreter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoke_ms: Option<f64>,
}

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
}

/// The same model on some of the people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// As in `gender female`.
    pub name: String,
    /// How many faces.
    pub faces: usize,
    /// Per head; for age mean error in years, else accuracy.
    pub figures: BTreeMap<String, f64>,
    /// 95 % intervals of the accuracies.
    pub intervals: BTreeMap<String, (f64, f64)>,
}

/// Makes the report.
#[must_use]
pub fn report(run: &Run, data: &str, set: &Faces, faces: &[&Face], duplicates: usize) -> Report {
    let mut report = Report {
        model: run.title.clone(),
        data: data.to_owned(),
        faces: faces.len(),
        duplicates_left_out: duplicates,
        left_out: Vec::new(),
        expression: None,
        age_error: None,
        gender: None,
        ethnicity: None,
        rank_1: None,
        rank_1_int8: None,
        groups: Vec::new(),
        time_ratio: run
            .time
            .map(|time| time.whole.as_secs_f64() / time.invoke.as_secs_f64().max(1e-9)),
        invoke_ms: run.time.map(|time| time.invoke.as_secs_f64() * 1e3),
    };
    let all: Vec<usize> = (0..faces.len()).collect();
    for answers in &run.answers {
        match answers.head.as_str() {
            "expression" => report.expression = expression(answers, faces, &mut report.left_out),
            "age" => report.age_error = age_error(answers, faces, &all),
            "gender" => report.gender = rate(answers, set, faces, &all),
            "ethnicity" => {
                report.ethnicity = rate(answers, set, faces, &all);
                let unknown = set
                    .ethnicities
                    .iter()
                    .filter(|name| !answers.labels.contains(name));
                report
                    .left_out
                    .extend(unknown.map(|name| format!("ethnicity {name}: not in the model")));
            }
            _ => {}
        }
    }
    if let (Some(report), Some(second)) = (&mut report.expression, run.head(SECOND_HEAD)) {
        report.seven_second_head = second_labels(second, faces);
    }
    report.groups = groups(run, set, faces);
    report
}

/// How often the second head gives the set's second label.
fn second_labels(answers: &Answers, faces: &[&Face]) -> Option<Rate> {
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
fn places(answers: &Answers) -> Vec<Option<Expression>> {
    answers
        .labels
        .iter()
        .map(|label| expression_by_name(label))
        .collect()
}

/// The best answer among the allowed expressions.
fn best(
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

/// The expressions that model and data share.
fn shared(places: &[Option<Expression>], faces: &[&Face]) -> Vec<Expression> {
    let in_data = |e: Expression| faces.iter().any(|face| face.majority() == Some(e));
    let both = |e: &Expression| places.contains(&Some(*e)) && in_data(*e);
    Expression::ALL.into_iter().filter(both).collect()
}

fn expression(answers: &Answers, faces: &[&Face], left_out: &mut Vec<String>) -> Option<ExpressionReport> {
    let places = places(answers);
    let in_model = |e: Expression| places.contains(&Some(e));
    let in_data = |e: Expression| faces.iter().any(|face| face.majority() == Some(e));
    let shared = shared(&places, faces);
    if shared.is_empty() {
        return None;
    }
    for e in Expression::ALL {
        match (in_model(e), in_data(e)) {
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
    })
}

fn age_error(answers: &Answers, faces: &[&Face], chosen: &[usize]) -> Option<f64> {
    let errors: Vec<f64> = chosen
        .iter()
        .filter_map(|&i| {
            let age = faces[i].age?;
            Some(f64::from(
                (expected_age(&answers.scores[i], answers.most_probable) - age).abs(),
            ))
        })
        .collect();
    (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
}

/// How many of the chosen faces a head other than age is right about, among the labels that model and data share.
fn rate(answers: &Answers, set: &Faces, faces: &[&Face], chosen: &[usize]) -> Option<Rate> {
    let places = places(answers);
    let shared = shared(&places, faces);
    let verdict = |&i: &usize| {
        let (face, scores) = (faces[i], &answers.scores[i]);
        match answers.head.as_str() {
            "gender" => face.gender.map(|g| (g == Gender::Male) == (scores[0] >= 0.5)),
            "ethnicity" => {
                let label = set.ethnicities.get(face.ethnicity?)?;
                let known = answers.labels.iter().position(|l| l == label)?;
                Some(argmax(scores) == known)
            }
            "expression" => {
                let label = face.majority().filter(|l| shared.contains(l))?;
                best(scores, &places, &|e| shared.contains(&e)).map(|(answer, _)| answer == label)
            }
            _ => None,
        }
    };
    let verdicts: Vec<bool> = chosen.iter().filter_map(verdict).collect();
    (!verdicts.is_empty()).then(|| Rate::of(verdicts))
}

fn groups(run: &Run, set: &Faces, faces: &[&Face]) -> Vec<Group> {
    let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, face) in faces.iter().enumerate() {
        if let Some(gender) = face.gender {
            members
                .entry(format!("gender {gender:?}").to_lowercase())
                .or_default()
                .push(i);
        }
        if let Some(name) = face.ethnicity.and_then(|e| set.ethnicities.get(e)) {
            members.entry(format!("ethnicity {name}")).or_default().push(i);
        }
        if let Some(age) = face.age {
            let decade = match age as u32 {
                0..20 => "under 20",
                20..40 => "20 to 39",
                40..60 => "40 to 59",
                _ => "60 and over",
            };
            members.entry(format!("age {decade}")).or_default().push(i);
        }
    }
    let group = |(name, chosen): (String, Vec<usize>)| {
        let (mut figures, mut intervals) = (BTreeMap::new(), BTreeMap::new());
        for answers in &run.answers {
            if answers.head == "age" {
                figures.extend(age_error(answers, faces, &chosen).map(|e| ("age error".to_owned(), e)));
            } else if let Some(rate) = rate(answers, set, faces, &chosen) {
                figures.insert(answers.head.clone(), rate.value);
                intervals.insert(answers.head.clone(), (rate.low, rate.high));
            }
        }
        Group {
            name,
            faces: chosen.len(),
            figures,
            intervals,
        }
    };
    members.into_iter().map(group).collect()
}

impl Report {
    /// For people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("## {} on {}\n\n{} faces", self.model, self.data, self.faces);
        if self.duplicates_left_out > 0 {
            let _ = write!(
                text,
                "; {} that are also in another split are left out",
                self.duplicates_left_out
            );
        }
        text.push_str(".\n");
        for what in &self.left_out {
            let _ = writeln!(text, "Left out: {what}.");
        }
        let percent = |rate: &Rate| {
            format!(
                "{:.2} % ({:.1}–{:.1}, {} of {})",
                rate.value * 100.0,
                rate.low * 100.0,
                rate.high * 100.0,
                rate.right,
                rate.of
            )
        };
        text.push_str("\n| figure | value (95 % interval) |\n|---|---|\n");
        if let Some(e) = &self.expression {
            let _ = writeln!(
                text,
                "| expression, {} classes | {} |",
                e.labels.len(),
                percent(&e.accuracy)
            );
            let _ = writeln!(
                text,
                "| expression, 7 classes, using only their scores | {} |",
                percent(&e.seven)
            );
            if let Some(other) = &e.seven_other_labels {
                let _ = writeln!(
                    text,
                    "| expression, 7 classes, the set's second labels | {} |",
                    percent(other)
                );
            }
            if let Some(second) = &e.seven_second_head {
                let _ = writeln!(
                    text,
                    "| the same, by the head that learnt those labels | {} |",
                    percent(second)
                );
            }
            let _ = writeln!(
                text,
                "| expected calibration error | {:.3} |",
                e.calibration_error
            );
        }
        if let Some(error) = self.age_error {
            let _ = writeln!(text, "| age, mean absolute error | {error:.2} years |");
        }
        for (name, rate) in [("gender", &self.gender), ("ethnicity", &self.ethnicity)] {
            if let Some(rate) = rate {
                let _ = writeln!(text, "| {name} | {} |", percent(rate));
            }
        }
        for (numbers, rank) in [("float", &self.rank_1), ("int8", &self.rank_1_int8)] {
            if let Some(rank) = rank {
                let _ = writeln!(
                    text,
                    "| rank-1, {numbers}: {} people, one picture each in the gallery, {} probes, {} random splits | {:.2} ± {:.2} % |",
                    rank.people,
                    rank.probes,
                    rank.splits,
                    rank.mean * 100.0,
                    rank.deviation * 100.0
                );
            }
        }
        if let Some(ratio) = self.time_ratio {
            let _ = writeln!(text, "| whole time for a face ÷ bare invoke | {ratio:.2} |");
        }
        if let Some(e) = &self.expression {
            let _ = write!(
                text,
                "\n| label ↓ answer → | {} | recall |\n|---|",
                e.labels.join(" | ")
            );
            text.push_str(&"---|".repeat(e.labels.len() + 1));
            text.push('\n');
            for ((label, row), recall) in e.labels.iter().zip(&e.confusion).zip(&e.recall) {
                let row: Vec<String> = row.iter().map(usize::to_string).collect();
                let _ = writeln!(
                    text,
                    "| {label} | {} | {:.1} % |",
                    row.join(" | "),
                    recall.value * 100.0
                );
            }
        }
        if !self.groups.is_empty() {
            text.push_str("\n| group | faces | figures |\n|---|---|---|\n");
            for group in &self.groups {
                let figures: Vec<String> = group
                    .figures
                    .iter()
                    .map(|(head, figure)| match group.intervals.get(head) {
                        Some((low, high)) => {
                            format!(
                                "{head} {:.1} % ({:.1}–{:.1})",
                                figure * 100.0,
                                low * 100.0,
                                high * 100.0
                            )
                        }
                        None => format!("{head} {figure:.2} years"),
                    })
                    .collect();
                let _ = writeln!(
                    text,
                    "| {} | {} | {} |",
                    group.name,
                    group.faces,
                    figures.join(", ")
                );
            }
        }
        text
    }
}
