//! What holds for the message and the hint of every error. Each enum of errors has a test that walks over its variants with
//! [`assert_all_told`]; the walk is a `match` over all of them, so that the compiler asks for a new one.

use std::error::Error;

/// Words of the source, which mean nothing to a user.
const INTERNAL: [&str; 9] = ["::", "None", "Some(", "Err(", "Option", "unwrap", "tokio", "struct", "enum "];

/// Checks the message of an `error` and its `hint`.
pub(crate) fn assert_told(error: &dyn Error, hint: &str) {
    let message = error.to_string();
    for text in [message.as_str(), hint] {
        assert!(!text.trim().is_empty() && text.trim() == text, "{text:?}");
        // The further lines of a message are indented.
        let text = text.replace("\n  ", " ");
        assert!(!text.contains("  ") && !text.contains('\n'), "one line, single spaces: {text:?}");
        assert!(!text.ends_with('.') && !text.contains("{\""), "{text:?}");
        assert!(!INTERNAL.iter().any(|word| text.contains(word)), "{text:?}");
    }
    assert!(!hint.contains('\n'), "a hint is one line: {hint:?}");
    assert!(!message.contains(hint) && !hint.contains(&message), "a hint says what to do next, not the message again: {hint:?}");
}

/// Checks every error from `first` on: `next` names the one after another, and `hint` is its hint. Returns how many there are.
pub(crate) fn assert_all_told<E: Error>(first: E, next: impl Fn(&E) -> Option<E>, hint: impl Fn(&E) -> String) -> usize {
    std::iter::successors(Some(first), next).inspect(|error| assert_told(error, &hint(error))).count()
}
