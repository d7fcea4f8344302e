//! What `global/pg_control` says about how the database was left. PostgreSQL writes the lines about it at start; its core does not reach our log.

use std::path::Path;

use jiff::Timestamp;

/// How a database was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Shut down in order, then.
    ShutDown(Timestamp),
    /// Something else: it was running, last known then.
    Running(Timestamp),
}

/// Reads the control file of a data directory; `None` if there is none that can be read.
///
/// The layout is PostgreSQL 18's `ControlFileData`: system identifier (8 bytes), version of the file (4), of the catalogs (4), state (4), padding (4), time (8).
pub(super) fn read(data: &Path) -> Option<Left> {
    parse(&std::fs::read(data.join("global/pg_control")).ok()?)
}

fn parse(bytes: &[u8]) -> Option<Left> {
    const VERSION: u32 = 1800;
    const SHUT_DOWN: u32 = 1;
    const SHUT_DOWN_IN_RECOVERY: u32 = 2;
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if number(8)? != VERSION {
        return None;
    }
    let state = number(16)?;
    let time = i64::from_le_bytes(bytes.get(24..32)?.try_into().ok()?);
    let time = Timestamp::from_second(time).ok()?;
    Some(match state {
        SHUT_DOWN | SHUT_DOWN_IN_RECOVERY => Left::ShutDown(time),
        _ => Left::Running(time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_time_are_where_postgresql_18_puts_them() {
        let mut bytes = vec![0; 32];
        assert_eq!(parse(&bytes), None);
        bytes[8..12].copy_from_slice(&1800_u32.to_le_bytes());
        bytes[24..].copy_from_slice(&1_795_390_119_i64.to_le_bytes());
        let time = Timestamp::from_second(1_795_390_119).unwrap();
        bytes[16] = 1;
        assert_eq!(parse(&bytes), Some(Left::ShutDown(time)));
        bytes[16] = 6;
        assert_eq!(parse(&bytes), Some(Left::Running(time)));
        assert_eq!(parse(&bytes[..20]), None);
    }
}
