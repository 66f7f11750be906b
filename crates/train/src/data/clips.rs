//! AFEW (Dhall et al., 2012) and VGAF (Sharma et al., 2019) as frame folders: `<split>/<class>/<clip>/<frame>`, and
//! for VGAF `<split>/<clip>/<frame>` with `<split>_labels.txt` (`<clip> <1 positive, 2 neutral, 3 negative>`).
//!
//! `affect-train frames` turns videos into such folders ([`super::video`]).

use std::path::Path;

use super::faces::{certain, expression_by_name, folders, name, pictures};
use super::{DataError, Face, Faces};

/// VGAF's labels 1 to 3.
const MOODS: [&str; 3] = ["positive", "neutral", "negative"];

/// Reads AFEW.
///
/// # Errors
/// [`DataError`].
pub fn read_afew(path: &Path) -> Result<Faces, DataError> {
    let mut data = Faces::default();
    for split in folders(path)? {
        for class in folders(&split)? {
            let Some(expression) = expression_by_name(&name(&class)) else {
                data.skip(
                    name(&class),
                    "The folder's name is not one of the eight expressions.",
                );
                continue;
            };
            for clip in folders(&class)? {
                let face = Face {
                    split: name(&split),
                    expression: Some(certain(expression)),
                    ..Face::default()
                };
                frames(&mut data, &clip, &face)?;
            }
            unturned(&mut data, &class)?;
        }
    }
    data.filled(path)
}

/// Reads VGAF.
///
/// # Errors
/// [`DataError`].
pub fn read_vgaf(path: &Path) -> Result<Faces, DataError> {
    let mut data = Faces::default();
    for split in folders(path)? {
        let file = path.join(format!("{}_labels.txt", name(&split)));
        let text = std::fs::read_to_string(&file).map_err(|source| DataError::File {
            path: file.clone(),
            source,
        })?;
        for (line, row) in (1..).zip(text.lines()) {
            let place = format!("{}:{line}", name(&file));
            let mut cells = row.split_whitespace();
            let (Some(clip), Some(code)) = (cells.next(), cells.next()) else {
                continue;
            };
            let Some(mood) = code
                .parse::<usize>()
                .ok()
                .and_then(|code| MOODS.get(code.wrapping_sub(1)))
            else {
                if line > 1 {
                    data.skip(place, format!("The label `{code}` is not 1, 2 or 3."));
                }
                continue;
            };
            let folder = split.join(clip.rsplit_once('.').map_or(clip, |(stem, _)| stem));
            if !folder.is_dir() {
                data.skip(
                    place,
                    "The clip has no folder of frames; `affect-train frames` makes them of videos.",
                );
                continue;
            }
            let face = Face {
                split: name(&split),
                mood: Some((*mood).to_owned()),
                ..Face::default()
            };
            frames(&mut data, &folder, &face)?;
        }
    }
    data.filled(path)
}

fn frames(data: &mut Faces, clip: &Path, like: &Face) -> Result<(), DataError> {
    let found = pictures(clip)?;
    if found.is_empty() {
        data.skip(name(clip), "The clip's folder has no frame (.png, .jpg).");
    }
    data.faces.extend(found.into_iter().map(|path| Face {
        path,
        clip: Some(name(clip)),
        ..like.clone()
    }));
    Ok(())
}

/// Videos that are not frame folders yet.
fn unturned(data: &mut Faces, folder: &Path) -> Result<(), DataError> {
    for video in super::faces::files(folder, &super::video::VIDEOS)? {
        data.skip(
            name(&video),
            "It is a video, not a folder of frames; `affect-train frames` makes one.",
        );
    }
    Ok(())
}
