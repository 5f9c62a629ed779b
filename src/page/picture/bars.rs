//! Numbers as bars, one below the other, each with its name and its number.

use super::canvas::{Anchor, Area, BOLD, CHARACTER, Canvas, LINE, Shape, rectangle};
use super::{Fill, Picture};
use crate::page::words::thousands;

/// The least width of a bar whose number is not 0, in pixels.
const LEAST: f64 = 2.0;
/// The space between bars.
const GAP: f64 = 8.0;

/// A bar.
#[derive(Debug)]
pub(in crate::page) struct Bar {
    pub(in crate::page) name: String,
    pub(in crate::page) number: u64,
    pub(in crate::page) fill: Fill,
}

/// Where the names stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::page) enum Labels {
    Beside,
    /// Above their bars, for long ones.
    Above,
}

/// Draws `bars`.
pub(in crate::page) fn bars(id: &str, label: &str, labels: Labels, bars: &[Bar]) -> Picture {
    Picture::drawn(id, label, |canvas| draw(canvas, labels, bars))
}

#[expect(clippy::cast_precision_loss, reason = "lengths in pixels")]
fn draw(canvas: &mut Canvas, labels: Labels, bars: &[Bar]) {
    let width = canvas.shape.width();
    let most = bars.iter().map(|bar| bar.number).max().unwrap_or_default().max(1) as f64;
    let characters = |text: &str| text.chars().count() as f64 * CHARACTER;
    let numbers = bars.iter().map(|bar| thousands(bar.number).len() as f64 * BOLD).fold(0.0, f64::max) + GAP;
    let left = match labels {
        Labels::Beside => bars.iter().map(|bar| characters(&bar.name)).fold(0.0, f64::max).min(width / 2.0) + GAP,
        Labels::Above => 0.0,
    };
    let thickness = if labels == Labels::Above || canvas.shape == Shape::Wide { LINE } else { LINE - 2.0 };
    let mut top = 2.0;
    for bar in bars {
        match labels {
            Labels::Beside => canvas.text(left - GAP, top + 13.5, Anchor::End, "name", &bar.name),
            Labels::Above => {
                canvas.text(0.0, top + 12.0, Anchor::Start, "name", &fitting(&bar.name, width));
                top += LINE;
            }
        }
        let least = if bar.number > 0 { LEAST } else { 0.0 };
        let length = (bar.number as f64 / most * (width - left - numbers)).max(least);
        let area = Area { left, top, right: left + length, bottom: top + thickness };
        canvas.filled(&rectangle(area), bar.fill);
        canvas.text(area.right + 6.0, top + 13.5, Anchor::Start, "number", &thousands(bar.number));
        top += thickness + GAP;
    }
    canvas.height = top;
}

/// As much of a text as fits into this many pixels.
fn fitting(text: &str, width: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred pixels")]
    let most = (width / CHARACTER) as usize;
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}
