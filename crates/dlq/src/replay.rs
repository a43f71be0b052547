use std::sync::Arc;

use backstop_clock::{Clock, Sleep};
use backstop_error_taxonomy::Policy;
use tracing::{info, warn};

use crate::{
    DeadLetterStore, Handler, Letter, LetterId, State,
    attempt::{Rules, deliver},
    config::Retry,
    error::{Invalid, StoreError},
    history::Settlement,
    store::{Filter, PAGE_LENGTH_MAX, Page},
};

/// Letters handled in one run at most, unless told otherwise.
const LETTERS_MAX: usize = 1_000;

/// Failed replays after which a letter is left to a person.
const REPLAYS_MAX: u32 = 3;

/// Hands letters to a handler again, and then what was parked behind them, in order.
///
/// | outcome | letter |
/// |---|---|
/// | success | resolved; the letters parked behind it follow |
/// | failure | stays dead with the attempts recorded; what is parked behind it stays parked |
/// | third failure | quarantined |
///
/// A dead letter is handled whenever it is selected; a parked one only when it is the first open
/// letter of its key.
///
/// ```
/// use backstop_dlq::{LetterId, Replay, State, store::Filter};
///
/// let some = Replay::of([LetterId::of("fills", 0, 7)]);
/// let dead = Replay::matching(Filter::default().with_state(State::Dead))?;
/// assert!(Replay::matching(Filter::default()).is_err(), "everything must be asked for by name");
/// let all = Replay::everything().with_dry_run();
/// # let _ = (some, dead, all);
/// # Ok::<(), backstop_dlq::store::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    selection: Selection,
    retry: Retry,
    policy: Arc<Policy>,
    letters_max: usize,
    replays_max: u32,
    dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    Ids(Vec<LetterId>),
    Matching(Filter),
}

/// What became of the letters of a replay, in the order in which they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Letters that the selection names and whose state allows a replay.
    pub selected: Vec<LetterId>,
    /// Handled now; letters that were parked behind a selected one included.
    pub resolved: Vec<LetterId>,
    /// Failed again, and may be replayed once more.
    pub failed: Vec<LetterId>,
    /// Failed again, for the last time allowed.
    pub quarantined: Vec<LetterId>,
    /// Left alone: settled, quarantined before, or parked behind a letter that is still open.
    pub skipped: Vec<LetterId>,
}

impl Replay {
    /// Replays these letters.
    pub fn of(ids: impl IntoIterator<Item = LetterId>) -> Self {
        Self::new(Selection::Ids(ids.into_iter().collect()))
    }

    /// Replays the letters that match.
    ///
    /// # Errors
    /// [`Invalid`] for a filter without any condition; see [`Replay::everything`].
    pub fn matching(filter: Filter) -> Result<Self, Invalid> {
        if filter.is_empty() {
            let value = String::new();
            return Err(Invalid { field: "filter", value, rule: "must have a condition" });
        }
        Ok(Self::new(Selection::Matching(filter)))
    }

    /// Replays every letter whose state allows it.
    pub fn everything() -> Self {
        Self::new(Selection::Matching(Filter::default()))
    }

    fn new(selection: Selection) -> Self {
        Self {
            selection,
            retry: Retry::default(),
            policy: Arc::default(),
            letters_max: LETTERS_MAX,
            replays_max: REPLAYS_MAX,
            dry_run: false,
        }
    }

    /// Only says what would be selected; changes nothing and calls no handler.
    #[must_use]
    pub fn with_dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// The same, with another schedule for transient failures.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The same, deciding by other rules what is tried again; see [`Consumer::with_policy`].
    ///
    /// [`Consumer::with_policy`]: crate::Consumer::with_policy
    #[must_use]
    pub fn with_policy(self, policy: impl Into<Arc<Policy>>) -> Self {
        Self { policy: policy.into(), ..self }
    }

    /// The same, quarantining after another number of failed replays (default 3).
    #[must_use]
    pub fn with_replays_max(self, replays_max: u32) -> Self {
        Self { replays_max, ..self }
    }

    /// The same, selecting at most so many letters (default 1,000).
    #[must_use]
    pub fn with_letters_max(self, letters_max: usize) -> Self {
        Self { letters_max, ..self }
    }

    /// Handles the selected letters, in the order in which they were put.
    ///
    /// A run that was cut short can simply be run again: what it settled stays settled.
    ///
    /// # Errors
    /// [`StoreError`]; the letters settled before it stay settled, and the letter at hand may
    /// have been handled without being resolved.
    pub async fn run<H: Handler, D: DeadLetterStore, C: Clock + Sleep>(
        &self,
        handler: &mut H,
        store: &D,
        clock: &C,
    ) -> Result<Replayed, StoreError> {
        let mut run = Run { plan: self, handler, store, clock, report: Replayed::default() };
        run.select().await?;
        if !self.dry_run {
            run.handle_selected().await?;
        }
        Ok(run.report)
    }
}

