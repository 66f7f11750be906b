//! How long frames take from the camera to the last classified face: a histogram of whole frames.

use std::time::Duration;

use affect_core::health::LatencyBucket;

use crate::count::Count;

/// The upper ends of the buckets in milliseconds; one more bucket has what takes longer.
const UP_TO_MS: [u64; 11] = [10, 25, 50, 75, 100, 150, 200, 300, 500, 1000, 2000];

/// Frames by how long they took.
#[derive(Debug, Default)]
pub(crate) struct Latencies([Count; UP_TO_MS.len() + 1]);

impl Latencies {
    /// Counts a frame.
    pub(crate) fn count(&self, took: Duration) {
        let fits = |end: &u64| took <= Duration::from_millis(*end);
        let bucket = UP_TO_MS.iter().position(fits).unwrap_or(UP_TO_MS.len());
        self.0[bucket].add_one();
    }

    /// Counts all frames that `other` has counted.
    pub(crate) fn add(&self, other: &Self) {
        self.0
            .iter()
            .zip(&other.0)
            .for_each(|(all, more)| all.add(more.get()));
    }

    /// As they are published.
    pub(crate) fn buckets(&self) -> Vec<LatencyBucket> {
        let ends = UP_TO_MS.into_iter().map(Some).chain([None]);
        ends.zip(&self.0)
            .map(|(up_to_ms, count)| LatencyBucket {
                up_to_ms,
                frames: count.get(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_in_the_first_bucket_that_it_fits() {
        let latencies = Latencies::default();
        for micros in [0, 10_000, 10_001, 25_000, 99_000, 2_000_000, 2_000_001, u64::MAX] {
            latencies.count(Duration::from_micros(micros));
        }
        let all = Latencies::default();
        all.count(Duration::from_millis(60));
        all.add(&latencies);
        let counted: Vec<(Option<u64>, u64)> = all
            .buckets()
            .iter()
            .filter(|bucket| bucket.frames > 0)
            .map(|bucket| (bucket.up_to_ms, bucket.frames))
            .collect();
        let expected = [
            (Some(10), 2),
            (Some(25), 2),
            (Some(75), 1),
            (Some(100), 1),
            (Some(2000), 1),
            (None, 2),
        ];
        assert_eq!(counted, expected);
        assert_eq!(
            all.buckets().len(),
            UP_TO_MS.len() + 1,
            "empty buckets are told, too"
        );
    }
}
