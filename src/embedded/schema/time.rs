//! Times in request bodies, with Go's words for what is none.

use jiff::Timestamp;

/// RFC 3339 as Go's `time.Parse` goes through it: the part of the layout and the number that may stand there.
const PARTS: [(&str, &str, std::ops::RangeInclusive<u32>); 6] = [
    ("2006", "", 0..=9999),
    ("01", "month", 1..=12),
    ("02", "day", 1..=31),
    ("15", "hour", 0..=23),
    ("04", "minute", 0..=59),
    ("05", "second", 0..=59),
];
/// The year 0 began; no time of the API lies before.
const FIRST: Timestamp = Timestamp::constant(-62_167_219_200, 0);
const SEPARATORS: [&str; 6] = ["", "-", "-", "T", ":", ":"];

/// Reads a time (`meta/v1` Time, or MicroTime with its six decimals); the error is Go's.
pub(super) fn parse(text: &str, is_micro: bool) -> Result<Timestamp, String> {
    let layout = if is_micro {
        "2006-01-02T15:04:05.000000Z07:00"
    } else {
        "2006-01-02T15:04:05Z07:00"
    };
    let cannot = |rest: &str, part: &str| {
        Err(format!(
            "parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}"
        ))
    };
    let outside = |what: &str| Err(format!("parsing time {text:?}: {what} out of range"));
    let mut rest = text;
    for ((part, what, range), separator) in PARTS.iter().zip(SEPARATORS) {
        let Some(after) = rest.strip_prefix(separator) else {
            return cannot(rest, separator);
        };
        let digits = after.get(..part.len()).and_then(|digits| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<u32>().ok()).flatten()
        });
        let Some(number) = digits else {
            return cannot(after, part);
        };
        if !range.contains(&number) {
            return outside(what);
        }
        rest = &after[part.len()..];
    }
    let decimals = rest.strip_prefix('.').map_or(0, |after| {
        after.bytes().take_while(u8::is_ascii_digit).count()
    });
    if is_micro && decimals != 6 {
        return cannot(rest, ".000000");
    }
    let zone = if decimals > 0 {
        &rest[1 + decimals..]
    } else {
        rest
    };
    let is_offset = zone.len() == 6
        && zone.is_ascii()
        && zone.starts_with(['+', '-'])
        && zone.as_bytes()[3] == b':';
    if zone != "Z" && !is_offset {
        return match zone.strip_prefix('Z') {
            Some(extra) => Err(format!("parsing time {text:?}: extra text: {extra:?}")),
            None => cannot(zone, "Z07:00"),
        };
    }
    // What has the right form may still be the 30th of February, or in no year that has four digits in UTC.
    let Ok(at) = text.parse::<Timestamp>() else {
        return outside("day");
    };
    if at < FIRST {
        return outside("year");
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object;

    #[test]
    fn a_time_is_taken_in_any_zone() {
        for (text, utc) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("2026-01-01T09:00:00+09:00", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(object::time(parse(text, false).unwrap()), utc, "{text}");
        }
        let micro = parse("2026-01-01T00:00:00.000001Z", true).unwrap();
        assert_eq!(object::micro_time(micro), "2026-01-01T00:00:00.000001Z");
    }

    #[test]
    fn what_is_no_time_is_told_in_gos_words() {
        for (text, is_micro, words) in [
            (
                "soon",
                false,
                r#"parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006""#,
            ),
            (
                "2026-01-01",
                false,
                r#"parsing time "2026-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T""#,
            ),
            (
                "2026-13-01T00:00:00Z",
                false,
                r#"parsing time "2026-13-01T00:00:00Z": month out of range"#,
            ),
            (
                "2026-02-30T00:00:00Z",
                false,
                r#"parsing time "2026-02-30T00:00:00Z": day out of range"#,
            ),
            (
                "0000-01-01T00:00:00+01:00",
                false,
                r#"parsing time "0000-01-01T00:00:00+01:00": year out of range"#,
            ),
            (
                "9999-12-31T23:59:59-12:00",
                false,
                r#"parsing time "9999-12-31T23:59:59-12:00": day out of range"#,
            ),
            (
                "2026-01-01T00:00:00",
                false,
                r#"parsing time "2026-01-01T00:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00""#,
            ),
            (
                "2026-01-01T00:00:00Zé",
                false,
                r#"parsing time "2026-01-01T00:00:00Zé": extra text: "é""#,
            ),
            (
                "2026-01-01T00:00:00Z",
                true,
                r#"parsing time "2026-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#,
            ),
        ] {
            assert_eq!(parse(text, is_micro), Err(words.to_owned()), "{text}");
        }
        assert!(parse("-001-01-01T00:00:00Z", false).is_err());
        assert!(parse("２０２６-01-01T00:00:00Z", false).is_err());
    }
}
