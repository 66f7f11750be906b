//! How well people were followed, by the measures of the field: IDF1 (Ristani et al. 2016), identity switches and fragments
//! (Bernardin and Stiefelhagen 2008, as in `py-motmetrics`), and the error of the count.

use std::collections::{BTreeMap, BTreeSet};

use affect_core::geometry::Rect;

/// Least overlap (intersection over union) of a box with the face that it stands for.
const SAME: f32 = 0.5;

/// A box with whose it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelled {
    /// Person, or track.
    pub id: u64,
    /// Where.
    pub rect: Rect,
}

/// What came out, added up over scenes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Boxes that lie on a face of the person to whom the track belongs, if every track belongs to one person and every
    /// person to one track, as well as that can be.
    pub identified: u64,
    /// Faces that were there.
    pub faces: u64,
    /// Boxes that were given.
    pub boxes: u64,
    /// How often somebody went on as another track.
    pub switches: u64,
    /// How often somebody was lost and found again.
    pub fragments: u64,
    /// Sum over the frames of how far the number of boxes was from that of the faces.
    pub miscounted: u64,
    /// Tracks of which more than a quarter is of another person than most of it.
    pub mixed: u64,
    /// Tracks.
    pub tracks: u64,
    /// People.
    pub people: u64,
}

impl Score {
    /// Part of faces and boxes that belong together, 0..=1.
    #[must_use]
    pub fn idf1(&self) -> f64 {
        2.0 * self.identified as f64 / (self.faces + self.boxes).max(1) as f64
    }

    /// Mean error of the count, as a part of the faces.
    #[must_use]
    pub fn count_error(&self) -> f64 {
        self.miscounted as f64 / self.faces.max(1) as f64
    }

    /// Adds another scene's.
    pub fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.identified, other.identified),
            (&mut self.faces, other.faces),
            (&mut self.boxes, other.boxes),
            (&mut self.switches, other.switches),
            (&mut self.fragments, other.fragments),
            (&mut self.miscounted, other.miscounted),
            (&mut self.mixed, other.mixed),
            (&mut self.tracks, other.tracks),
            (&mut self.people, other.people),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
    }
}

/// What is known of one person while the frames pass.
#[derive(Debug, Clone, Copy)]
struct Followed {
    track: u64,
    /// Whether a box lay on the face when it was there last.
    is_found: bool,
}

/// Scores the tracks `given` against the `truth`, frame by frame.
#[must_use]
pub fn score(truth: &[Vec<Labelled>], given: &[Vec<Labelled>]) -> Score {
    let mut score = Score::default();
    let mut together: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut owners: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
    let mut followed: BTreeMap<u64, Followed> = BTreeMap::new();
    let mut people = BTreeSet::new();
    let mut tracks = BTreeSet::new();
    for (faces, boxes) in truth.iter().zip(given) {
        score.faces += faces.len() as u64;
        score.boxes += boxes.len() as u64;
        score.miscounted += faces.len().abs_diff(boxes.len()) as u64;
        people.extend(faces.iter().map(|face| face.id));
        tracks.extend(boxes.iter().map(|given| given.id));
        for face in faces {
            for given in boxes.iter().filter(|given| face.rect.iou(&given.rect) >= SAME) {
                *together.entry((face.id, given.id)).or_default() += 1;
            }
        }
        let matches = matches(faces, boxes, &followed);
        for (face, matched) in faces.iter().zip(matches) {
            let Some(place) = matched else {
                if let Some(followed) = followed.get_mut(&face.id) {
                    followed.is_found = false;
                }
                continue;
            };
            let track = boxes[place].id;
            *owners.entry(track).or_default().entry(face.id).or_default() += 1;
            let now = Followed {
                track,
                is_found: true,
            };
            if let Some(before) = followed.insert(face.id, now) {
                score.switches += u64::from(before.track != track);
                score.fragments += u64::from(!before.is_found);
            }
        }
    }
    score.identified = best_sum(&together);
    score.tracks = tracks.len() as u64;
    score.people = people.len() as u64;
    score.mixed = owners.values().filter(|owners| is_mixed(owners)).count() as u64;
    score
}

/// Which box lies on each face: the track that was there before if it still does, and for the rest those that lie best.
fn matches(faces: &[Labelled], boxes: &[Labelled], followed: &BTreeMap<u64, Followed>) -> Vec<Option<usize>> {
    let lies_on = |face: &Labelled, given: &Labelled| face.rect.iou(&given.rect) >= SAME;
    let mut matched = vec![None; faces.len()];
    let mut taken = vec![false; boxes.len()];
    for (face, matched) in faces.iter().zip(&mut matched) {
        let before = followed.get(&face.id);
        *matched = before.and_then(|before| {
            let same = |given: &Labelled| given.id == before.track && lies_on(face, given);
            boxes.iter().position(same).filter(|place| !taken[*place])
        });
        if let Some(place) = *matched {
            taken[place] = true;
        }
    }
    let open: Vec<usize> = (0..faces.len()).filter(|face| matched[*face].is_none()).collect();
    let free: Vec<usize> = (0..boxes.len()).filter(|place| !taken[*place]).collect();
    // More matches go before better ones.
    let gains: Vec<Vec<i64>> = open
        .iter()
        .map(|face| {
            let gain = |place: &usize| match lies_on(&faces[*face], &boxes[*place]) {
                true => 1_000_000 + (1000.0 * faces[*face].rect.iou(&boxes[*place].rect)) as i64,
                false => 0,
            };
            free.iter().map(gain).collect()
        })
        .collect();
    for (row, column) in assign(&gains).into_iter().enumerate() {
        matched[open[row]] = column
            .filter(|column| gains[row][*column] > 0)
            .map(|column| free[column]);
    }
    matched
}

