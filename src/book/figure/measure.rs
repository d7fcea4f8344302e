//! How wide a text will be. A figure is drawn before any font is known, so widths are reckoned in em by class of
//! letter, a little on the wide side: a box may have air, a word may not stick out of it.

use merman::SvgEnvironment;
use merman::svg::{
    DeterministicTextMeasurer, MeasurementProfileId, TextMeasurementPolicy, TextMeasurementProfile,
    TextMeasurementProfileIdentity,
};

/// Width of `text` in em, as the system fonts named in `base.css` set it.
pub(super) fn ems(text: &str) -> f64 {
    text.chars().map(em).sum()
}

fn em(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.32,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | ' ' | '-' => 0.4,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.92,
        'A'..='Z' | '&' | '+' | '=' | '<' | '>' | '~' => 0.68,
        letter if letter.is_ascii() => 0.58,
        // Half-width katakana are the only narrow letters of Japanese.
        '\u{ff61}'..='\u{ff9f}' => 0.5,
        _ => 1.0,
    }
}

/// The environment in which merman lays out a figure: our widths, everything else fixed.
pub(super) fn environment() -> SvgEnvironment {
    let id = MeasurementProfileId::new("eizoku").expect("the name is a valid profile name");
    let identity =
        TextMeasurementProfileIdentity::new(id, "1".to_owned()).expect("the version is not empty");
    let measurer = DeterministicTextMeasurer::default()
        .with_width_callback(|text, style| ems(text) * style.font_size);
    SvgEnvironment::deterministic().with_text_measurement_policy(TextMeasurementPolicy::uniform(
        TextMeasurementProfile::new(identity, measurer),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_width_letter_is_one_em_and_latin_is_narrower() {
        assert_eq!(ems("永続化"), 3.0);
        assert!(ems("PVC") < 2.3 && ems("PVC") > 1.8);
        assert!(ems("iii") < ems("mmm"));
    }
}
