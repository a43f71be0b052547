//! Old entries: each version is read through the step to the next one, until it is the one that is written.
//!
//! Stored bytes never change, since the chain covers them.
//! Whoever changes the form of an entry raises [`VERSION`], adds the step from the version before, and keeps a journal
//! of that version among the fixtures of the tests; a step that has shipped is never edited.

use std::borrow::Cow;

use crate::error::DecodeError;

/// The version of the entries that are written.
pub(super) const VERSION: u8 = 1;

/// Makes a body of one version into one of the next; the first byte of a body is its version.
type Step = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

/// The step from version `n` is number `n - 1`.
const STEPS: [Step; VERSION as usize - 1] = [];

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
