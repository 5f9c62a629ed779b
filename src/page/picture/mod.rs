//! Pictures as SVG, each in two shapes: one for a wide screen and paper, one for a phone. CSS shows one of them, so that text is
//! never smaller than that around it. Colours come from the page's style, and nothing is told by colour alone.

mod bars;
mod canvas;
mod curve;
mod pace;
mod time;

pub(super) use self::bars::{Bar, Labels, bars};
pub(super) use self::curve::{Curve, curve};
pub(super) use self::pace::{Pace, pace};

/// How a mark is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Plain, for what went well.
    Good,
    /// Hatched, for what failed.
    Bad,
    /// Outlined, for what is neither.
    Neither,
}

/// The picture in both shapes.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) wide: String,
    pub(super) narrow: String,
}

impl Picture {
    /// Draws the picture named `id` twice. `label` says what is in it to those who do not see it.
    fn drawn(id: &str, label: &str, draw: impl Fn(&mut canvas::Canvas)) -> Self {
        let of = |shape| {
            let mut canvas = canvas::Canvas::new(id, shape);
            draw(&mut canvas);
            canvas.finish(label)
        };
        Self { wide: of(canvas::Shape::Wide), narrow: of(canvas::Shape::Narrow) }
    }
}
