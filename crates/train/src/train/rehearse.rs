//! `--dry-run`: everything that a run would begin with is read and checked, and shown, before hours are spent on it.

use std::fmt::Write as _;
use std::path::PathBuf;

use affect_core::geometry::Rect;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::order::mixed;
use super::target::Target;
use super::{Places, ReadData, chosen, spread};
use crate::data::{Face, sample};

/// Columns of the sheet of pictures.
const COLUMNS: usize = 16;

/// Side of a picture on it.
const SIDE: u32 = 96;

/// What a run would learn from: a table of its sources, and a sheet of pictures, one row per source, as the network would see them
/// in the first epoch (`pictures.png` below `out`).
///
/// # Errors
/// Whatever a run would fail for before its first step.
pub fn rehearse(places: &Places) -> anyhow::Result<(String, PathBuf)> {
    let recipe = places.recipe()?;
    let read = ReadData::of(&recipe, &places.data)?;
    let groups = read.groups(&recipe);
    let every: Vec<&Face> = groups.iter().flatten().copied().collect();
    let targets = Target::of_stage(&recipe, &every, &read.names())?;
    let judged = chosen(&read.validation, &recipe.validation).len();

    let mut text = String::from(
        "| source | pictures | per epoch | head: part of the target per class |\n|---|---|---|---|\n",
    );
    for (group, source) in groups.iter().zip(&recipe.data) {
        let parts: Vec<String> = targets
            .iter()
            .filter_map(|target| shares(target, group))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {} |",
            source.path.display(),
            group.len(),
            (group.len() as f32 * source.share).ceil(),
            parts.join("; ")
        );
    }
    let _ = writeln!(
        text,
        "\n{judged} pictures for validation, {} epochs.",
        recipe.epochs()
    );

    let mut sheet = image::RgbImage::new(COLUMNS as u32 * SIDE, groups.len() as u32 * SIDE);
    for (row, group) in groups.iter().enumerate() {
        for (column, face) in spread(group, COLUMNS).into_iter().enumerate() {
            let picture = sample::picture(face)?;
            let region = face
                .region
                .unwrap_or(Rect::of_image(picture.width, picture.height));
            let seed = mixed(&[recipe.seed, row as u64, column as u64]);
            let changed = recipe
                .augmentation
                .apply(&picture, &region, &mut ChaCha8Rng::seed_from_u64(seed));
            let (width, height) = (changed.width as u32, changed.height as u32);
            let Some(picture) = image::RgbImage::from_raw(width, height, changed.rgb) else {
                continue;
            };
            let small = image::imageops::resize(&picture, SIDE, SIDE, image::imageops::FilterType::Triangle);
            image::imageops::replace(
                &mut sheet,
                &small,
                i64::from(column as u32 * SIDE),
                i64::from(row as u32 * SIDE),
            );
        }
    }
    std::fs::create_dir_all(&places.out)?;
    let file = places.out.join("pictures.png");
    sheet.save(&file)?;
    Ok((text, file))
}

/// `expression 0.35 0.26 …`: nothing where no picture has a label for the head, or where there are very many classes.
fn shares(target: &Target, group: &[&Face]) -> Option<String> {
    let mut rows = Vec::new();
    group.iter().for_each(|face| target.append(face, &mut rows));
    let classes = target.classes.max(2);
    let mut sums = vec![0.0f32; classes];
    for row in rows.chunks_exact(classes) {
        sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
    }
    let total: f32 = sums.iter().sum();
    (total > 0.0 && classes <= COLUMNS).then(|| {
        let parts: Vec<String> = sums.iter().map(|sum| format!("{:.3}", sum / total)).collect();
        format!("{} {}", target.head, parts.join(" "))
    })
}
