//! `base64`, both ways, as it comes.

use std::io::{self, Read, Write};

use super::Source;
use super::buffer::{CHUNK, Output};
use super::options::{Options, count};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes, in lines of 76 signs or as `-w` says, or decodes with `-d`.
pub(super) fn run(options: &Options, mut source: Source, out: &mut Output) -> io::Result<()> {
    let wrap = match options.value('w').map_or(Ok(76), count)? {
        0 => u64::MAX,
        wrap => wrap,
    };
    let mut buffer = vec![0; CHUNK];
    // What does not make a whole group yet.
    let mut rest = Vec::new();
    let mut column = 0;
    loop {
        let count = source.read(&mut buffer)?;
        if options.has('d') {
            let wrong = || io::Error::other("invalid input");
            for byte in &buffer[..count] {
                match byte {
                    b'\n' | b'\r' | b' ' => continue,
                    b'=' => {}
                    byte if ALPHABET.contains(byte) && !rest.contains(&b'=') => {}
                    _ => return Err(wrong()),
                }
                rest.push(*byte);
                if rest.len() == 4 {
                    out.write_all(&decoded(&rest))?;
                    // A group that ends early is the last of one text; another text may follow.
                    rest.clear();
                }
            }
            if count == 0 {
                out.write_all(&decoded(&rest))?;
                return if matches!(rest.len(), 0 | 2 | 3) {
                    Ok(())
                } else {
                    Err(wrong())
                };
            }
            out.flush()?;
            continue;
        }
        rest.extend_from_slice(&buffer[..count]);
        let whole = if count == 0 {
            rest.len()
        } else {
            rest.len() - rest.len() % 3
        };
        for group in rest[..whole].chunks(3) {
            for sign in encoded(group) {
                if column == wrap {
                    out.write_all(b"\n")?;
                    column = 0;
                }
                out.write_all(&[sign])?;
                column += 1;
            }
        }
        rest.drain(..whole);
        if count == 0 {
            return if column > 0 && wrap < u64::MAX {
                out.write_all(b"\n")
            } else {
                Ok(())
            };
        }
    }
}

fn encoded(group: &[u8]) -> [u8; 4] {
    let all = group
        .iter()
        .fold(0_u32, |all, byte| (all << 8) | u32::from(*byte))
        << (8 * (3 - group.len()));
    std::array::from_fn(|at| {
        if at > group.len() {
            b'='
        } else {
            ALPHABET[(all >> (18 - 6 * at) & 63) as usize]
        }
    })
}

fn decoded(group: &[u8]) -> Vec<u8> {
    let values: Vec<u32> = group
        .iter()
        .filter_map(|byte| ALPHABET.iter().position(|known| known == byte))
        .filter_map(|at| u32::try_from(at).ok())
        .collect();
    if values.len() < 2 {
        return Vec::new();
    }
    let all = values.iter().fold(0, |all, value| (all << 6) | value) << (6 * (4 - values.len()));
    all.to_be_bytes()[1..values.len()].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_both_ways() {
        for (plain, coded) in [
            ("a", "YQ=="),
            ("pa", "cGE="),
            ("pas", "cGFz"),
            ("り", "44KK"),
        ] {
            assert_eq!(encoded(plain.as_bytes()), coded.as_bytes());
            assert_eq!(decoded(coded.as_bytes()), plain.as_bytes());
        }
        assert_eq!(decoded(b"="), b"");
    }
}
