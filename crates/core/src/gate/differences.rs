//! Rule 3 of the gate: how far the group of a window differs from that of the last report, and whether that may be told.

use std::collections::BTreeSet;

use super::{Gate, LEAST_PRESENCE, LONGEST_COVER, Rule};
use crate::attendance::{Change, Person};
use crate::window::Span;

impl Gate {
    /// Whether a first report would leave nobody out who is only hidden, and would hold up the next ones when he is seen again:
    /// there was a window before, and everybody of it is among `people`, or it is a minute ago.
    pub(super) fn knows_everybody(&self, span: &Span, people: &[Person]) -> bool {
        let Some(begun) = self.begun else { return false };
        let known: BTreeSet<usize> = people.iter().flatten().copied().collect();
        let least = (LEAST_PRESENCE * self.earlier).max(1.0);
        span.end >= begun + LONGEST_COVER || self.attendance.regulars(least).all(|stay| known.contains(&stay))
    }

    /// How far the group differs from that of the last report. Of those who left or joined no more are certain than were seen
    /// together in one frame: one person is never five, however often he comes and goes.
    pub(super) fn change(&self, then: &[Person], together: &[Vec<usize>], now: &[Person]) -> Change {
        let mut change = self.attendance.change(then, now);
        let stays = |people: &[Person]| -> BTreeSet<usize> { people.iter().flatten().copied().collect() };
        let (then, now) = (stays(then), stays(now));
        let most = |sets: &[Vec<usize>], others: &BTreeSet<usize>| {
            let count = |set: &Vec<usize>| set.iter().filter(|stay| !others.contains(stay)).count();
            sets.iter().map(count).max().unwrap_or(0)
        };
        change.left_least = change.left_least.min(most(together, &now));
        change.joined_least = change.joined_least.min(most(&self.tally.together(&now), &then));
        change
    }

    /// Whether so large a change, or none, keeps anybody from being subtracted out. Where linked people cannot be told
    /// apart (`blurred`), the group counts as changed.
    pub(super) fn allows(&self, change: &Change, blurred: bool) -> bool {
        let enough = self.min_group as usize;
        #[cfg(feature = "attack")]
        let change = &self.weakened(change);
        #[cfg(feature = "attack")]
        if !self.holds(Rule::BothSides) {
            let (most, least) = (
                change.left_most + change.joined_most,
                change.left_least + change.joined_least,
            );
            return most == 0 || least >= enough;
        }
        let nobody_or_many = |most: usize, least: usize| (most == 0 && !blurred) || least >= enough;
        let leavers = nobody_or_many(change.left_most, change.left_least);
        let joiners = nobody_or_many(change.joined_most, change.joined_least);
        (leavers || !self.holds(Rule::Leavers)) && (joiners || !self.holds(Rule::Joiners))
    }
}
