//! Something that is sent to many readers and never changes: packed once, as small as can be,
//! while the compression of the router packs anew for each reader and so has to be quick.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;

/// Bytes with their media type, and packed once [`Packed::pack`] has run.
#[derive(Debug, Clone)]
pub struct Packed {
    media: &'static str,
    plain: Bytes,
    small: Arc<OnceLock<Bytes>>,
}

impl Packed {
    /// Not packed yet.
    pub fn new(media: &'static str, plain: impl Into<Bytes>) -> Self {
        Self {
            media,
            plain: plain.into(),
            small: Arc::default(),
        }
    }

    /// The bytes as they are.
    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// Packs them; takes some tenths of a second for a large page, so not on a reader's time.
    pub fn pack(&self) {
        self.small.get_or_init(|| {
            // The best there is: quality 11 in a window that holds the whole of it.
            let params = BrotliEncoderParams {
                quality: 11,
                lgwin: 22,
                size_hint: self.plain.len(),
                ..BrotliEncoderParams::default()
            };
            let mut writer = CompressorWriter::with_params(Vec::new(), 1 << 16, &params);
            writer
                .write_all(&self.plain)
                .expect("memory takes what is written");
            writer.into_inner().into()
        });
    }

    /// An answer to a request with these headers: packed if it is and the reader can unpack it.
    pub fn answer(&self, request: &HeaderMap, cache: &'static str) -> Response {
        let mut response = match self.small.get().filter(|_| takes_brotli(request)) {
            Some(small) => {
                let mut response = small.clone().into_response();
                set(&mut response, header::CONTENT_ENCODING, "br");
                response
            }
            None => self.plain.clone().into_response(),
        };
        set(&mut response, header::CONTENT_TYPE, self.media);
        set(&mut response, header::CACHE_CONTROL, cache);
        set(&mut response, header::VARY, "accept-encoding");
        response
    }
}

fn set(response: &mut Response, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

/// Whether `Accept-Encoding` has `br` and does not take it back with `q=0`.
fn takes_brotli(request: &HeaderMap) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let refused = |part: &str| part.strip_prefix("q=").is_some_and(is_zero);
            parts.next() == Some("br") && !parts.any(refused)
        })
}

fn is_zero(quality: &str) -> bool {
    quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(packed: &Packed, accepts: &'static str) -> Option<String> {
        let request =
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepts))]);
        let response = packed.answer(&request, "no-cache");
        let value = response.headers().get(header::CONTENT_ENCODING)?;
        Some(value.to_str().expect("text").to_owned())
    }

    #[test]
    fn only_those_who_can_unpack_it_get_it_packed() {
        let packed = Packed::new("text/plain", "x".repeat(10_000));
        assert_eq!(encoding(&packed, "br"), None, "not packed yet");
        packed.pack();
        for (accepts, want) in [
            ("br", Some("br")),
            ("gzip, deflate, br;q=0.9, zstd", Some("br")),
            ("gzip", None),
            ("br;q=0", None),
            ("brotli", None),
            ("", None),
        ] {
            assert_eq!(encoding(&packed, accepts).as_deref(), want, "{accepts}");
        }
    }
}
