//! The pipe that runs from the kubelet's process into a container's process, on its standard input.
//!
//! The first frame is the order (what to be: environment, mounts, command); what follows is typed input and the terminal's size.
//! The pipe is also the life line: when it ends, the parent is gone, and the child ends too.

#[cfg(feature = "postgres")]
use std::io::Write;
use std::io::{self, Read};

use super::Size;

/// Nothing that arrives from a terminal or an order is larger; a larger length is a broken pipe's garbage.
const LARGEST: usize = 64 << 20;

/// One message from parent to child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// What the child is to be, as JSON. Always first, never again.
    Order(Vec<u8>),
    /// Bytes for the program's standard input.
    Input(Vec<u8>),
    /// Standard input has ended.
    InputEnd,
    /// The terminal has this size now.
    Resize(Size),
}

impl Frame {
    /// The frame's bytes: kind, length (big endian), payload.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Order(json) => (0, json.clone()),
            Self::Input(bytes) => (1, bytes.clone()),
            Self::InputEnd => (2, Vec::new()),
            Self::Resize(size) => {
                let mut bytes = size.width.to_be_bytes().to_vec();
                bytes.extend(size.height.to_be_bytes());
                (3, bytes)
            }
        };
        let mut bytes = Vec::with_capacity(5 + payload.len());
        bytes.push(kind);
        write_length(&mut bytes, payload.len());
        bytes.extend(payload);
        bytes
    }

    /// The next frame; `None` when the pipe has ended between two frames.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if from.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let payload = read_block(from)?;
        match (kind[0], payload.as_slice()) {
            (0, _) => Ok(Some(Self::Order(payload))),
            (1, _) => Ok(Some(Self::Input(payload))),
            (2, []) => Ok(Some(Self::InputEnd)),
            (3, &[w0, w1, h0, h1]) => Ok(Some(Self::Resize(Size {
                width: u16::from_be_bytes([w0, w1]),
                height: u16::from_be_bytes([h0, h1]),
            }))),
            (kind, _) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("unknown frame {kind}"),
            )),
        }
    }
}

/// Reads a block: its length, then its bytes.
pub(super) fn read_block(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "block is too long",
        ));
    }
    // Memory is taken for what comes, not for what is announced.
    let mut payload = Vec::new();
    from.take(length as u64).read_to_end(&mut payload)?;
    if payload.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(payload)
}

/// Writes a block with its length before it, in one write.
#[cfg(feature = "postgres")]
pub(super) fn write_block(to: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 + payload.len());
    write_length(&mut bytes, payload.len());
    bytes.extend(payload);
    to.write_all(&bytes)?;
    to.flush()
}

fn write_length(to: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went() {
        let frames = [
            Frame::Order(b"{}".to_vec()),
            Frame::Input("りんご".as_bytes().to_vec()),
            Frame::Resize(Size {
                width: 101,
                height: 31,
            }),
            Frame::InputEnd,
        ];
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        let mut from = bytes.as_slice();
        for frame in frames {
            assert_eq!(Frame::read(&mut from).unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut from).unwrap(), None);
    }

    #[test]
    fn garbage_is_an_error_and_not_a_huge_allocation() {
        assert!(Frame::read(&mut [9, 0, 0, 0, 0].as_slice()).is_err());
        assert!(Frame::read(&mut [1, 255, 255, 255, 255].as_slice()).is_err());
    }
}
