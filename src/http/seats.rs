//! Who has a connection, what each waits for, and who gives way when there are too many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Limits;

/// All connections of one server.
#[derive(Clone)]
pub(crate) struct Seats(Arc<Mutex<Table>>);

struct Table {
    most: usize,
    /// Who gives way first comes first.
    order: BTreeMap<Place, Sitter>,
    counts: [usize; 4],
    turn: u64,
    /// Bytes of bodies that were received and are not done with.
    bodies: usize,
    has_said: bool,
}

/// A rank, and since which turn.
type Place = (Rank, u64);

struct Sitter {
    leave: CancellationToken,
    body: usize,
}

/// Who gives way before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Waits for its client: for a request, the rest of one, or for what is sent to be read.
    Waiting,
    /// Is sent an answer that lasts; its client asks again when it is cut off.
    Lasting,
    /// Waits for us.
    Answering,
    /// Speaks another protocol, with a person or a process at its end.
    Upgraded,
}

/// One connection's seat; free again when it is dropped.
pub(crate) struct Seat {
    seats: Seats,
    limits: Limits,
    standing: Mutex<Standing>,
    leave: CancellationToken,
    is_welcome: bool,
    _permit: OwnedSemaphorePermit,
}

struct Standing {
    place: Place,
    doing: Doing,
    since: Instant,
    /// Since when the client has not read what is ready for it.
    unread: Option<Instant>,
    /// How long that may last.
    patience: Duration,
    body: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Waits for a request, or for the rest of its head.
    Head,
    /// Waits for the rest of a request's body.
    Body,
    Answering,
    Lasting,
    Upgraded,
}

impl Seats {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Table {
            most,
            order: BTreeMap::new(),
            counts: [0; 4],
            turn: 0,
            bodies: 0,
            has_said: false,
        })))
    }

    /// Seats a new connection. Where all are taken, one that waits for its client is asked to leave; where none does, the
    /// new one is not welcome and is only told so.
    pub(crate) fn take(&self, permit: OwnedSemaphorePermit, limits: Limits) -> Arc<Seat> {
        let mut table = self.table();
        let is_welcome = table.order.len() < table.most || table.dismiss();
        table.say();
        let leave = CancellationToken::new();
        let sitter = Sitter {
            leave: leave.clone(),
            body: 0,
        };
        let place = table.seat(Rank::Waiting, sitter);
        drop(table);
        Arc::new(Seat {
            seats: self.clone(),
            limits,
            standing: Mutex::new(Standing {
                place,
                doing: Doing::Head,
                since: Instant::now(),
                unread: None,
                patience: limits.unread,
                body: 0,
            }),
            leave,
            is_welcome,
            _permit: permit,
        })
    }

    /// Asks one connection to leave, if there is one that can.
    pub(crate) fn make_room(&self) {
        self.table().dismiss();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap()
    }
}

impl Table {
    fn seat(&mut self, rank: Rank, sitter: Sitter) -> Place {
        self.turn += 1;
        let place = (rank, self.turn);
        self.counts[rank as usize] += 1;
        self.order.insert(place, sitter);
        place
    }

    fn leave(&mut self, place: Place) -> Option<Sitter> {
        let sitter = self.order.remove(&place)?;
        self.counts[place.0 as usize] -= 1;
        Some(sitter)
    }

    /// Asks the first that can give way to leave; says whether there was one. It has given its seat up from now on.
    fn dismiss(&mut self) -> bool {
        let first = self.order.keys().next().copied();
        match first {
            Some(place) if place.0 <= Rank::Lasting => self.dismiss_at(place),
            _ => false,
        }
    }

    fn dismiss_at(&mut self, place: Place) -> bool {
        let Some(sitter) = self.leave(place) else {
            return false;
        };
        self.bodies -= sitter.body;
        sitter.leave.cancel();
        true
    }

    /// Says once that there are too many, and again only after there was room in between.
    fn say(&mut self) {
        let is_full = self.order.len() >= self.most;
        if is_full && !self.has_said {
            tracing::warn!(
                connections = self.most,
                "as many connections as there may be: the longest waiting ones are closed for new ones"
            );
        }
        self.has_said = is_full || (self.has_said && self.order.len() > self.most / 2);
    }
}

impl Seat {
    /// Whether there was room for it.
    pub(crate) fn is_welcome(&self) -> bool {
        self.is_welcome
    }

    /// Resolves when the connection has to make room.
    pub(crate) fn dismissed(&self) -> CancellationToken {
        self.leave.clone()
    }

