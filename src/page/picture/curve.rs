//! How many are left over time: a curve that goes down in steps.

use chrono::DateTime;

use super::Picture;
use super::canvas::{Anchor, Area, BOLD, Canvas, LINE, Shape, round_top, short};
use super::time::TimeAxis;
use crate::page::words::thousands;

/// A gap is left out if it is ten times as long as all the rest.
const LONG: f64 = 10.0;
/// The most steps that are labelled with their time, and the least share of all that each of them has.
const LABELLED: usize = 3;
const LEAST_SHARE: f64 = 0.1;

/// The numbers that are left.
#[derive(Debug)]
pub(in crate::page) struct Curve {
    /// Where the curve begins, in milliseconds.
    pub(in crate::page) from: i64,
    /// How many are left from the beginning on.
    pub(in crate::page) all: u64,
    /// The instants at which some go, in order, and how many.
    pub(in crate::page) steps: Vec<(i64, u64)>,
}

/// Draws the curve.
pub(in crate::page) fn curve(id: &str, label: &str, curve: &Curve) -> Picture {
    Picture::drawn(id, label, |canvas| draw(canvas, curve))
}

#[expect(clippy::cast_precision_loss, reason = "lengths in pixels")]
fn draw(canvas: &mut Canvas, curve: &Curve) {
    let height = if canvas.shape == Shape::Wide { 180.0 } else { 150.0 };
    let area = Area { left: 52.0, top: 26.0, right: canvas.shape.width() - 24.0, bottom: 26.0 + height };
    canvas.height = area.bottom + 2.0 * LINE + 4.0;
    let mut points = vec![(curve.from, curve.from)];
    points.extend(curve.steps.iter().map(|(at, _)| (*at, *at)).filter(|(at, _)| *at > curve.from));
    let axis = TimeAxis::new(&points, LONG, area);
    let top = round_top(curve.all.max(1) as f64);
    canvas.numbers(area, top);
    let y = |left: u64| area.bottom - left as f64 / top * area.height();
    let mut left = curve.all;
    let mut path = format!("M{} {}", short(area.left), short(y(left)));
    for (at, gone) in &curve.steps {
        left -= gone;
        path.extend(["H", &short(axis.x(*at)), "V", &short(y(left))]);
    }
    canvas.stroked(&format!("{path}V{}H{}Z", short(area.bottom), short(area.left)), "left-area");
    canvas.stroked(&path, "left-line");
    axis.draw(canvas, area);
    canvas.text(area.left + 4.0, y(curve.all) - 6.0, Anchor::Start, "number", &thousands(curve.all));
    let mut taken = vec![area.left + 40.0];
    for (at, gone) in greatest(curve) {
        let x = axis.x(at);
        let text = DateTime::from_timestamp_millis(at).map(|at| at.format("%-d %b %H:%M").to_string()).unwrap_or_default();
        let width = text.chars().count() as f64 * BOLD;
        let fits = x - width > area.left + 50.0 && taken.iter().all(|other| (other - x).abs() > width + 12.0);
        if gone as f64 >= LEAST_SHARE * curve.all as f64 && fits {
            taken.push(x);
            canvas.text(x + 4.0, area.top - 12.0, Anchor::End, "number", &text);
            canvas.line((x, area.top - 8.0), (x, area.bottom), "mark");
        }
    }
}

/// The steps at which the most go.
fn greatest(curve: &Curve) -> Vec<(i64, u64)> {
    let mut steps = curve.steps.clone();
    steps.sort_by_key(|(at, gone)| (std::cmp::Reverse(*gone), *at));
    steps.truncate(LABELLED);
    steps
}
