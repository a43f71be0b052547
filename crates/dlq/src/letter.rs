use std::{fmt, str::FromStr};

use backstop_clock::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    Message,
    error::{Invalid, StoreError},
    history::{Attempts, Edit, Settlement},
};

/// Bytes of a note at most; a longer one is refused, not cut.
const NOTE_BYTES_MAX: usize = 1_024;

/// Edits kept per letter at most; whoever needs more has the wrong source of truth.
const EDITS_MAX: usize = 10;

/// The name of a failed delivery: the same delivery always has the same name.
///
/// The first 16 bytes of SHA-256 over stream, partition and position.
///
/// ```
/// use backstop_dlq::LetterId;
///
/// let id = LetterId::of("fills", 0, 7);
/// assert_eq!(id, LetterId::of("fills", 0, 7));
/// assert_eq!(id.to_string().parse::<LetterId>()?, id);
/// # Ok::<(), backstop_dlq::store::Invalid>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId([u8; 16]);

impl LetterId {
    /// The name of the delivery of a position.
    pub fn of(stream: &str, partition: u32, position: u64) -> Self {
        let mut hash = Sha256::new();
        // The version leads, so that a later form of the name cannot collide with this one.
        hash.update(b"backstop-letter-v1\0");
        // The numbers have a fixed width, so the stream's name needs no terminator.
        hash.update(partition.to_be_bytes());
        hash.update(position.to_be_bytes());
        hash.update(stream.as_bytes());
        let mut id = [0; 16];
        id.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// The name of a message's delivery.
    pub fn of_message(message: &Message) -> Self {
        Self::of(&message.stream, message.partition, message.position)
    }

    /// A name that was stored before.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The name's bytes, as a store keeps them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LetterId({self})")
    }
}

impl FromStr for LetterId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let parsed = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        parsed.map(|id| Self(id.to_be_bytes())).ok_or_else(|| Invalid {
            field: "letter id",
            value: text.to_owned(),
            rule: "must be 32 hexadecimal digits",
        })
    }
}

/// Why a message became a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The failure will not pass by itself.
    Fatal,
    /// The failure might have passed, but every attempt was used.
    AttemptsExhausted,
    /// The next attempt would have begun after the time allowed.
    DeadlineExceeded,
    /// The bytes could not be decoded; the handler never saw them.
    Undecodable,
    /// An earlier letter of the same key is open; the handler was not called.
    ParkedBehind(LetterId),
    /// The handler failed with an error that nobody classified.
    Unclassified,
    /// A person put it.
    Operator,
}

impl Reason {
    /// The stable name, as stores and reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Undecodable => "undecodable",
            Self::ParkedBehind(_) => "parked_behind",
            Self::Unclassified => "unclassified",
            Self::Operator => "operator",
        }
    }
}

/// What has become of a letter.
///
/// | from | resolved | failed again | discarded | released |
/// |---|---|---|---|---|
/// | `Dead` | `Resolved` | `Dead`, at the cap `Quarantined` | `Discarded` | refused |
/// | `Parked` | `Resolved` | `Dead` | `Discarded` | refused |
/// | `Quarantined` | refused | refused | `Discarded` | `Dead` |
/// | `Resolved`, `Discarded` | refused | refused | refused | refused |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum State {
    /// Failed, and waits for a replay.
    Dead,
    /// Never handled; waits behind an earlier letter of its key.
    Parked,
    /// Failed in every replay allowed; only a release lets it be replayed again.
    Quarantined,
    /// Handled in the end.
    Resolved,
    /// Given up by a person, with a note.
    Discarded,
}

impl State {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 5] =
        [Self::Dead, Self::Parked, Self::Quarantined, Self::Resolved, Self::Discarded];

    /// The stable name, as stores and reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Parked => "parked",
            Self::Quarantined => "quarantined",
            Self::Resolved => "resolved",
            Self::Discarded => "discarded",
        }
    }

    /// Still waits for something, and so blocks its key.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Dead | Self::Parked | Self::Quarantined)
    }
}

/// A message that was not handled, with what is known about it.
///
/// ```
/// use backstop_clock::Timestamp;
/// use backstop_dlq::{Letter, Message, Reason, State, history::Settlement};
///
/// let message = Message::new("fills", 7, b"?".to_vec(), Timestamp::EPOCH);
/// let mut letter = Letter::dead(message, Reason::Undecodable, Default::default(), Timestamp::EPOCH);
/// letter.settle(Settlement::Resolved { at: Timestamp::EPOCH, note: "by hand".into() })?;
/// assert_eq!(letter.state(), State::Resolved);
/// # Ok::<(), backstop_dlq::StoreError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub(crate) id: LetterId,
    pub(crate) message: Message,
    pub(crate) reason: Reason,
    pub(crate) state: State,
    pub(crate) attempts: Attempts,
    pub(crate) edits: Vec<Edit>,
    pub(crate) replays: u32,
    pub(crate) put_at: Timestamp,
    pub(crate) settled_at: Option<Timestamp>,
    pub(crate) note: Option<String>,
}

