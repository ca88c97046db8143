//! Do epochs only grow, and does each keep what it wrapped?

use std::time::Duration;

use factum_core::{Clock, SystemClock};
use factum_vault::{KekEpoch, KekError};

use super::case::{Keks, assert_refused, done, to_unwrap, to_wrap};

/// How far the provider's clock may be from ours.
const CLOCKS_APART: Duration = Duration::from_secs(3_600);

pub fn there_is_one_from_the_start(keks: &mut Keks) {
    assert_eq!(keks.epochs(), [1]);
}

pub fn a_new_one_is_the_next_and_the_last(keks: &mut Keks) {
    assert_eq!(keks.new_epoch(), KekEpoch(2));
    assert_eq!(keks.new_epoch(), KekEpoch(3));
    assert_eq!(keks.epochs(), [1, 2, 3]);
    keks.reopen();
    assert_eq!(keks.epochs(), [1, 2, 3]);
    assert_eq!(keks.new_epoch(), KekEpoch(4));
}

pub fn more_than_nine_stay_in_order(keks: &mut Keks) {
    for _ in 0..10 {
        keks.new_epoch();
    }
    assert_eq!(keks.epochs(), (1..=11).collect::<Vec<_>>());
}

pub fn an_old_one_still_wraps_and_unwraps(keks: &mut Keks) {
    let before = keks.wrap_one(KekEpoch(1), b"before", b"label");
    keks.new_epoch();
    let after = keks.wrap_one(KekEpoch(1), b"after", b"label");
    assert_eq!(keks.unwrap_one(KekEpoch(1), &before, b"label").expect("it is ours"), b"before");
    assert_eq!(keks.unwrap_one(KekEpoch(1), &after, b"label").expect("it is ours"), b"after");
}

pub fn each_says_when_it_was_made(keks: &mut Keks) {
    keks.new_epoch();
    let made: Vec<_> = done(keks.kek.epochs()).iter().map(|info| info.created).collect();
    let now = SystemClock.now();
    let (earliest, latest) = (now.saturating_sub(CLOCKS_APART), now.saturating_add(CLOCKS_APART));
    for moment in &made {
        let moment = moment.expect("a moment");
        assert!(earliest <= moment && moment <= latest, "{moment}");
    }
    assert!(made[0] <= made[1]);
    keks.reopen();
    assert_eq!(done(keks.kek.epochs()).iter().map(|info| info.created).collect::<Vec<_>>(), made);
}

pub fn what_one_handle_makes_another_uses(keks: &mut Keks) {
    let mut other = keks.again();
    assert_eq!(done(other.epochs()).len(), 1);
    let epoch = keks.new_epoch();
    let wrapped = done(other.wrap(epoch, &[to_wrap(b"secret", b"label")])).remove(0);
    assert_eq!(keks.unwrap_one(epoch, &wrapped, b"label").expect("it is ours"), b"secret");
    done(other.destroy_before(epoch));
    assert_eq!(keks.epochs(), [epoch.0]);
    assert_eq!(done(other.new_epoch()), KekEpoch(epoch.0 + 1));
    assert_eq!(keks.new_epoch(), KekEpoch(epoch.0 + 2));
}

pub fn one_that_never_was_is_told(keks: &mut Keks) {
    let wrapped = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    for epoch in [KekEpoch(0), KekEpoch(2), KekEpoch(u32::MAX)] {
        let answer = keks.kek.wrap(epoch, &[to_wrap(b"secret", b"label")]);
        assert_refused!(answer, KekError::NoEpoch { epoch: told, .. } if told == epoch);
        let answer = keks.kek.unwrap_keys(&[to_unwrap(epoch, &wrapped, b"label")]);
        assert_refused!(answer, KekError::NoEpoch { epoch: told, .. } if told == epoch);
    }
    assert_eq!(keks.epochs(), [1]);
}
