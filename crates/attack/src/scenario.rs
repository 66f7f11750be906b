//! What a victim does, and what others do meanwhile.

use affect_core::gate::{Rule, Verdict};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::people::Moods;
use crate::scene::{FRAMES, Presence, Scene};
use crate::trial::{MIN_GROUP, Trial};

/// Something that could give somebody away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Stays,
    Leaves,
    Joins,
    LeavesFourJoin,
    FiveLeaveFiveJoin,
    FiveLeave,
    HiddenHalf,
    LeavesAndReturns,
    SwapsSeat,
    FriendsPass,
    OthersAreLost,
    LensIsCovered,
    FourFollow,
    Pause,
    Restart,
    Masked,
    Stops,
    PhoneIsShown,
    HoldEnds,
    HoldEndsQuarterChanged,
    HoldEndsHalfChanged,
    OneWalks,
    Portraits,
    UncertainFace,
    OnlyException,
}

impl Scenario {
    /// Against which the gate claims to protect, for groups of every size.
    pub(crate) const CLAIMED: [Self; 19] = [
        Self::Stays,
        Self::Leaves,
        Self::Joins,
        Self::LeavesFourJoin,
        Self::FiveLeave,
        Self::FiveLeaveFiveJoin,
        Self::HiddenHalf,
        Self::LeavesAndReturns,
        Self::SwapsSeat,
        Self::OthersAreLost,
        Self::LensIsCovered,
        Self::FourFollow,
        Self::Pause,
        Self::Restart,
        Self::Masked,
        Self::Stops,
        Self::PhoneIsShown,
        Self::FriendsPass,
        Self::UncertainFace,
    ];

    /// The scenario in which each rule matters, for how many windows, and how many faces the attacker knows of his own.
    pub(crate) const OF_RULE: [(Rule, Self, usize, usize); 13] = [
        (Rule::Simultaneity, Self::OneWalks, 1, 0),
        (Rule::Liveness, Self::Portraits, 1, 0),
        (Rule::Confidence, Self::UncertainFace, 20, 0),
        (Rule::EqualWeights, Self::HiddenHalf, 10, 0),
        (Rule::Leavers, Self::Leaves, 1, 0),
        (Rule::Joiners, Self::Joins, 1, 0),
        (Rule::BothSides, Self::LeavesFourJoin, 10, 1),
        (Rule::Presence, Self::FriendsPass, 2, 0),
        (Rule::UpperBound, Self::SwapsSeat, 1, 1),
        (Rule::LowerBound, Self::OthersAreLost, 1, 0),
        (Rule::Dropping, Self::FourFollow, 1, 0),
        (Rule::Silence, Self::Restart, 1, 0),
        (Rule::Homogeneity, Self::OnlyException, 1, 0),
    ];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Stays => "everybody stays",
            Self::Leaves => "the victim leaves",
            Self::Joins => "the victim joins",
            Self::LeavesFourJoin => "the victim leaves, four join",
            Self::FiveLeaveFiveJoin => "the victim leaves with four others, five join",
            Self::FiveLeave => "the victim leaves with four others",
            Self::HiddenHalf => "the victim is hidden for half of every second window",
            Self::LeavesAndReturns => "the victim leaves and returns, again and again",
            Self::SwapsSeat => "the attacker takes the victim's seat within five seconds",
            Self::FriendsPass => "five friends of the attacker pass for two seconds, then the victim leaves",
            Self::OthersAreLost => "five others are lost and found again, and the victim leaves",
            Self::LensIsCovered => "the lens is covered for twenty seconds, and the victim leaves",
            Self::FourFollow => "the victim leaves, and four others a window later",
            Self::Pause => "the victim leaves during a pause",
            Self::Restart => "the victim leaves during a restart",
            Self::Masked => "a mask is drawn over the victim, and the daemon starts anew with groups of six",
            Self::Stops => "the victim leaves, and the daemon stops within the window and starts anew",
            Self::PhoneIsShown => "the attacker shows a video of a face on a phone, and the victim leaves",
            Self::HoldEnds => "the victim leaves, the hold ends, and nobody's mood has changed",
            Self::HoldEndsQuarterChanged => "the same, and a quarter of the moods have changed",
            Self::HoldEndsHalfChanged => "the same, and half of the moods have changed",
            Self::OneWalks => "the victim is alone and walks: six tracks",
            Self::Portraits => "the victim stands among five portraits",
            Self::UncertainFace => {
                "five people, of whom the victim's face is read with more or less confidence"
            }
            Self::OnlyException => "everybody shows the same but the victim",
        }
    }

    /// Plays it with `n` people for `t` windows on either side, the attacker knowing `c` faces of the group.
    pub(crate) fn play(
        self,
        n: usize,
        t: usize,
        c: usize,
        without: Option<Rule>,
        moods: &Moods,
        random: &mut ChaCha8Rng,
    ) -> Trial {
        let scene = Scene::new(MIN_GROUP, without, moods, random);
        let mut play = Play {
            scene,
            victim: 0,
            known: (1..=c).collect(),
            trial: Trial {
                with: Vec::new(),
                without: Vec::new(),
                read: Vec::new(),
                known: [Vec::new(), Vec::new()],
                usual: 0,
                next_to_event: t - 1,
            },
        };
        let group = match self {
            Self::OneWalks => vec![play.scene.add(0)],
            Self::Portraits => {
                let mut group = vec![play.scene.add(0)];
                group.extend((1..n).map(|_| play.scene.add_picture()));
                play.known = (1..n).collect();
                group
            }
            _ => play.scene.add_group(n),
        };
        match self {
            Self::OneWalks => {}
            Self::Joins => play.begin(&group[1..]),
            _ => play.begin(&group),
        }
        play.go(self, &group, t, without);
        play.trial.usual = play.scene.people[0].usual;
        play.trial
    }
}