/// The largest sum of how often person and track were together, if each is given one of the other.
fn best_sum(together: &BTreeMap<(u64, u64), u64>) -> u64 {
    let people: Vec<u64> = together
        .keys()
        .map(|(person, _)| *person)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let tracks: Vec<u64> = together
        .keys()
        .map(|(_, track)| *track)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let count = |person: &u64, track: &u64| together.get(&(*person, *track)).map_or(0, |count| *count as i64);
    let gains: Vec<Vec<i64>> = people
        .iter()
        .map(|person| tracks.iter().map(|track| count(person, track)).collect())
        .collect();
    let pairs = assign(&gains).into_iter().enumerate();
    pairs
        .filter_map(|(row, column)| Some(gains[row][column?] as u64))
        .sum()
}

fn is_mixed(owners: &BTreeMap<u64, u64>) -> bool {
    let all: u64 = owners.values().sum();
    let most = owners.values().max().copied().unwrap_or(0);
    4 * (all - most) > all
}

/// The columns of the rows that give the largest sum of gains, each to one row at most (the Hungarian method).
#[allow(clippy::needless_range_loop)] // columns are counted from 1, in several lists at once
fn assign(gains: &[Vec<i64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (gains.len(), gains.first().map_or(0, Vec::len));
    if rows > columns {
        let turned: Vec<Vec<i64>> = (0..columns)
            .map(|c| gains.iter().map(|row| row[c]).collect())
            .collect();
        let mut columns_of = vec![None; rows];
        for (column, row) in assign(&turned).into_iter().enumerate() {
            if let Some(row) = row {
                columns_of[row] = Some(column);
            }
        }
        return columns_of;
    }
    // Rows are taken in one by one; potentials keep every reduced cost at 0 or more. Place 0 stands for none.
    let (mut row_potential, mut potential) = (vec![0i64; rows + 1], vec![0i64; columns + 1]);
    let mut row_of = vec![0usize; columns + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let (mut least, mut way) = (vec![i64::MAX; columns + 1], vec![0usize; columns + 1]);
        let mut done = vec![false; columns + 1];
        let mut column = 0;
        while row_of[column] != 0 {
            done[column] = true;
            let here = row_of[column];
            let (mut step, mut next) = (i64::MAX, 0);
            for c in 1..=columns {
                if done[c] {
                    continue;
                }
                let reduced = -gains[here - 1][c - 1] - row_potential[here] - potential[c];
                if reduced < least[c] {
                    (least[c], way[c]) = (reduced, column);
                }
                if least[c] < step {
                    (step, next) = (least[c], c);
                }
            }
            for c in 0..=columns {
                if done[c] {
                    row_potential[row_of[c]] += step;
                    potential[c] -= step;
                } else if c > 0 {
                    least[c] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = way[column];
            row_of[column] = row_of[before];
            column = before;
        }
    }
    let mut columns_of = vec![None; rows];
    for (column, row) in row_of.iter().enumerate().skip(1) {
        if *row > 0 {
            columns_of[row - 1] = Some(column - 1);
        }
    }
    columns_of
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(id: u64, x: f32) -> Labelled {
        Labelled {
            id,
            rect: Rect {
                x,
                y: 0.0,
                w: 10.0,
                h: 10.0,
            },
        }
    }

    #[test]
    fn the_best_assignment_is_not_the_greedy_one() {
        assert_eq!(assign(&[vec![10, 9], vec![9, 1]]), [Some(1), Some(0)]);
        assert_eq!(assign(&[vec![3], vec![5], vec![4]]), [None, Some(0), None]);
        assert_eq!(assign(&[]), Vec::<Option<usize>>::new());
    }

    #[test]
    fn a_switch_a_fragment_and_a_wrong_box_are_counted() {
        // Somebody is followed for four frames, missed for two, followed by another track for four; once there is a box too many.
        let truth: Vec<_> = (0..10).map(|_| vec![boxed(7, 0.0)]).collect();
        let given: Vec<_> = (0..10)
            .map(|frame| match frame {
                0..4 => vec![boxed(1, 0.0)],
                4..6 => vec![],
                9 => vec![boxed(2, 0.0), boxed(3, 50.0)],
                _ => vec![boxed(2, 0.0)],
            })
            .collect();
        let score = score(&truth, &given);
        assert_eq!((score.switches, score.fragments, score.miscounted), (1, 1, 3));
        assert_eq!((score.identified, score.faces, score.boxes), (4, 10, 9));
        assert_eq!((score.people, score.tracks, score.mixed), (1, 3, 0));
    }

    #[test]
    fn a_track_that_goes_over_to_somebody_else_is_mixed() {
        let truth: Vec<_> = (0..8).map(|_| vec![boxed(1, 0.0), boxed(2, 40.0)]).collect();
        let given: Vec<_> = (0..8)
            .map(|frame| vec![boxed(5, if frame < 5 { 0.0 } else { 40.0 })])
            .collect();
        let score = score(&truth, &given);
        assert_eq!((score.mixed, score.identified, score.switches), (1, 5, 0));
    }
}
