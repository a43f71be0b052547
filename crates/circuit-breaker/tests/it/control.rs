//! What hands, timers and restarts do to a breaker.

use std::time::{Duration, Instant};

use backstop_circuit_breaker::{
    AfterHalfOpen, Breaker, Event, Initial, Policy, Reason, Snapshot, State, Verdict,
};
use backstop_clock::{Clock, ManualClock, Timestamp};
use backstop_error_taxonomy::{Classify, Error, Kind};

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::new(30 * SECOND).with_consecutive_failures(1)
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_000_000))
}

#[test]
fn only_an_open_breaker_is_made_half_open() {
    let clock = clock();
    let breaker = Breaker::new(policy()).unwrap();
    let error = breaker.half_open(clock.instant()).unwrap_err();
    assert_eq!((error.from, error.class().kind()), (State::Closed, Kind::Precondition));
    breaker.open(clock.instant());
    breaker.half_open(clock.instant()).unwrap();
    breaker.half_open(clock.instant()).unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.force_open();
    assert_eq!(breaker.half_open(clock.instant()).unwrap_err().from, State::ForcedOpen);
}

#[test]
fn an_open_time_given_by_a_server_replaces_that_of_the_policy() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = Breaker::new(policy()).unwrap();
    breaker.open_for(7_200 * SECOND, now());
    assert_eq!(breaker.open_left(now), Some(7_200 * SECOND));
    breaker.open_until(now() + SECOND, now());
    assert_eq!(breaker.admit(now).unwrap_err().retry_after, Some(SECOND));
    breaker.open_until(now(), now() + SECOND);
    assert!(breaker.admit(now).is_err());
    clock.advance(SECOND);
    breaker.admit(now).unwrap().success(now);
    assert_eq!((breaker.state(), breaker.open_left(now)), (State::Closed, None));
    assert_eq!(breaker.totals().opened, 1);
}

#[test]
fn what_a_server_says_does_not_end_what_an_operator_forced() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = Breaker::new(policy()).unwrap();
    breaker.force_open();
    breaker.open(now());
    breaker.open_for(Duration::ZERO, now());
    breaker.open_until(now() + SECOND, now());
    clock.advance(60 * SECOND);
    assert_eq!(breaker.admit(now).unwrap_err().reason, Reason::ForcedOpen);
    assert_eq!((breaker.state(), breaker.totals().opened), (State::ForcedOpen, 0));
    breaker.reset();
    assert!(breaker.admit(now).is_ok());
}

#[test]
fn priority_passes_and_does_not_judge() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = Breaker::new(policy()).unwrap();
    breaker.admit_priority(now).unwrap().failure(now);
    assert_eq!(breaker.state(), State::Open, "closed it is a call like any other");
    let cancel = breaker.admit_priority(now).unwrap();
    assert!(cancel.is_exempt());
    cancel.success(now);
    assert_eq!(breaker.state(), State::Open);

    clock.advance(30 * SECOND);
    let probe = breaker.admit_priority(now).unwrap();
    assert!(!probe.is_exempt(), "the open time is over, so it is the probe");
    let beside = breaker.admit_priority(now).unwrap();
    assert!(beside.is_exempt(), "the only slot is taken");
    beside.failure(now);
    probe.success(now);
    assert_eq!(breaker.state(), State::Closed);
    let totals = breaker.totals();
    assert_eq!((totals.prioritized, totals.rejected, totals.stale), (2, 0, 0));

    breaker.force_open();
    assert_eq!(breaker.admit_priority(now).unwrap_err().reason, Reason::ForcedOpen);
}

#[test]
fn a_dry_run_rejects_nothing_and_loses_nothing() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = Breaker::new(policy().with_dry_run(true)).unwrap();
    breaker.admit(now).unwrap().failure(now);
    drop(breaker.admit(now).unwrap());
    breaker.admit(now).unwrap().success(now);
    assert_eq!((breaker.state(), breaker.totals().would_reject), (State::Open, 2));
    breaker.force_open();
    assert!(breaker.admit(now).unwrap().is_exempt());
    breaker.reconfigure(policy()).unwrap();
    assert!(breaker.admit(now).is_err());
    let totals = breaker.totals();
    assert_eq!((totals.would_reject, totals.rejected, totals.stale), (3, 1, 0));
}

