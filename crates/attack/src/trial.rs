//! One trial: what an attacker sees of a victim who does something, and what he tries to find out.

use affect_core::expression::{EXPRESSIONS, Expression};
use affect_core::gate::Verdict;
use affect_core::release::Released;

use crate::people::{Scores, strongest};

/// Fewest people of a report, as shipped.
pub(crate) const MIN_GROUP: u32 = 5;

/// What an attacker sees and knows, and what is true.
#[derive(Debug)]
pub(crate) struct Trial {
    /// What was said while the victim was there, and while he was not (or otherwise there).
    pub(crate) with: Vec<Verdict>,
    pub(crate) without: Vec<Verdict>,
    /// What was read, in each window of `with`, from the victim and from others: at least `MIN_GROUP` − 1.
    pub(crate) read: Vec<(Scores, Vec<Scores>)>,
    /// What the attacker knows of faces: in each window of `with`, and in each window of `without`.
    pub(crate) known: [Vec<Vec<Scores>>; 2],
    /// The victim's usual expression.
    pub(crate) usual: usize,
    /// The window of `with` next to the event.
    pub(crate) next_to_event: usize,
}

/// What the attacker tries to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Goal {
    /// The victim's strongest expression in the window next to the event.
    Strongest,
    /// The victim's usual expression.
    Usual,
}

impl Goal {
    pub(crate) const ALL: [Self; 2] = [Self::Strongest, Self::Usual];
}

impl Trial {
    pub(crate) fn truth(&self, goal: Goal) -> usize {
        match goal {
            Goal::Strongest => strongest(&self.read[self.next_to_event].0),
            Goal::Usual => self.usual,
        }
    }

    /// What the attacker learns from: both series of messages, and the faces that he knows.
    pub(crate) fn features(&self) -> Vec<f64> {
        let mut features = Vec::new();
        for said in [&self.with, &self.without] {
            let seen: Vec<Vec<f64>> = said.iter().filter_map(numbers).collect();
            features.push(seen.len() as f64 / said.len().max(1) as f64);
            features.extend(mean(&seen));
        }
        // One window tells most of itself.
        if self.with.len() > 1 {
            let near = numbers(&self.with[self.next_to_event]);
            features.extend(near.unwrap_or_else(|| vec![0.0; NUMBERS]));
        }
        self.add_known(&mut features);
        features
    }

    /// The same for the baseline: an exact report of the victim and `MIN_GROUP` − 1 others in the same windows.
    pub(crate) fn baseline_features(&self) -> Vec<f64> {
        let exact: Vec<Vec<f64>> = self
            .read
            .iter()
            .map(|(victim, others)| exact(victim, others))
            .collect();
        let mut features = mean(&exact);
        if exact.len() > 1 {
            features.extend(&exact[self.next_to_event]);
        }
        self.add_known(&mut features);
        features
    }

    /// The attacker does not know the first of the faces that he knew: the same people otherwise.
    pub(crate) fn forget_a_face(&mut self) {
        for faces in self.known.iter_mut().flatten() {
            faces.remove(0);
        }
    }

    fn add_known(&self, features: &mut Vec<f64>) {
        for windows in &self.known {
            let faces: Vec<Vec<f64>> = windows
                .iter()
                .filter(|faces| !faces.is_empty())
                .map(|faces| sums(faces))
                .collect();
            if !faces.is_empty() {
                features.extend(mean(&faces));
            }
        }
        if self.with.len() > 1
            && let Some(faces) = self.known[0]
                .get(self.next_to_event)
                .filter(|faces| !faces.is_empty())
        {
            features.extend(sums(faces));
        }
    }

    /// The difference of both reports, each times its people: what a subscriber with a pencil would do.
    pub(crate) fn difference(&self) -> Option<usize> {
        let sum = |said: &[Verdict]| {
            let seen: Vec<(f64, Vec<f64>)> = said
                .iter()
                .filter_map(|said| match said {
                    Verdict::Released(released) => Some((released.people.mean, numbers(said)?)),
                    _ => None,
                })
                .collect();
            let count = seen.len() as f64;
            (count > 0.0).then(|| {
                let people = seen.iter().map(|(people, _)| people).sum::<f64>() / count;
                mean(&seen.into_iter().map(|(_, numbers)| numbers).collect::<Vec<_>>())
                    .iter()
                    .take(EXPRESSIONS)
                    .map(|mean| mean * people)
                    .collect::<Vec<f64>>()
            })
        };
        let (with, without) = (sum(&self.with)?, sum(&self.without)?);
        let difference: Vec<f32> = with.iter().zip(&without).map(|(a, b)| (a - b) as f32).collect();
        Some(strongest(&difference))
    }
}

/// How many numbers a report has for the learner.
const NUMBERS: usize = 6 * EXPRESSIONS + 3;

/// A report's numbers; `None` if it has none.
fn numbers(said: &Verdict) -> Option<Vec<f64>> {
    let Verdict::Released(released) = said else {
        return None;
    };
    let Released { people, emotion, .. } = &**released;
    let mut numbers = Vec::with_capacity(NUMBERS);
    for values in [&emotion.mean, &emotion.share, &emotion.std, &emotion.at_least] {
        let of = |expression| values.get(&expression).copied().unwrap_or(0.0);
        numbers.extend(Expression::ALL.map(of));
    }
    // One who differs from all others shows in the squares.
    for values in [&emotion.mean, &emotion.share] {
        let of = |expression| values.get(&expression).copied().unwrap_or(0.0).powi(2);
        numbers.extend(Expression::ALL.map(of));
    }
    numbers.push(emotion.unknown_share.unwrap_or(0.0));
    numbers.push(people.mean);
    numbers.push(f64::from(u8::from(emotion.mean.is_empty())));
    Some(numbers)
}

fn exact(victim: &Scores, others: &[Scores]) -> Vec<f64> {
    let mut all = vec![*victim];
    all.extend(&others[..MIN_GROUP as usize - 1]);
    let count = all.len() as f64;
    let mut numbers = vec![0.0; 3 * EXPRESSIONS];
    for scores in &all {
        for (expression, score) in scores.iter().enumerate() {
            numbers[expression] += f64::from(*score) / count;
        }
        numbers[EXPRESSIONS + strongest(scores)] += 1.0 / count;
    }
    for scores in &all {
        for (expression, score) in scores.iter().enumerate() {
            let off = f64::from(*score) - numbers[expression];
            numbers[2 * EXPRESSIONS + expression] += off * off / count;
        }
    }
    numbers[2 * EXPRESSIONS..].iter_mut().for_each(|v| *v = v.sqrt());
    let squares: Vec<f64> = numbers[..2 * EXPRESSIONS].iter().map(|v| v * v).collect();
    numbers.extend(squares);
    numbers
}

/// Sums of the scores of faces, and of their strongest expressions.
fn sums(faces: &[Scores]) -> Vec<f64> {
    let mut sums = vec![0.0; 2 * EXPRESSIONS];
    for scores in faces {
        for (expression, score) in scores.iter().enumerate() {
            sums[expression] += f64::from(*score);
        }
        sums[EXPRESSIONS + strongest(scores)] += 1.0;
    }
    sums
}

fn mean(vectors: &[Vec<f64>]) -> Vec<f64> {
    let Some(first) = vectors.first() else {
        return vec![0.0; NUMBERS];
    };
    let mut mean = vec![0.0; first.len()];
    for vector in vectors {
        mean.iter_mut()
            .zip(vector)
            .for_each(|(m, v)| *m += v / vectors.len() as f64);
    }
    mean
}

impl Goal {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Strongest => "strongest",
            Self::Usual => "usual",
        }
    }
}
