//! Videos to folders of frames, by ffmpeg: the layout in which AFEW and VGAF are read.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::faces::{files, folders, name, pictures};
use super::{DataError, Skipped};

/// Endings of the videos that are turned into frames.
pub const VIDEOS: [&str; 6] = ["avi", "mp4", "mkv", "mov", "webm", "mpg"];

/// Why videos cannot be turned into frames.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// A folder cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No ffmpeg.
    #[error(
        "Videos are decoded by ffmpeg, which cannot be started ({0}). Install it (on Debian: apt-get install ffmpeg)."
    )]
    NoFfmpeg(std::io::Error),
    /// A file or folder cannot be written.
    #[error("{}: {source}.", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Nothing to do.
    #[error("{} and the folders in it have no video ({}).", .0.display(), VIDEOS.join(", "))]
    NoVideo(PathBuf),
    /// A folder within itself would never end.
    #[error("The frames would lie in {}, among the videos: give a folder outside of it.", .0.display())]
    Within(PathBuf),
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Videos that were decoded now.
    pub videos: usize,
    /// Videos whose frames were there.
    pub known: usize,
    /// Frames that were written now.
    pub frames: usize,
    /// Videos that ffmpeg could not decode.
    pub skipped: Vec<Skipped>,
}

/// Turns every video `<folders>/<clip>.<ending>` below `from` into `<folders>/<clip>/00001.jpg …` below `to`, `fps`
/// frames a second, and copies the tables of labels (`.txt`, `.csv`) beside them. Videos whose frames are complete
/// are left alone, so a call that was stopped goes on.
///
/// # Errors
/// [`VideoError`]. A video that cannot be decoded is skipped and named.
pub fn frames(from: &Path, to: &Path, fps: f64) -> Result<Done, VideoError> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if absolute(to).starts_with(absolute(from)) {
        return Err(VideoError::Within(to.to_owned()));
    }
    let mut done = Done::default();
    tree(from, to, fps, &mut done)?;
    if done.videos + done.known + done.skipped.len() == 0 {
        return Err(VideoError::NoVideo(from.to_owned()));
    }
    Ok(done)
}

fn tree(from: &Path, to: &Path, fps: f64, done: &mut Done) -> Result<(), VideoError> {
    for folder in folders(from)? {
        tree(&folder, &to.join(name(&folder)), fps, done)?;
    }
    for video in files(from, &VIDEOS)? {
        let clip = to.join(video.file_stem().unwrap_or_default());
        if clip.is_dir() {
            done.known += 1;
            continue;
        }
        match decode(&video, &clip, fps)? {
            Ok(frames) => {
                done.videos += 1;
                done.frames += frames;
            }
            Err(why) => done.skipped.push(Skipped {
                place: video.display().to_string(),
                why,
            }),
        }
    }
    for table in files(from, &["txt", "csv"])? {
        let copy = to.join(name(&table));
        let copied = std::fs::create_dir_all(to).and_then(|()| std::fs::copy(&table, &copy));
        copied.map_err(|source| VideoError::Write { path: copy, source })?;
    }
    Ok(())
}

/// Writes the frames of one video, first into a folder of another name, so that a folder of frames is always whole.
/// Gives their number, or why ffmpeg could not decode it.
fn decode(video: &Path, clip: &Path, fps: f64) -> Result<Result<usize, String>, VideoError> {
    let part = clip.with_added_extension("part");
    let write_error = |source| VideoError::Write {
        path: part.clone(),
        source,
    };
    match std::fs::remove_dir_all(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(write_error(e)),
        _ => std::fs::create_dir_all(&part).map_err(write_error)?,
    }
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(video)
        .args(["-an", "-sn", "-vf", &format!("fps={fps}"), "-q:v", "2"])
        .arg(part.join("%05d.jpg"))
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(VideoError::NoFfmpeg)?;
    let frames = pictures(&part)?.len();
    if output.status.success() && frames > 0 {
        std::fs::rename(&part, clip).map_err(write_error)?;
        return Ok(Ok(frames));
    }
    std::fs::remove_dir_all(&part).map_err(write_error)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Ok(Err(format!(
        "ffmpeg cannot decode it ({}).",
        last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned())
    )))
}
