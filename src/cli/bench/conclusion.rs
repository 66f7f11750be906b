//! What the times of a benchmark mean for a camera.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

/// What the times mean for a camera, if nothing else runs.
#[derive(Debug, Serialize)]
pub(super) struct Conclusion {
    /// Frames per second that nine of ten frames keep up with, by the number of faces in them, all of which are read.
    frames_per_second: Vec<Rate>,
    /// `[camera] fps`.
    configured_fps: f64,
    /// How many faces there may be in every frame at that rate; null if it is not kept up with even without one.
    most_faces: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Rate {
    faces: usize,
    fps: f64,
}

impl Conclusion {
    /// From the times of a frame with `faces` faces, and what each of these takes of it, in milliseconds.
    pub(super) fn new(frame_ms: f64, faces: usize, face_ms: f64, configured_fps: f64) -> Self {
        let without = (frame_ms - faces as f64 * face_ms).max(0.0);
        let mut counts = vec![faces, 20, 60];
        counts.retain(|count| *count >= faces);
        counts.dedup();
        let rate = |faces: usize| Rate {
            faces,
            fps: (10_000.0 / (without + faces as f64 * face_ms)).round() / 10.0,
        };
        let left = 1000.0 / configured_fps - without;
        Self {
            frames_per_second: counts.into_iter().map(rate).collect(),
            configured_fps,
            most_faces: (left >= 0.0).then(|| (left / face_ms) as usize),
        }
    }
}

impl Display for Conclusion {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let rates = self.frames_per_second.iter();
        let rates: Vec<String> = rates
            .map(|rate| format!("{} with {} faces", rate.fps, rate.faces))
            .collect();
        let fps = self.configured_fps;
        writeln!(
            out,
            "This board: frames per second, each face read: {}.",
            rates.join(", ")
        )?;
        match self.most_faces {
            Some(0) => write!(
                out,
                "[camera] fps = {fps} is kept up with only while nobody is there: set less."
            ),
            Some(most) => write!(
                out,
                "[camera] fps = {fps} is kept up with while up to {most} faces are in every frame."
            ),
            None => write!(
                out,
                "[camera] fps = {fps} is more than it can: set less, or a smaller picture."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_frames_per_second_and_faces() {
        // 20 ms without a face and 2 ms for each.
        let board = Conclusion::new(30.0, 5, 2.0, 10.0);
        let rates: Vec<_> = board.frames_per_second.iter().map(|r| (r.faces, r.fps)).collect();
        assert_eq!(rates, [(5, 33.3), (20, 16.7), (60, 7.1)]);
        assert_eq!(board.most_faces, Some(40));
        assert!(
            board
                .to_string()
                .contains("33.3 with 5 faces, 16.7 with 20 faces, 7.1 with 60 faces")
        );
        assert!(
            board
                .to_string()
                .contains("fps = 10 is kept up with while up to 40 faces")
        );
        assert_eq!(Conclusion::new(30.0, 5, 2.0, 49.0).most_faces, Some(0));
        assert_eq!(Conclusion::new(30.0, 5, 2.0, 60.0).most_faces, None);
    }
}
