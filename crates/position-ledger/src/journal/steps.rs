//! Old entries: each version is read through the step to the next one, until it is the one that is written.
//!
//! Stored bytes never change, since the chain covers them.
//! Whoever changes the form of an entry raises [`VERSION`], adds the step from the version before, and keeps a journal
//! of that version among the fixtures of the tests; a step that has shipped is never edited.

use std::borrow::Cow;

use crate::error::DecodeError;

/// The version of the entries that are written.
pub(crate) const VERSION: u8 = 3;

/// Makes a body of one version into one of the next; the first byte of a body is its version.
type Step = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

/// The step from version `n` is number `n - 1`.
const STEPS: [Step; VERSION as usize - 1] = [from_1, from_2];

/// The body in the version that is written.
pub(super) fn latest(body: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    let Some(version) = body.first().copied() else {
        return Err(DecodeError { what: "the bytes end", offset: 0 });
    };
    if version == VERSION {
        return Ok(Cow::Borrowed(body));
    }
    let steps = usize::from(version).checked_sub(1).and_then(|done| STEPS.get(done..));
    let steps = steps.ok_or(DecodeError { what: "an entry of an unknown version", offset: 0 })?;
    steps.iter().try_fold(body.to_vec(), |body, step| step(&body)).map(Cow::Owned)
}

/// Version 2 says at the end of an entry what version 1 did not know: strategy and portfolio, of a fill also the stated
/// cost, its leg and lots, and of what has terms the rules of the position.
fn from_1(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    const FILLED: u8 = 4;
    // No strategy, no portfolio, no cost, no leg, no lots (16 bits), no rules.
    extended(body, 2, |tag| if tag == FILLED { &[0, 0, 0, 0, 0, 0, 0] } else { &[0, 0] })
}

/// Version 3 says at the end of a correction which revision it is, and knows lots that are named by their entry.
fn from_2(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    const CORRECTED: u8 = 12;
    extended(body, 3, |tag| if tag == CORRECTED { &[0] } else { &[] })
}

/// The body in a version, with what it adds to the end of a kind of fact.
fn extended(
    body: &[u8],
    version: u8,
    more: fn(u8) -> &'static [u8],
) -> Result<Vec<u8>, DecodeError> {
    let torn = DecodeError { what: "the bytes end", offset: body.len() };
    let (header, rest) = body.split_first_chunk::<5>().ok_or(torn)?;
    let more = rest.first().map_or(&[][..], |tag| more(*tag));
    let [_, length @ ..] = header;
    let added = u32::try_from(more.len()).unwrap_or(0);
    let length = u32::from_be_bytes(*length).checked_add(added).ok_or(torn)?.to_be_bytes();
    Ok([&[version], &length[..], rest, more].concat())
}
