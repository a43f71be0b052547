//! What comes from outside of a run: news, stops and chance.

#![expect(clippy::float_arithmetic, reason = "a draw is a share")]

use std::{convert::Infallible, rc::Rc};

use backstop_clock::Sleep as _;
use rand::{Rng as _, SeedableRng, TryRng, rngs::SmallRng};
use serde_json::Value;
use trading_host::runtime::Tasks;

use super::{Outcome, Play, Stop, config::milliseconds, fail, known, list};

/// Starts what is to happen; what happens at the very start happens before the run.
pub(super) fn start(given: Option<&Value>, play: &Rc<Play>, tasks: &Tasks) -> Outcome<()> {
    for event in given.map(list).transpose()?.unwrap_or_default() {
        known(event, &["at_ms", "do"])?;
        let at = milliseconds(&event["at_ms"])?;
        let happen = match event["do"].as_str() {
            Some("cancel") => |play: &Play| play.token.stop(),
            // The call may be over; the news are late then, and that is all.
            Some("resolve") => |play: &Play| drop(play.handle.resolve(String::new())),
            other => return fail(format!("unknown external event {other:?}")),
        };
        if at.is_zero() {
            happen(play);
            continue;
        }
        let play = Rc::clone(play);
        tasks.start(async move {
            play.clock.inner.sleep(at).await;
            happen(&play);
        });
    }
    Ok(())
}

/// A generator whose draws of a number in [0, 1) are given, the last one repeating; or a seeded one.
pub(super) enum Draws {
    Given(Vec<f64>),
    Seeded(SmallRng),
}

impl Draws {
    pub(super) fn of(given: &Value) -> Outcome<Self> {
        if given.is_null() {
            return Ok(Self::Seeded(SmallRng::seed_from_u64(7)));
        }
        let share = |draw: &Value| {
            let draw = draw.as_f64().filter(|draw| (0.0..=1.0).contains(draw));
            draw.ok_or_else(|| Stop(format!("{given} is no list of draws")))
        };
        let mut draws = list(given)?.iter().map(share).collect::<Outcome<Vec<_>>>()?;
        draws.reverse();
        Ok(Self::Given(draws))
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|bits| u32::try_from(bits >> 32).unwrap())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a draw is within [0, 1], so the product fits"
    )]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        // The generator's top 53 bits become the fraction; a draw of 1 stands for the supremum.
        const STEPS: u64 = 1 << 53;
        Ok(match self {
            Self::Seeded(rng) => rng.next_u64(),
            Self::Given(draws) => {
                let draw = if draws.len() > 1 { draws.pop() } else { draws.last().copied() };
                let draw = draw.expect("a draw that the scenario does not give");
                ((draw * 9_007_199_254_740_992.0) as u64).min(STEPS - 1) << 11
            }
        })
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            chunk.copy_from_slice(&self.try_next_u64()?.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
