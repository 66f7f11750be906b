//! What a manifest may not say of itself: one sentence for each contradiction.

use super::{Element, ExpressionHead, Input, MANIFEST_VERSION, Manifest, MoodMethod, Quantisation, Task};

impl Manifest {
    pub(super) fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.manifest_version != MANIFEST_VERSION {
            found.push(format!(
                "manifest_version is {}, but this program reads version {MANIFEST_VERSION}: use a model made for it.",
                self.manifest_version
            ));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if self.id.is_empty() || !self.id.chars().all(plain) {
            found.push(format!(
                "id `{}` must be lower case letters, digits, dots and dashes.",
                self.id
            ));
        }
        let compiled = self.edge_tpu.as_ref();
        let sums = [
            ("sha256", Some(&self.sha256)),
            ("edge_tpu.sha256", compiled.map(|c| &c.sha256)),
        ];
        for (key, sum) in sums {
            if sum.is_some_and(|sum| sum.len() != 64 || !sum.chars().all(|c| c.is_ascii_hexdigit())) {
                found.push(format!("{key} must be 64 hexadecimal digits."));
            }
        }
        let files = [
            ("file", Some(&self.file)),
            ("edge_tpu.file", compiled.map(|c| &c.file)),
            ("golden.file", Some(&self.golden.file)),
        ];
        for (key, file) in files.into_iter().filter_map(|(key, file)| Some((key, file?))) {
            if file.is_empty() || file.contains(['/', '\\']) {
                found.push(format!(
                    "{key} `{file}` must be a file name in the manifest's folder, without a path."
                ));
            }
        }
        self.input.contradictions(&mut found);
        for output in &self.outputs {
            check_quantisation(
                &format!("output `{}`", output.role),
                output.element,
                output.quantisation,
                &mut found,
            );
        }
        match self.task {
            Task::Expression => self.expression_contradictions(&mut found),
            Task::Attributes => self.attribute_contradictions(&mut found),
            Task::Detector if self.expression.is_some() => {
                found.push("A detector has no [expression] table.".to_owned());
            }
            Task::Detector => {}
        }
        found
    }

    fn attribute_contradictions(&self, found: &mut Vec<String>) {
        let Some(heads) = &self.attributes else {
            found.push("An attribute model needs an [attributes] table.".to_owned());
            return;
        };
        let classes = [
            heads.age.as_ref().map(|h| (&h.output, None)),
            heads.gender.as_ref().map(|h| (&h.output, Some(1))),
            heads
                .ethnicity
                .as_ref()
                .map(|h| (&h.output, Some(h.labels.len()))),
        ];
        if classes.iter().all(Option::is_none) {
            found.push("[attributes] has none of age, gender and ethnicity.".to_owned());
        }
        if heads.age.as_ref().is_some_and(|age| age.most_probable == 0) {
            found.push("attributes.age.most_probable must be at least 1.".to_owned());
        }
        for (role, wanted) in classes.into_iter().flatten() {
            match (self.output(role).and_then(|output| output.shape.last()), wanted) {
                (None, _) => found.push(format!(
                    "[attributes] names `{role}`, which is no [[outputs]] role."
                )),
                (Some(classes), Some(wanted)) if *classes != wanted => found.push(format!(
                    "[attributes] reads {wanted} value(s) from output `{role}`, which has {classes}."
                )),
                _ => {}
            }
        }
    }

    fn expression_contradictions(&self, found: &mut Vec<String>) {
        let Some(head) = &self.expression else {
            found.push("An expression model needs an [expression] table.".to_owned());
            return;
        };
        match &self.mood {
            None => found.push("An expression model needs a [mood] table.".to_owned()),
            Some(mood) if mood.method == MoodMethod::Classifier => {
                let file = mood.file.as_deref().unwrap_or_default();
                if file.is_empty() || file.contains(['/', '\\']) || mood.sha256.is_none() {
                    found.push("mood.method `classifier` needs mood.file, a file name in the manifest's folder, and mood.sha256.".to_owned());
                }
            }
            Some(_) => {}
        }
        self.label_contradictions("expression", head, found);
        if let Some(second) = &self.second_expression {
            self.label_contradictions("second_expression", second, found);
        }
    }

    fn label_contradictions(&self, table: &str, head: &ExpressionHead, found: &mut Vec<String>) {
        for (place, label) in head.labels.iter().enumerate() {
            if head.labels[..place].contains(label) {
                found.push(format!("{table}.labels names `{}` twice.", label.name()));
            }
        }
        match self.output(&head.output) {
            None => found.push(format!("{table}.output names `{}`, which is no [[outputs]] role.", head.output)),
            Some(output) if output.shape.last() != Some(&head.labels.len()) => found.push(format!(
                "{table}.labels has {} labels, but output `{}` has shape {:?}: one label per value of its last axis is needed.",
                head.labels.len(),
                output.role,
                output.shape
            )),
            Some(_) => {}
        }
    }
}

