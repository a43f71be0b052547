//! What a human hears of once it lasts, and what stands when a process begins.

use std::{collections::BTreeMap, time::Duration};

use backstop_clock::{Clock as _, Timestamp};
use backstop_error_taxonomy::Severity;
use rust_decimal::Decimal;

use super::Host;
use crate::{alerts::utc, trouble::Trouble, venue::VenueError};

/// How long the venue may give no answer before a human hears of it.
///
/// Trading is safe meanwhile; what is held may not be.
const SILENT_MAX: Duration = Duration::from_mins(10);

/// How long money may differ beside what is set apart, before a human hears of it.
///
/// What is on its way is here by then.
const UNEXPLAINED_MAX: Duration = Duration::from_mins(10);

/// What is bad once it lasts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lasting {
    Since(Timestamp),
    Told,
}

impl Lasting {
    /// How long it has lasted, when that is too long and nobody was told yet.
    fn overdue(&mut self, now: Timestamp, max: Duration) -> Option<Duration> {
        match *self {
            Self::Since(since) if now.since(since) >= max => {
                *self = Self::Told;
                Some(now.since(since))
            }
            Self::Since(_) | Self::Told => None,
        }
    }
}

impl Host {
    /// Tells a human, once, of a venue that nobody has had an answer from for long.
    pub(super) fn heed_silence(&self, error: &VenueError) {
        let now = self.clock.now();
        let mut silence = self.silence.get().unwrap_or(Lasting::Since(now));
        let overdue = silence.overdue(now, SILENT_MAX);
        self.silence.set(Some(silence));
        if let Some(lasted) = overdue {
            let text = format!("no answer for {} min: {error}", lasted.as_secs() / 60);
            self.meet(Trouble::VenueSilent, None, text);
        }
    }

    /// Tells a human, once, of each currency that has differed for long beside what is set apart.
    ///
    /// It is not repaired meanwhile: it may differ because of what is not booked, or by itself.
    pub fn heed_money(&self, differing: &BTreeMap<&str, Decimal>) {
        let mut unexplained = self.unexplained.borrow_mut();
        let apart: Vec<String> =
            self.accounts.apart().iter().map(|(id, _)| id.to_string()).collect();
        if apart.is_empty() {
            return unexplained.clear();
        }
        unexplained.retain(|currency, _| differing.contains_key(&**currency));
        let now = self.clock.now();
        let lasts = differing.iter().filter_map(|(currency, difference)| {
            let since = Lasting::Since(now);
            let lasting = unexplained.entry((*currency).to_owned()).or_insert(since);
            Some((currency, difference, lasting.overdue(now, UNEXPLAINED_MAX)?))
        });
        let overdue: Vec<_> = lasts.collect();
        // Whoever is told may ask the host.
        drop(unexplained);
        let apart = apart.join(", ");
        for (currency, difference, lasted) in overdue {
            let minutes = lasted.as_secs() / 60;
            let text = format!(
                "{currency} has differed from the venue's for {minutes} min, by {difference} now, \
                 and is left so while set apart: {apart}"
            );
            self.meet(Trouble::MoneyDiffers, None, text);
        }
    }

    /// Tells a human what an earlier process or an operator left standing: whoever was told of it
    /// may not have heard.
    pub fn tell_what_stands(&self) {
        if let Some(halt) = self.halt.called() {
            let text = format!("halted since {}: {}", utc(halt.at), halt.reason);
            self.raise(Severity::High, "still_halted", text);
        }
        for (id, why) in self.accounts.apart() {
            let text = format!("{id} is set apart since {}: {}", utc(why.at), why.reason);
            self.raise(Severity::High, "still_apart", text);
        }
    }
}
