//! TODO
pub(crate) fn bench() {}
