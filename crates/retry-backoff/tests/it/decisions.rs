use std::time::{Duration, Instant};

use backstop_clock::{Clock, SystemClock};
use backstop_error_taxonomy::{Class, Effect, Kind, Transience};
use backstop_retry_backoff::pure::{Progress, Step, Trouble};
use backstop_retry_backoff::{Guard, Jitter, Policy, Retry, RetryAfter, Schedule, StopReason};
use rand::SeedableRng;
use rand::rngs::StdRng;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn plain() -> Policy {
    Policy::new(Schedule::fixed(ms(100)).with_jitter(Jitter::None))
}

fn start(policy: Policy, guard: Guard<()>) -> (Progress, Instant, StdRng) {
    let now = SystemClock.instant();
    (Retry::new(policy).unwrap().start(&guard, now), now, StdRng::seed_from_u64(1))
}

/// The step after a first failure of this class.
fn first(policy: Policy, guard: Guard<()>, class: Class) -> Step {
    let (mut progress, now, mut rng) = start(policy, guard);
    progress.next(Trouble::Failed(class), now, &mut rng)
}

#[test]
fn an_order_of_unknown_outcome_is_never_resent_whatever_the_kind() {
    for kind in Kind::ALL {
        for transience in Transience::ALL {
            let class = Class::of(*kind).with_transience(*transience).with_effect(Effect::Unknown);
            let step = first(plain(), Guard::Once(()), class);
            assert_eq!(step, Step::Stop(StopReason::UnknownOutcome), "{kind} {transience}");
        }
    }
}

#[test]
fn what_took_effect_is_not_resent_even_if_idempotent() {
    let duplicate = Class::of(Kind::Conflict).with_effect(Effect::Applied);
    let step = first(plain(), Guard::READ, duplicate);
    assert_eq!(step, Step::Stop(StopReason::AlreadyApplied));
}

#[test]
fn an_open_breaker_ends_the_run_and_stays_transient() {
    let refusal = Class::of(Kind::Unavailable).with_retry_after(ms(5)).refused_by_breaker();
    let (mut progress, now, mut rng) = start(plain(), Guard::READ);
    let step = progress.next(Trouble::Failed(refusal), now, &mut rng);
    assert_eq!(step, Step::Stop(StopReason::BreakerRefused));
    let class = progress.class(Some(refusal), StopReason::BreakerRefused);
    assert_eq!(class.transience(), Transience::Transient);
}

#[test]
fn an_exhausted_inner_retry_is_final() {
    let exhausted = Class::of(Kind::RateLimited).exhausted();
    let step = first(plain(), Guard::READ, exhausted);
    assert_eq!(step, Step::Stop(StopReason::Permanent));
}

#[test]
fn an_earlier_unknown_outcome_is_not_forgotten() {
    let (mut progress, now, mut rng) = start(plain().with_attempts_max(2), Guard::READ);
    progress.next(Trouble::Failed(Class::of(Kind::Timeout)), now, &mut rng);
    assert_eq!(progress.resume(now), Ok(2));
    let limited = Class::of(Kind::RateLimited);
    assert_eq!(limited.effect(), Effect::NotApplied);
    let step = progress.next(Trouble::Failed(limited), now, &mut rng);
    assert_eq!(step, Step::Stop(StopReason::AttemptsExhausted));
    let class = progress.class(Some(limited), StopReason::AttemptsExhausted);
    assert_eq!(class.effect(), Effect::Unknown);
    assert_eq!(class.transience(), Transience::Exhausted);
}

#[test]
fn a_careless_driver_cannot_resend_an_open_outcome() {
    let (progress, now, mut rng) = start(plain(), Guard::Once(()));
    let mut progress = progress.with_look_up();
    let step = progress.next(Trouble::Failed(Class::of(Kind::Timeout)), now, &mut rng);
    assert_eq!(step, Step::Ask { after: ms(100) });
    assert_eq!(progress.resume(now), Err(StopReason::UnknownOutcome));
    progress.not_applied();
    assert_eq!(progress.resume(now), Ok(2));
}

#[test]
fn nothing_is_asked_when_no_attempt_is_left() {
    let (progress, now, mut rng) = start(plain().with_attempts_max(1), Guard::Once(()));
    let step =
        progress.with_look_up().next(Trouble::Failed(Class::of(Kind::Timeout)), now, &mut rng);
    assert_eq!(step, Step::Stop(StopReason::AttemptsExhausted));
}

