//! What is done about a failure once the policy has decided: a human is told, trading halts.

use backstop_clock::{Clock, Timestamp};
use backstop_error_taxonomy::{
    Action, Classify, Component, Decision, Severity, thresholds::Counted,
};

use super::Host;
use crate::{
    alerts::Alert,
    halt::{Called, Cause},
    trouble::{self, Trouble},
};

impl Host {
    /// Does what the policy says about something that the host found.
    pub fn meet(&self, trouble: Trouble, text: String) {
        let site = trouble.site();
        let decision = self.policy.decide(trouble.class(), &site);
        self.carry_out(&decision, (trouble.name(), site.component), trouble.cause(), text);
    }

    /// Tells a human, or stops trading until one has looked, if that was decided.
    ///
    /// `what` is the alert's stable word and the component whose events are counted.
    pub fn carry_out(
        &self,
        decision: &Decision<'_>,
        what: (&'static str, Component),
        cause: Cause,
        text: String,
    ) {
        let halts = decision.action == Action::Halt;
        if !halts && decision.action != Action::Escalate {
            return;
        }
        let (name, component) = what;
        let at = self.clock.now();
        if self.is_heard(decision, component, at) {
            let (severity, text) = (decision.severity, text.clone());
            self.alerts.raise(Alert { at, severity, name, text });
        }
        if !halts {
            return;
        }
        let depth = trouble::depth(decision.halt);
        if let Err(stop) = self.halt.call(Called { at, cause, depth, reason: text }) {
            self.fail(stop);
        }
        // Resting orders are cancelled now, not when their instrument trades next.
        self.nudge_all();
    }

    /// Whether a human hears of it: of what is critical always, else when it makes the number.
    fn is_heard(&self, decision: &Decision<'_>, component: Component, at: Timestamp) -> bool {
        match decision.alert_after {
            Some(after) if decision.severity < Severity::Critical => {
                self.counts.borrow_mut().count(component, after, at) == Counted::Reached
            }
            _ => true,
        }
    }
}
