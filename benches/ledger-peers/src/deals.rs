//! The stream of deals.

/// Instruments over which the deals are spread.
pub const POSITIONS: u64 = 1_000;

/// Who trades how.
#[derive(Debug, Clone, Copy)]
pub enum Pattern {
    /// Buys and sells of varying size, so that positions grow, shrink and turn.
    Mixed,
    /// Every position is closed by its next deal and opened by the one after.
    Reopening,
}

/// A fill before it has the type of any library.
#[derive(Debug, Clone, Copy)]
pub struct Deal {
    /// Counts from zero, in the order of time.
    pub number: u64,
    /// Which of the instruments.
    pub place: usize,
    /// Sold, and not bought.
    pub is_sell: bool,
    /// The quantity in thousandths.
    pub lots: u32,
    /// The price in hundred-thousandths.
    pub ticks: u32,
}

impl Deal {
    /// The time of the deal in milliseconds since 1970.
    pub const fn millis(&self) -> u64 {
        1_700_000_000_000 + self.number
    }

    /// The venue's id of the deal.
    pub fn trade_id(&self) -> String {
        format!("T-{:014x}", self.number)
    }
}

/// The endless stream of deals of the benchmark `ledger`.
#[derive(Debug)]
pub struct Deals {
    pattern: Pattern,
    next: u64,
}

impl Deals {
    /// From its beginning; the same in every run.
    pub const fn new(pattern: Pattern) -> Self {
        Self { pattern, next: 0 }
    }
}

impl Iterator for Deals {
    type Item = Deal;

    fn next(&mut self) -> Option<Deal> {
        let number = self.next;
        self.next += 1;
        // Cheap and well spread.
        let chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let (place, is_sell, lots) = match self.pattern {
            Pattern::Mixed => {
                (chance % POSITIONS, chance / POSITIONS % 2 == 1, 1 + chance / 7 % 5_000)
            }
            Pattern::Reopening => (number % POSITIONS, number / POSITIONS % 2 == 1, 250),
        };
        Some(Deal {
            number,
            place: usize::try_from(place).expect("small"),
            is_sell,
            lots: u32::try_from(lots).expect("small"),
            ticks: u32::try_from(100_000 + chance % 9_000).expect("small"),
        })
    }
}
