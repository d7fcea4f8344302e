//! `$((…))`: integer arithmetic with C's operators.

use std::num::IntErrorKind;

/// Evaluates an expression; names are looked up, and unset ones are 0.
pub(super) fn evaluate(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<i64, &'static str> {
    let mut reader = Reader {
        rest: text,
        lookup,
        depth: 0,
    };
    let value = reader.binary(0)?;
    if reader.peek().is_empty() {
        Ok(value)
    } else {
        Err("syntax error")
    }
}

/// Operators by precedence, loosest first; longer ones before those they begin with.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// How deep an expression may nest.
const DEEPEST: usize = 100;

struct Reader<'a> {
    rest: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// How many signs and parentheses are open.
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn operator(&mut self, level: usize) -> Option<&'static str> {
        let rest = self.peek();
        let found = LEVELS[level]
            .iter()
            .find(|operator| rest.starts_with(**operator))?;
        // `|` is not the start of `||`, nor `<` of `<<`.
        let longer = LEVELS.iter().flat_map(|level| level.iter()).any(|other| {
            other.len() > found.len() && other.starts_with(found) && rest.starts_with(*other)
        });
        if longer {
            return None;
        }
        self.rest = &rest[found.len()..];
        Some(found)
    }

    fn binary(&mut self, level: usize) -> Result<i64, &'static str> {
        if level == LEVELS.len() {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(level) {
            let right = self.binary(level + 1)?;
            left = match operator {
                "||" => i64::from(left != 0 || right != 0),
                "&&" => i64::from(left != 0 && right != 0),
                "|" => left | right,
                "^" => left ^ right,
                "&" => left & right,
                "==" => i64::from(left == right),
                "!=" => i64::from(left != right),
                "<=" => i64::from(left <= right),
                ">=" => i64::from(left >= right),
                "<" => i64::from(left < right),
                ">" => i64::from(left > right),
                "<<" => left.wrapping_shl(right as u32),
                ">>" => left.wrapping_shr(right as u32),
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                _ if right == 0 => return Err("division by zero"),
                "/" => left.wrapping_div(right),
                _ => left.wrapping_rem(right),
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<i64, &'static str> {
        if self.depth >= DEEPEST {
            return Err("expression recursion level exceeded");
        }
        self.depth += 1;
        let value = self.operand();
        self.depth -= 1;
        value
    }

    fn operand(&mut self) -> Result<i64, &'static str> {
        let rest = self.peek();
        let Some(first) = rest.chars().next() else {
            return Err("syntax error");
        };
        let after = &rest[first.len_utf8()..];
        match first {
            '-' | '+' | '!' | '~' => {
                self.rest = after;
                let value = self.unary()?;
                Ok(match first {
                    '-' => value.wrapping_neg(),
                    '!' => i64::from(value == 0),
                    '~' => !value,
                    _ => value,
                })
            }
            '(' => {
                self.rest = after;
                let value = self.binary(0)?;
                self.rest = self.peek().strip_prefix(')').ok_or("missing )")?;
                Ok(value)
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let length = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                let (word, after) = rest.split_at(length);
                self.rest = after;
                if c.is_ascii_digit() {
                    return number(word);
                }
                match (self.lookup)(word) {
                    Some(value) if !value.trim().is_empty() => number(value.trim()),
                    _ => Ok(0),
                }
            }
            _ => Err("syntax error"),
        }
    }
}

fn number(text: &str) -> Result<i64, &'static str> {
    let (digits, base) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    // As the C library: what is too large is the largest there is. The smallest number is written with a sign, and its
    // digits alone are one too many.
    match u64::from_str_radix(digits.strip_prefix('-').unwrap_or(digits), base) {
        Ok(value) if digits.starts_with('-') => Ok((value as i64).wrapping_neg()),
        Ok(value) => Ok(value as i64),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Ok(i64::MAX),
        Err(_) => Err("syntax error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_their_values() {
        let lookup = |name: &str| (name == "i").then(|| "41".to_owned());
        for (text, value) in [
            ("1+2*3", Ok(7)),
            ("(1+2)*3", Ok(9)),
            ("i + 1", Ok(42)),
            ("unset", Ok(0)),
            ("10 % 4 == 2 && 3 > 2", Ok(1)),
            ("1 << 4 | 1", Ok(17)),
            ("-i", Ok(-41)),
            ("0x10 + 010", Ok(24)),
            ("1 / 0", Err("division by zero")),
            ("-9223372036854775807 - 1", Ok(i64::MIN)),
            ("(-9223372036854775807 - 1) / -1", Ok(i64::MIN)),
            ("(-9223372036854775807 - 1) % -1", Ok(0)),
            ("-(-9223372036854775807 - 1)", Ok(i64::MIN)),
            ("9223372036854775807 + 1", Ok(i64::MIN)),
            ("9223372036854775807 * 2", Ok(-2)),
            ("1 << 64", Ok(1)),
            ("1 >> -1", Ok(0)),
            ("99999999999999999999", Ok(i64::MAX)),
            ("-9223372036854775808 / -1", Ok(i64::MIN)),
            ("-9223372036854775808 % -1", Ok(0)),
            (
                &"(".repeat(100_000),
                Err("expression recursion level exceeded"),
            ),
            (
                &"-".repeat(100_000),
                Err("expression recursion level exceeded"),
            ),
            ("1 +", Err("syntax error")),
            ("1 2", Err("syntax error")),
        ] {
            assert_eq!(evaluate(text, &lookup), value, "{text}");
        }
    }
}
