//! A read that succeeds at the third attempt, and an order of unknown outcome that is looked up.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error as StdError;
use std::time::Duration;

use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::{Error, Kind};
use backstop_retry_backoff::{Policy, Resolution, Retry, Retryable, Schedule};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn main() -> Result<(), Box<dyn StdError>> {
    // Time that moves when somebody sleeps; a bot passes its runtime's clock.
    let clock = ManualClock::new(Timestamp::EPOCH);
    let mut rng = StdRng::seed_from_u64(7);
    let policy = Policy::new(Schedule::exponential(Duration::from_millis(500)))
        .with_deadline(Duration::from_secs(20));

    let patiently = Retry::new(policy)?;

    let mut failures = 2;
    let fetch_candles = || {
        failures -= 1;
        if failures >= 0 { Err(Error::new(Kind::Unavailable, "warming up")) } else { Ok(24) }
    };
    let candles = fetch_candles.retry(patiently.read()).blocking_on(&clock, &mut rng)?;
    let elapsed = clock.now().since(Timestamp::EPOCH);
    println!("{} candles after {} attempts and {elapsed:?}", candles.value, candles.attempts);

    let submit = async || Err::<&str, _>(Error::new(Kind::Timeout, "no answer"));
    let once = patiently.at_most_once("order 7");
    let stopped = pollster::block_on(submit.retry(once).on(&clock, &mut rng));
    println!("without a look-up: {}", stopped.map_or_else(|why| why.to_string(), |_| "?".into()));

    let asking = patiently.at_most_once("order 7").asking(async || Resolution::Found("order 42"));
    let order = pollster::block_on(submit.retry(asking).on(&clock, &mut rng))?;
    println!("with a look-up: {}, sent {} time", order.value, order.attempts);
    Ok(())
}
