//! Amounts of resources ("1Gi", "500m", "2e3") as apimachinery's `api/resource` reads, caps and writes them.
//!
//! Exact: no floating point between what was sent and what is stored. Amounts are kept to the billionth and rounded away
//! from zero, and nothing is larger than 2^63-1, whatever the exponent says.

/// What the real server says of a text that is no quantity (`resource.ErrFormatWrong`).
pub(crate) const WRONG_FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
/// What it says of a unit that there is not (`resource.ErrSuffix`).
const WRONG_SUFFIX: &str = "unable to parse quantity's suffix";

const NANOS: u128 = 1_000_000_000;
/// The largest amount: 2^63-1, in billionths.
const LARGEST: u128 = i64::MAX as u128 * NANOS;
/// More digits than the largest amount has.
const DIGITS: usize = 30;

/// How the amount was written, which it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Ki, Mi, Gi, ...
    Binary,
    /// n, u, m, k, M, G, ...
    Decimal,
    /// e3, e6, ...
    Exponent,
}

/// An amount of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity {
    is_negative: bool,
    /// Billionths, at most [`LARGEST`].
    nanos: u128,
    format: Format,
}

impl Quantity {
    /// Reads a quantity; the error is the real server's sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (is_negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let split = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(split);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_shaped = suffix
            .trim_start_matches(|c| "eEinumkKMGTP".contains(c))
            .trim_start_matches(['+', '-'])
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || fraction.contains('.') || !is_shaped {
            return Err(WRONG_FORMAT);
        }
        let decimal = |exponent| (scaled(whole, fraction, exponent), Format::Decimal);
        let binary = |power| (shifted(whole, fraction, power), Format::Binary);
        let (nanos, format) = match suffix {
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(1),
            "Mi" => binary(2),
            "Gi" => binary(3),
            "Ti" => binary(4),
            "Pi" => binary(5),
            "Ei" => binary(6),
            other => {
                let exponent: i32 = other
                    .strip_prefix(['e', 'E'])
                    .and_then(|digits| digits.parse().ok())
                    .ok_or(WRONG_SUFFIX)?;
                (
                    scaled(whole, fraction, i64::from(exponent)),
                    Format::Exponent,
                )
            }
        };
        Ok(Self {
            is_negative: is_negative && nanos > 0,
            nanos,
            format,
        })
    }

    /// The amount in its base unit, as near as a float comes: enough to compare and to add up.
    pub(crate) fn value(self) -> f64 {
        let size = self.nanos as f64 / NANOS as f64;
        if self.is_negative { -size } else { size }
    }
}

/// `whole.fraction` times ten to the `exponent`, in billionths, rounded up and capped.
fn scaled(whole: &str, fraction: &str, exponent: i64) -> u128 {
    let digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|byte| byte - b'0')
        .collect();
    let Some(first) = digits.iter().position(|digit| *digit != 0) else {
        return 0;
    };
    let point = i64::try_from(whole.len())
        .unwrap_or(i64::MAX)
        .saturating_add(exponent + 9);
    let Ok(point) = usize::try_from(point) else {
        return 1;
    };
    if point.saturating_sub(first) > DIGITS {
        return LARGEST;
    }
    // Zeros stand where the number has no digits any more.
    let number = (first.min(point)..point).fold(0u128, |number, place| {
        number * 10 + u128::from(digits.get(place).copied().unwrap_or(0))
    });
    let is_rounded = digits.iter().skip(point).any(|digit| *digit != 0);
    (number + u128::from(is_rounded)).min(LARGEST)
}

/// `whole.fraction` times 1024 to the `power`, in billionths, rounded up and capped.
fn shifted(whole: &str, fraction: &str, power: u32) -> u128 {
    let factor = 1024u128.pow(power);
    // To the billionth, as everything else: what is finer only rounds up.
    (scaled(whole, fraction, 0).saturating_mul(factor)).min(LARGEST)
}

impl std::fmt::Display for Quantity {
    /// The short form that the API stores: whole numbers under the largest unit that divides them.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_negative {
            out.write_str("-")?;
        }
        if self.nanos == 0 {
            return out.write_str("0");
        }
        // Small amounts have no binary unit.
        if self.format == Format::Binary && self.nanos >= 1024 * NANOS {
            let (mut number, mut unit) = (self.nanos.div_ceil(NANOS), 0);
            while unit < 6 && number % 1024 == 0 {
                number /= 1024;
                unit += 1;
            }
            return write!(
                out,
                "{number}{}",
                ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][unit]
            );
        }
        let (mut number, mut unit) = (self.nanos, 0);
        while unit < 9 && number % 1000 == 0 {
            number /= 1000;
            unit += 1;
        }
        if self.format == Format::Exponent {
            return match unit {
                3 => write!(out, "{number}"),
                _ => write!(out, "{number}e{}", unit as i32 * 3 - 9),
            };
        }
        write!(
            out,
            "{number}{}",
            ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][unit]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_stored_in_their_short_form() {
        for (long, short) in [
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5", "500m"),
            ("1000", "1k"),
            ("1", "1"),
            ("1Gi", "1Gi"),
            ("-1024Mi", "-1Gi"),
            ("2e3", "2e3"),
            ("500000e-6", "500e-3"),
            ("1e0", "1"),
            ("0Gi", "0"),
            ("-0", "0"),
            ("0.5Ki", "512"),
            (".5", "500m"),
            ("1.", "1"),
            // Every digit stays.
            ("9007199254740993", "9007199254740993"),
            ("1234567890123456789", "1234567890123456789"),
            // Finer than a billionth rounds up, larger than 2^63-1 is cut down (resource.Quantity).
            ("0.1n", "1n"),
            ("1e-400", "1e-9"),
            ("1e400", "9223372036854775807"),
            ("-1e2147483647", "-9223372036854775807"),
            ("0e2147483647", "0"),
            (
                "99999999999999999999999999999999999999999999999999E",
                "9223372036854775807",
            ),
            ("16Ei", "9223372036854775807"),
        ] {
            let read = Quantity::parse(long).unwrap_or_else(|error| panic!("{long}: {error}"));
            assert_eq!(read.to_string(), short, "{long}");
            let again = Quantity::parse(short).unwrap();
            assert_eq!(again.to_string(), short, "the short form of {long} stays");
        }
    }

    #[test]
    fn what_is_no_quantity_is_told_in_the_real_words() {
        for (text, words) in [
            ("", WRONG_FORMAT),
            ("much", WRONG_FORMAT),
            ("1.2.3", WRONG_FORMAT),
            ("--1", WRONG_FORMAT),
            ("1 Gi", WRONG_FORMAT),
            ("inf", WRONG_FORMAT),
            ("NaN", WRONG_FORMAT),
            ("1KiB", WRONG_FORMAT),
            ("1ki", WRONG_SUFFIX),
            ("1e1000000000000000000", WRONG_SUFFIX),
            ("1e", WRONG_SUFFIX),
        ] {
            assert_eq!(Quantity::parse(text), Err(words), "{text}");
        }
    }

    #[test]
    fn quantities_compare_across_units() {
        for (text, bytes) in [
            ("1Gi", 1_073_741_824.0),
            ("1G", 1e9),
            ("1024Mi", 1_073_741_824.0),
            ("500m", 0.5),
            ("2e3", 2000.0),
            ("-1", -1.0),
        ] {
            assert_eq!(Quantity::parse(text).unwrap().value(), bytes, "{text}");
        }
    }
}