/// One run of a replay.
struct Run<'a, H, D, C> {
    plan: &'a Replay,
    handler: &'a mut H,
    store: &'a D,
    clock: &'a C,
    report: Replayed,
}

impl<H: Handler, D: DeadLetterStore, C: Clock + Sleep> Run<'_, H, D, C> {
    async fn select(&mut self) -> Result<(), StoreError> {
        match &self.plan.selection {
            Selection::Ids(ids) => {
                for id in ids.iter().take(self.plan.letters_max) {
                    let letter = self.store.letter(*id).await?.ok_or(StoreError::Missing(*id))?;
                    self.sort_in(&letter);
                }
            }
            Selection::Matching(filter @ Filter { state: Some(_), .. }) => {
                self.select_matching(filter).await?;
            }
            // Settled letters may be many, and quarantined ones want to be named.
            Selection::Matching(filter) => {
                for state in [State::Dead, State::Parked] {
                    self.select_matching(&filter.clone().with_state(state)).await?;
                }
            }
        }
        Ok(())
    }

    async fn select_matching(&mut self, filter: &Filter) -> Result<(), StoreError> {
        let letters_max = self.plan.letters_max;
        let mut page = Some(Page::first(PAGE_LENGTH_MAX));
        while let Some(wanted) = page.filter(|_| self.report.selected.len() < letters_max) {
            let listing = self.store.list(filter, wanted).await?;
            listing.letters.iter().for_each(|letter| self.sort_in(letter));
            page = listing.next;
        }
        self.report.selected.truncate(letters_max);
        Ok(())
    }

    fn sort_in(&mut self, letter: &Letter) {
        let Replayed { selected, skipped, .. } = &mut self.report;
        let replayable = matches!(letter.state(), State::Dead | State::Parked);
        let into = if replayable { selected } else { skipped };
        into.push(letter.id());
    }

    async fn handle_selected(&mut self) -> Result<(), StoreError> {
        for id in self.report.selected.clone() {
            // An earlier letter of the same key may have drained this one already.
            if self.report.is_handled(id) {
                continue;
            }
            match self.store.letter(id).await? {
                Some(letter) if self.is_ready(&letter).await? => self.drain(letter).await?,
                _ => self.report.skipped.push(id),
            }
        }
        let Replayed { skipped, resolved, failed, quarantined, .. } = &mut self.report;
        // A later one may have drained what was not ready in its turn.
        skipped.retain(|id| ![&*resolved, failed, quarantined].iter().any(|l| l.contains(id)));
        info!(
            resolved = resolved.len(),
            failed = failed.len(),
            quarantined = quarantined.len(),
            skipped = skipped.len(),
            "letters replayed"
        );
        Ok(())
    }

    async fn is_ready(&self, letter: &Letter) -> Result<bool, StoreError> {
        Ok(match letter.state() {
            State::Dead => true,
            State::Parked => {
                let head = self.store.head(letter.message()).await?;
                head.is_none_or(|head| head.id() == letter.id())
            }
            State::Quarantined | State::Resolved | State::Discarded => false,
        })
    }

    /// Handles a letter and, as long as all goes well, those parked behind it.
    async fn drain(&mut self, first: Letter) -> Result<(), StoreError> {
        let mut ready = Some(first);
        while let Some(letter) = ready {
            let message = letter.to_replay();
            let mut attempts = letter.attempts().clone();
            let rules = Rules { policy: &self.plan.policy, retry: &self.plan.retry };
            let clock = self.clock;
            let delivered = deliver(self.handler, &message, rules, clock, &mut attempts).await;
            let settlement = match delivered {
                Ok(()) => Settlement::Resolved { at: clock.now(), note: "replayed".to_owned() },
                Err(reason) => {
                    let replays_max = self.plan.replays_max;
                    Settlement::Failed { reason, attempts, replays_max }
                }
            };
            let letter = self.store.settle(letter.id(), settlement).await?;
            if self.report.file(&letter) != State::Resolved {
                return Ok(());
            }
            let head = self.store.head(&message).await?;
            ready = head.filter(|head| head.state() == State::Parked);
        }
        Ok(())
    }
}

impl Replayed {
    fn is_handled(&self, id: LetterId) -> bool {
        [&self.resolved, &self.failed, &self.quarantined].iter().any(|ids| ids.contains(&id))
    }

    fn file(&mut self, letter: &Letter) -> State {
        let into = match letter.state() {
            State::Resolved => &mut self.resolved,
            State::Quarantined => &mut self.quarantined,
            _ => &mut self.failed,
        };
        into.push(letter.id());
        if letter.state() != State::Resolved {
            warn!(id = %letter.id(), reason = letter.reason().name(), "replay failed");
        }
        letter.state()
    }
}
