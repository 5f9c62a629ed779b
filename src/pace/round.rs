//! People set limits: picks the likeliest number in a range.

/// An estimate whose range spans more than this factor says little.
pub(super) const WIDE: f64 = 2.0;

/// The likeliest rate in a range: people choose round numbers. In a wide range, one that a 429 soon shows to be too
/// high, and that is not far too low.
pub(super) fn likely(low: f64, high: f64) -> f64 {
    if high > low * WIDE {
        return (low.max(high / 4.0) * high).sqrt();
    }
    // Nothing contradicts a rate that is much too low.
    let least = low * (high / low).powf(0.25);
    roundest(least, high).unwrap_or(f64::midpoint(low, high))
}

/// Whether a number is whole, with at most two significant digits.
pub(super) fn is_round(number: f64) -> bool {
    let unit = 10_f64.powf(number.max(1.0).log10().floor() - 1.0).max(1.0);
    (number / unit - (number / unit).round()).abs() < 1e-6
}

/// Whether a number is 1, 2 or 5 with zeros: what people choose most often.
pub(super) fn is_plain(number: f64) -> bool {
    let digit = number / 10_f64.powf(number.log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().any(|plain| (digit / plain - 1.0).abs() < 1e-3)
}

/// The number in a range with the fewest significant digits: 1, 2 or 5 with zeros before other single digits, these
/// before two digits, and among those halves first.
pub(super) fn roundest(low: f64, high: f64) -> Option<f64> {
    let power = 10_f64.powf(high.log10().floor());
    let is_between = |number: &f64| *number >= low && *number <= high;
    let middle = f64::midpoint(low, high);
    let is_nearer = |a: &f64, b: &f64| (a - middle).abs().total_cmp(&(b - middle).abs());
    let digits = [&[1.0, 2.0, 5.0, 10.0][..], &[1.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0][..]];
    let of_one = digits.into_iter().find_map(|digits| {
        let all = digits.iter().flat_map(|digit| [digit * power, digit * power / 10.0]);
        all.filter(is_between).min_by(is_nearer)
    });
    let near = |part: f64| (middle / (power / part)).round() * (power / part);
    of_one.or_else(|| [2.0, 10.0, 20.0, 100.0].map(near).into_iter().find(is_between))
}
