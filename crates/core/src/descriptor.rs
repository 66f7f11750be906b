//! The paper's descriptors of frames and windows (section "Video-based facial expression recognition" and
//! "Group-level emotion recognition"): statistics over faces, then over frames, L2-normed.
//!
//! A *feature* here is any vector of fixed length D that a network gives for a face: penultimate features
//! in the trainer, expression scores in the daemon's interim mood.

/// Running mean and population standard deviation per component.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    count: u32,
    mean: Vec<f64>,
    /// Sum of squared distances from the mean (Welford), which stays exact where a sum of squares cancels.
    spread: Vec<f64>,
}

impl Moments {
    /// Takes one more vector in. All vectors must be of one length; a longer one is cut, a shorter one is
    /// taken as far as it goes.
    pub fn add(&mut self, vector: &[f64]) {
        if self.count == 0 {
            self.mean = vec![0.0; vector.len()];
            self.spread = vec![0.0; vector.len()];
        }
        self.count += 1;
        let n = f64::from(self.count);
        for ((mean, spread), value) in self.mean.iter_mut().zip(&mut self.spread).zip(vector) {
            let before = value - *mean;
            *mean += before / n;
            *spread += before * (value - *mean);
        }
    }

    /// How many vectors were added.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The mean per component; empty before the first vector.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The population standard deviation per component (divided by N, as in the paper's code).
    #[must_use]
    pub fn std(&self) -> Vec<f64> {
        self.spread
            .iter()
            .map(|s| (s / f64::from(self.count)).sqrt())
            .collect()
    }
}

/// The group descriptor of a window: per frame the mean and the standard deviation over its faces, then
/// mean and standard deviation of that over the frames.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupDescriptor {
    frames: Moments,
}

impl GroupDescriptor {
    /// Takes one frame in: one feature of length D per face. A frame without faces says nothing and is left out.
    pub fn add_frame<'a>(&mut self, faces: impl IntoIterator<Item = &'a [f64]>) {
        let mut over_faces = Moments::default();
        for face in faces {
            over_faces.add(face);
        }
        if over_faces.count() > 0 {
            let mut frame = over_faces.mean().to_vec();
            frame.extend(over_faces.std());
            self.frames.add(&frame);
        }
    }

    /// The mean over frames of the mean over faces, length D; empty if no frame had a face.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        let all = self.frames.mean();
        &all[..all.len() / 2]
    }

    /// The whole descriptor, length 4·D, L2-normed: mean and std over frames of (mean ‖ std over faces).
    /// `None` if no frame had a face; the paper counts such a video with a zero vector in evaluation.
    #[must_use]
    pub fn vector(&self) -> Option<Vec<f64>> {
        (self.frames.count() > 0).then(|| {
            let mut vector = self.frames.mean().to_vec();
            vector.extend(self.frames.std());
            l2_normed(vector)
        })
    }
}

/// The descriptor of a video of one person, length 4·D, L2-normed: mean, maximum, minimum and standard
/// deviation over frames of the largest face's feature. `None` without a frame.
#[must_use]
pub fn single_face_descriptor(frames: &[&[f64]]) -> Option<Vec<f64>> {
    let first = frames.first()?;
    let (mut max, mut min) = (first.to_vec(), first.to_vec());
    let mut moments = Moments::default();
    for frame in frames {
        moments.add(frame);
        for ((max, min), value) in max.iter_mut().zip(&mut min).zip(*frame) {
            *max = max.max(*value);
            *min = min.min(*value);
        }
    }
    let mut vector = moments.mean().to_vec();
    vector.extend(max);
    vector.extend(min);
    vector.extend(moments.std());
    Some(l2_normed(vector))
}

fn l2_normed(mut vector: Vec<f64>) -> Vec<f64> {
    let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|v| *v /= norm);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded with NumPy by `crates/core/tests/golden/descriptors.py`.
    const GOLDEN: &str = include_str!("../tests/golden/descriptors.json");

    #[derive(serde::Deserialize)]
    struct Golden {
        frames: Vec<Vec<Vec<f64>>>,
        group: Vec<f64>,
        single: Vec<f64>,
    }

    fn assert_close(ours: &[f64], theirs: &[f64]) {
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        }
    }

    #[test]
    fn group_descriptor_equals_numpy() {
        let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
        let mut descriptor = GroupDescriptor::default();
        for frame in &golden.frames {
            descriptor.add_frame(frame.iter().map(Vec::as_slice));
        }
        assert_close(&descriptor.vector().unwrap(), &golden.group);
    }

    #[test]
    fn single_face_descriptor_equals_numpy() {
        let golden: Golden = serde_json::from_str(GOLDEN).unwrap();
        let largest: Vec<&[f64]> = golden
            .frames
            .iter()
            .filter_map(|frame| frame.first())
            .map(Vec::as_slice)
            .collect();
        assert_close(&single_face_descriptor(&largest).unwrap(), &golden.single);
    }

    #[test]
    fn nothing_seen_gives_no_descriptor() {
        let mut descriptor = GroupDescriptor::default();
        descriptor.add_frame(std::iter::empty());
        assert_eq!(descriptor.vector(), None);
        assert!(descriptor.mean().is_empty());
        assert_eq!(single_face_descriptor(&[]), None);
    }
}