#[test]
fn nothing_is_asked_about_what_would_not_be_resent() {
    let (progress, now, mut rng) = start(plain(), Guard::Once(()));
    let bug = Class::of(Kind::Internal);
    assert_eq!((bug.transience(), bug.effect()), (Transience::Permanent, Effect::Unknown));
    let step = progress.with_look_up().next(Trouble::Failed(bug), now, &mut rng);
    assert_eq!(step, Step::Stop(StopReason::UnknownOutcome));
}

#[test]
fn an_outer_retry_must_not_resend_what_an_inner_one_refused_to() {
    let lost = Class::of(Kind::Timeout);
    let (mut inner, now, mut rng) = start(plain(), Guard::Once(()));
    assert_eq!(
        inner.next(Trouble::Failed(lost), now, &mut rng),
        Step::Stop(StopReason::UnknownOutcome)
    );
    let class = inner.class(Some(lost), StopReason::UnknownOutcome);
    assert_eq!(first(plain(), Guard::READ, class), Step::Stop(StopReason::Permanent));
}

#[test]
fn a_sleep_must_end_before_the_deadline() {
    let limited = Class::of(Kind::RateLimited);
    let fits = first(plain().with_deadline(ms(101)), Guard::Once(()), limited);
    assert_eq!(fits, Step::Run { after: ms(100) });
    let touches = first(plain().with_deadline(ms(100)), Guard::Once(()), limited);
    assert_eq!(touches, Step::Stop(StopReason::Deadline));
}

#[test]
fn a_late_wake_up_after_the_deadline_sends_nothing() {
    let (mut progress, now, mut rng) = start(plain().with_deadline(ms(150)), Guard::Once(()));
    progress.next(Trouble::Failed(Class::of(Kind::RateLimited)), now, &mut rng);
    assert_eq!(progress.resume(now + ms(150)), Err(StopReason::Deadline));
}

#[test]
fn the_limit_of_an_attempt_is_the_shorter_of_timeout_and_rest() {
    let both = plain().with_attempt_timeout(ms(50)).with_deadline(ms(120));
    let (progress, now, _) = start(both, Guard::Once(()));
    assert_eq!(progress.limit(now), Some(ms(50)));
    assert_eq!(progress.limit(now + ms(100)), Some(ms(20)));
    let (endless, now, _) = start(plain(), Guard::Once(()));
    assert_eq!(endless.limit(now), None);
    let (far, now, _) = start(plain().with_deadline(Duration::MAX), Guard::Once(()));
    assert_eq!(far.limit(now), None, "a deadline beyond the clock is none");
}

#[test]
fn a_hint_is_bounded_unless_told_otherwise() {
    let hint = |length| Class::of(Kind::RateLimited).with_retry_after(length);
    let step = |policy, length| first(policy, Guard::Once(()), hint(length));
    assert_eq!(step(plain(), ms(3_000)), Step::Run { after: ms(3_000) });
    assert_eq!(step(plain(), ms(10)), Step::Run { after: ms(100) }, "never shorter than planned");
    assert_eq!(step(plain(), ms(60_000)), Step::Run { after: ms(5_100) });
    let boundless = plain().with_retry_after(RetryAfter::Unbounded);
    assert_eq!(step(boundless, ms(60_000)), Step::Run { after: ms(60_000) });
    let short = boundless.with_deadline(ms(60_000));
    assert_eq!(step(short, ms(60_000)), Step::Stop(StopReason::Deadline));
}

#[test]
fn jitter_on_a_hint_only_adds() {
    let policy = Policy::new(Schedule::fixed(ms(100)));
    let hint = Class::of(Kind::RateLimited).with_retry_after(ms(3_000));
    let mut seen = Vec::new();
    for seed in 0..100 {
        let (mut progress, now, _) = start(policy, Guard::Once(()));
        let step = progress.next(Trouble::Failed(hint), now, &mut StdRng::seed_from_u64(seed));
        let Step::Run { after } = step else { panic!("{step:?}") };
        assert!((ms(3_000)..=ms(3_100)).contains(&after), "{after:?}");
        seen.push(after);
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 50, "clients that were sent away together come back spread");
}
