//! A read that succeeds at the third attempt, and an order of unknown outcome that is looked up.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error as StdError;
use std::time::Duration;

use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::{Error, Kind};
use backstop_retry_backoff::{Guard, Policy, Resolution, Retry, Schedule};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn main() -> Result<(), Box<dyn StdError>> {
    // Time that moves when somebody sleeps; a bot passes its runtime's clock.
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut rng = StdRng::seed_from_u64(7);
    let policy = Policy::new(Schedule::exponential(Duration::from_millis(500)))
        .with_deadline(Duration::from_secs(20));

    let read = Retry::new(policy, Guard::Idempotent)?;
    let candles = pollster::block_on(read.run(&clock, &mut rng, async |attempt| {
        if attempt < 3 { Err(Error::new(Kind::Unavailable, "warming up")) } else { Ok(24) }
    }))?;
    let elapsed = clock.now().since(Timestamp::EPOCH);
    println!("{} candles after {} attempts and {elapsed:?}", candles.value, candles.attempts);

    let submit = Retry::new(policy, Guard::Once)?;
    let lost = async |_attempt| Err::<&str, _>(Error::new(Kind::Timeout, "no answer"));
    let stopped = pollster::block_on(submit.run(&clock, &mut rng, lost));
    println!("without a look-up: {}", stopped.map_or_else(|why| why.to_string(), |_| "?".into()));

    let asking = submit.resolve(async || Resolution::Found("order 42"));
    let order = pollster::block_on(asking.run(&clock, &mut rng, lost))?;
    println!("with a look-up: {}, sent {} time", order.value, order.attempts);
    Ok(())
}
