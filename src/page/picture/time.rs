//! The axis of time. Where nothing happens for long, it is broken, so that what does happen has room.

use chrono::{DateTime, Utc};

use super::canvas::{Anchor, Area, CHARACTER, Canvas, LINE, Shape};
use crate::page::buckets::DAY;

/// The most places at which the axis is broken.
const MOST_BREAKS: usize = 4;
/// The width of a break, in pixels.
const BREAK: f64 = 18.0;
/// The steps between ticks, in seconds. Beyond the last, years.
const STEPS: [i64; 27] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    432_000,
    864_000,
    2_592_000,
    7_776_000,
    31_536_000,
    315_360_000,
    3_153_600_000,
    31_536_000_000,
];

/// A piece of time that is drawn to scale.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    from: i64,
    to: i64,
    left: f64,
    right: f64,
}

/// Where instants stand on the axis.
#[derive(Debug)]
pub(super) struct TimeAxis {
    pieces: Vec<Piece>,
}

impl TimeAxis {
    /// For what happens in these `spans`, which are in order, from one side of the `area` to the other. A gap is left out if it
    /// is more than `factor` times as long as all the rest.
    pub(super) fn new(spans: &[(i64, i64)], factor: f64, area: Area) -> Self {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Self { pieces: Vec::new() } };
        let mut gaps: Vec<(i64, i64)> = spans.windows(2).map(|pair| (pair[0].1, pair[1].0)).collect();
        gaps.sort_by_key(|(from, to)| from - to);
        let mut rest = last.1 - first.0;
        let mut breaks = Vec::new();
        for (from, to) in gaps.into_iter().take(MOST_BREAKS) {
            let others = rest - (to - from);
            if others <= 0 || float(to - from) <= factor * float(others) {
                break;
            }
            rest = others;
            breaks.push((from, to));
        }
        breaks.sort_unstable();
        let mut bounds = vec![first.0];
        bounds.extend(breaks.iter().flat_map(|(from, to)| [*from, *to]));
        bounds.push(last.1);
        let scale = (area.width() - BREAK * float(i64::try_from(breaks.len()).unwrap_or_default())) / float(rest.max(1));
        let mut left = area.left;
        let mut pieces = Vec::new();
        for bound in bounds.chunks_exact(2) {
            let right = left + float(bound[1] - bound[0]) * scale;
            pieces.push(Piece { from: bound[0], to: bound[1], left, right });
            left = right + BREAK;
        }
        Self { pieces }
    }

    /// Where an instant stands. What falls into a break stands at its beginning.
    pub(super) fn x(&self, at: i64) -> f64 {
        let mut x = self.pieces.first().map_or(0.0, |piece| piece.left);
        for piece in self.pieces.iter().take_while(|piece| piece.from <= at) {
            let share = if piece.to > piece.from { float(at.min(piece.to) - piece.from) / float(piece.to - piece.from) } else { 0.0 };
            x = piece.left + share * (piece.right - piece.left);
        }
        x
    }

    /// Draws the axis below `area`: ticks with times, days below them, and the breaks.
    pub(super) fn draw(&self, canvas: &mut Canvas, area: Area) {
        for pair in self.pieces.windows(2) {
            let x = f64::midpoint(pair[0].right, pair[1].left);
            for offset in [-3.0, 3.0] {
                canvas.line((x + offset - 3.0, area.bottom + 5.0), (x + offset + 3.0, area.bottom - 5.0), "break");
            }
        }
        let apart = if canvas.shape == Shape::Wide { 64.0 } else { 58.0 };
        let step = self.step(apart);
        let (mut taken, mut last_day) = (f64::NEG_INFINITY, None);
        for piece in &self.pieces {
            let mut ticks: Vec<i64> = ticks(piece.from, piece.to, step);
            if ticks.is_empty() {
                ticks.push(piece.from);
            }
            for at in ticks {
                let x = self.x(at).clamp(area.left, area.right);
                canvas.line((x, area.bottom), (x, area.bottom + 4.0), "axis");
                let Some(instant) = DateTime::from_timestamp_millis(at) else { continue };
                let (upper, lower) = labels(instant, step, last_day);
                let width = widest(&upper, lower.as_deref());
                let (anchor, left) = if x + width / 2.0 > area.right {
                    (Anchor::End, x - width)
                } else if x - width / 2.0 < area.left {
                    (Anchor::Start, x)
                } else {
                    (Anchor::Middle, x - width / 2.0)
                };
                if left < taken {
                    continue;
                }
                taken = left + width + 6.0;
                last_day = Some(instant.date_naive());
                canvas.text(x, area.bottom + LINE, anchor, "tick", &upper);
                if let Some(lower) = lower {
                    canvas.text(x, area.bottom + 2.0 * LINE - 2.0, anchor, "tick", &lower);
                }
            }
        }
    }

    /// The step between ticks that are this many pixels apart at least.
    fn step(&self, apart: f64) -> i64 {
        let (time, width) =
            self.pieces.iter().fold((0, 0.0), |(time, width), piece| (time + piece.to - piece.from, width + piece.right - piece.left));
        let least = float(time) * apart / f64::max(width, 1.0);
        STEPS.into_iter().map(|seconds| seconds * 1_000).find(|step| float(*step) >= least).unwrap_or(STEPS[STEPS.len() - 1] * 1_000)
    }
}