#[test]
fn a_half_open_period_ends_as_if_somebody_had_looked() {
    let limit = 10 * SECOND;
    for (then, looks) in [
        (AfterHalfOpen::Open, false),
        (AfterHalfOpen::Open, true),
        (AfterHalfOpen::Closed, false),
        (AfterHalfOpen::Closed, true),
    ] {
        let clock = clock();
        let now = || clock.instant();
        let breaker = Breaker::new(policy().with_half_open_max(limit, then)).unwrap();
        breaker.open_for(Duration::ZERO, now());
        let hung = breaker.admit(now).unwrap();
        clock.advance(limit + SECOND);
        if looks {
            breaker.expire(now());
        }
        let next = breaker.admit(now);
        match then {
            AfterHalfOpen::Open => {
                // One second of the open time is over already.
                assert_eq!(next.unwrap_err().retry_after, Some(29 * SECOND));
                assert_eq!((breaker.state(), breaker.open_attempt()), (State::Open, 1));
            }
            AfterHalfOpen::Closed => {
                next.unwrap().success(now);
                assert_eq!(breaker.state(), State::Closed);
            }
        }
        hung.failure(now);
        assert_eq!(breaker.totals().stale, 1);
    }
}

#[test]
fn fewer_probes_than_have_answered_wedge_nothing() {
    let clock = clock();
    let now = || clock.instant();
    for (ends_well, state) in [(true, State::Closed), (false, State::Open)] {
        let breaker = Breaker::new(policy().with_probes(4)).unwrap();
        breaker.open_for(Duration::ZERO, now());
        let rule = backstop_circuit_breaker::ProbeRule::AtLeast(2);
        breaker.reconfigure(policy().with_probes(4).with_probe_rule(rule)).unwrap();
        let probe = breaker.admit(now).unwrap();
        probe.end(if ends_well { Verdict::Success } else { Verdict::Failure }, now);
        assert_eq!(breaker.state(), State::HalfOpen);
        breaker.reconfigure(policy().with_probes(1)).unwrap();
        assert_eq!(breaker.admit(now).is_ok(), ends_well);
        assert_eq!(breaker.state(), state);
    }
}

