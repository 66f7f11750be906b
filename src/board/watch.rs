//! Whether the daemon's threads come round: the only thing that feeds systemd's watchdog.

use std::time::Duration;

use crate::progress::{Progress, Stage};

/// How long a thread may stand still where systemd sets no limit.
const LIMIT: Duration = Duration::from_secs(15);

/// Judges whether the pipeline moves.
#[derive(Debug)]
pub(super) struct Watch {
    limit: Duration,
    /// Whether the present standstill was logged.
    told: bool,
}

impl Watch {
    /// With the time that systemd waits for a sign of life. A thread may stand still for half of it.
    pub(super) fn new(watchdog: Option<Duration>) -> Self {
        Self {
            limit: watchdog.map_or(LIMIT, |watchdog| watchdog / 2),
            told: false,
        }
    }

    /// Whether every thread came round lately.
    pub(super) fn moves(&mut self, progress: &Progress) -> bool {
        let stuck: Vec<&str> = stuck(|stage| progress.silence(stage), self.limit).collect();
        if !stuck.is_empty() && !self.told {
            log::error!(
                "The thread `{}` has not come round for {} s. systemd's watchdog will start affectd anew; please report this.",
                stuck.join("`, `"),
                self.limit.as_secs_f64()
            );
        }
        self.told = !stuck.is_empty();
        stuck.is_empty()
    }
}

/// The threads that stand still. A camera that gives nothing is none of them: capture comes round all the same, and the
/// camera's state says so.
fn stuck(silence: impl Fn(Stage) -> Duration, limit: Duration) -> impl Iterator<Item = &'static str> {
    let stuck = move |stage: &Stage| silence(*stage) > limit;
    Stage::ALL.into_iter().filter(stuck).map(Stage::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_alone_can_stop_the_feeding() {
        let limit = Duration::from_secs(15);
        let lively = Duration::from_secs(1);
        assert_eq!(stuck(|_| lively, limit).count(), 0);
        for hung in Stage::ALL {
            let silence = |stage| if stage == hung { limit * 2 } else { lively };
            assert_eq!(stuck(silence, limit).collect::<Vec<_>>(), [hung.name()]);
        }
    }
}
