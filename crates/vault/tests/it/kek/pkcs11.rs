//! What does the vault say when a PKCS#11 token refuses or cannot be found?

use std::sync::Arc;

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, ObjectClass};
use factum_core::{Clock, ErrorKind, SystemClock};
use factum_testkit::SoftHsmToken;
use factum_vault::{KekEpoch, KekError, KekProvider, Pkcs11Options, Pkcs11Token, ToUnwrap, ToWrap, Wrapped};

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn options(token: &SoftHsmToken) -> Pkcs11Options {
    Pkcs11Options::new(token.module(), token.label(), SoftHsmToken::PIN)
}

fn wrap(kek: &mut Pkcs11Token, epoch: u32) -> Result<Wrapped, KekError> {
    Ok(kek.wrap(KekEpoch(epoch), &[ToWrap { secret: b"secret", label: b"label" }])?.remove(0))
}

fn unwrap(kek: &mut Pkcs11Token, epoch: u32, wrapped: &Wrapped) -> Result<Vec<u8>, KekError> {
    let item = ToUnwrap { epoch: KekEpoch(epoch), wrapped, label: b"label" };
    Ok(kek.unwrap_keys(&[item])?.remove(0).to_vec())
}

fn error<T>(answer: Result<T, KekError>) -> KekError {
    answer.map(drop).unwrap_err()
}