struct Play<'a> {
    scene: Scene<'a>,
    victim: usize,
    /// Whose faces the attacker knows.
    known: Vec<usize>,
    trial: Trial,
}

const WHOLE: Presence = Presence::Whole;

impl Play<'_> {
    /// A window in which these people are there; `with` if the attacker looks for the victim in it.
    fn window(&mut self, with: bool, present: &[(usize, Presence)]) {
        self.scene.window(present);
        self.note(with);
        self.scene.new_moods();
    }

    /// Notes what was said of the window that has just ended, and what was true.
    fn note(&mut self, with: bool) {
        let said = self.scene.said.last().cloned().unwrap_or(Verdict::Suppressed);
        let scores = |person: &usize| self.scene.people[*person].scores;
        let known: Vec<_> = self.known.iter().map(scores).collect();
        self.trial.known[usize::from(!with)].push(known);
        if with {
            let others = (1..self.scene.people.len()).map(|person| self.scene.people[person].scores);
            let mut others: Vec<_> = others.take(MIN_GROUP as usize - 1).collect();
            // A victim who is alone is compared with one among others all the same.
            while others.len() < MIN_GROUP as usize - 1 {
                others.push(self.scene.people[0].scores);
            }
            self.trial
                .read
                .push((self.scene.people[self.victim].scores, others));
            self.trial.with.push(said);
        } else {
            self.trial.without.push(said);
        }
    }

    fn all(group: &[usize]) -> Vec<(usize, Presence)> {
        group.iter().map(|person| (*person, WHOLE)).collect()
    }

    /// The first window of a start, which is held.
    fn begin(&mut self, group: &[usize]) {
        self.scene.window(&Self::all(group));
        self.scene.new_moods();
    }

    /// `t` windows of everybody.
    fn stay(&mut self, with: bool, group: &[usize], t: usize) {
        for _ in 0..t {
            self.window(with, &Self::all(group));
        }
    }

    /// A window in which `leavers` walk out and `joiners` walk in, then `t` more of those who are there.
    fn change(&mut self, with: bool, group: &[usize], leavers: &[usize], joiners: &[usize], t: usize) {
        let stayers: Vec<usize> = group.iter().copied().filter(|p| !leavers.contains(p)).collect();
        let mut present = Self::all(&stayers);
        present.extend(leavers.iter().map(|person| (*person, Presence::WalksOut(1))));
        present.extend(joiners.iter().map(|person| (*person, Presence::WalksIn(7))));
        // The window of the change is nobody's: the attacker compares those on either side.
        self.scene.window(&present);
        self.scene.new_moods();
        let now: Vec<usize> = stayers.iter().chain(joiners).copied().collect();
        self.stay(with, &now, t);
    }

    fn go(&mut self, scenario: Scenario, group: &[usize], t: usize, without: Option<Rule>) {
        let rest = &group[1..];
        let five = &group[..group.len().min(5)];
        let strangers = |play: &mut Self, count| -> Vec<usize> {
            (0..count)
                .map(|_| play.scene.add(play.scene.people.len()))
                .collect()
        };
        match scenario {
            Scenario::Stays => self.stay(true, group, 2 * t),
            Scenario::Leaves => {
                self.stay(true, group, t);
                self.change(false, group, &[0], &[], t);
            }
            Scenario::Joins => {
                self.trial.next_to_event = 0;
                self.stay(false, rest, t);
                self.change(true, rest, &[], &[0], t);
            }
            Scenario::LeavesFourJoin => {
                self.stay(true, group, t);
                let joiners = strangers(self, 4);
                self.change(false, group, &[0], &joiners, t);
            }
            Scenario::FiveLeave => {
                self.stay(true, group, t);
                self.change(false, group, five, &[], t);
            }
            Scenario::FiveLeaveFiveJoin => {
                self.stay(true, group, t);
                let joiners = strangers(self, 5);
                self.change(false, group, five, &joiners, t);
            }
            Scenario::HiddenHalf => {
                for _ in 0..t {
                    self.stay(true, group, 1);
                    let mut present = Self::all(rest);
                    present.push((0, Presence::From(0, FRAMES / 2)));
                    self.window(false, &present);
                }
            }
            Scenario::LeavesAndReturns => {
                for _ in 0..t {
                    self.stay(true, group, 1);
                    self.change(false, group, &[0], &[], 1);
                    self.scene.breaks(0);
                }
            }
            Scenario::SwapsSeat => {
                self.stay(true, group, t);
                let attacker = strangers(self, 1)[0];
                self.scene.moves(attacker, 0);
                self.known.push(attacker);
                let mut present = Self::all(rest);
                present.push((0, Presence::From(0, 1)));
                present.push((attacker, Presence::From(6, FRAMES)));
                self.window(false, &present);
                let now: Vec<usize> = rest.iter().copied().chain([attacker]).collect();
                self.stay(false, &now, t - 1);
            }
            Scenario::FriendsPass => {
                let friends = strangers(self, 5);
                self.stay(true, group, t - 1);
                let mut present = Self::all(rest);
                present.push((0, Presence::WalksOut(FRAMES - 1)));
                present.extend(friends.iter().map(|friend| (*friend, Presence::From(6, 8))));
                self.window(true, &present);
                self.stay(false, rest, t);
            }
            Scenario::OthersAreLost => {
                self.stay(true, group, t);
                let lost = &rest[..rest.len().min(5)];
                let seen: Vec<usize> = rest.iter().copied().filter(|p| !lost.contains(p)).collect();
                let mut present = Self::all(&seen);
                present.push((0, Presence::WalksOut(1)));
                self.scene.frames(0..3, &present);
                lost.iter().for_each(|person| self.scene.breaks(*person));
                self.scene.frames(3..FRAMES, &Self::all(rest));
                self.scene.close();
                self.note(false);
                self.scene.new_moods();
                self.stay(false, rest, t - 1);
            }
            Scenario::LensIsCovered => {
                self.stay(true, group, t);
                // Frames come, and nobody is in them.
                self.scene.window(&[]);
                rest.iter().for_each(|person| self.scene.breaks(*person));
                self.scene.frames(0..5, &[]);
                self.scene.frames(5..FRAMES, &Self::all(rest));
                self.scene.close();
                self.note(false);
                self.stay(false, rest, t);
            }
            Scenario::FourFollow => {
                self.stay(true, group, t);
                self.change(false, group, &[0], &[], 3);
                let four = &rest[..4];
                let strangers = strangers(self, 5);
                let mut present = Self::all(&rest[4..]);
                present.extend(four.iter().map(|person| (*person, Presence::WalksOut(0))));
                present.extend(strangers.iter().map(|person| (*person, Presence::WalksIn(9))));
                self.window(false, &present);
            }
            Scenario::Pause | Scenario::Restart => {
                self.stay(true, group, t);
                match scenario {
                    Scenario::Pause => self.scene.interrupts(),
                    _ => self.scene.restarts(MIN_GROUP, without),
                }
                rest.iter().for_each(|person| self.scene.breaks(*person));
                self.begin(rest);
                self.stay(false, rest, t);
            }
            Scenario::Masked => {
                self.stay(true, group, t);
                self.scene.restarts(MIN_GROUP + 1, without);
                self.begin(rest);
                self.stay(false, rest, t);
            }
            Scenario::Stops => {
                self.stay(true, group, t);
                let mut present = Self::all(rest);
                present.push((0, Presence::WalksOut(1)));
                self.scene.frames(0..FRAMES * 2 / 3, &present);
                self.scene.stops(FRAMES * 2 / 3);
                self.note(false);
                self.scene.new_moods();
                self.scene.restarts(MIN_GROUP, without);
                self.begin(rest);
                self.stay(false, rest, t - 1);
            }
            Scenario::PhoneIsShown => {
                self.stay(true, group, t);
                let phone = strangers(self, 1);
                self.known.extend(&phone);
                self.change(false, group, &[0], &phone, t);
            }
            Scenario::HoldEnds | Scenario::HoldEndsQuarterChanged | Scenario::HoldEndsHalfChanged => {
                let changed = match scenario {
                    Scenario::HoldEnds => 0.0,
                    Scenario::HoldEndsQuarterChanged => 0.25,
                    _ => 0.5,
                };
                self.stay(true, group, t);
                self.change(false, group, &[0], &[], 0);
                for _ in 0..39 {
                    self.scene.window(&Self::all(rest));
                }
                self.scene.change_moods(rest, changed);
                self.stay(false, rest, 1);
            }
            Scenario::OneWalks => {
                for window in 0..=t {
                    for piece in 0..6 {
                        self.scene.breaks(0);
                        self.scene.moves(0, 7 * piece);
                        let frames = 5 * piece / 2..5 * (piece + 1) / 2;
                        self.scene.frames(frames, &[(0, WHOLE)]);
                    }
                    self.scene.close();
                    // The first window of a start is held.
                    if window > 0 {
                        self.note(true);
                    }
                }
            }
            Scenario::Portraits => self.stay(true, group, t),
            Scenario::UncertainFace => {
                /// How often a face is read with confidence, by its usual expression.
                const CONFIDENT: [f64; 8] = [0.8, 0.95, 0.6, 0.7, 0.45, 0.4, 0.6, 0.5];
                let chance = CONFIDENT[self.scene.people[0].usual];
                for _ in 0..t {
                    let sure = self.scene.random.random::<f64>() < chance;
                    self.scene.people[0].sure = Some(sure);
                    self.window(true, &Self::all(&group[..5]));
                }
            }
            Scenario::OnlyException => {
                let shown = self.scene.people[1].usual;
                for person in rest {
                    self.scene.people[*person].usual = shown;
                    self.scene.people[*person].scores = self.scene.people[1].scores;
                }
                self.stay(true, group, t);
            }
        }
    }
}
