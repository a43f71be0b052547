//! What is done about a failure once the policy has decided: a human is told, an instrument is set
//! apart, trading halts.

use backstop_clock::{Clock, Timestamp};
use backstop_error_taxonomy::{
    Action, Classify, Decision, Error, Kind, Severity,
    recovery::{Handlers, Recovery, recover},
    thresholds::Counted,
};
use backstop_position_ledger::{Fact, InstrumentId, Text, action::Subject};
use metrics::counter;

use super::Host;
use crate::{
    alerts::Alert,
    halt::{Called, Depth},
    trouble::{self, Case, Trouble},
};

impl Host {
    /// Does what the policy says about something that the host found.
    pub fn meet(&self, trouble: Trouble, instrument: Option<&InstrumentId>, text: String) {
        let site = trouble.site();
        let decision = self.policy.decide(trouble.class(), &site);
        let (name, cause) = (trouble.name(), trouble.cause());
        let component = site.component;
        self.carry_out(&decision, &Case { name, component, cause, instrument, text });
    }

    /// Tells a human, sets the instrument apart, or stops trading, if that was decided.
    ///
    /// What cannot be set apart, for whatever reason, stops everything.
    pub fn carry_out(&self, decision: &Decision<'_>, case: &Case<'_>) {
        if !matches!(decision.action, Action::Escalate | Action::Isolate | Action::Halt) {
            return;
        }
        let error = Error::new(decision.class.kind(), case.text.clone())
            .with_class(decision.class)
            .with_component(case.component);
        let handlers = Handlers::<()>::new()
            .on_halt(|call| self.stop_trading(case, trouble::depth(call.halt())))
            .on_isolate(|_| self.set_apart(case))
            .on_escalate(|call| match call.decision.action {
                Action::Isolate => self.stop_trading(case, Depth::Cancel),
                _ => Ok(()),
            });
        let recovery = recover(decision, error, handlers);
        let at = self.clock.now();
        self.errors.record(&recovery, at);
        if self.is_heard(decision, &recovery, at) {
            let severity = recovery.event.unwrap_or(decision.severity);
            self.raise(severity, case.name, case.text.clone());
        }
        // Resting orders are cancelled now, not when their instrument trades next.
        self.nudge_all();
    }

    /// Tells a human.
    pub(super) fn raise(&self, severity: Severity, name: &'static str, text: String) {
        let labels = [("alert", name), ("severity", severity.as_str())];
        counter!("trading_host_alerts_total", &labels).increment(1);
        self.alerts.raise(Alert { at: self.clock.now(), severity, name, text });
    }

    fn stop_trading(&self, case: &Case<'_>, depth: Depth) -> Result<(), Error> {
        let Case { cause, text, .. } = case;
        let called = Called { at: self.clock.now(), cause: *cause, depth, reason: text.clone() };
        self.halt.call(called).map_err(|stop| {
            let error = Error::new(Kind::Unavailable, stop.to_string());
            self.fail(stop);
            error
        })
    }

    /// Lets nothing more be booked on an instrument, and nothing be sent for it.
    fn set_apart(&self, case: &Case<'_>) -> Result<(), Error> {
        let nameless = || Error::new(Kind::NotFound, "it is of no instrument that is traded here");
        let instrument = case.instrument.ok_or_else(nameless)?;
        if self.accounts.is_apart(instrument) {
            return Ok(());
        }
        let subject = Subject::Instrument(instrument.clone());
        let isolated = Fact::Isolated { subject, reason: Text::clipped(&case.text) };
        let why = self.accounts.mint("isolation");
        let posted = self.accounts.post_durably(self.clock.now(), why, isolated);
        // A conflict cannot be: the id of the entry is new.
        drop(posted.map_err(|error| Error::caused_by(error, "the books refuse"))?);
        tracing::warn!(%instrument, reason = case.text, "set apart");
        Ok(())
    }

    /// Whether a human hears of it: of what is critical or set apart always, else when it makes
    /// the number.
    fn is_heard(&self, decision: &Decision<'_>, recovery: &Recovery<()>, at: Timestamp) -> bool {
        match recovery.event {
            Some(severity) if severity < Severity::Critical && decision.alert_after.is_some() => {
                let mut counts = self.counts.borrow_mut();
                counts.record_recovery(recovery, decision, at) == Counted::Reached
            }
            _ => true,
        }
    }
}
