//! One comparison from its statements to its report.

use backstop_clock::Timestamp;

use crate::{
    Action, Context, Leg, Plan, Policy, ReconcileError, Report, Statement, balances,
    coverage::{Compared, Coverage, Skipped, Status},
    findings::{Finding, FindingId, Kind},
    join::{Row, Sorted},
    orders, positions,
    rows::TradeRow,
    trades,
};

/// Compares our book with the other side's statement and plans the repair; changes nothing.
///
/// Only legs that both sides observed are compared.
///
/// # Errors
/// `NoVersion` when the internal statement has none, `SameSource` when both bear one name.
pub fn reconcile(
    policy: &Policy,
    context: &Context<'_>,
    internal: &Statement<'_>,
    external: &Statement<'_>,
) -> Result<Report, ReconcileError> {
    let source_name = || internal.source.to_string();
    let no_version = || ReconcileError::NoVersion { source_name: source_name() };
    let expected_version = internal.version.ok_or_else(no_version)?;
    if internal.source == external.source {
        return Err(ReconcileError::SameSource { source_name: source_name() });
    }
    let mut run = Run::new(policy, context, internal, external);
    let gaps = trades::gaps(&mut run);
    positions::compare(&mut run, &gaps);
    balances::compare(&mut run);
    orders::compare(&mut run);
    Ok(run.into_report(expected_version))
}

/// The state of a comparison that is under way.
#[derive(Debug)]
pub(crate) struct Run<'r, 'a> {
    pub(crate) policy: &'r Policy,
    pub(crate) context: &'r Context<'r>,
    pub(crate) internal: &'r Statement<'a>,
    pub(crate) external: &'r Statement<'a>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) compared: Compared,
    /// Trades to apply, with the findings that cause them.
    trades: Vec<(&'r TradeRow<'a>, FindingId)>,
    /// Actions on balances, then on orders.
    actions: Vec<Action>,
}

impl<'r, 'a> Run<'r, 'a> {
    fn new(
        policy: &'r Policy,
        context: &'r Context<'r>,
        internal: &'r Statement<'a>,
        external: &'r Statement<'a>,
    ) -> Self {
        Self {
            policy,
            context,
            internal,
            external,
            findings: Vec::new(),
            skipped: Vec::new(),
            compared: Compared::default(),
            trades: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// The rows of a leg in key order, when both sides observed it.
    pub(crate) fn both<R: Row>(
        &mut self,
        leg: impl Fn(&'r Statement<'a>) -> &'r Leg<Vec<R>>,
    ) -> Option<[Sorted<'r, R>; 2]> {
        let (Leg::Observed(ours), Leg::Observed(theirs)) = (leg(self.internal), leg(self.external))
        else {
            return None;
        };
        let ours = Sorted::new(&self.internal.source, ours, &mut self.findings);
        let theirs = Sorted::new(&self.external.source, theirs, &mut self.findings);
        Some([ours, theirs])
    }

    /// Whether a change at `at` may still be on its way.
    pub(crate) fn is_young(&self, at: Timestamp) -> bool {
        self.context.now.since(at) < self.policy.grace
    }

    pub(crate) fn plan_trade(&mut self, trade: &'r TradeRow<'a>, finding: FindingId) {
        self.trades.push((trade, finding));
    }

    pub(crate) fn plan(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn into_report(mut self, expected_version: u64) -> Report {
        let coverage = [Coverage::of(self.internal), Coverage::of(self.external)];
        let malformed = self.findings.iter().any(|found| found.kind == Kind::MalformedSource);
        let status = if coverage[0].is_partial() && self.compared.total() == 0 {
            Status::Failed
        } else if malformed || coverage.iter().any(Coverage::is_partial) {
            Status::Partial
        } else {
            Status::Completed
        };
        self.findings
            .sort_by(|a, b| (&a.subject, a.kind, &a.source).cmp(&(&b.subject, b.kind, &b.source)));
        let actions = self.ordered_actions();
        Report {
            status,
            findings: self.findings,
            plan: Plan { expected_version, actions },
            skipped: self.skipped,
            coverage,
            compared: self.compared,
        }
    }

    /// Trades in the order in which they happened, then balances and orders by key.
    fn ordered_actions(&mut self) -> Vec<Action> {
        if let Leg::Observed(rows) = &self.external.trades {
            // Trades of one millisecond keep the order in which the source lists them.
            self.trades.sort_by_key(|(trade, _)| (trade.at, rows.element_offset(trade)));
        }
        let trades = self.trades.drain(..);
        let trades = trades.map(|(trade, finding)| Action::ApplyTrade {
            trade: trade.clone().into_owned(),
            finding,
        });
        trades.chain(self.actions.drain(..)).collect()
    }
}
