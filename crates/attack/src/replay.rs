//! The attack through the whole program: clips of real faces through `affectd replay`, and what its reports give away.

use std::path::{Path, PathBuf};
use std::process::Command;

use affect_core::expression::{EXPRESSIONS, Expression};
use anyhow::{Context, bail, ensure};
use image::imageops::{FilterType, crop_imm, overlay, resize};
use image::{ImageFormat, Rgb, RgbImage};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::learner::{Success, learn};

/// People in front of the camera; the first is the victim.
const PEOPLE: usize = 6;
const FPS: usize = 3;
const WINDOW: usize = 6 * FPS;
const CONFIGURATION: &str = r#"config_version = 1
[deployment]
site = "attack"
place = "other"
purpose = "The attack on the privacy gate"
controller = "whoever runs it"
[window]
length = "6s"
"#;
/// The picture of faces has so many rows and columns.
const GRID: u32 = 5;
const FRAME: (u32, u32) = (640, 480);
const TILE: u32 = 200;
const WALL: Rgb<u8> = Rgb([170, 172, 174]);

/// What the attack needs: the program, a picture of faces in rows and columns, a folder for clips.
pub(crate) struct Replay {
    affectd: PathBuf,
    tiles: Vec<RgbImage>,
    folder: tempfile::TempDir,
}

/// What somebody does whom the attacker is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// He walks out at the beginning of the third window.
    Leaves,
    /// He walks in at the beginning of the third window.
    Joins,
    /// Nothing but being alone in five places, one after the other.
    Walks,
}

impl Way {
    const ALL: [Self; 3] = [Self::Leaves, Self::Joins, Self::Walks];

    fn words(self) -> &'static str {
        match self {
            Self::Leaves => "the victim leaves",
            Self::Joins => "the victim joins",
            Self::Walks => "the victim is alone, in six places one after the other",
        }
    }
}

/// Success of the attack on all rules, beside an exact report of the victim and four others, and beside both halves of the clip
/// replayed as recordings of their own: the same faces without the rule of differences, to show that this attacker can.
pub(crate) fn print(affectd: &Path, faces: &Path, count: usize, seed: u64) -> anyhow::Result<()> {
    let replay = Replay::open(affectd, faces)?;
    let shown = replay.shown()?;
    println!(
        "| scenario, six people | trials | `replay --as-camera` | exact report of five | both halves as recordings | reports in the window after |"
    );
    println!("|---|---|---|---|---|---|");
    let mut failed = Vec::new();
    for way in Way::ALL {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let trials = (0..count)
            .map(|_| replay.play(way, &shown, &mut random))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let [camera, exact, halves] = [0, 1, 2].map(|i| attack(&trials, |trial| &trial.told[i]));
        let after = trials.iter().filter(|trial| trial.told_after).count() as f64 / count as f64;
        println!(
            "| {} | {count} | {:.3} | {:.3} | {:.3} | {after:.2} |",
            way.words(),
            camera.rate,
            exact.rate,
            halves.rate,
        );
        if camera.rate - exact.rate > crate::NINETY_FIVE * camera.error().hypot(exact.error()) {
            failed.push(way.words());
        }
    }
    ensure!(
        failed.is_empty(),
        "the attack names more than an exact report of five does: {}",
        failed.join("; ")
    );
    Ok(())
}

/// What one clip gave away.
struct Trial {
    /// The victim's expression.
    truth: usize,
    /// Numbers before and after: of the camera; an exact report; of two recordings.
    told: [[Vec<f64>; 2]; 3],
    told_after: bool,
}

