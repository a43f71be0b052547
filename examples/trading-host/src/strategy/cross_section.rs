//! Buys what fell most among its peers, sells what rose most.

use std::collections::{BTreeMap, VecDeque};

use backstop_clock::Timestamp;
use rust_decimal::Decimal;

use super::{ConfigError, RANKED_MIN, Strategy, Style, Target};
use crate::market::{Bar, Instrument};

const NAME: &str = "cross-section";

/// Longest look back, in bars: a year of trading days.
const LOOKBACK_MAX: usize = 252;

/// A short-term reversal over instruments quoted in one currency.
///
/// At each close the members are ranked by their return over the look-back.
/// The lowest are wanted long, the highest short, each at the same value; the rest flat.
/// The n-th lowest and the n-th highest are taken together, and only if their returns differ:
/// where nothing moved, nothing is wanted.
/// A position whose side stays is left alone until its value has drifted out of the band,
/// because trading the drift of a day costs more than it mends.
/// All orders are market orders: the ranking is of this close, not of tomorrow's.
///
/// Only members with a bar at that moment and a full look-back are ranked, and nothing changes
/// while they are fewer than four.
/// After Lehmann (1990), "Fads, martingales, and market efficiency", with equal weights.
#[derive(Clone, Debug)]
pub struct CrossSection {
    config: Config,
    /// By place in the market's list, which also settles equal returns.
    members: BTreeMap<usize, Tracked>,
}

/// An instrument that takes part in a [`CrossSection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Place of the instrument in the market's list.
    pub instrument: usize,
    /// Its terms of trading.
    pub terms: Instrument,
    /// Most units held, long or short.
    pub limit: Decimal,
}

/// Settings of a [`CrossSection`].
///
/// | setting | default | reason |
/// |---|---|---|
/// | `lookback` | 5 bars | a week of days, the horizon at which reversal was found |
/// | `names_per_side` | 2 | half of the fewest members |
/// | `notional` | 10,000 | some tens to hundreds of shares |
/// | `band_percent` | 10 | a drift that takes days, not hours |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bars over which the return is taken, 1 to 252.
    pub lookback: usize,
    /// How many are held long, and how many short, at least 1.
    pub names_per_side: usize,
    /// Value of each position, in quote currency.
    pub notional: Decimal,
    /// How far a position's value may drift before it is set anew, 0 to 100.
    pub band_percent: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { lookback: 5, names_per_side: 2, notional: Decimal::from(10_000), band_percent: 10 }
    }
}

/// A member and what was seen of it.
#[derive(Clone, Debug)]
struct Tracked {
    terms: Instrument,
    limit: Decimal,
    /// The last closes in price steps, oldest first.
    closes: VecDeque<i128>,
    /// The target in force.
    wanted: Decimal,
}

/// A member to be ranked at one close.
#[derive(Clone, Copy, Debug)]
struct Entrant {
    instrument: usize,
    close: Decimal,
    /// First and last close of the look-back, in price steps.
    first: i128,
    last: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Long,
    Flat,
    Short,
}

impl CrossSection {
    /// A strategy over `members`, which are quoted in one currency.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting, its value and the rule it breaks.
    pub fn new(members: Vec<Member>, config: Config) -> Result<Self, ConfigError> {
        let refuse = |field, value: &dyn ToString, rule| {
            Err(ConfigError { strategy: NAME, field, value: value.to_string(), rule })
        };
        if !(1..=LOOKBACK_MAX).contains(&config.lookback) {
            return refuse("lookback", &config.lookback, "must be 1 to 252 bars");
        }
        if config.notional <= Decimal::ZERO {
            return refuse("notional", &config.notional, "must be above zero");
        }
        if config.band_percent > 100 {
            return refuse("band_percent", &config.band_percent, "must be 0 to 100");
        }
        if members.len() < RANKED_MIN {
            return refuse("members", &members.len(), "must be at least four");
        }
        if !(1..=members.len() / 2).contains(&config.names_per_side) {
            let rule = "must be 1 to half of the members";
            return refuse("names_per_side", &config.names_per_side, rule);
        }
        let mut tracked: BTreeMap<usize, Tracked> = BTreeMap::new();
        for Member { instrument, terms, limit } in members {
            if limit < terms.lot_step {
                return refuse("limit", &limit, "must be at least one lot");
            }
            if tracked.values().any(|other| other.terms.quote != terms.quote) {
                return refuse("quote", &terms.quote, "must be one for all members");
            }
            let closes = VecDeque::with_capacity(config.lookback + 1);
            let member = Tracked { terms, limit, closes, wanted: Decimal::ZERO };
            if tracked.insert(instrument, member).is_some() {
                return refuse("instrument", &instrument, "must be a member once");
            }
        }
        Ok(Self { config, members: tracked })
    }

