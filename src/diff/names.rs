//! The usernames and email addresses that the reports have beside the user IDs. They are kept in a temporary file, because a
//! report may have any size.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::external_sort::unnamed_file;
use crate::platform::PositionedIo;

/// The columns, in the order in which they follow the user ID.
pub(super) const COLUMNS: [&str; 2] = ["username", "email"];

/// The values of a user in these columns; empty where there is none.
pub(super) type Named = [String; COLUMNS.len()];

/// The bytes that tell how long the values are, before the values themselves.
const LENGTHS: usize = COLUMNS.len() * size_of::<u32>();

/// Where the names of a line stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamesPlace(u64);

impl NamesPlace {
    /// A line has no names.
    pub(super) const NONE: Self = Self(0);

    /// The place as an integer.
    pub(super) fn packed(self) -> u64 {
        self.0
    }

    pub(super) fn unpacked(packed: u64) -> Self {
        Self(packed)
    }
}

/// The names that have been read so far.
pub(super) struct Names {
    file: BufWriter<File>,
    end: u64,
}

/// The names of both reports.
pub(super) struct KeptNames(File);

impl Names {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(unnamed_file(&std::env::temp_dir())?), end: 0 })
    }

    /// Keeps the names of a line.
    pub(super) fn push(&mut self, names: &Named) -> io::Result<NamesPlace> {
        if names.iter().all(String::is_empty) {
            return Ok(NamesPlace::NONE);
        }
        // 0 means that there are none.
        let place = NamesPlace(self.end + 1);
        for name in names {
            let length = u32::try_from(name.len()).map_err(io::Error::other)?;
            self.file.write_all(&length.to_le_bytes())?;
        }
        for name in names {
            self.file.write_all(name.as_bytes())?;
        }
        self.end += (LENGTHS + names.iter().map(String::len).sum::<usize>()) as u64;
        Ok(place)
    }

    pub(super) fn finish(self) -> io::Result<KeptNames> {
        self.file.into_inner().map(KeptNames).map_err(io::IntoInnerError::into_error)
    }
}

impl KeptNames {
    /// The names at a place.
    pub(super) fn at(&self, place: NamesPlace) -> io::Result<Named> {
        let mut names = Named::default();
        if place == NamesPlace::NONE {
            return Ok(names);
        }
        let mut at = place.0 - 1;
        let mut lengths = [0; LENGTHS];
        self.0.read_exact_at(&mut lengths, at)?;
        at += LENGTHS as u64;
        for (name, length) in names.iter_mut().zip(lengths.as_chunks().0) {
            let length = u32::from_le_bytes(*length);
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            self.0.read_exact_at(&mut bytes, at)?;
            at += u64::from(length);
            *name = String::from_utf8(bytes).map_err(io::Error::other)?;
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_from_their_places() {
        let mut names = Names::new().expect("a file");
        let all =
            [["ann", "ann@example.com"], ["", ""], ["", "bj\u{f6}rn@example.com"], ["x;\"\n", ""]].map(|pair| pair.map(str::to_owned));
        let places = all.each_ref().map(|pair| names.push(pair).expect("kept"));
        assert_eq!(places[1], NamesPlace::NONE);
        let kept = names.finish().expect("kept");
        for (place, pair) in places.into_iter().zip(&all).rev() {
            assert_eq!(kept.at(NamesPlace::unpacked(place.packed())).expect("there"), *pair);
        }
    }
}
