//! SPDY/3.1, the server's side, as far as `kubectl port-forward` speaks it: many streams on one connection.
//!
//! Owns frames, header blocks and which streams are open. It hands each new stream on and knows nothing of what they are
//! for. There are no flow-control windows, because the client's library has none either: a stream whose reader is slow
//! holds the whole connection back, and nothing grows.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Streams that may be open at a time: two for each forwarded connection.
const MOST_STREAMS: usize = 256;
/// Clients copy in pieces of 32 kB.
const LARGEST_FRAME: usize = 1024 * 1024;
/// Bytes of all streams of one connection that may wait for their readers.
const MOST_WAITING: usize = 2 * LARGEST_FRAME;
/// A header block holds three short headers.
const LARGEST_HEADERS: usize = 16 * 1024;
/// Frames that wait for the socket, and pieces that wait for a stream's reader.
const WAITING: usize = 16;

/// The words that both sides' compressors know beforehand; part of the protocol.
const DICTIONARY: &[u8] = include_bytes!("spdy/dictionary.bin");

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

const FIN: u8 = 1;

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 3;

/// A stream that the client has opened.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its headers, names in small letters.
    pub(super) headers: HashMap<String, String>,
    /// What the client sends; ends when the client has said all, or has given the stream up.
    pub(super) incoming: mpsc::Receiver<Piece>,
    pub(super) outgoing: Outgoing,
}

/// What came on a stream; counted among what waits until it is dropped.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    _counted: OwnedSemaphorePermit,
}

