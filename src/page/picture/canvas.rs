//! What every picture is drawn on: marks and text at places in pixels, and the axis of numbers.

use svg::Node;
use svg::node::element::{Definitions, Line, Path, Pattern, Rectangle, SVG, Text};

use super::Fill;
use crate::page::words::thousands;

/// The height of a line of text, in pixels.
pub(super) const LINE: f64 = 18.0;
/// The width of a character, in pixels: what letters and digits of 13 pixels have on average in the widest of the page's fonts.
pub(super) const CHARACTER: f64 = 8.2;
/// The width of a bold digit.
pub(super) const BOLD: f64 = 9.2;

/// The shape of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Wide,
    Narrow,
}

impl Shape {
    /// In pixels: the page's width on a screen, and on the narrowest phones in use (360, less the margins).
    pub(super) fn width(self) -> f64 {
        match self {
            Self::Wide => 720.0,
            Self::Narrow => 330.0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }
}

/// Which end of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture while it is drawn.
pub(super) struct Canvas {
    id: String,
    pub(super) shape: Shape,
    pub(super) height: f64,
    svg: SVG,
}

/// A rectangle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn width(self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(self) -> f64 {
        self.bottom - self.top
    }
}

impl Canvas {
    pub(super) fn new(id: &str, shape: Shape) -> Self {
        let id = format!("{id}-{}", shape.name());
        let hatch = Pattern::new()
            .set("id", format!("{id}-bad"))
            .set("width", 6)
            .set("height", 6)
            .set("patternUnits", "userSpaceOnUse")
            .set("patternTransform", "rotate(45)")
            .add(Rectangle::new().set("width", 6).set("height", 6).set("class", "bad-ground"))
            .add(Rectangle::new().set("width", 3).set("height", 6).set("class", "bad"));
        let dots = Pattern::new()
            .set("id", format!("{id}-held"))
            .set("width", 5)
            .set("height", 5)
            .set("patternUnits", "userSpaceOnUse")
            .add(Rectangle::new().set("width", 5).set("height", 5).set("class", "held-ground"))
            .add(Rectangle::new().set("x", 1).set("y", 1).set("width", 2).set("height", 2).set("class", "held"));
        let svg = SVG::new().add(Definitions::new().add(hatch).add(dots));
        Self { id, shape, height: 0.0, svg }
    }

    fn add(&mut self, node: impl Into<Box<dyn Node>>) {
        self.svg.append(node);
    }

    /// A text at `x`, with its baseline at `y`.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(Text::new(text).set("x", short(x)).set("y", short(y)).set("text-anchor", anchor).set("class", class));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let line = Line::new().set("x1", short(from.0)).set("y1", short(from.1)).set("x2", short(to.0)).set("y2", short(to.1));
        self.add(line.set("class", class));
    }

    /// A shape outlined by `path`, in the form of SVG.
    pub(super) fn filled(&mut self, path: &str, fill: Fill) {
        let mark = Path::new().set("d", path);
        let mark = match fill {
            Fill::Good => mark.set("class", "good"),
            Fill::Neither => mark.set("class", "neither"),
            // A pattern is a picture's own, so it cannot be named in the style.
            Fill::Bad => mark.set("class", "bad-edge").set("fill", format!("url(#{}-bad)", self.id)),
        };
        self.add(mark);
    }

    /// An area in which the run was held back.
    pub(super) fn held(&mut self, area: Area) {
        let fill = format!("url(#{}-held)", self.id);
        self.add(Path::new().set("d", rectangle(area)).set("class", "held-edge").set("fill", fill));
    }

    pub(super) fn stroked(&mut self, path: &str, class: &str) {
        self.add(Path::new().set("d", path).set("class", class));
    }

    /// The axis of numbers from 0 to `most` at the left of `area`, with lines across.
    pub(super) fn numbers(&mut self, area: Area, most: f64) {
        for number in steps_to(most) {
            let y = area.bottom - number / most * area.height();
            self.line((area.left, y), (area.right, y), if number == 0.0 { "axis" } else { "grid" });
            self.text(area.left - 6.0, y + 4.0, Anchor::End, "tick", &figure(number));
        }
    }

    /// The picture as SVG.
    pub(super) fn finish(self, label: &str) -> String {
        let view = format!("0 0 {} {}", short(self.shape.width()), short(self.height));
        let svg = self.svg.set("viewBox", view).set("class", self.shape.name()).set("role", "img").set("aria-label", label);
        svg.to_string()
    }
}

/// The path around an area.
pub(super) fn rectangle(area: Area) -> String {
    let Area { left, top, right, bottom } = area;
    format!("M{} {}V{}H{}V{}Z", short(left), short(bottom), short(top), short(right), short(bottom))
}

/// A place to a tenth of a pixel.
pub(super) fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// From 0 to `most`, at most five steps in round figures.
fn steps_to(most: f64) -> Vec<f64> {
    const STEPS: f64 = 4.0;
    let rough = most / STEPS;
    let unit = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|round| round * unit).find(|step| *step >= rough).unwrap_or(rough);
    std::iter::successors(Some(0.0), |number| Some(number + step)).take_while(|number| *number <= most * 1.0001).collect()
}

/// The least round figure that is not below `most`, so that an axis ends in one.
pub(super) fn round_top(most: f64) -> f64 {
    let most = most.max(f64::MIN_POSITIVE);
    match steps_to(most)[..] {
        [.., before, last] if last < most * 0.9999 => last + (last - before),
        [.., last] => last.max(most),
        [] => most,
    }
}

/// A number of an axis.
fn figure(number: f64) -> String {
    if number.fract().abs() < 1e-9 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, or a count a second")]
        return thousands(number as u64);
    }
    let text = format!("{number:.3}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_few_steps_and_ends_in_a_round_figure() {
        for (most, top) in [(1.0, 1.0), (7.0, 8.0), (47.3, 60.0), (50_000.0, 60_000.0), (0.33, 0.4), (3.0, 3.0)] {
            let found = round_top(most);
            assert!((found - top).abs() < 1e-9, "{most}: {found}");
            let steps = steps_to(found);
            assert!((3..=6).contains(&steps.len()), "{most}: {steps:?}");
        }
        assert_eq!([0.0, 1_000.0, 0.25].map(figure), ["0", "1,000", "0.25"]);
        assert_eq!([1.0, 1.25, -3.0, 99.96].map(short), ["1", "1.2", "-3", "100"]);
    }
}
