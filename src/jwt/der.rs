//! Reads as much DER as it takes to tell which kind of key a file holds.

/// The tags of DER elements.
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BITS: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// An element that is not always there, by its number.
pub(super) const FIRST_OPTIONAL: u8 = 0xa0;
pub(super) const SECOND_OPTIONAL: u8 = 0xa1;

/// The value of the element with this `tag` at the start of `der`, and what follows the element.
pub(super) fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // No key is as long as 16 MiB.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    (*found == tag).then_some((value, rest))
}

/// The value of the only element in `der`, if it has this `tag`.
pub(super) fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    element(der, tag).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// The bytes of a bit string that is made of whole bytes.
pub(super) fn whole_bytes(bits: &[u8]) -> Option<&[u8]> {
    bits.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
}

/// How many bits a positive number has.
pub(super) fn bits(number: &[u8]) -> usize {
    let digits = number.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &number[first..]);
    digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize)
}

/// Appends the element with this `tag` and `value`, which is shorter than 64 KiB.
pub(super) fn append(der: &mut Vec<u8>, tag: u8, value: &[u8]) {
    der.push(tag);
    let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
    match (high, low) {
        (0, ..=0x7f) => der.push(low),
        (0, _) => der.extend([0x81, low]),
        _ => der.extend([0x82, high, low]),
    }
    der.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_element_that_is_cut_short_or_of_another_kind_is_none() {
        assert_eq!(element(&[SEQUENCE, 2, 1, 2, 9], SEQUENCE), Some((&[1, 2][..], &[9][..])));
        for bad in [&[][..], &[SEQUENCE], &[SEQUENCE, 1], &[SEQUENCE, 0x80, 0, 0], &[SEQUENCE, 0x81], &[SEQUENCE, 0x84, 0, 0, 0, 1, 7]] {
            assert_eq!(element(bad, SEQUENCE), None, "{bad:?}");
        }
        assert_eq!(element(&[OCTETS, 0], SEQUENCE), None);
        assert_eq!(only(&[OCTETS, 1, 7, 0], OCTETS), None);
    }

    #[test]
    fn bits_are_counted_from_the_first_that_is_set() {
        for (number, expected) in [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80, 0], 16), (&[0x7f, 0xff], 15)] {
            assert_eq!(bits(number), expected, "{number:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in prop::collection::vec(any::<u8>(), 0..70_000), tag in any::<u8>()) {
            prop_assume!(u16::try_from(value.len()).is_ok());
            let mut der = Vec::new();
            append(&mut der, tag, &value);
            prop_assert_eq!(only(&der, tag), Some(&value[..]));
        }

        #[test]
        fn no_bytes_panic(der in prop::collection::vec(any::<u8>(), 0..40)) {
            for tag in [INTEGER, SEQUENCE, OCTETS] {
                let _ = element(&der, tag);
            }
        }
    }
}