/// The way back on a stream. Says that all is said when it is dropped.
#[derive(Debug)]
pub(super) struct Outgoing {
    id: u32,
    frames: mpsc::Sender<Vec<u8>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The client has given the stream up.
    reset: AtomicBool,
    /// We have said all.
    finished: AtomicBool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection<T> {
    from: ReadHalf<T>,
    frames: mpsc::Sender<Vec<u8>>,
    headers: HeaderReader,
    waiting: Arc<Semaphore>,
    open: HashMap<u32, Open>,
    /// The client opens no more streams.
    is_leaving: bool,
}

#[derive(Debug)]
struct Open {
    /// Absent once the client has said all.
    to: Option<mpsc::Sender<Piece>>,
    state: Arc<State>,
}

impl Outgoing {
    /// Sends a piece; `false` when nobody listens any more.
    pub(super) async fn send(&self, data: &[u8]) -> bool {
        for piece in data.chunks(LARGEST_FRAME) {
            if self.state.reset.load(Ordering::Relaxed)
                || self
                    .frames
                    .send(data_frame(self.id, 0, piece))
                    .await
                    .is_err()
            {
                return false;
            }
        }
        true
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.state.finished.store(true, Ordering::Relaxed);
        if self.state.reset.load(Ordering::Relaxed) {
            return;
        }
        let last = data_frame(self.id, FIN, &[]);
        if let Err(mpsc::error::TrySendError::Full(last)) = self.frames.try_send(last) {
            // The socket is behind: the end waits its turn like everything else.
            let frames = self.frames.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { frames.send(last).await });
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Send + 'static> Connection<T> {
    /// Takes over a connection whose client has agreed to speak SPDY.
    pub(super) fn new(io: T) -> Self {
        let (from, mut to) = tokio::io::split(io);
        let (frames, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        tokio::spawn(async move {
            while let Some(frame) = waiting.recv().await {
                if to.write_all(&frame).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
            let _ = to.shutdown().await;
        });
        Self {
            from,
            frames,
            headers: HeaderReader::new(),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            open: HashMap::new(),
            is_leaving: false,
        }
    }

    /// Waits for the next stream, and moves what comes for the others meanwhile. `None`: the connection has ended.
    ///
    /// Not to be dropped before it is done: half a frame would be lost.
    pub(super) async fn accept(&mut self) -> io::Result<Option<Stream>> {
        loop {
            let mut head = [0; 8];
            match self.from.read_exact(&mut head).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                other => other?,
            };
            let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            let flags = head[4];
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
            if length > LARGEST_FRAME {
                return Err(garbled("frame too large"));
            }
            let mut body = vec![0; length];
            self.from.read_exact(&mut body).await?;
            if first >> 31 == 0 {
                self.data(first, flags, body).await?;
                continue;
            }
            if first >> 16 != 0x8003 {
                return Err(garbled("not SPDY/3"));
            }
            if let Some(stream) = self.control((first & 0xffff) as u16, flags, &body).await? {
                return Ok(Some(stream));
            }
        }
    }

    async fn data(&mut self, id: u32, flags: u8, body: Vec<u8>) -> io::Result<()> {
        let Some(open) = self.open.get_mut(&id) else {
            // A stream that was given up while this was on its way.
            return Ok(());
        };
        if let Some(to) = &open.to
            && !body.is_empty()
        {
            let count = u32::try_from(body.len()).map_err(|_| garbled("frame too large"))?;
            let room = Arc::clone(&self.waiting).acquire_many_owned(count);
            let piece = tokio::select! {
                counted = room => Piece {
                    bytes: body.into(),
                    _counted: counted.expect("it is never closed"),
                },
                // Its reader has ended; the rest is dropped.
                () = to.closed() => {
                    open.to = None;
                    return Ok(());
                }
            };
            if to.send(piece).await.is_err() {
                open.to = None;
            }
        }
        if flags & FIN != 0 {
            open.to = None;
        }
        Ok(())
    }

    async fn control(&mut self, kind: u16, flags: u8, body: &[u8]) -> io::Result<Option<Stream>> {
        let number = |at: usize| {
            body.get(at..at + 4)
                .and_then(|four| four.try_into().ok())
                .map(|four| u32::from_be_bytes(four) & 0x7fff_ffff)
                .ok_or_else(|| garbled("frame too short"))
        };
        match kind {
            SYN_STREAM => {
                let id = number(0)?;
                let block = body.get(10..).ok_or_else(|| garbled("frame too short"))?;
                let headers = self.headers.read(block)?;
                return self.begin(id, flags, headers).await;
            }
            // The compressor's state goes through every block, wanted or not.
            SYN_REPLY | HEADERS => {
                let block = body.get(4..).ok_or_else(|| garbled("frame too short"))?;
                self.headers.read(block)?;
            }
            RST_STREAM => {
                if let Some(open) = self.open.remove(&number(0)?) {
                    open.state.reset.store(true, Ordering::Relaxed);
                }
            }
            // The client's own pings have odd numbers.
            PING if number(0)? % 2 == 1 => {
                reply(&self.frames, control_frame(PING, 0, body)).await?;
            }
            GOAWAY => self.is_leaving = true,
            // Settings and windows: nothing here depends on them.
            _ => {}
        }
        Ok(None)
    }

    async fn begin(
        &mut self,
        id: u32,
        flags: u8,
        headers: HashMap<String, String>,
    ) -> io::Result<Option<Stream>> {
        // What both sides are done with.
        self.open
            .retain(|_, open| open.to.is_some() || !open.state.finished.load(Ordering::Relaxed));
        let refusal = if id.is_multiple_of(2) || self.open.contains_key(&id) {
            Some(PROTOCOL_ERROR)
        } else if self.is_leaving || self.open.len() >= MOST_STREAMS {
            Some(REFUSED_STREAM)
        } else {
            None
        };
        if let Some(status) = refusal {
            let body = [id.to_be_bytes(), status.to_be_bytes()].concat();
            reply(&self.frames, control_frame(RST_STREAM, 0, &body)).await?;
            return Ok(None);
        }
        let mut body = id.to_be_bytes().to_vec();
        body.extend(self.headers.none());
        reply(&self.frames, control_frame(SYN_REPLY, 0, &body)).await?;
        let (to, incoming) = mpsc::channel(WAITING);
        let state = Arc::new(State::default());
        self.open.insert(
            id,
            Open {
                to: (flags & FIN == 0).then_some(to),
                state: Arc::clone(&state),
            },
        );
        Ok(Some(Stream {
            headers,
            incoming,
            outgoing: Outgoing {
                id,
                frames: self.frames.clone(),
                state,
            },
        }))
    }
}

async fn reply(frames: &mpsc::Sender<Vec<u8>>, frame: Vec<u8>) -> io::Result<()> {
    frames
        .send(frame)
        .await
        .map_err(|_| io::ErrorKind::BrokenPipe.into())
}

fn garbled(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn data_frame(id: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    frame(id, flags, data)
}

fn control_frame(kind: u16, flags: u8, body: &[u8]) -> Vec<u8> {
    frame(0x8003_0000 | u32::from(kind), flags, body)
}

fn frame(first: u32, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 8);
    frame.extend(first.to_be_bytes());
    // Pieces are cut to fit into 24 bits.
    frame.extend((body.len() as u32).to_be_bytes());
    frame[4] = flags;
    frame.extend(body);
    frame
}

/// The header blocks of one connection: one compressed text, a piece in each frame.
#[derive(Debug)]
struct HeaderReader {
    /// Absent until the first block has come.
    inflate: Option<Decompress>,
    has_answered: bool,
}

impl HeaderReader {
    fn new() -> Self {
        Self {
            inflate: None,
            has_answered: false,
        }
    }

    /// The headers of a block.
    fn read(&mut self, block: &[u8]) -> io::Result<HashMap<String, String>> {
        let mut block = block;
        if self.inflate.is_none() {
            block = self.begin(block)?;
        }
        let inflate = self.inflate.as_mut().expect("it was just made");
        let text = inflated(inflate, block)?;
        pairs(&text).ok_or_else(|| garbled("header block"))
    }

    /// Reads what stands before the first block: the mark of zlib, and whether the dictionary is used.
    fn begin<'a>(&mut self, block: &'a [u8]) -> io::Result<&'a [u8]> {
        let mark: [u8; 2] = block
            .first_chunk()
            .copied()
            .ok_or_else(|| garbled("header block"))?;
        if !u16::from_be_bytes(mark).is_multiple_of(31) || mark[0] & 0x0f != 8 {
            return Err(garbled("header block"));
        }
        let mut inflate = Decompress::new(false);
        let uses_dictionary = mark[1] & 0x20 != 0;
        if uses_dictionary {
            // Without zlib's mark a dictionary is nothing but text that went before: here as a block that is not
            // compressed.
            let length = DICTIONARY.len() as u16;
            let mut before = vec![0];
            before.extend(length.to_le_bytes());
            before.extend((!length).to_le_bytes());
            before.extend(DICTIONARY);
            inflated(&mut inflate, &before)?;
        }
        self.inflate = Some(inflate);
        block
            .get(if uses_dictionary { 6 } else { 2 }..)
            .ok_or_else(|| garbled("header block"))
    }