#[test]
fn a_wrong_pin_is_denied_and_not_tried_again() {
    let Some(token) = SoftHsmToken::fresh("kek::pkcs11::a_wrong_pin_is_denied_and_not_tried_again") else {
        return;
    };
    let wrong = Pkcs11Options::new(token.module(), token.label(), "a-wrong-one");
    let refused = error(Pkcs11Token::open(wrong, clock()));
    assert!(matches!(&refused, KekError::Denied { why, .. } if why.contains("PIN is wrong")), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(!format!("{refused} {refused:?}").contains("a-wrong-one"));
    assert!(Pkcs11Token::open_or_create(options(&token), clock()).is_ok());
}

#[test]
fn a_pin_that_was_changed_meanwhile_is_tried_once_only() {
    let test = "kek::pkcs11::a_pin_that_was_changed_meanwhile_is_tried_once_only";
    let Some(token) = SoftHsmToken::fresh(test) else { return };
    let mut kek = Pkcs11Token::open_or_create(options(&token), clock()).unwrap();
    let session = token.session();
    session.set_pin(&SoftHsmToken::PIN.to_owned().into(), &"another-pin".to_owned().into()).unwrap();
    session.logout().unwrap();
    assert!(matches!(kek.epochs(), Err(KekError::Denied { .. })));
    session.login(cryptoki::session::UserType::User, Some(&"another-pin".to_owned().into())).unwrap();
    session.set_pin(&"another-pin".to_owned().into(), &SoftHsmToken::PIN.to_owned().into()).unwrap();
    session.logout().unwrap();
    // The old PIN would do again, but a refused one is not sent a second time.
    assert!(matches!(kek.epochs(), Err(KekError::Denied { .. })));
    assert!(Pkcs11Token::open(options(&token), clock()).is_ok());
}

#[test]
fn a_module_that_cannot_be_loaded_is_told() {
    let Some(token) = SoftHsmToken::fresh("kek::pkcs11::a_module_that_cannot_be_loaded_is_told") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let not_a_module = directory.path().join("text.so");
    std::fs::write(&not_a_module, "text").unwrap();
    for path in [directory.path().join("missing.so"), not_a_module] {
        let told = error(Pkcs11Token::open(Pkcs11Options::new(&path, token.label(), "1234"), clock()));
        assert!(matches!(told, KekError::Misconfigured { .. }), "{told}");
        assert_eq!(told.kind(), ErrorKind::Invalid);
        assert!(told.to_string().contains(&path.display().to_string()), "{told}");
    }
}

#[test]
fn a_token_that_is_not_there_is_unreachable() {
    let Some(token) = SoftHsmToken::fresh("kek::pkcs11::a_token_that_is_not_there_is_unreachable") else {
        return;
    };
    let absent = Pkcs11Options::new(token.module(), "no such token", "1234");
    let told = error(Pkcs11Token::open_or_create(absent, clock()));
    assert!(matches!(&told, KekError::Unreachable { why, .. } if why.contains("plugged in")), "{told}");
}

#[test]
fn a_token_without_keys_is_not_a_vaults() {
    let Some(token) = SoftHsmToken::fresh("kek::pkcs11::a_token_without_keys_is_not_a_vaults") else {
        return;
    };
    let told = error(Pkcs11Token::open(options(&token), clock()));
    assert!(matches!(&told, KekError::Misconfigured { why, .. } if why.contains("factum-kek-1")), "{told}");
    assert!(Pkcs11Token::open_or_create(options(&token), clock()).is_ok());
    assert!(Pkcs11Token::open(options(&token), clock()).is_ok());
}

#[test]
fn a_lost_session_is_opened_again() {
    let Some(token) = SoftHsmToken::fresh("kek::pkcs11::a_lost_session_is_opened_again") else { return };
    let mut kek = Pkcs11Token::open_or_create(options(&token), clock()).unwrap();
    let wrapped = wrap(&mut kek, 1).unwrap();
    for _ in 0..2 {
        token.log_out();
        assert_eq!(unwrap(&mut kek, 1, &wrapped).unwrap(), b"secret");
        token.log_out();
        assert_eq!(kek.epochs().unwrap().len(), 1);
    }
    token.log_out();
    assert_eq!(kek.new_epoch().unwrap(), KekEpoch(2));
    token.log_out();
    kek.destroy_before(KekEpoch(2)).unwrap();
    // The whole module may be ended by other code in the process.
    token.end_module();
    assert!(matches!(unwrap(&mut kek, 1, &wrapped), Err(KekError::NoEpoch { epoch: KekEpoch(1), .. })));
    let wrapped = wrap(&mut kek, 2).unwrap();
    assert_eq!(unwrap(&mut kek, 2, &wrapped).unwrap(), b"secret");
}

#[test]
fn a_key_destroyed_by_another_hand_is_gone() {
    let Some(token) = SoftHsmToken::fresh("kek::pkcs11::a_key_destroyed_by_another_hand_is_gone") else {
        return;
    };
    let mut kek = Pkcs11Token::open_or_create(options(&token), clock()).unwrap();
    let wrapped = wrap(&mut kek, 1).unwrap();
    kek.new_epoch().unwrap();
    let session = token.session();
    let first = session.find_objects(&[Attribute::Label(b"factum-kek-1".to_vec())]).unwrap();
    session.destroy_object(first[0]).unwrap();
    assert!(matches!(unwrap(&mut kek, 1, &wrapped), Err(KekError::NoEpoch { epoch: KekEpoch(1), .. })));
    assert_eq!(kek.epochs().unwrap().len(), 1);
}

#[test]
fn keys_never_leave_the_token_and_one_that_may_is_refused() {
    let test = "kek::pkcs11::keys_never_leave_the_token_and_one_that_may_is_refused";
    let Some(token) = SoftHsmToken::fresh(test) else { return };
    let mut kek = Pkcs11Token::open_or_create(options(&token), clock()).unwrap();
    let session = token.session();
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap();
    assert_eq!(keys.len(), 1);
    let value = session.get_attributes(keys[0], &[cryptoki::object::AttributeType::Value]).unwrap();
    assert!(value.is_empty(), "the token shows the key");
    let template = [
        Attribute::Token(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(32_usize.try_into().unwrap()),
        Attribute::Label(b"factum-kek-2".to_vec()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    let told = error(kek.epochs());
    assert!(matches!(&told, KekError::Misconfigured { why, .. } if why.contains("epoch 2")), "{told}");
}

#[test]
fn two_keys_of_one_epoch_both_unwrap_and_are_both_destroyed() {
    let test = "kek::pkcs11::two_keys_of_one_epoch_both_unwrap_and_are_both_destroyed";
    let Some(token) = SoftHsmToken::fresh(test) else { return };
    let mut kek = Pkcs11Token::open_or_create(options(&token), clock()).unwrap();
    let before = wrap(&mut kek, 1).unwrap();
    // As two processes that rotate at once would leave it.
    let session = token.session();
    let template = [
        Attribute::Token(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::ValueLen(32_usize.try_into().unwrap()),
        Attribute::Label(b"factum-kek-1".to_vec()),
    ];
    let second = session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    let mut nonce = [7; 12];
    let parameters = GcmParams::new(&mut nonce, b"label", 128_usize.try_into().unwrap()).unwrap();
    let sealed = session.encrypt(&Mechanism::AesGcm(parameters), second, b"secret").unwrap();
    let by_the_other = Wrapped([&nonce[..], &sealed].concat());
    assert_eq!(unwrap(&mut kek, 1, &before).unwrap(), b"secret");
    assert_eq!(unwrap(&mut kek, 1, &by_the_other).unwrap(), b"secret");
    assert_eq!(kek.epochs().unwrap().len(), 1);
    kek.new_epoch().unwrap();
    kek.destroy_before(KekEpoch(2)).unwrap();
    for wrapped in [before, by_the_other] {
        assert!(matches!(unwrap(&mut kek, 1, &wrapped), Err(KekError::NoEpoch { .. })));
    }
}
