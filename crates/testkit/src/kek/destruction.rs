//! Is an epoch that was destroyed gone for ever, and no other?

use factum_vault::{KekEpoch, KekError};

use super::case::{Keks, assert_refused, done, to_unwrap, to_wrap};

/// Panics unless the epoch neither wraps nor unwraps.
fn assert_gone(keks: &mut Keks, epoch: KekEpoch, wrapped: &factum_vault::Wrapped) {
    let answer = keks.kek.unwrap_keys(&[to_unwrap(epoch, wrapped, b"label")]);
    assert_refused!(answer, KekError::NoEpoch { epoch: told, .. } if told == epoch);
    let answer = keks.kek.wrap(epoch, &[to_wrap(b"secret", b"label")]);
    assert_refused!(answer, KekError::NoEpoch { epoch: told, .. } if told == epoch);
    assert!(!keks.epochs().contains(&epoch.0));
}

pub fn a_destroyed_epoch_is_gone_for_ever(keks: &mut Keks) {
    let first = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    keks.new_epoch();
    let second = keks.wrap_one(KekEpoch(2), b"secret", b"label");
    done(keks.kek.destroy_before(KekEpoch(2)));
    assert_gone(keks, KekEpoch(1), &first);
    keks.reopen();
    assert_gone(keks, KekEpoch(1), &first);
    assert_eq!(keks.new_epoch(), KekEpoch(3));
    assert_gone(keks, KekEpoch(1), &first);
    assert_eq!(keks.unwrap_one(KekEpoch(2), &second, b"label").expect("it is ours"), b"secret");
    assert_eq!(keks.epochs(), [2, 3]);
}

pub fn several_are_destroyed_at_once(keks: &mut Keks) {
    let wrapped: Vec<_> = (1..=4)
        .map(|epoch| {
            let wrapped = keks.wrap_one(KekEpoch(epoch), b"secret", b"label");
            keks.new_epoch();
            (KekEpoch(epoch), wrapped)
        })
        .collect();
    done(keks.kek.destroy_before(KekEpoch(4)));
    assert_eq!(keks.epochs(), [4, 5]);
    for (epoch, wrapped) in &wrapped[..3] {
        assert_gone(keks, *epoch, wrapped);
    }
    assert_eq!(keks.unwrap_one(KekEpoch(4), &wrapped[3].1, b"label").expect("it is ours"), b"secret");
}

pub fn destroying_again_changes_nothing(keks: &mut Keks) {
    keks.new_epoch();
    keks.new_epoch();
    for _ in 0..2 {
        done(keks.kek.destroy_before(KekEpoch(2)));
        assert_eq!(keks.epochs(), [2, 3]);
    }
    // What was destroyed already is destroyed before an earlier epoch too.
    done(keks.kek.destroy_before(KekEpoch(1)));
    assert_eq!(keks.epochs(), [2, 3]);
}

pub fn nothing_is_before_the_first(keks: &mut Keks) {
    done(keks.kek.destroy_before(KekEpoch(0)));
    done(keks.kek.destroy_before(KekEpoch(1)));
    assert_eq!(keks.epochs(), [1]);
}

pub fn the_newest_is_never_destroyed(keks: &mut Keks) {
    keks.new_epoch();
    let wrapped = keks.wrap_one(KekEpoch(2), b"secret", b"label");
    for keep in [KekEpoch(3), KekEpoch(u32::MAX)] {
        assert_refused!(keks.kek.destroy_before(keep), KekError::NoEpoch { epoch, .. } if epoch == keep);
    }
    assert_eq!(keks.epochs(), [1, 2]);
    done(keks.kek.destroy_before(KekEpoch(2)));
    assert_refused!(keks.kek.destroy_before(KekEpoch(3)), KekError::NoEpoch { .. });
    assert_eq!(keks.unwrap_one(KekEpoch(2), &wrapped, b"label").expect("it is ours"), b"secret");
}
