use crate::State;

/// Names one stretch of time in one state; a permit is good for the period that gave it.
///
/// Fifty-three bits: a permit would have to sleep through 2^53 changes of state to be mistaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(u64);

const PERIOD_BITS: u32 = 53;
const STATE_BITS: u32 = 3;
/// Room for eight flags.
const STATE_SHIFT: u32 = u64::BITS - PERIOD_BITS - STATE_BITS;

impl Period {
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) const fn next(self) -> Self {
        Self((self.0 + 1) & ((1 << PERIOD_BITS) - 1))
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}

/// What a caller has to know of the breaker before it does anything without the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one bit of the word")]
pub(crate) struct Flags {
    /// One more good verdict would change nothing at all, so it need not be told.
    pub(crate) quiet: bool,
    /// Calls are timed: admission reads the clock, and the verdict too.
    pub(crate) timed: bool,
    /// Verdicts belong to a slice of time, so each of them reads the clock.
    pub(crate) sliced: bool,
    /// What would be rejected is admitted all the same, and counted.
    pub(crate) dry_run: bool,
    /// The policy judges some kinds of errors in its own way.
    pub(crate) own_kinds: bool,
}

/// Period, state and flags in one atomic word, so that they change together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    const QUIET: u64 = 1;
    const TIMED: u64 = 1 << 1;
    const SLICED: u64 = 1 << 2;
    const DRY_RUN: u64 = 1 << 3;
    const OWN_KINDS: u64 = 1 << 4;
    /// Follows from the state and `timed`, so that admission need test only one bit.
    const FREE: u64 = 1 << 7;

    /// Of a permit whose verdict does not judge, or has been given; no breaker shows it.
    pub(crate) const SPENT: Self = Self(u64::MAX);

    pub(crate) fn new(period: Period, state: State, flags: Flags) -> Self {
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        let admits = matches!(state, State::Closed | State::Disabled | State::MetricsOnly);
        Self(
            (period.0 << (STATE_BITS + STATE_SHIFT))
                | (state.code() << STATE_SHIFT)
                | bit(flags.quiet, Self::QUIET)
                | bit(flags.timed, Self::TIMED)
                | bit(flags.sliced, Self::SLICED)
                | bit(flags.dry_run, Self::DRY_RUN)
                | bit(flags.own_kinds, Self::OWN_KINDS)
                | bit(admits && !flags.timed, Self::FREE),
        )
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
        Period(self.0 >> (STATE_BITS + STATE_SHIFT))
    }

    #[inline]
    pub(crate) const fn state(self) -> State {
        State::from_code((self.0 >> STATE_SHIFT) & ((1 << STATE_BITS) - 1))
    }

    #[inline]
    pub(crate) const fn is_quiet(self) -> bool {
        self.0 & Self::QUIET != 0
    }

    /// A call is admitted without a question and without the time.
    #[inline]
    pub(crate) const fn is_free(self) -> bool {
        self.0 & Self::FREE != 0
    }

    #[inline]
    pub(crate) const fn is_timed(self) -> bool {
        self.0 & Self::TIMED != 0
    }

    #[inline]
    pub(crate) const fn is_sliced(self) -> bool {
        self.0 & Self::SLICED != 0
    }

    #[inline]
    pub(crate) const fn is_dry_run(self) -> bool {
        self.0 & Self::DRY_RUN != 0
    }

    pub(crate) const fn has_own_kinds(self) -> bool {
        self.0 & Self::OWN_KINDS != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_do_not_touch_each_other(
            period in 0..1_u64 << PERIOD_BITS, code in 0_u64..6, bits in 0_u8..32,
        ) {
            let bit = |n: u8| bits & (1 << n) != 0;
            let flags = Flags {
                quiet: bit(0), timed: bit(1), sliced: bit(2), dry_run: bit(3), own_kinds: bit(4),
            };
            let state = State::from_code(code);
            let word = Word::new(Period(period), state, flags);
            prop_assert_eq!(word, Word::from_bits(word.bits()));
            prop_assert_ne!(word, Word::SPENT);
            prop_assert_eq!((word.period(), word.state()), (Period(period), state));
            prop_assert_eq!((word.is_quiet(), word.is_timed()), (flags.quiet, flags.timed));
            prop_assert_eq!((word.is_sliced(), word.is_dry_run()), (flags.sliced, flags.dry_run));
            prop_assert_eq!(word.has_own_kinds(), flags.own_kinds);
        }
    }

    #[test]
    fn periods_wrap_without_leaving_their_bits() {
        assert_eq!(Period((1 << PERIOD_BITS) - 1).next(), Period::FIRST);
    }
}
