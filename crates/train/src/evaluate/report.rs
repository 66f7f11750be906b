//! The paper's tables for one model on one data set, as JSON and as Markdown.

use std::collections::BTreeMap;

use affect_core::attributes::expected_age;
use serde::Serialize;

use super::expression::{ExpressionReport, best, expression, places, second_labels, shared};
use super::metrics::Rate;
use super::model::{Answers, Run};
use super::rank::Rank1;
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

/// The people on whom the paper's section 3.3 gives age and gender a second time.
const PAPERS_AGES: std::ops::RangeInclusive<f32> = 21.0..=60.0;

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
            if PAPERS_AGES.contains(&age) {
                let (from, to) = (PAPERS_AGES.start(), PAPERS_AGES.end());
                members
                    .entry(format!("the paper's, {from} to {to} years"))
                    .or_default()
                    .push(i);
            }
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
