//! Is a batch answered in order, whole or not at all?

use factum_vault::{KekEpoch, KekError, MAX_WRAP_BATCH, Wrapped};

use super::case::{Keks, assert_refused, done, to_unwrap, to_wrap};

pub fn an_empty_batch_is_answered_with_nothing(keks: &mut Keks) {
    assert_eq!(done(keks.kek.wrap(KekEpoch(1), &[])), []);
    assert!(done(keks.kek.unwrap_keys(&[])).is_empty());
}

pub fn a_full_batch_keeps_its_order(keks: &mut Keks) {
    let secrets: Vec<[u8; 32]> = (0..MAX_WRAP_BATCH).map(|n| [u8::try_from(n).expect("few"); 32]).collect();
    let labels: Vec<String> = (0..MAX_WRAP_BATCH).map(|n| format!("label {n}")).collect();
    let plain: Vec<_> =
        secrets.iter().zip(&labels).map(|(secret, label)| to_wrap(secret, label.as_bytes())).collect();
    let wrapped = done(keks.kek.wrap(KekEpoch(1), &plain));
    let sealed: Vec<_> = wrapped
        .iter()
        .zip(&labels)
        .map(|(wrapped, label)| to_unwrap(KekEpoch(1), wrapped, label.as_bytes()))
        .collect();
    let opened = done(keks.kek.unwrap_keys(&sealed));
    assert_eq!(opened.len(), MAX_WRAP_BATCH);
    assert!(opened.iter().zip(&secrets).all(|(opened, secret)| **opened == *secret));
}

pub fn a_batch_over_the_limit_is_refused(keks: &mut Keks) {
    let given = MAX_WRAP_BATCH + 1;
    let plain: Vec<_> = (0..given).map(|_| to_wrap(b"secret", b"label")).collect();
    assert_refused!(keks.kek.wrap(KekEpoch(1), &plain), KekError::TooMany { given: told } if told == given);
    let wrapped = Wrapped(vec![0; 40]);
    let sealed: Vec<_> = (0..given).map(|_| to_unwrap(KekEpoch(1), &wrapped, b"label")).collect();
    assert_refused!(keks.kek.unwrap_keys(&sealed), KekError::TooMany { given: told } if told == given);
}

pub fn a_batch_may_be_of_several_epochs(keks: &mut Keks) {
    let first = keks.wrap_one(KekEpoch(1), b"first", b"label");
    keks.new_epoch();
    let second = keks.wrap_one(KekEpoch(2), b"second", b"label");
    let both = [
        to_unwrap(KekEpoch(2), &second, b"label"),
        to_unwrap(KekEpoch(1), &first, b"label"),
        to_unwrap(KekEpoch(2), &second, b"label"),
    ];
    let opened = done(keks.kek.unwrap_keys(&both));
    let opened: Vec<&[u8]> = opened.iter().map(|secret| secret.as_slice()).collect();
    assert_eq!(opened, [&b"second"[..], b"first", b"second"]);
}

pub fn one_foreign_secret_refuses_the_batch(keks: &mut Keks) {
    let good = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    let mut bad = good.clone();
    bad.0[0] ^= 1;
    for place in 0..3 {
        let item = |index| to_unwrap(KekEpoch(1), if index == place { &bad } else { &good }, b"label");
        let answer = keks.kek.unwrap_keys(&[item(0), item(1), item(2)]);
        assert_refused!(answer, KekError::NotOurs { .. });
    }
}

pub fn one_destroyed_epoch_refuses_the_batch(keks: &mut Keks) {
    let first = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    keks.new_epoch();
    let second = keks.wrap_one(KekEpoch(2), b"secret", b"label");
    done(keks.kek.destroy_before(KekEpoch(2)));
    let both = [to_unwrap(KekEpoch(2), &second, b"label"), to_unwrap(KekEpoch(1), &first, b"label")];
    assert_refused!(keks.kek.unwrap_keys(&both), KekError::NoEpoch { epoch: KekEpoch(1), .. });
}
