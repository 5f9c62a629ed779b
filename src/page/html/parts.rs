//! The parts that all sections are made of. Texts from outside reach the page through `foreign` alone.

use chrono::{DateTime, Utc};
use maud::{Markup, PreEscaped, html};

use crate::domain::escaped;
use crate::explain::Said;
use crate::page::causes::MOST_TEXT;
use crate::page::picture::Picture;
use crate::page::words::{iso, stamp, thousands};

/// A text from a report, a record or a server: cut, in one line, with what is invisible shown as an escape, and with a writing
/// direction of its own.
pub(super) fn foreign(text: &str) -> Markup {
    let is_long = text.chars().nth(MOST_TEXT + 1).is_some();
    let shown: String = text.chars().take(MOST_TEXT + 1).collect();
    html! { bdi { (escaped(&shown)) @if is_long { "…" } } }
}

/// A number of the page, under the name by which it can be found.
pub(super) fn figure(name: &str, number: u64) -> Markup {
    html! { data value=(number) data-figure=(name) { (thousands(number)) } }
}

/// An instant in UTC.
pub(super) fn at(instant: DateTime<Utc>) -> Markup {
    html! { time datetime=(iso(instant)) { (stamp(instant)) } }
}

/// A text of the reference.
pub(super) fn said(text: &Said) -> Markup {
    html! { @for (piece, is_code) in text { @if *is_code { code.name { (piece) } } @else { (piece) } } }
}

/// A picture with what stands below it: its words, and its numbers as a table that can be opened.
pub(super) fn pictured(picture: &Picture, caption: &Markup, table: &Markup) -> Markup {
    html! {
        figure {
            (PreEscaped(&picture.wide))
            (PreEscaped(&picture.narrow))
            figcaption { (caption) }
        }
        details { summary { "The numbers of this picture" } (table) }
    }
}

/// The columns of our tables that have numbers.
const NUMBERS: [&str; 5] = ["rows", "share", "users", "succeeded", "failed"];

/// A table that may be wider than a phone: it scrolls by itself, and can be reached by the keyboard to do so.
pub(super) fn table(name: &str, head: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table {
                caption { (name) }
                thead { tr { @for cell in head { th.number[NUMBERS.contains(cell)] scope="col" { (cell) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A line of a list of facts; nothing if nothing is known.
pub(super) fn fact(name: &str, value: Option<Markup>) -> Markup {
    html! { @if let Some(value) = value { div { dt { (name) } dd { (value) } } } }
}
