//! Percentiles of durations.

use std::time::Duration;

/// The value below which `part` of all lie.
pub(crate) fn percentile(values: &mut [Duration], part: f64) -> Duration {
    values.sort();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a short list"
    )]
    let index = ((values.len() - 1) as f64 * part).round() as usize;
    values[index]
}

/// Median and 99th percentile as text.
pub(crate) fn line(values: &mut [Duration]) -> String {
    format!(
        "p50 {:>9.3?}  p99 {:>9.3?}",
        percentile(values, 0.5),
        percentile(values, 0.99)
    )
}
