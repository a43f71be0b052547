//! A grid bot puts a retry and a breaker around its own venue client.
#![expect(clippy::print_stdout, reason = "the program shows what happened")]

use std::{cell::RefCell, collections::VecDeque, time::Duration};

use anyhow::ensure;
use backstop_circuit_breaker::{Breaker, Policy as BreakerPolicy, Rejection};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::{Class, Classify, Effect, Kind};
use backstop_retry_backoff::{Elapsed, Policy, Resolution, Retry, Schedule, StopReason};
use rand::{SeedableRng, rngs::StdRng};

/// The bot's own error; one `impl` tells the crates what it means.
#[derive(Debug, thiserror::Error)]
#[error("{self:?}")]
enum GridError {
    Refused,
    NoAnswer,
    Cut(#[from] Elapsed),
    Spared(#[from] Rejection),
}

impl Classify for GridError {
    fn class(&self) -> Class {
        match self {
            Self::Refused => Class::of(Kind::Connection).with_effect(Effect::NotApplied),
            Self::NoAnswer => Class::of(Kind::Timeout),
            Self::Cut(elapsed) => elapsed.class(),
            Self::Spared(rejection) => rejection.class(),
        }
    }
}

/// The bot's own client, here with a script of what goes wrong.
#[derive(Default)]
struct GridClient {
    script: RefCell<VecDeque<GridError>>,
    orders: RefCell<Vec<u32>>,
}

impl GridClient {
    fn submit(&self, order: u32) -> Result<(), GridError> {
        let trouble = self.script.borrow_mut().pop_front();
        if !matches!(trouble, Some(GridError::Refused)) {
            self.orders.borrow_mut().push(order);
        }
        trouble.map_or(Ok(()), Err)
    }
}

fn main() -> anyhow::Result<()> {
    let (clock, client) = (ManualClock::new(Timestamp::EPOCH), GridClient::default());
    let open = Duration::from_secs(30);
    let breaker = Breaker::new(BreakerPolicy::new(open).with_consecutive_failures(3))?;
    let schedule = Schedule::exponential(Duration::from_millis(200));
    let retry = Retry::new(Policy::new(schedule))?;
    let submit = |order: u32, trouble: Vec<GridError>| {
        client.script.borrow_mut().extend(trouble);
        // The breaker is inside the retry: it sees each attempt, and its refusal is final.
        let guarded = async |_| {
            let permit = breaker.admit(|| clock.instant())?;
            let result = client.submit(order);
            permit.judge(&result, || clock.instant());
            result
        };
        let is_there = || client.orders.borrow().contains(&order);
        let look_up = async || if is_there() { Resolution::Found(()) } else { Resolution::Unknown };
        let mut rng = StdRng::seed_from_u64(order.into());
        let call = retry.at_most_once(order).asking(look_up);
        let run = pollster::block_on(call.run(&clock, &mut rng, guarded));
        println!("order {order}: {run:?}");
        run.map_err(|stopped| stopped.reason)
    };
    ensure!(submit(1, vec![GridError::Refused]).is_ok_and(|done| done.attempts == 2));
    ensure!(submit(2, vec![GridError::NoAnswer]).is_ok_and(|done| done.is_resolved()));
    // With the answer that was lost, these make three failures in a row.
    let stopped = submit(3, vec![GridError::Refused, GridError::Refused]);
    ensure!(stopped.is_err_and(|reason| reason == StopReason::BreakerRefused));
    clock.advance(open);
    ensure!(submit(4, vec![]).is_ok() && *client.orders.borrow() == [1, 2, 4], "each once");
    Ok(())
}