impl Letter {
    /// A message that failed.
    pub fn dead(message: Message, reason: Reason, attempts: Attempts, put_at: Timestamp) -> Self {
        Self {
            id: LetterId::of_message(&message),
            message,
            reason,
            state: State::Dead,
            attempts,
            edits: Vec::new(),
            replays: 0,
            put_at,
            settled_at: None,
            note: None,
        }
    }

    /// A message that waits behind an earlier letter of its key.
    pub fn parked(message: Message, behind: LetterId, put_at: Timestamp) -> Self {
        let reason = Reason::ParkedBehind(behind);
        Self { state: State::Parked, ..Self::dead(message, reason, Attempts::default(), put_at) }
    }

    /// The name of the delivery.
    pub fn id(&self) -> LetterId {
        self.id
    }

    /// The message as it was delivered, edits left out.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Why it is a letter; after a failed replay, why that failed.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What has become of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// The attempts at handling it.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// The corrected payloads, oldest first; a replay uses the last.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Failed replays since it died or was released.
    pub fn replays(&self) -> u32 {
        self.replays
    }

    /// When it was put.
    pub fn put_at(&self) -> Timestamp {
        self.put_at
    }

    /// When it was resolved or discarded.
    pub fn settled_at(&self) -> Option<Timestamp> {
        self.settled_at
    }

    /// What was noted with the last settlement.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The message as a replay hands it out: with the last edit's payload, if there is one.
    pub fn to_replay(&self) -> Message {
        let mut message = self.message.clone();
        if let Some(edit) = self.edits.last() {
            message.payload.clone_from(&edit.payload);
        }
        message
    }

    /// Moves the letter along the table of [`State`].
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a move the table does not have, [`StoreError::Invalid`] for a
    /// note that is missing or too long; the letter is then unchanged.
    pub fn settle(&mut self, settlement: Settlement) -> Result<(), StoreError> {
        let (state, settled_at, note) = match (self.state, settlement) {
            (State::Dead | State::Parked, Settlement::Resolved { at, note }) => {
                (State::Resolved, Some(at), bounded(note)?)
            }
            (state, Settlement::Discarded { at, note }) if state.is_open() => {
                (State::Discarded, Some(at), given(note)?)
            }
            (State::Quarantined, Settlement::Released { note }) => {
                let note = given(note)?;
                self.replays = 0;
                (State::Dead, None, note)
            }
            (State::Dead | State::Parked, Settlement::Failed { reason, attempts, replays_max }) => {
                self.fail(reason, attempts, replays_max);
                return Ok(());
            }
            (state, settlement) => {
                let wanted = settlement.name();
                return Err(StoreError::Refused { id: self.id, state, wanted });
            }
        };
        self.state = state;
        self.settled_at = settled_at;
        self.note = Some(note);
        Ok(())
    }

    /// Keeps a corrected payload beside the original.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the letter is settled, [`StoreError::Invalid`] when the editor
    /// is not named or the letter has ten edits already.
    pub fn edit(&mut self, edit: Edit) -> Result<(), StoreError> {
        if !self.state.is_open() {
            return Err(StoreError::Refused { id: self.id, state: self.state, wanted: "edit" });
        }
        let by = given(edit.by)?;
        if self.edits.len() >= EDITS_MAX {
            let value = self.edits.len().to_string();
            return Err(Invalid { field: "edits", value, rule: "must stay at most 10" }.into());
        }
        self.edits.push(Edit { by, ..edit });
        Ok(())
    }

    fn fail(&mut self, reason: Reason, attempts: Attempts, replays_max: u32) {
        // A parked letter is handled for the first time, which is no replay of a failure.
        if self.state == State::Dead {
            self.replays = self.replays.saturating_add(1);
        }
        let spent = self.replays >= replays_max && self.state == State::Dead;
        self.state = if spent { State::Quarantined } else { State::Dead };
        self.reason = reason;
        self.attempts = attempts;
    }
}

fn bounded(note: String) -> Result<String, Invalid> {
    if note.len() > NOTE_BYTES_MAX {
        let value = format!("{} bytes", note.len());
        return Err(Invalid { field: "note", value, rule: "must be at most 1,024 bytes" });
    }
    Ok(note)
}

fn given(note: String) -> Result<String, Invalid> {
    if note.is_empty() {
        return Err(Invalid { field: "note", value: note, rule: "must say who or why" });
    }
    bounded(note)
}
