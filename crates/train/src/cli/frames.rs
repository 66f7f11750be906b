//! `affect-train frames`: videos to folders of frames.

use std::path::PathBuf;

use affect_train::data::video;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The data set with videos, for example AFEW's or VGAF's.
    videos: PathBuf,
    /// The same tree with a folder of frames for every video, to be read as `afew` or `vgaf`.
    out: PathBuf,
    /// Frames per second of video.
    #[arg(long, default_value_t = 5.0, value_parser = rate)]
    fps: f64,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fps) if fps > 0.0 && fps <= 1000.0 => Ok(fps),
        _ => Err("a number above 0 and up to 1000 is needed".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let done = video::frames(&arguments.videos, &arguments.out, arguments.fps)?;
    for skipped in &done.skipped {
        log::warn!("{}: {}", skipped.place, skipped.why);
    }
    log::info!(
        "{}: {} frames of {} video(s); {} had their frames already, {} could not be decoded.",
        arguments.out.display(),
        done.frames,
        done.videos,
        done.known,
        done.skipped.len()
    );
    if done.videos + done.known == 0 {
        anyhow::bail!("No video could be decoded.");
    }
    Ok(())
}
