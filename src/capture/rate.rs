//! Which frames of a live source are taken, and how many it really gives.

use std::time::Duration;

/// So many gaps between frames must be known before a source is called slow.
const GAPS: u32 = 16;
/// Weight of the newest gap in their mean.
const NEWEST: f64 = 0.0625;
/// A source with less than this times the wanted rate is not thinned out.
const ABOUT_AS_FAST: f64 = 1.25;

/// Lets about as many frames through as are wanted, evenly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pacer {
    interval: Duration,
    next: Duration,
    /// When the last frame came, taken or not, the mean time between two, and of how many it is.
    last: Option<Duration>,
    gap: Duration,
    gaps: u32,
}

impl Pacer {
    /// For `fps` frames per second.
    pub(super) fn new(fps: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / fps),
            next: Duration::ZERO,
            last: None,
            gap: Duration::ZERO,
            gaps: 0,
        }
    }

    /// Takes note that a frame was taken at `at`, whatever becomes of it.
    pub(super) fn note(&mut self, at: Duration) {
        if let Some(last) = self.last.replace(at) {
            let newest = at.saturating_sub(last);
            self.gap = match self.gaps {
                0 => newest,
                _ => self.gap.mul_f64(1.0 - NEWEST) + newest.mul_f64(NEWEST),
            };
            self.gaps = (self.gaps + 1).min(GAPS);
        }
    }

    /// Whether a frame taken at `at` is due. A quarter of an interval early is not too early: cameras jitter. Of a source
    /// that is hardly faster than wanted, every frame is due: over a network they come in bunches, and none can be spared.
    pub(super) fn is_due(&self, at: Duration) -> bool {
        let slow = self.gaps == GAPS && self.gap.mul_f64(ABOUT_AS_FAST) >= self.interval;
        slow || at + self.interval / 4 >= self.next
    }

    /// Whether the frame taken at `at` is due; if so, it is taken, and the next is due an interval later.
    pub(super) fn take(&mut self, at: Duration) -> bool {
        if !self.is_due(at) {
            return false;
        }
        // After a gap the beat starts anew.
        let last = if at > self.next + self.interval {
            at
        } else {
            self.next
        };
        self.next = last + self.interval;
        true
    }
}

/// Measures the rate of a live source by its frames' times.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meter {
    /// The time of the first frame and of the newest one.
    span: Option<(Duration, Duration)>,
    frames: u32,
}

impl Meter {
    /// Counts a frame.
    pub(super) fn count(&mut self, at: Duration) {
        let first = self.span.map_or(at, |(first, _)| first);
        self.span = Some((first, at.max(first)));
        self.frames += 1;
    }

    /// How long it has measured.
    pub(super) fn time(&self) -> Duration {
        self.span.map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// Frames per second since the first frame; 0 before the second.
    pub(super) fn fps(&self) -> f64 {
        match self.time().as_secs_f64() {
            0.0 => 0.0,
            seconds => f64::from(self.frames - 1) / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a camera's frames per second get through in ten seconds; frames jitter by up to 3 ms.
    fn through(camera: f64, wanted: f64) -> (f64, Duration) {
        let mut pacer = Pacer::new(wanted);
        let (mut taken, mut last, mut longest) = (0, Duration::ZERO, Duration::ZERO);
        for frame in 0..(camera * 10.0) as u32 {
            let jitter = f64::from(frame * 7919 % 7) * 0.0005;
            let at = Duration::from_secs_f64(f64::from(frame) / camera + jitter);
            pacer.note(at);
            if pacer.take(at) {
                taken += 1;
                longest = longest.max(at - last);
                last = at;
            }
        }
        (f64::from(taken) / 10.0, longest)
    }

    #[test]
    fn about_as_many_frames_as_wanted_get_through_evenly() {
        for (camera, wanted) in [(30.0, 10.0), (15.0, 10.0), (25.0, 10.0), (30.0, 4.0), (60.0, 7.0)] {
            let (rate, longest) = through(camera, wanted);
            assert!(
                (rate - wanted).abs() <= wanted * 0.12,
                "{camera} → {wanted}: {rate}"
            );
            let most = 1.0 / wanted + 1.0 / camera + 0.004;
            assert!(
                longest.as_secs_f64() <= most,
                "{camera} → {wanted}: a gap of {longest:?}"
            );
        }
    }

    #[test]
    fn a_camera_that_is_no_faster_than_wanted_loses_nothing() {
        for camera in [10.0, 9.5, 5.0] {
            assert_eq!(through(camera, 10.0).0, camera);
        }
    }

    #[test]
    fn after_a_gap_there_is_no_burst() {
        let mut pacer = Pacer::new(10.0);
        assert!(pacer.take(Duration::ZERO));
        assert!(pacer.take(Duration::from_secs(5)));
        assert!(!pacer.take(Duration::from_millis(5033)));
        assert!(pacer.take(Duration::from_millis(5100)));
    }

    #[test]
    fn a_source_that_is_no_faster_than_wanted_and_comes_in_bunches_loses_next_to_nothing() {
        for fps in [0.2, 0.5, 1.0, 10.0] {
            for bunch in [1_u32, 2, 3] {
                let mut pacer = Pacer::new(fps);
                let mut taken = 0;
                for frame in 0_u32..300 {
                    // Each waits for the last of its bunch; and some come up to half an interval late.
                    let last = frame / bunch * bunch + bunch - 1;
                    let jitter = f64::from(last * 7919 % 11) * 0.05;
                    let within = f64::from(frame % bunch) * 0.01;
                    let at = Duration::from_secs_f64((f64::from(last) + jitter + within) / fps);
                    pacer.note(at);
                    // What the source is must be learnt first.
                    taken += u32::from(pacer.take(at) && frame >= 20);
                }
                assert!(taken >= 270, "{fps} fps in bunches of {bunch}: {taken} of 280");
            }
        }
    }

    #[test]
    fn the_meter_counts_intervals_not_frames() {
        let mut meter = Meter::default();
        assert_eq!(meter.fps(), 0.0);
        (0..=30).for_each(|n| meter.count(Duration::from_millis(1000 + n * 100)));
        assert_eq!(meter.time(), Duration::from_secs(3));
        assert!((meter.fps() - 10.0).abs() < 1e-9);
    }
}