impl Input {
    fn contradictions(&self, found: &mut Vec<String>) {
        let count = self.channels.count();
        if self.mean.len() != count || self.std.len() != count {
            found.push(format!(
                "input.mean and input.std need {count} value(s), one per channel."
            ));
        }
        if self.std.iter().any(|s| !s.is_normal()) || self.mean.iter().any(|m| !m.is_finite()) {
            found.push("input.std must not be 0, and mean and std must be finite numbers.".to_owned());
        }
        if !(8..=4096).contains(&self.width) || !(8..=4096).contains(&self.height) {
            found.push(format!(
                "input is {}×{} px, but 8 to 4096 is supported.",
                self.width, self.height
            ));
        }
        check_quantisation("input", self.element, self.quantisation, found);
    }
}

fn check_quantisation(
    place: &str,
    element: Element,
    quantisation: Option<Quantisation>,
    found: &mut Vec<String>,
) {
    let range = match element {
        Element::Int8 => -128..=127,
        Element::Uint8 => 0..=255,
        Element::Float32 => {
            if quantisation.is_some() {
                found.push(format!("{place} is float32, so it has no quantisation."));
            }
            return;
        }
    };
    match quantisation {
        None => found.push(format!(
            "{place} is {element}, so it needs quantisation = {{ scale, zero_point }}."
        )),
        Some(q) if !(q.scale.is_normal() && q.scale > 0.0 && range.contains(&q.zero_point)) => {
            found.push(format!(
                "{place} has scale {} and zero point {}: out of range.",
                q.scale, q.zero_point
            ));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Expression;

    pub(crate) const EXAMPLE: &str = r#"
manifest_version = 1
id = "tiny"
title = "A tiny model"
task = "expression"
stand_in = true
file = "tiny.tflite"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
licence = "MIT"
source = "made up"
[input]
tensor = "input"
width = 64
height = 64
channels = "grey"
type = "int8"
mean = [127.5]
std = [127.5]
quantisation = { scale = 0.0078, zero_point = 0 }
fit = "stretch"
[[outputs]]
role = "expression"
tensor = "out"
shape = [1, 3]
type = "float32"
[expression]
output = "expression"
labels = ["anger", "happiness", "neutral"]
activation = "none"
[mood]
method = "expression_scores"
interim = true
[golden]
file = "golden.json"
recorded_with = "nothing"
"#;

    fn complaint(from: &str, to: &str) -> String {
        assert!(EXAMPLE.contains(from), "the example has no `{from}`");
        Manifest::from_toml(&EXAMPLE.replace(from, to))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_sound_manifest_is_read() {
        let manifest = Manifest::from_toml(EXAMPLE).unwrap();
        assert_eq!(manifest.output("expression").unwrap().tensor, "out");
        assert_eq!(manifest.expression.unwrap().labels[2], Expression::Neutral);
    }

    #[test]
    fn every_contradiction_is_named() {
        assert!(complaint("manifest_version = 1", "manifest_version = 9").contains("reads version 1"));
        assert!(complaint("\"neutral\"]", "\"neutral\", \"fear\"]").contains("4 labels"));
        assert!(complaint("\"neutral\"]", "\"anger\"]").contains("twice"));
        assert!(complaint("\"neutral\"]", "\"bored\"]").contains("bored"));
        assert!(complaint("std = [127.5]", "std = [0.0]").contains("must not be 0"));
        assert!(complaint("std = [127.5]", "std = [1.0, 1.0]").contains("1 value(s)"));
        assert!(complaint("channels = \"grey\"", "channels = \"rgb\"").contains("3 value(s)"));
        assert!(complaint("zero_point = 0", "zero_point = 200").contains("out of range"));
        assert!(complaint("output = \"expression\"", "output = \"age\"").contains("no [[outputs]] role"));
        assert!(complaint("file = \"tiny.tflite\"", "file = \"../tiny.tflite\"").contains("file name"));
        assert!(complaint("id = \"tiny\"", "id = \"Tiny Model\"").contains("lower case"));
        let compiled = |file: &str| {
            let table = format!("[edge_tpu]\nfile = \"{file}\"\nsha256 = \"12\"\n[input]");
            complaint("[input]", &table)
        };
        assert!(compiled("a/b.tflite").contains("edge_tpu.file `a/b.tflite` must be a file name"));
        assert!(compiled("b.tflite").contains("edge_tpu.sha256 must be 64"));
        assert!(complaint("title = ", "tittle = ").contains("tittle"));
    }
}