    /// Whether one more connection may be upgraded.
    pub(crate) fn may_upgrade(&self) -> bool {
        self.seats.table().counts[Rank::Upgraded as usize] < self.limits.upgraded()
    }

    /// The head of a request has come.
    pub(crate) fn begin(&self, has_body: bool) {
        let doing = if has_body {
            Doing::Body
        } else {
            Doing::Answering
        };
        self.turn(doing, self.limits.unread);
    }

    /// A piece of the body has come. `false`: there is no room for it.
    pub(crate) fn receive(&self, bytes: usize) -> bool {
        let mut standing = self.standing.lock().unwrap();
        let mut table = self.seats.table();
        let Some(sitter) = table.order.get_mut(&standing.place) else {
            return false;
        };
        sitter.body += bytes;
        standing.body += bytes;
        table.bodies += bytes;
        while table.bodies > self.limits.bodies {
            let waiting = table
                .order
                .iter()
                .take_while(|(place, _)| place.0 == Rank::Waiting)
                .find(|(_, sitter)| sitter.body > 0);
            let Some((place, _)) = waiting else {
                return false;
            };
            let place = *place;
            table.dismiss_at(place);
        }
        true
    }

    /// The body is whole.
    pub(crate) fn received(&self) {
        self.turn(Doing::Answering, self.limits.unread);
    }

    /// The answer begins.
    pub(crate) fn answer(&self, is_lasting: bool) {
        if is_lasting {
            self.turn(Doing::Lasting, self.limits.unread_lasting);
            let mut table = self.seats.table();
            if table.counts[Rank::Lasting as usize] > self.limits.lasting() {
                let longest = table.order.range((Rank::Lasting, 0)..).next();
                if let Some(place) = longest.map(|(place, _)| *place) {
                    table.dismiss_at(place);
                }
            }
        } else {
            self.turn(Doing::Answering, self.limits.unread);
        }
    }

    /// The connection speaks another protocol from now on.
    pub(crate) fn upgrade(&self) {
        self.turn(Doing::Upgraded, self.limits.unread);
    }

    /// The answer is handed over; the client may ask again.
    pub(crate) fn done(&self) {
        let patience = self.standing.lock().unwrap().patience;
        self.turn(Doing::Head, patience);
    }

    /// The client does not read what is ready for it.
    pub(crate) fn unread(&self) {
        let mut standing = self.standing.lock().unwrap();
        if standing.unread.is_none() {
            standing.unread = Some(Instant::now());
            self.sit(&mut standing);
        }
    }

    /// The client has read all there was.
    pub(crate) fn read(&self) {
        let mut standing = self.standing.lock().unwrap();
        if standing.unread.take().is_some() {
            standing.since = Instant::now();
            self.sit(&mut standing);
        }
    }

    /// When the client's time is up; none while it is not the client who is waited for.
    pub(crate) fn due(&self) -> Option<Instant> {
        let standing = self.standing.lock().unwrap();
        match (standing.doing, standing.unread) {
            (Doing::Upgraded, _) => None,
            (_, Some(since)) => Some(since + standing.patience),
            (Doing::Head, None) => Some(standing.since + self.limits.head),
            (Doing::Body, None) => Some(standing.since + self.limits.body),
            (Doing::Answering | Doing::Lasting, None) => None,
        }
    }

    fn turn(&self, doing: Doing, patience: Duration) {
        let mut standing = self.standing.lock().unwrap();
        standing.doing = doing;
        standing.since = Instant::now();
        standing.patience = patience;
        if matches!(doing, Doing::Head) {
            standing.body = 0;
        }
        self.sit(&mut standing);
    }

    /// Takes the place that goes with what the connection waits for.
    fn sit(&self, standing: &mut Standing) {
        let rank = match (standing.doing, standing.unread) {
            (Doing::Upgraded, _) => Rank::Upgraded,
            (Doing::Head | Doing::Body, _) | (_, Some(_)) => Rank::Waiting,
            (Doing::Lasting, None) => Rank::Lasting,
            (Doing::Answering, None) => Rank::Answering,
        };
        let mut table = self.seats.table();
        // One that was asked to leave has no place any more.
        let Some(sitter) = table.leave(standing.place) else {
            return;
        };
        table.bodies = table.bodies + standing.body - sitter.body;
        let body = standing.body;
        standing.place = table.seat(rank, Sitter { body, ..sitter });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let standing = self.standing.lock().unwrap();
        let mut table = self.seats.table();
        if let Some(sitter) = table.leave(standing.place) {
            table.bodies -= sitter.body;
        }
        table.say();
    }
}
