//! How many rows were settled over time, and when the run was held back.

use super::canvas::{Anchor, Area, Canvas, LINE, Shape, rectangle, round_top};
use super::time::TimeAxis;
use super::{Fill, Picture};
use crate::page::buckets::Bucket;

/// A gap as long as half of the run is a pause between two processes.
const PAUSE: f64 = 0.5;
/// The least width of a hold, in pixels.
const LEAST_HOLD: f64 = 5.0;
/// The height of the strip in which holds are marked, and the space below it.
const STRIP: f64 = 14.0;
const BELOW: f64 = 8.0;

/// The pace of a run: rows that failed are the second kind.
#[derive(Debug)]
pub(in crate::page) struct Pace {
    pub(in crate::page) spans: Vec<Bucket<2>>,
    /// From when to when the run was held back, in milliseconds.
    pub(in crate::page) holds: Vec<(i64, i64)>,
    /// The milliseconds for which the axis counts rows: a second or a minute.
    pub(in crate::page) unit: i64,
}

/// Draws the pace.
pub(in crate::page) fn pace(id: &str, label: &str, pace: &Pace) -> Picture {
    Picture::drawn(id, label, |canvas| draw(canvas, pace))
}

#[expect(clippy::cast_precision_loss, reason = "lengths in pixels")]
fn draw(canvas: &mut Canvas, pace: &Pace) {
    let height = if canvas.shape == Shape::Wide { 200.0 } else { 160.0 };
    let top = if pace.holds.is_empty() { 10.0 } else { 10.0 + STRIP + BELOW };
    let area = Area { left: 48.0, top, right: canvas.shape.width() - 4.0, bottom: top + height };
    canvas.height = area.bottom + 2.0 * LINE + 4.0;
    let spans: Vec<(i64, i64)> = pace.spans.iter().map(|span| (span.from, span.to)).collect();
    let axis = TimeAxis::new(&spans, PAUSE, area);
    let rate = |rows: u64, span: &Bucket<2>| rows as f64 * pace.unit as f64 / (span.to - span.from) as f64;
    let most = pace.spans.iter().map(|span| rate(span.counts.iter().sum(), span)).fold(0.0, f64::max);
    let top = round_top(most);
    holds(canvas, &axis, area, &pace.holds);
    canvas.numbers(area, top);
    let mut marks = [String::new(), String::new()];
    for span in &pace.spans {
        let y = |rate: f64| area.bottom - rate / top * area.height();
        let [good, bad] = span.counts;
        let (middle, upper) = (y(rate(good, span)), y(rate(good + bad, span)));
        let (left, right) = (axis.x(span.from), axis.x(span.to));
        for (mark, rows, (bottom, top)) in [(0, good, (area.bottom, middle)), (1, bad, (middle, upper))] {
            if rows > 0 {
                // What is there must be seen.
                marks[mark] += &rectangle(Area { left, right, bottom, top: top.min(bottom - 1.0) });
            }
        }
    }
    canvas.filled(&marks[0], Fill::Good);
    canvas.filled(&marks[1], Fill::Bad);
    axis.draw(canvas, area);
}

/// Marks the holds in a strip above the `area`.
fn holds(canvas: &mut Canvas, axis: &TimeAxis, area: Area, holds: &[(i64, i64)]) {
    if holds.is_empty() {
        return;
    }
    let (top, bottom) = (area.top - BELOW - STRIP, area.top - BELOW);
    canvas.text(area.left - 6.0, bottom - 2.0, Anchor::End, "tick", "held");
    canvas.line((area.left, bottom), (area.right, bottom), "grid");
    for (from, to) in holds {
        let left = axis.x(*from).min(area.right - LEAST_HOLD);
        canvas.held(Area { left, right: axis.x(*to).max(left + LEAST_HOLD).min(area.right), top, bottom });
    }
}
