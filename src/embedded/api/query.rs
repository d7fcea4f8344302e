//! Query parameters, repeated ones included (`command=a&command=b`).

/// The parameters of a request, decoded, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (percent_decode(key, true), percent_decode(value, true))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter, "" when it is absent.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map_or("", |(_, value)| value)
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, key: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Whether a parameter is set and not false.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.0.iter().any(|(name, value)| {
            name == key
                && !matches!(
                    value.as_str(),
                    "false" | "0" | "f" | "F" | "False" | "FALSE"
                )
        })
    }

    /// A parameter's number.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.get(key).parse().ok()
    }
}

/// Decodes `%41` (and `+` in queries).
pub(crate) fn percent_decode(text: &str, is_query: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes
            .get(index + 1..index + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[index], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                index += 3;
                continue;
            }
            (b'+', _) if is_query => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_repeated() {
        let query =
            Query::parse("command=psql&command=-c&command=SELECT+1%3B&watch=true&tty=false&empty=");
        assert_eq!(query.all("command"), ["psql", "-c", "SELECT 1;"]);
        assert!(query.is("watch") && !query.is("tty") && !query.is("gone"));
        assert_eq!(percent_decode("100%", true), "100%");
    }
}
