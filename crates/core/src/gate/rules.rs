//! The gate without one of its rules, as `crates/attack` tries it.

use super::Gate;
#[cfg(feature = "attack")]
use crate::attendance::{Change, Person};
#[cfg(feature = "attack")]
use crate::statistics::Tally;

/// One of the rules. With the feature `attack` a gate can go without one, to show that an attack then succeeds; the daemon is
/// built without that feature, and no configuration reaches here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Rule {
    Simultaneity,
    Liveness,
    Confidence,
    EqualWeights,
    Leavers,
    Joiners,
    BothSides,
    Presence,
    UpperBound,
    LowerBound,
    Dropping,
    Silence,
    Homogeneity,
}

impl Gate {
    /// The same gate with one rule switched off.
    #[cfg(feature = "attack")]
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Self {
        self.without = Some(rule);
        self.releaser.homogeneity = rule != Rule::Homogeneity;
        self
    }

    pub(super) fn holds(&self, rule: Rule) -> bool {
        #[cfg(feature = "attack")]
        let holds = self.without != Some(rule);
        #[cfg(not(feature = "attack"))]
        let holds = {
            let _ = rule;
            true
        };
        holds
    }

    /// A gate that takes every track for all of one person, to tell the price of the rules from that of the tracker.
    #[cfg(feature = "attack")]
    #[must_use]
    pub fn with_perfect_identities(mut self) -> Self {
        self.attendance.perfect = true;
        self
    }

    /// What was held before goes into a report with the rest, if that is not dropped.
    #[cfg(feature = "attack")]
    pub(super) fn with_merged(&mut self, tally: Tally, people: Vec<Person>) -> (Tally, Vec<Person>) {
        if self.holds(Rule::Dropping) {
            return (tally, people);
        }
        let mut all = std::mem::take(&mut self.merged);
        all.merge(tally);
        self.attendance.take_back();
        let people = self.people(&all);
        (all, people)
    }

    #[cfg(feature = "attack")]
    pub(super) fn weakened(&self, change: &Change) -> Change {
        let mut change = *change;
        if !self.holds(Rule::UpperBound) {
            (change.left_most, change.joined_most) = (change.left_least, change.joined_least);
        }
        if !self.holds(Rule::LowerBound) {
            (change.left_least, change.joined_least) = (change.left_most, change.joined_most);
        }
        change
    }
}
