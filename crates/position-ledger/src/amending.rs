//! What the venue says of a fill later: busts and corrections.

use std::cmp::Ordering;

use crate::amount::Amount;
use crate::archive::{Kept, Key, Place};
use crate::books::Books;
use crate::change::Undo;
use crate::entry::Entry;
use crate::error::{AppendError, Difference, Invalid};
use crate::fill::{Correction, Void};
use crate::order::Order;
use crate::posting::Posting;
use crate::slots::{Amended, Restated};
use crate::state::of;

impl Books {
    pub(crate) fn post_void(&mut self, entry: &Entry, void: &Void) -> Result<Posting, AppendError> {
        if let Some(quantity) = void.quantity {
            Invalid::unless_positive("quantity", quantity)?;
        }
        let pair = self.pair_for(&entry.account, &void.instrument)?;
        match self.fills.find(&Key::new(pair, &void.trade_id)) {
            Some(place) => self.void_fill(place, void).map(|()| Posting::Applied),
            None => self.await_fill(pair, void).map(|()| Posting::Recorded),
        }
    }

    /// Keeps a bust until its fill comes; a whole bust is more than any quantity.
    fn await_fill(&mut self, pair: u32, void: &Void) -> Result<(), AppendError> {
        let key = (pair, void.trade_id.clone());
        let before = self.waiting.get(&key).copied();
        let trade_id = void.trade_id.clone();
        match (before, void.quantity) {
            (Some(Some(held)), Some(offered)) if offered < held => {
                return Err(AppendError::StaleVoid { trade_id, voided: held, offered });
            }
            (Some(None), Some(offered)) => {
                return Err(AppendError::StaleVoid { trade_id, voided: Amount::MAX, offered });
            }
            (Some(held), offered) if held == offered => {
                let voided = held.unwrap_or(Amount::MAX);
                return Err(AppendError::DuplicateVoid { trade_id, voided });
            }
            _ => {}
        }
        self.waiting.insert(key.clone(), void.quantity);
        self.trail.push(Undo::Waiting(Box::new((key, before))));
        Ok(())
    }

    fn void_fill(&mut self, place: Place, void: &Void) -> Result<(), AppendError> {
        let kept = self.fills.get(place).ok_or(AppendError::Full)?;
        let mut amended = self.amended.get(&place).cloned().unwrap_or_default();
        let (traded, voided) = (kept.quantity, amended.voided);
        let (offered, trade_id) = (void.quantity.unwrap_or(traded), void.trade_id.clone());
        if offered > traded {
            return Err(AppendError::ExcessVoid { trade_id, traded, offered });
        }
        if offered == voided {
            return Err(AppendError::DuplicateVoid { trade_id, voided });
        }
        if offered < voided {
            return Err(AppendError::StaleVoid { trade_id, voided, offered });
        }
        amended.voided = offered;
        self.amend(place, amended);
        // A fill that came before its intent was not counted, so there is nothing to give back.
        let counted = |order: &&Order| order.sequence() < kept.sequence;
        if let Some(order) = self.orders.get(&kept.order_id).filter(counted) {
            let back = offered.checked_sub(voided).map_err(of("filled"))?;
            let left = order.filled().checked_sub(back).map_err(of("filled"))?;
            let mut order = Box::new(order.clone());
            order.set_filled(left);
            self.swap_order(kept.order_id, Some(order));
        }
        self.rederive_fill(&kept)
    }

    pub(crate) fn correct(
        &mut self,
        entry: &Entry,
        correction: &Correction,
    ) -> Result<Posting, AppendError> {
        let terms = self.find_instrument(&correction.instrument)?;
        terms.check_price("price", correction.price)?;
        correction.cost.map_or(Ok(()), |cost| terms.check_cost(cost))?;
        let unknown = || AppendError::UnknownTrade(correction.trade_id.clone());
        let pair = self.pair_number(&entry.account, &correction.instrument);
        let place = pair.and_then(|pair| self.fills.find(&Key::new(pair, &correction.trade_id)));
        let place = place.ok_or_else(unknown)?;
        let kept = self.fills.get(place).ok_or_else(unknown)?;
        let mut amended = self.amended.get(&place).cloned().unwrap_or_default();
        if amended.voided == kept.quantity {
            return Err(AppendError::VoidedTrade(correction.trade_id.clone()));
        }
        let now = (correction.price, correction.cost);
        if let Some(((held, said), offered)) = amended.revised.zip(correction.revision) {
            match offered.cmp(&held) {
                Ordering::Less => {
                    let trade_id = correction.trade_id.clone();
                    return Err(AppendError::StaleCorrection { trade_id, held, offered });
                }
                Ordering::Equal if said == now => return Ok(Posting::Duplicate),
                Ordering::Equal => return Ok(Posting::conflict(difference(said, correction))),
                Ordering::Greater => {}
            }
        }
        amended.restated = Some(now);
        amended.revised = correction.revision.map(|number| (number, now)).or(amended.revised);
        self.amend(place, amended);
        self.rederive_fill(&kept)?;
        Ok(Posting::Applied)
    }

    fn amend(&mut self, place: Place, amended: Amended) {
        let before = self.amended.insert(place, amended);
        self.trail.push(Undo::Amended(place, before.map(Box::new)));
    }

    fn rederive_fill(&mut self, kept: &Kept) -> Result<(), AppendError> {
        self.rederive([self.slot_of(kept), kept.share].into_iter().flatten())
    }
}

/// What differs between two words of the venue that bear the same revision.
fn difference((price, cost): Restated, offered: &Correction) -> Difference {
    if price != offered.price {
        return Difference::new("price", &price, &offered.price);
    }
    let shown =
        |cost: Option<Amount>| cost.map_or_else(|| "none".to_owned(), |cost| cost.to_string());
    Difference::new("cost", &shown(cost), &shown(offered.cost))
}