    /// A block without headers, for our answers: never compressed, so nothing needs to be kept.
    fn none(&mut self) -> Vec<u8> {
        let mut block = Vec::new();
        if !std::mem::replace(&mut self.has_answered, true) {
            block.extend([0x78, 0x01]);
        }
        block.extend([0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0]);
        // An empty block behind it: Go's reader hands nothing out before it has seen the next one.
        block.extend([0, 0, 0, 0xff, 0xff]);
        block
    }
}

/// All that a piece of the compressed text says.
fn inflated(inflate: &mut Decompress, mut input: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(input, &mut buffer, FlushDecompress::Sync)
            .map_err(|error| garbled(&error.to_string()))?;
        let taken = (inflate.total_in() - before_in) as usize;
        let given = (inflate.total_out() - before_out) as usize;
        input = &input[taken..];
        text.extend(&buffer[..given]);
        if text.len() > LARGEST_HEADERS {
            return Err(garbled("headers too large"));
        }
        match status {
            Status::StreamEnd => return Ok(text),
            _ if taken == 0 && given == 0 => return Ok(text),
            _ if input.is_empty() && given < buffer.len() => return Ok(text),
            _ => {}
        }
    }
}

/// Count, then names and values, each with its length before it.
fn pairs(text: &[u8]) -> Option<HashMap<String, String>> {
    let mut rest = text;
    let number = |rest: &mut &[u8]| -> Option<usize> {
        let (four, behind) = rest.split_first_chunk::<4>()?;
        *rest = behind;
        usize::try_from(u32::from_be_bytes(*four)).ok()
    };
    let count = number(&mut rest)?;
    let mut headers = HashMap::new();
    for _ in 0..count {
        let mut word = || {
            let length = number(&mut rest)?;
            let (word, behind) = rest.split_at_checked(length)?;
            rest = behind;
            Some(String::from_utf8_lossy(word).into_owned())
        };
        let (name, value) = (word()?, word()?);
        headers.insert(name.to_ascii_lowercase(), value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};
    use tokio::io::DuplexStream;

    /// A client's frame that opens a stream; its header text goes on from the one before.
    fn open(compress: &mut Compress, id: u32, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut text = (headers.len() as u32).to_be_bytes().to_vec();
        for word in headers.iter().flat_map(|(name, value)| [name, value]) {
            text.extend((word.len() as u32).to_be_bytes());
            text.extend(word.bytes());
        }
        let mut block = Vec::with_capacity(1024);
        compress
            .compress_vec(&text, &mut block, FlushCompress::Sync)
            .unwrap();
        let mut body = id.to_be_bytes().to_vec();
        body.extend([0; 6]);
        body.extend(block);
        control_frame(SYN_STREAM, 0, &body)
    }

    async fn read(from: &mut DuplexStream) -> (u32, u8, Vec<u8>) {
        let mut head = [0; 8];
        from.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]);
        let mut body = vec![0; length as usize];
        from.read_exact(&mut body).await.unwrap();
        (
            u32::from_be_bytes(head[..4].try_into().unwrap()),
            head[4],
            body,
        )
    }

    #[test]
    fn the_dictionary_is_the_protocols() {
        assert_eq!(DICTIONARY.len(), 1423);
        assert!(DICTIONARY.starts_with(b"\0\0\0\x07options\0\0\0\x04head"));
        assert!(DICTIONARY.ends_with(b"iso-8859-1,utf-,*,enq=0."));
    }

    /// What Go's client sent first on a `kubectl port-forward`, written down.
    #[test]
    fn headers_of_a_compressor_that_knows_the_dictionary_are_read() {
        let mut reader = HeaderReader::new();
        let block = include_bytes!("spdy/first-headers.bin");
        let headers = reader.read(block).unwrap();
        assert_eq!(headers["streamtype"], "error");
        assert_eq!(headers["port"], "5432");
        assert_eq!(headers["requestid"], "0");
    }

    #[tokio::test]
    async fn streams_are_opened_answered_and_ended() {
        let (mut client, server) = tokio::io::duplex(4096);
        let mut compress = Compress::new(Compression::default(), true);
        let serving = tokio::spawn(async move {
            let mut connection = Connection::new(server);
            let mut streams = Vec::new();
            while let Some(stream) = connection.accept().await.unwrap() {
                streams.push(stream);
                if streams.len() == 2 {
                    let mut second = streams.pop().unwrap();
                    assert_eq!(second.headers["port"], "2");
                    tokio::spawn(async move {
                        let said = second.incoming.recv().await.unwrap();
                        assert!(second.outgoing.send(&said.bytes).await);
                        assert!(second.incoming.recv().await.is_none());
                    });
                }
            }
        });
        let all = [
            open(&mut compress, 1, &[("port", "1")]),
            open(&mut compress, 3, &[("port", "2")]),
            // The same number again, and one that only servers use.
            open(&mut compress, 3, &[("port", "2")]),
            open(&mut compress, 2, &[]),
            control_frame(PING, 0, &[0, 0, 0, 7]),
            data_frame(3, 0, b"hello"),
            data_frame(3, FIN, b""),
        ];
        client.write_all(&all.concat()).await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..7 {
            answers.push(read(&mut client).await);
        }
        let replies = |kind: u16| {
            let first = 0x8003_0000 | u32::from(kind);
            answers.iter().filter(move |answer| answer.0 == first)
        };
        assert_eq!(replies(SYN_REPLY).count(), 2);
        assert_eq!(replies(RST_STREAM).count(), 2);
        assert_eq!(replies(PING).next().unwrap().2, [0, 0, 0, 7]);
        let data: Vec<_> = answers.iter().filter(|answer| answer.0 == 3).collect();
        assert_eq!((&*data[0].2, data[0].1), (&b"hello"[..], 0));
        assert_eq!((data[1].2.len(), data[1].1), (0, FIN));
        drop(client);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn what_waits_for_readers_is_bounded_for_all_streams_together() {
        let (mut client, server) = tokio::io::duplex(4096);
        let mut compress = Compress::new(Compression::default(), true);
        let streams = 64;
        let writing = tokio::spawn(async move {
            for id in 0..streams {
                let frame = open(&mut compress, 2 * id + 1, &[("port", "1")]);
                client.write_all(&frame).await.unwrap();
            }
            let mut sent = 0;
            let body = vec![0; LARGEST_FRAME];
            for id in (0..streams).cycle().take(4 * streams as usize) {
                let frame = data_frame(2 * id + 1, 0, &body);
                let patience = std::time::Duration::from_millis(200);
                match tokio::time::timeout(patience, client.write_all(&frame)).await {
                    Ok(written) => written.unwrap(),
                    Err(_) => break,
                }
                sent += 1;
            }
            (sent, client)
        });
        let mut connection = Connection::new(server);
        let mut unread = Vec::new();
        let accepting = async {
            while let Some(stream) = connection.accept().await.unwrap() {
                unread.push(stream);
            }
        };
        let (sent, _client) = tokio::select! {
            () = accepting => unreachable!("the client is still there"),
            ended = writing => ended.unwrap(),
        };
        // Two wait, and the third is on its way.
        assert!((2..=3).contains(&sent), "{sent} MB");
    }

    #[tokio::test]
    async fn what_is_no_spdy_or_too_large_ends_the_connection() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff],
        ] {
            let (mut client, server) = tokio::io::duplex(4096);
            client.write_all(bytes).await.unwrap();
            drop(client);
            assert!(Connection::new(server).accept().await.is_err());
        }
    }

    /// A short block can say a very long text.
    #[test]
    fn headers_that_grow_when_they_are_unpacked_are_refused() {
        let mut compress = Compress::new(Compression::best(), true);
        let mut block = Vec::with_capacity(4096);
        compress
            .compress_vec(&vec![0; 1 << 20], &mut block, FlushCompress::Sync)
            .unwrap();
        assert!(HeaderReader::new().read(&block).is_err());
    }
}
