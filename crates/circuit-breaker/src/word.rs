use crate::State;

/// Names one stretch of time in one state; a permit is good for the period that gave it.
///
/// Forty bits: a permit would have to sleep through 2^40 changes of state to be mistaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(u64);

const PERIOD_BITS: u32 = 40;
const STATE_BITS: u32 = 3;
const RUN_BITS: u32 = u64::BITS - PERIOD_BITS - STATE_BITS;

/// The longest run of failures that fits the word, hence the highest threshold.
pub(crate) const RUN_MAX: u32 = (1 << RUN_BITS) - 1;

impl Period {
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) const fn next(self) -> Self {
        Self((self.0 + 1) & ((1 << PERIOD_BITS) - 1))
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// Period, state and run of failures in one atomic word, so that they change together.
///
/// A verdict that compares and swaps the word therefore cannot hit a later period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    #[inline]
    pub(crate) const fn new(period: Period, state: State, run: u32) -> Self {
        debug_assert!(run <= RUN_MAX);
        Self((period.0 << (STATE_BITS + RUN_BITS)) | (state.code() << RUN_BITS) | run as u64)
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) const fn period(self) -> Period {
        Period(self.0 >> (STATE_BITS + RUN_BITS))
    }

    #[inline]
    pub(crate) const fn state(self) -> State {
        State::from_code((self.0 >> RUN_BITS) & ((1 << STATE_BITS) - 1))
    }

    /// Failures in a row, where the word is what counts them.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to RUN_BITS, fewer than 32")]
    pub(crate) const fn run(self) -> u32 {
        (self.0 & RUN_MAX as u64) as u32
    }

    #[inline]
    pub(crate) const fn with_run(self, run: u32) -> Self {
        debug_assert!(run <= RUN_MAX);
        Self((self.0 & !(RUN_MAX as u64)) | run as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_do_not_touch_each_other(
            period in 0..1_u64 << PERIOD_BITS, code in 0_u64..6, run in 0..=RUN_MAX, other in 0..=RUN_MAX,
        ) {
            let state = State::from_code(code);
            let word = Word::new(Period(period), state, run).with_run(other);
            prop_assert_eq!(word, Word::from_bits(word.bits()));
            prop_assert_eq!(word.period(), Period(period));
            prop_assert_eq!(word.state(), state);
            prop_assert_eq!(word.run(), other);
        }
    }

    #[test]
    fn periods_wrap_without_leaving_their_bits() {
        assert_eq!(Period((1 << PERIOD_BITS) - 1).next(), Period::FIRST);
    }
}