#[test]
fn a_stricter_policy_decides_at_the_next_verdict_even_a_good_one() {
    let clock = clock();
    let now = || clock.instant();
    let of_three = |rate| Policy::new(30 * SECOND).with_count_window(3).with_failure_rate(rate);
    let breaker = Breaker::new(of_three(0.9)).unwrap();
    breaker.admit(now).unwrap().success(now);
    breaker.admit(now).unwrap().failure(now);
    breaker.admit(now).unwrap().success(now);
    breaker.reconfigure(of_three(0.3)).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    // The window forgets a good one for it, so a third of it stays bad.
    breaker.admit(now).unwrap().success(now);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_refused_policy_changes_nothing() {
    let clock = clock();
    let breaker = Breaker::new(policy()).unwrap();
    let error = breaker.reconfigure(policy().with_probes(0)).unwrap_err();
    assert_eq!(error.problems()[0].setting(), "probes");
    assert_eq!(*breaker.policy(), policy());
    breaker.admit(|| clock.instant()).unwrap().failure(|| clock.instant());
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_policy_may_judge_a_kind_in_its_own_way() {
    let clock = clock();
    let now = || clock.instant();
    let policy = Policy::new(SECOND)
        .with_count_window(8)
        .with_failure_count(8)
        .with_verdict(Kind::RateLimited, Verdict::Ignored)
        .with_verdict(Kind::Rejected, Verdict::Success)
        .with_verdict(Kind::Rejected, Verdict::Failure);
    let breaker = Breaker::new(policy).unwrap();
    let fails = |kind| breaker.call(now, move || Err::<(), _>(Error::new(kind, "scripted")));
    for kind in [Kind::RateLimited, Kind::Rejected, Kind::Timeout, Kind::InsufficientFunds] {
        assert!(fails(kind).is_err());
    }
    let counts = breaker.counts(now);
    assert_eq!((counts.success, counts.failure), (1, 2));
    let inner = Breaker::new(self::policy().with_initial(Initial::ForcedOpen)).unwrap();
    let refused = inner.admit(now).unwrap_err();
    assert_eq!(breaker.policy().verdict(refused.class()), Verdict::Ignored);
}

#[test]
fn open_times_of_a_jittered_policy_differ_and_repeat_by_seed() {
    let open_times = |seed| -> Vec<Duration> {
        let clock = clock();
        let now = || clock.instant();
        let policy = policy().with_escalation(2.0, 60 * SECOND).with_open_jitter(0.5, seed);
        let breaker = Breaker::new(policy).unwrap();
        let mut times = Vec::new();
        for _ in 0..20 {
            breaker.admit(now).unwrap().failure(now);
            let time = breaker.open_left(now).unwrap();
            times.push(time);
            clock.advance(time);
        }
        times
    };
    let times = open_times(1);
    assert_eq!(times, open_times(1));
    assert_ne!(times, open_times(2));
    assert!((15 * SECOND..=30 * SECOND).contains(&times[0]));
    let at_the_limit = &times[1..];
    assert!(at_the_limit.iter().all(|time| (30 * SECOND..=60 * SECOND).contains(time)));
    let (least, most) = (at_the_limit.iter().min().unwrap(), at_the_limit.iter().max().unwrap());
    assert!(*most > *least + 15 * SECOND, "they spread: {at_the_limit:?}");
}

#[test]
fn an_initial_open_time_starts_with_the_time_line() {
    let clock = clock();
    let now = || clock.instant();
    let policy = policy().with_initial(Initial::Open);
    let (told, untold) =
        (Breaker::starting(policy.clone(), now()).unwrap(), Breaker::new(policy).unwrap());
    clock.advance(10 * SECOND);
    assert_eq!(told.admit(now).unwrap_err().retry_after, Some(20 * SECOND));
    assert_eq!(untold.admit(now).unwrap_err().retry_after, Some(30 * SECOND));
    assert_eq!((told.totals().opened, told.trips().len()), (0, 0));
}

#[test]
fn the_last_openings_are_remembered_with_their_times() {
    let clock = clock();
    let now = || clock.instant();
    let breaker = Breaker::new(policy()).unwrap();
    for _ in 0..20 {
        breaker.admit(now).unwrap().failure(now);
        clock.advance(30 * SECOND);
    }
    breaker.admit(now).unwrap().success(now);
    breaker.open(now());
    let trips = breaker.trips();
    assert_eq!((trips.len(), breaker.totals().opened), (16, 21));
    let last = trips[15];
    assert_eq!((last.at, last.open_attempt), (Some(now()), 0));
    assert_eq!(trips[14].open_attempt, 19);
    assert_eq!(trips[15].at.unwrap() - trips[14].at.unwrap(), 30 * SECOND);
}

#[test]
fn a_restored_breaker_goes_on_and_never_waits_longer() {
    let clock = clock();
    let now = || clock.instant();
    let policy = policy().with_escalation(2.0, 600 * SECOND);
    let breaker = Breaker::new(policy).unwrap();
    breaker.admit(now).unwrap().failure(now);
    clock.advance(30 * SECOND);
    breaker.admit(now).unwrap().failure(now);
    let kept = breaker.snapshot(&clock);
    assert_eq!((kept.state(), kept.taken_at()), (State::Open, clock.now()));

    // Another process has another clock for instants; the wall clock is what they share.
    let at = |ms: i64| ManualClock::new(Timestamp::from_millis(clock.now().as_millis() + ms));
    for (later_ms, left) in [(0, 60), (45_000, 15), (60_000, 0), (1_000_000, 0), (-5_000, 60)] {
        let clock = at(later_ms);
        let restored = Breaker::restore(kept.clone(), &clock).unwrap();
        assert_eq!(restored.open_left(|| clock.instant()), Some(left * SECOND));
        assert_eq!(restored.open_attempt(), 1);
        assert_eq!(restored.admit(|| clock.instant()).is_ok(), left == 0);
    }
}

type Switch = fn(&Breaker, Instant);

#[test]
fn snapshots_of_every_state_come_back_in_it() {
    let clock = clock();
    let switches: [Switch; 6] = [
        |_, _| {},
        |breaker, now| breaker.open(now),
        |breaker, now| {
            breaker.open(now);
            breaker.half_open(now).unwrap();
        },
        |breaker, _| breaker.force_open(),
        |breaker, _| breaker.disable(),
        |breaker, _| breaker.metrics_only(),
    ];
    for switch in switches {
        let breaker = Breaker::new(policy()).unwrap();
        switch(&breaker, clock.instant());
        let kept: Snapshot = breaker.snapshot(&clock);
        let restored = Breaker::restore(kept.clone(), &clock).unwrap();
        assert_eq!((restored.state(), restored.snapshot(&clock)), (breaker.state(), kept));
    }
}

#[test]
fn a_snapshot_knows_of_an_opening_before_a_switch_by_hand() {
    let clock = clock();
    let manual: [Switch; 3] = [
        |breaker, _| breaker.force_open(),
        |breaker, _| breaker.disable(),
        |breaker, _| breaker.metrics_only(),
    ];
    for switch in manual {
        for openings in 0..3 {
            let breaker = Breaker::new(policy()).unwrap();
            for _ in 0..openings {
                breaker.open(clock.instant());
                breaker.half_open(clock.instant()).unwrap();
            }
            switch(&breaker, clock.instant());
            let restored = Breaker::restore(breaker.snapshot(&clock), &clock).unwrap();
            restored.disable();
            restored.open(clock.instant());
            assert_eq!(restored.open_attempt(), openings, "{openings} openings");
        }
    }
}

#[test]
fn a_switch_that_is_told_the_time_sees_what_time_has_done() {
    let clock = clock();
    let half_open = |then| {
        let breaker = Breaker::new(policy().with_half_open_max(SECOND, then)).unwrap();
        breaker.open(clock.instant());
        breaker.half_open(clock.instant()).unwrap();
        clock.advance(SECOND);
        breaker
    };
    let breaker = half_open(AfterHalfOpen::Closed);
    assert!(breaker.half_open(clock.instant()).is_err(), "it is closed by now");
    let breaker = half_open(AfterHalfOpen::Closed);
    breaker.open(clock.instant());
    assert_eq!((breaker.state(), breaker.open_attempt()), (State::Open, 0));
    let breaker = half_open(AfterHalfOpen::Open);
    breaker.half_open(clock.instant()).unwrap();
    assert_eq!((breaker.state(), breaker.open_attempt()), (State::HalfOpen, 1));
    let breaker = half_open(AfterHalfOpen::Open);
    breaker.open_for(SECOND, clock.instant());
    assert_eq!((breaker.open_attempt(), breaker.totals().opened), (1, 2));
}

#[test]
fn the_counts_that_stay_while_open_are_those_of_the_moment_it_opened() {
    let clock = clock();
    let now = || clock.instant();
    let policy = Policy::new(SECOND).with_failure_count(9).with_time_window(SECOND, 10);
    let breaker = Breaker::new(policy).unwrap();
    breaker.admit(now).unwrap().failure(now);
    clock.advance(2 * SECOND);
    breaker.open(now());
    assert_eq!(breaker.counts(now).total(), 0, "the failure is forgotten by now");
}

#[test]
fn a_restored_window_is_cut_where_it_was() {
    let clock = clock();
    let now = || clock.instant();
    let policy = Policy::new(SECOND).with_failure_count(9).with_time_window(10 * SECOND, 10);
    let breaker = Breaker::starting(policy, now()).unwrap();
    clock.advance(1_700 * SECOND / 1_000);
    let kept = breaker.snapshot(&clock);
    clock.advance(SECOND);
    // At 2.7 s; a verdict at 2.9 s leaves the window at 12 s, as it would have before.
    let restored = Breaker::restore(kept, &clock).unwrap();
    clock.advance(SECOND / 5);
    restored.admit(now).unwrap().failure(now);
    clock.advance(9_099 * SECOND / 1_000);
    assert_eq!(restored.counts(now).failure, 1);
    clock.advance(SECOND / 1_000);
    assert_eq!(restored.counts(now).failure, 0);
}

#[test]
fn a_restored_breaker_of_any_age_still_opens() {
    let then = ManualClock::new(Timestamp::EPOCH);
    let breaker = Breaker::new(policy()).unwrap();
    breaker.open(then.instant());
    let mut kept = breaker.snapshot(&then);
    for century in 1..=90 {
        let clock = ManualClock::new(Timestamp::from_millis(century * 36_525 * 86_400_000));
        let now = || clock.instant();
        let restored = Breaker::restore(kept, &clock).unwrap();
        restored.admit(now).unwrap().failure(now);
        assert_eq!(restored.open_left(now), Some(30 * SECOND), "{century} centuries");
        restored.open_for(7 * SECOND, now());
        assert_eq!(restored.admit(now).unwrap_err().retry_after, Some(7 * SECOND));
        kept = restored.snapshot(&clock);
    }
}

#[test]
fn a_lost_lease_is_told() {
    let clock = clock();
    let now = || clock.instant();
    let (sender, events) = std::sync::mpsc::channel();
    let breaker = Breaker::new(policy().with_probe_lease(SECOND)).unwrap();
    breaker.open_for(Duration::ZERO, now());
    let breaker = breaker.with_listener(move |_, event| sender.send(*event).unwrap());
    let hung = breaker.admit(now).unwrap();
    clock.advance(SECOND);
    breaker.expire(now());
    hung.success(now);
    let lost = events.try_iter().filter(|event| matches!(event, Event::ProbeReclaimed { .. }));
    assert_eq!((lost.count(), breaker.probes_in_flight()), (1, 0));
    let totals = breaker.totals();
    assert_eq!((totals.reclaimed, totals.stale, breaker.state()), (1, 1, State::HalfOpen));
}