/// The width of two lines of text.
#[expect(clippy::cast_precision_loss, reason = "some characters")]
fn widest(upper: &str, lower: Option<&str>) -> f64 {
    let characters = upper.chars().count().max(lower.map_or(0, |lower| lower.chars().count()));
    characters as f64 * (CHARACTER - 0.6)
}

/// The multiples of `step` from one instant to another.
fn ticks(from: i64, to: i64, step: i64) -> Vec<i64> {
    let first = -(-from).div_euclid(step);
    (first..=to.div_euclid(step)).map(|multiple| multiple * step).collect()
}

/// What stands at a tick: the time and, where it is another day than `before`, the day below.
fn labels(at: DateTime<Utc>, step: i64, before: Option<chrono::NaiveDate>) -> (String, Option<String>) {
    const YEAR: i64 = 300 * DAY;
    if step >= YEAR {
        return (at.format("%Y").to_string(), None);
    }
    if step >= DAY {
        let is_new_year = before.is_none_or(|before| before.format("%Y").to_string() != at.format("%Y").to_string());
        return (at.format("%-d %b").to_string(), is_new_year.then(|| at.format("%Y").to_string()));
    }
    let time = at.format(if step < 60_000 { "%H:%M:%S" } else { "%H:%M" }).to_string();
    (time, (before != Some(at.date_naive())).then(|| at.format("%-d %b").to_string()))
}

#[expect(clippy::cast_precision_loss, reason = "lengths in pixels")]
fn float(millis: i64) -> f64 {
    millis as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area { left: 50.0, top: 0.0, right: 700.0, bottom: 100.0 };

    #[test]
    fn time_goes_from_one_side_to_the_other_and_a_long_gap_is_left_out() {
        let whole = TimeAxis::new(&[(0, 60_000), (70_000, 100_000)], 0.5, AREA);
        assert_eq!(whole.pieces.len(), 1);
        assert_eq!([whole.x(0), whole.x(50_000), whole.x(100_000)].map(super::super::canvas::short), ["50", "375", "700"]);
        let broken = TimeAxis::new(&[(0, 60_000), (9_000_000, 9_030_000)], 0.5, AREA);
        assert_eq!(broken.pieces.len(), 2);
        assert!((broken.x(9_030_000) - 700.0).abs() < 1e-6, "{broken:?}");
        assert!((broken.x(60_000) - broken.x(5_000_000)).abs() < 1e-6, "nothing stands in a break");
        assert!((broken.x(9_000_000) - broken.x(60_000) - BREAK).abs() < 1e-6);
        let moment = TimeAxis::new(&[(5, 5)], 0.5, AREA);
        assert!(moment.x(5).is_finite() && TimeAxis::new(&[], 0.5, AREA).x(7).is_finite());
    }

    #[test]
    fn ticks_are_few_and_at_round_times() {
        for length in [1, 999, 60_000, 1_000_000, 86_400_000, 3_000_000_000, 300_000_000_000_000] {
            let axis = TimeAxis::new(&[(1_795_806_120_123, 1_795_806_120_123 + length)], 0.5, AREA);
            let step = axis.step(64.0);
            assert!(ticks(1_795_806_120_123, 1_795_806_120_123 + length, step).len() <= 11, "{length}: {step}");
        }
        assert_eq!(ticks(-1, 2_000, 1_000), [0, 1_000, 2_000]);
    }
}
