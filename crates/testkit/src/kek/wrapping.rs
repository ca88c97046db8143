//! Does a wrapped secret come out under its own label, key and bytes, and only so?

use factum_vault::{KekEpoch, KekError, Wrapped};

use super::case::{Keks, assert_refused, done, to_unwrap, to_wrap};

pub fn a_secret_comes_out_as_it_was(keks: &mut Keks) {
    for secret in [&b"x"[..], &[0; 32], &[0xff; 64], &[7; 4_096]] {
        let wrapped = keks.wrap_one(KekEpoch(1), secret, b"label");
        assert_eq!(keks.unwrap_one(KekEpoch(1), &wrapped, b"label").expect("it is ours"), secret);
    }
}

pub fn a_label_may_be_empty_or_any_bytes(keks: &mut Keks) {
    for label in [&b""[..], &[0, 0xff, b'"', b'\n'], &[b'l'; 1_000]] {
        let wrapped = keks.wrap_one(KekEpoch(1), b"secret", label);
        assert_eq!(keks.unwrap_one(KekEpoch(1), &wrapped, label).expect("it is ours"), b"secret");
    }
}

pub fn another_label_is_refused(keks: &mut Keks) {
    let wrapped = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    for label in [&b""[..], b"labe", b"labels", b"Label"] {
        assert_refused!(
            keks.unwrap_one(KekEpoch(1), &wrapped, label),
            KekError::NotOurs { epoch: KekEpoch(1), .. }
        );
    }
}

pub fn changed_bytes_are_refused(keks: &mut Keks) {
    let wrapped = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    for byte in 0..wrapped.0.len() {
        for bit in [0, 7] {
            let mut changed = wrapped.clone();
            changed.0[byte] ^= 1 << bit;
            let answer = keks.unwrap_one(KekEpoch(1), &changed, b"label");
            assert_refused!(answer, KekError::NotOurs { .. });
        }
    }
    let longer = Wrapped([&wrapped.0[..], &[0]].concat());
    assert_refused!(keks.unwrap_one(KekEpoch(1), &longer, b"label"), KekError::NotOurs { .. });
    assert_eq!(keks.unwrap_one(KekEpoch(1), &wrapped, b"label").expect("it is ours"), b"secret");
}

pub fn bytes_cut_short_are_refused(keks: &mut Keks) {
    let wrapped = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    for length in 0..wrapped.0.len() {
        let cut = Wrapped(wrapped.0[..length].to_vec());
        assert_refused!(keks.unwrap_one(KekEpoch(1), &cut, b"label"), KekError::NotOurs { .. });
    }
}

pub fn what_another_has_wrapped_is_refused(keks: &mut Keks) {
    let mut other = keks.another();
    let foreign = done(other.wrap(KekEpoch(1), &[to_wrap(b"secret", b"label")])).remove(0);
    assert_refused!(keks.unwrap_one(KekEpoch(1), &foreign, b"label"), KekError::NotOurs { .. });
    let own = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    let answer = other.unwrap_keys(&[to_unwrap(KekEpoch(1), &own, b"label")]);
    assert_refused!(answer, KekError::NotOurs { .. });
}

pub fn another_epochs_number_is_refused(keks: &mut Keks) {
    let first = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    assert_eq!(keks.new_epoch(), KekEpoch(2));
    let second = keks.wrap_one(KekEpoch(2), b"secret", b"label");
    assert_refused!(
        keks.unwrap_one(KekEpoch(2), &first, b"label"),
        KekError::NotOurs { epoch: KekEpoch(2), .. }
    );
    assert_refused!(
        keks.unwrap_one(KekEpoch(1), &second, b"label"),
        KekError::NotOurs { epoch: KekEpoch(1), .. }
    );
}

pub fn a_secret_is_never_wrapped_to_the_same_bytes(keks: &mut Keks) {
    let same = [to_wrap(b"secret", b"label"), to_wrap(b"secret", b"label")];
    let mut all = done(keks.kek.wrap(KekEpoch(1), &same));
    all.extend(done(keks.kek.wrap(KekEpoch(1), &same)));
    for (index, wrapped) in all.iter().enumerate() {
        assert!(!all[..index].contains(wrapped));
        assert!(!wrapped.0.windows(6).any(|part| part == b"secret"));
    }
}

pub fn what_was_wrapped_outlasts_the_handle(keks: &mut Keks) {
    let wrapped = keks.wrap_one(KekEpoch(1), b"secret", b"label");
    keks.reopen();
    assert_eq!(keks.unwrap_one(KekEpoch(1), &wrapped, b"label").expect("it is ours"), b"secret");
}
