//! A venue goes down and comes back; the breaker spares it the calls in between.

use std::time::Duration;

use backstop_circuit_breaker::{Breaker, CallError, Event, Policy};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::{Error, Kind};

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let policy = Policy::new(Duration::from_secs(30)).with_consecutive_failures(3);
    let venue = Breaker::new(policy)?.with_listener(|_, event| {
        if let Event::Transition { from, to, .. } = event {
            println!("          {from} -> {to}");
        }
    });

    for second in (0..60_u64).step_by(5) {
        let down = (10..35).contains(&second);
        let submit = || {
            if down { Err(Error::new(Kind::Connection, "connection reset")) } else { Ok(second) }
        };
        match venue.call(|| clock.instant(), submit) {
            Ok(order) => println!("{second:>3} s: order {order} accepted"),
            Err(CallError::Failed(error)) => println!("{second:>3} s: {error}"),
            Err(CallError::Rejected(rejection)) => {
                println!("{second:>3} s: not sent, again in {:?}", rejection.retry_after);
            }
        }
        clock.advance(Duration::from_secs(5));
    }
    println!("{:?}", venue.totals());
    Ok(())
}