fn attack(trials: &[Trial], told: impl Fn(&Trial) -> &[Vec<f64>; 2]) -> Success {
    let truth: Vec<usize> = trials.iter().map(|trial| trial.truth).collect();
    let features: Vec<Vec<f64>> = trials.iter().map(|trial| told(trial).concat()).collect();
    let [learned] = learn(&features, [&truth]);
    // With a pencil: people times shares, before less after, or after less before.
    let right = [1.0, -1.0].map(|sign| {
        let guess = |trial: &Trial| {
            let [before, after] = told(trial);
            let of = |numbers: &[f64], i: usize| numbers[i] * numbers[2 * EXPRESSIONS];
            (0..EXPRESSIONS).max_by(|a, b| {
                let by = |i: &usize| sign * (of(before, *i) - of(after, *i));
                by(a).total_cmp(&by(b))
            })
        };
        trials
            .iter()
            .filter(|trial| guess(trial) == Some(trial.truth))
            .count()
    });
    let most = right.into_iter().max().unwrap_or(0);
    learned.best(Success {
        rate: most as f64 / trials.len() as f64,
        trials: trials.len(),
    })
}

/// Means, shares and people of a window; zeros where it has no numbers.
fn numbers(window: Option<&Value>) -> Vec<f64> {
    let of = |what: &'static str| {
        Expression::ALL.map(move |expression| {
            let told = window.and_then(|window| window["emotion"][what][expression.name()].as_f64());
            told.unwrap_or(0.0)
        })
    };
    let mut numbers: Vec<f64> = of("mean").into_iter().chain(of("share")).collect();
    numbers.push(
        window
            .and_then(|window| window["people"]["mean"].as_f64())
            .unwrap_or(0.0),
    );
    numbers.extend(of("at_least"));
    numbers
}