    /// Take in a close; an entrant if the member's look-back is full.
    fn enter(&mut self, bar: &Bar) -> Option<Entrant> {
        let member = self.members.get_mut(&bar.instrument)?;
        let last = super::steps(bar.close, &member.terms)?;
        if member.closes.len() > self.config.lookback {
            member.closes.pop_front();
        }
        member.closes.push_back(last);
        let first = *member.closes.front()?;
        let is_full = member.closes.len() > self.config.lookback;
        is_full.then_some(Entrant { instrument: bar.instrument, close: bar.close, first, last })
    }

    /// The position wanted of a member, given its side and its close.
    fn size(&self, member: &Tracked, side: Side, close: Decimal) -> Decimal {
        let planned = super::units(&member.terms, self.config.notional, close);
        let full = super::within(&member.terms, member.limit, planned);
        let wanted = match side {
            Side::Long => full,
            Side::Flat => Decimal::ZERO,
            Side::Short => -full,
        };
        let same_side = !wanted.is_zero()
            && !member.wanted.is_zero()
            && member.wanted.is_sign_negative() == wanted.is_sign_negative();
        if same_side && self.is_in_band(member, close) { member.wanted } else { wanted }
    }

    fn is_in_band(&self, member: &Tracked, close: Decimal) -> bool {
        let units = member.wanted.abs();
        let value = units.saturating_mul(close).saturating_mul(member.terms.multiplier);
        let drift = value.saturating_sub(self.config.notional).abs();
        let band = self.config.notional.saturating_mul(Decimal::from(self.config.band_percent));
        drift.saturating_mul(Decimal::ONE_HUNDRED) <= band
    }
}

impl Strategy for CrossSection {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_close(&mut self, _at: Timestamp, bars: &[Bar]) -> Vec<Target> {
        let mut entrants: Vec<Entrant> = bars.iter().filter_map(|bar| self.enter(bar)).collect();
        if entrants.len() < RANKED_MIN {
            return Vec::new();
        }
        entrants.sort_by(|one, other| {
            one.compare_return(other).then(one.instrument.cmp(&other.instrument))
        });
        let mut sides = sides(&entrants, self.config.names_per_side);
        // Targets leave in the order of instruments, whatever the ranking was.
        sides.sort_by_key(|(entrant, _)| entrant.instrument);
        let mut targets = Vec::new();
        for (entrant, side) in sides {
            let Some(member) = self.members.get(&entrant.instrument) else { continue };
            let quantity = self.size(member, side, entrant.close);
            if quantity != member.wanted {
                let (instrument, style) = (entrant.instrument, Style::Market);
                targets.push(Target { instrument, quantity, style });
            }
        }
        for target in &targets {
            if let Some(member) = self.members.get_mut(&target.instrument) {
                member.wanted = target.quantity;
            }
        }
        targets
    }
}

/// The side of each entrant; `entrants` are sorted by return, lowest first.
fn sides(entrants: &[Entrant], names_per_side: usize) -> Vec<(Entrant, Side)> {
    let mut sides: Vec<_> = entrants.iter().map(|entrant| (*entrant, Side::Flat)).collect();
    let pairs = names_per_side.min(entrants.len() / 2);
    for low in 0..pairs {
        let high = entrants.len() - 1 - low;
        if entrants[low].compare_return(&entrants[high]).is_lt() {
            sides[low].1 = Side::Long;
            sides[high].1 = Side::Short;
        }
    }
    sides
}

impl Entrant {
    /// Compare returns without dividing: a/b < c/d is a*d < c*b where b and d are above zero.
    ///
    /// Prices of a market folder have at most 10^14 steps, so the products fit.
    fn compare_return(&self, other: &Self) -> std::cmp::Ordering {
        self.last.saturating_mul(other.first).cmp(&other.last.saturating_mul(self.first))
    }
}
