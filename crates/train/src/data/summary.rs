//! What is in data sets: counts per class and split, sizes, and pictures that are in more than one split.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rayon::prelude::*;

use super::{Faces, sample};

/// Everything about one or more data sets, as Markdown.
#[must_use]
pub fn summary(sets: &[(String, Faces)]) -> String {
    let mut text = String::new();
    for (name, set) in sets {
        let _ = writeln!(text, "## {name}\n\n{} pictures.", set.faces.len());
        for (why, count) in set.skipped_by_reason() {
            let first = set.skipped.iter().find(|s| s.why == why).map_or("", |s| &s.place);
            let _ = writeln!(text, "{count} item(s) left out (the first: {first}): {why}");
        }
        counts(set, &mut text);
    }
    text.push_str(&pictures(sets));
    text
}

fn counts(set: &Faces, text: &mut String) {
    let mut table: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let splits: BTreeSet<&str> = set.faces.iter().map(|face| face.split.as_str()).collect();
    for face in &set.faces {
        let mut count = |class: String| *table.entry((class, &face.split)).or_default() += 1;
        if let Some(expression) = face.majority() {
            count(format!("expression {}", expression.name()));
        }
        if let Some(gender) = face.gender {
            count(format!("gender {gender:?}").to_lowercase());
        }
        if let Some(name) = face.ethnicity.and_then(|e| set.ethnicities.get(e)) {
            count(format!("ethnicity {name}"));
        }
        if let Some(age) = face.age {
            count(format!("age {:3}s", age as u32 / 10 * 10));
        }
        if let Some(mood) = &face.mood {
            count(format!("mood {mood}"));
        }
    }
    if !set.identities.is_empty() {
        let _ = writeln!(text, "{} people.", set.identities.len());
    }
    if table.is_empty() {
        return;
    }
    let header: Vec<&str> = splits
        .iter()
        .map(|s| if s.is_empty() { "all" } else { *s })
        .collect();
    let _ = writeln!(
        text,
        "\n| class | {} |\n|---|{}",
        header.join(" | "),
        "---|".repeat(header.len())
    );
    let classes: BTreeSet<&String> = table.keys().map(|key| &key.0).collect();
    for class in classes {
        let row = splits.iter().map(|split| {
            table
                .get(&(class.clone(), split))
                .copied()
                .unwrap_or(0)
                .to_string()
        });
        let _ = writeln!(text, "| {class} | {} |", row.collect::<Vec<_>>().join(" | "));
    }
    text.push('\n');
}

/// The hash of a picture's pixels, its width and its height.
type Look = (String, (usize, usize));

/// Sizes, unreadable pictures, and the same picture (by the hash of its pixels) in several splits or sets.
fn pictures(sets: &[(String, Faces)]) -> String {
    let all: Vec<(&str, &super::Face)> = sets
        .iter()
        .flat_map(|(name, set)| set.faces.iter().map(move |face| (name.as_str(), face)))
        .collect();
    let looked: Vec<Result<Look, String>> = all
        .par_iter()
        .map(|(_, face)| {
            let picture = sample::picture(face).map_err(|e| e.to_string())?;
            Ok((crate::sha256(&picture.rgb), (picture.width, picture.height)))
        })
        .collect();
    let mut text = String::from("## Pictures\n\n");
    let mut sizes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut places: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    let (mut unreadable, mut flat) = (0, Vec::new());
    for ((set, face), looked) in all.iter().zip(&looked) {
        match looked {
            Ok((hash, size)) => {
                *sizes.entry(*size).or_default() += 1;
                places.entry(hash).or_default().insert((set, &face.split));
                if size.0.max(size.1) > 2 * size.0.min(size.1) {
                    flat.push(face.path.display().to_string());
                }
            }
            Err(why) => {
                unreadable += 1;
                if unreadable == 1 {
                    let _ = writeln!(text, "Unreadable, the first: {why}");
                }
            }
        }
    }
    let _ = writeln!(text, "{unreadable} unreadable.");
    if let Some(first) = flat.first() {
        let _ = writeln!(
            text,
            "{} more than twice as long as wide or wide as long: no face crops? The first: {first}",
            flat.len()
        );
    }
    for ((width, height), count) in sizes.iter().rev().take(5) {
        let _ = writeln!(text, "{count} of {width} × {height} px.");
    }
    let mut doubles: BTreeMap<String, usize> = BTreeMap::new();
    for among in places.values().filter(|among| among.len() > 1) {
        let names: Vec<String> = among
            .iter()
            .map(|(set, split)| format!("{set} {split}"))
            .collect();
        *doubles.entry(names.join(" and ")).or_default() += 1;
    }
    if doubles.is_empty() {
        text.push_str("No picture is in more than one split.\n");
    }
    for (among, count) in doubles {
        let _ = writeln!(text, "{count} pictures are in {among}: leave them out of one.");
    }
    text
}