impl Replay {
    fn open(affectd: &Path, faces: &Path) -> anyhow::Result<Self> {
        let picture = image::open(faces)
            .with_context(|| format!("`{}`", faces.display()))?
            .to_rgb8();
        let size = picture.width() / GRID;
        let tile = |i: u32| {
            // Without the lines between the tiles.
            let (x, y) = (i % GRID * size + size / 16, i / GRID * size + size / 16);
            let tile = crop_imm(&picture, x, y, size * 7 / 8, size * 7 / 8).to_image();
            resize(&tile, TILE, TILE, FilterType::Triangle)
        };
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("affectd.toml"), CONFIGURATION)?;
        Ok(Self {
            affectd: affectd.to_path_buf(),
            tiles: (0..GRID * GRID).map(tile).collect(),
            folder,
        })
    }

    /// The tiles on which the daemon finds a face, and the expression that it reads: of six copies of each.
    fn shown(&self) -> anyhow::Result<Vec<(usize, usize)>> {
        let mut shown = Vec::new();
        for tile in 0..self.tiles.len() {
            let people: Vec<_> = (0..PEOPLE).map(|seat| (tile, place(seat))).collect();
            let windows = self.replay(&vec![self.frame(&people); 4], false)?;
            let alike = windows
                .first()
                .and_then(|window| window["emotion"]["at_least"].as_object());
            let expression = alike.and_then(|alike| alike.keys().next());
            if let Some(index) =
                expression.and_then(|name| Expression::ALL.iter().position(|e| e.name() == name))
            {
                shown.push((tile, index));
            }
        }
        ensure!(
            shown.len() > PEOPLE,
            "faces are found on {} of {} parts of the picture only",
            shown.len(),
            self.tiles.len()
        );
        Ok(shown)
    }

    fn play(&self, way: Way, shown: &[(usize, usize)], random: &mut ChaCha8Rng) -> anyhow::Result<Trial> {
        let mut group = shown.to_vec();
        group.shuffle(random);
        group.truncate(PEOPLE);
        let phases: Vec<f32> = (0..PEOPLE).map(|_| random.random_range(0.0..6.0)).collect();
        let windows = 5;
        let frames: Vec<RgbImage> = (0..windows * WINDOW)
            .map(|i| self.scene(way, i, &group, &phases))
            .collect();
        let told = self.replay(&frames, true)?;
        ensure!(
            told.len() >= windows,
            "{} windows instead of {windows}",
            told.len()
        );
        // In the third window the victim is still seen, or not yet for long.
        let after = told[3..windows]
            .iter()
            .find(|window| window["people"].is_object());
        let halves =
            [WINDOW..2 * WINDOW, 3 * WINDOW..4 * WINDOW].map(|part| self.replay(&frames[part], false));
        let [first, second] = halves.map(|windows| windows.map(|windows| numbers(windows.first())));
        let exact = |people: &[(usize, usize)]| {
            let mut numbers = vec![0.0; 2 * EXPRESSIONS + 1];
            people
                .iter()
                .for_each(|(_, expression)| numbers[*expression] += 1.0 / people.len() as f64);
            numbers
        };
        Ok(Trial {
            truth: group[0].1,
            told: [
                [numbers(Some(&told[1])), numbers(after)],
                [exact(&group[..5]), exact(&[])],
                [first?, second?],
            ],
            told_after: after.is_some(),
        })
    }

    /// Frame `i` of a clip.
    fn scene(&self, way: Way, i: usize, group: &[(usize, usize)], phases: &[f32]) -> RgbImage {
        let change = 2 * WINDOW;
        let mut people = Vec::new();
        for (seat, (tile, _)) in group.iter().enumerate() {
            let (mut x, y) = place(seat);
            // Heads that move, by a tenth of a face.
            x += (8.0 * (i as f32 / 4.0 + phases[seat]).sin()).round() as i64;
            let is_there = match (way, seat) {
                (Way::Walks, _) => seat == i / 3 % PEOPLE,
                (_, 0) => {
                    // Out at the left within a second, or in.
                    let since = match way {
                        Way::Leaves => i as i64 - change as i64,
                        _ => (change + FPS) as i64 - i as i64,
                    };
                    x -= since.max(0) * i64::from(TILE) / FPS as i64;
                    since <= FPS as i64
                }
                _ => true,
            };
            if is_there {
                people.push((if way == Way::Walks { group[0].0 } else { *tile }, (x, y)));
            }
        }
        let mut frame = self.frame(&people);
        for (n, pixel) in frame.pixels_mut().enumerate() {
            // A camera's noise.
            let noise = (n as u32 ^ (i as u32) << 20).wrapping_mul(2_654_435_761) >> 29;
            pixel.0 = pixel.0.map(|level| level.saturating_add(noise as u8));
        }
        frame
    }

    /// A frame with tiles in these places.
    fn frame(&self, people: &[(usize, (i64, i64))]) -> RgbImage {
        let mut frame = RgbImage::from_pixel(FRAME.0, FRAME.1, WALL);
        for (tile, (x, y)) in people {
            overlay(&mut frame, &self.tiles[*tile], *x, *y);
        }
        frame
    }

    /// What `affectd replay` prints of these frames.
    fn replay(&self, frames: &[RgbImage], as_camera: bool) -> anyhow::Result<Vec<Value>> {
        let clip = self.folder.path().join("clip.mjpeg");
        let mut bytes = std::io::Cursor::new(Vec::new());
        for frame in frames {
            let mut jpeg = std::io::Cursor::new(Vec::new());
            frame.write_to(&mut jpeg, ImageFormat::Jpeg)?;
            std::io::Write::write_all(&mut bytes, jpeg.get_ref())?;
        }
        std::fs::write(&clip, bytes.into_inner())?;
        let output = Command::new(&self.affectd)
            .arg("replay")
            .arg(&clip)
            .args(["--fps", &FPS.to_string(), "--config"])
            .arg(self.folder.path().join("affectd.toml"))
            .args(as_camera.then_some("--as-camera"))
            .output()
            .with_context(|| format!("`{}` does not start", self.affectd.display()))?;
        if !output.status.success() {
            bail!(
                "`{} replay`: {}",
                self.affectd.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let lines = String::from_utf8(output.stdout)?;
        lines
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }
}

/// Left upper corner of a seat's tile: three in a row.
fn place(seat: usize) -> (i64, i64) {
    let (column, row) = (seat % 3, seat / 3);
    ((10 + column * 210) as i64, (20 + row * 230) as i64)
}
