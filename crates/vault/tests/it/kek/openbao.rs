//! What does the vault say when OpenBao refuses, is sealed or is gone?

use factum_core::ErrorKind;
use factum_testkit::{OpenBaoKind, PrivateOpenBao, TransitMount};
use factum_vault::{
    KekEpoch, KekError, KekProvider, OpenBaoTransit, ToUnwrap, ToWrap, TransitOptions, Wrapped,
};
use serde_json::json;

const EVERYTHING: &[(&str, &str)] = &[
    ("keys/kek", "read"),
    ("encrypt/kek", "update"),
    ("decrypt/kek", "update"),
    ("keys/kek/rotate", "update"),
    ("keys/kek/config", "update"),
    ("keys/kek/trim", "update"),
];

fn options(mount: &TransitMount, token: &str) -> TransitOptions {
    TransitOptions::new(mount.url(), "kek", token).mount(mount.path())
}

fn private(server: &PrivateOpenBao) -> TransitOptions {
    TransitOptions::new(server.url(), "kek", server.token())
}

fn wrap(kek: &mut OpenBaoTransit, epoch: u32) -> Result<Wrapped, KekError> {
    Ok(kek.wrap(KekEpoch(epoch), &[ToWrap { secret: b"secret", label: b"label" }])?.remove(0))
}

fn unwrap(kek: &mut OpenBaoTransit, epoch: u32, wrapped: &Wrapped) -> Result<Vec<u8>, KekError> {
    let item = ToUnwrap { epoch: KekEpoch(epoch), wrapped, label: b"label" };
    Ok(kek.unwrap_keys(&[item])?.remove(0).to_vec())
}

#[track_caller]
fn assert_denied<T>(answer: Result<T, KekError>, words: &[&str]) {
    let error = answer.map(drop).unwrap_err();
    assert!(matches!(error, KekError::Denied { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[track_caller]
fn assert_misconfigured<T>(answer: Result<T, KekError>, words: &[&str]) {
    let error = answer.map(drop).unwrap_err();
    assert!(matches!(error, KekError::Misconfigured { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_revoked_token_is_told_and_never_shown() {
    let Some(mount) = TransitMount::fresh("kek::openbao::a_revoked_token_is_told_and_never_shown") else {
        return;
    };
    OpenBaoTransit::open_or_create(options(&mount, mount.token())).unwrap();
    let token = mount.token_with(EVERYTHING);
    let mut kek = OpenBaoTransit::open(options(&mount, &token)).unwrap();
    let wrapped = wrap(&mut kek, 1).unwrap();
    mount.revoke(&token);
    for error in [
        kek.epochs().map(drop).unwrap_err(),
        wrap(&mut kek, 1).map(drop).unwrap_err(),
        unwrap(&mut kek, 1, &wrapped).map(drop).unwrap_err(),
        kek.new_epoch().map(drop).unwrap_err(),
        kek.destroy_before(KekEpoch(1)).unwrap_err(),
        OpenBaoTransit::open(options(&mount, &token)).map(drop).unwrap_err(),
    ] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(&token), "{text}");
        assert_denied::<()>(Err(error), &["revoked", "give a new one"]);
    }
    assert!(!kek.description().contains(&token));
}

#[test]
fn a_policy_that_lacks_a_capability_is_told_with_its_path() {
    let Some(mount) =
        TransitMount::fresh("kek::openbao::a_policy_that_lacks_a_capability_is_told_with_its_path")
    else {
        return;
    };
    let full_path = |path: &str| format!("'{}/{path}'", mount.path());
    // Without the right to make keys.
    let token = mount.token_with(EVERYTHING);
    assert_denied(
        OpenBaoTransit::open_or_create(options(&mount, &token)),
        &["'update'", &full_path("keys/kek"), "policies"],
    );
    OpenBaoTransit::open_or_create(options(&mount, mount.token())).unwrap();
    // With each other right missing in turn.
    for (lacking, capability) in EVERYTHING {
        let rights: Vec<_> = EVERYTHING.iter().copied().filter(|(path, _)| path != lacking).collect();
        let token = mount.token_with(&rights);
        let (right, path) = (format!("'{capability}'"), full_path(lacking));
        let words = [right.as_str(), path.as_str(), "policies"];
        let opened = OpenBaoTransit::open(options(&mount, &token));
        if *lacking == "keys/kek" {
            assert_denied(opened, &words);
            continue;
        }
        let mut kek = opened.unwrap();
        let answer = match *lacking {
            "encrypt/kek" => wrap(&mut kek, 1).map(drop),
            "decrypt/kek" => {
                let wrapped = wrap(&mut kek, 1).unwrap();
                unwrap(&mut kek, 1, &wrapped).map(drop)
            }
            "keys/kek/rotate" => kek.new_epoch().map(drop),
            _ => {
                let newest = kek.new_epoch().unwrap();
                kek.destroy_before(newest)
            }
        };
        assert_denied(answer, &words);
    }
}

#[test]
fn the_rights_that_the_documentation_names_are_enough() {
    let Some(mount) = TransitMount::fresh("kek::openbao::the_rights_that_the_documentation_names_are_enough")
    else {
        return;
    };
    let maker = mount.token_with(&[("keys/kek", "read, update")]);
    OpenBaoTransit::open_or_create(options(&mount, &maker)).unwrap();
    let token = mount.token_with(EVERYTHING);
    let mut kek = OpenBaoTransit::open_or_create(options(&mount, &token)).unwrap();
    let first = wrap(&mut kek, 1).unwrap();
    assert_eq!(unwrap(&mut kek, 1, &first).unwrap(), b"secret");
    assert_eq!(kek.new_epoch().unwrap(), KekEpoch(2));
    kek.destroy_before(KekEpoch(2)).unwrap();
    assert_eq!(kek.epochs().unwrap().len(), 1);
}

#[test]
fn a_version_that_was_trimmed_by_another_hand_is_gone() {
    let Some(mount) = TransitMount::fresh("kek::openbao::a_version_that_was_trimmed_by_another_hand_is_gone")
    else {
        return;
    };
    let mut kek = OpenBaoTransit::open_or_create(options(&mount, mount.token())).unwrap();
    let first = wrap(&mut kek, 1).unwrap();
    kek.new_epoch().unwrap();
    let key = format!("{}/keys/kek", mount.path());
    let limits = json!({ "min_decryption_version": 2, "min_encryption_version": 2 });
    mount.post(&format!("{key}/config"), &limits);
    assert!(matches!(unwrap(&mut kek, 1, &first), Err(KekError::NoEpoch { epoch: KekEpoch(1), .. })));
    assert!(matches!(wrap(&mut kek, 1), Err(KekError::NoEpoch { epoch: KekEpoch(1), .. })));
    mount.post(&format!("{key}/trim"), &json!({ "min_available_version": 2 }));
    assert!(matches!(unwrap(&mut kek, 1, &first), Err(KekError::NoEpoch { epoch: KekEpoch(1), .. })));
    assert_eq!(kek.epochs().unwrap()[0].epoch, KekEpoch(2));
}

#[test]
fn destroying_trims_also_where_it_was_interrupted_after_forbidding() {
    let Some(mount) =
        TransitMount::fresh("kek::openbao::destroying_trims_also_where_it_was_interrupted_after_forbidding")
    else {
        return;
    };
    let mut kek = OpenBaoTransit::open_or_create(options(&mount, mount.token())).unwrap();
    kek.new_epoch().unwrap();
    let key = format!("{}/keys/kek", mount.path());
    let limits = json!({ "min_decryption_version": 2, "min_encryption_version": 2 });
    mount.post(&format!("{key}/config"), &limits);
    kek.destroy_before(KekEpoch(2)).unwrap();
    let answer = mount.get(&key);
    assert_eq!(answer["data"]["min_available_version"], 2);
    assert_eq!(answer["data"]["keys"].as_object().unwrap().len(), 1);
}

#[test]
fn a_key_that_is_missing_or_of_another_kind_is_told() {
    let Some(mount) = TransitMount::fresh("kek::openbao::a_key_that_is_missing_or_of_another_kind_is_told")
    else {
        return;
    };
    let open = |key: &str| {
        OpenBaoTransit::open(TransitOptions::new(mount.url(), key, mount.token()).mount(mount.path()))
    };
    assert_misconfigured(open("kek"), &["no key 'kek'"]);
    let make = |name: &str, body: &serde_json::Value| {
        mount.post(&format!("{}/keys/{name}", mount.path()), body);
    };
    make("rsa", &json!({ "type": "rsa-2048" }));
    make("derived", &json!({ "derived": true }));
    make("chacha", &json!({ "type": "chacha20-poly1305" }));
    assert_misconfigured(open("rsa"), &["rsa-2048", "aes256-gcm96"]);
    assert_misconfigured(open("derived"), &["derived=false"]);
    let mut chacha = open("chacha").unwrap();
    let wrapped = wrap(&mut chacha, 1).unwrap();
    assert_eq!(unwrap(&mut chacha, 1, &wrapped).unwrap(), b"secret");
    let other = ToUnwrap { epoch: KekEpoch(1), wrapped: &wrapped, label: b"other" };
    assert!(matches!(chacha.unwrap_keys(&[other]), Err(KekError::NotOurs { .. })));
    let nowhere = TransitOptions::new(mount.url(), "kek", mount.token()).mount("no/such/mount");
    assert_misconfigured(OpenBaoTransit::open(nowhere), &["nothing is mounted", "no/such/mount"]);
}

#[test]
fn a_key_that_is_deleted_is_not_made_again() {
    let Some(mount) = TransitMount::fresh("kek::openbao::a_key_that_is_deleted_is_not_made_again") else {
        return;
    };
    OpenBaoTransit::open_or_create(options(&mount, mount.token())).unwrap();
    let mut kek = OpenBaoTransit::open(options(&mount, &mount.token_with(EVERYTHING))).unwrap();
    let wrapped = wrap(&mut kek, 1).unwrap();
    let key = format!("{}/keys/kek", mount.path());
    mount.post(&format!("{key}/config"), &json!({ "deletion_allowed": true }));
    mount.delete(&key);
    assert_misconfigured(unwrap(&mut kek, 1, &wrapped), &["no key 'kek'"]);
    assert_misconfigured(kek.epochs(), &["no key 'kek'"]);
    assert_misconfigured(kek.new_epoch(), &["no key 'kek'"]);
    // Making it again needs a right that the token does not have.
    assert_denied(wrap(&mut kek, 1), &["encrypt/kek"]);
}

#[test]
fn a_sealed_server_says_so_and_serves_again_once_unsealed() {
    let test = "kek::openbao::a_sealed_server_says_so_and_serves_again_once_unsealed";
    let Some(mut server) = PrivateOpenBao::start(test, OpenBaoKind::Memory) else { return };
    let mut kek = OpenBaoTransit::open_or_create(private(&server)).unwrap();
    let wrapped = wrap(&mut kek, 1).unwrap();
    server.seal();
    assert_denied(unwrap(&mut kek, 1, &wrapped), &["sealed"]);
    assert_denied(wrap(&mut kek, 1), &["sealed"]);
    assert_denied(kek.epochs(), &["sealed"]);
    server.unseal();
    assert_eq!(unwrap(&mut kek, 1, &wrapped).unwrap(), b"secret");
}

#[test]
fn a_server_that_is_down_is_unreachable_and_serves_again_once_back() {
    let test = "kek::openbao::a_server_that_is_down_is_unreachable_and_serves_again_once_back";
    let Some(mut server) = PrivateOpenBao::start(test, OpenBaoKind::Disk) else { return };
    let mut kek = OpenBaoTransit::open_or_create(private(&server)).unwrap();
    let wrapped = wrap(&mut kek, 1).unwrap();
    server.stop();
    for error in [
        unwrap(&mut kek, 1, &wrapped).map(drop).unwrap_err(),
        wrap(&mut kek, 1).map(drop).unwrap_err(),
        kek.new_epoch().map(drop).unwrap_err(),
        OpenBaoTransit::open(private(&server)).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, KekError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
    server.start_again();
    assert_denied(unwrap(&mut kek, 1, &wrapped), &["sealed"]);
    server.unseal();
    assert_eq!(unwrap(&mut kek, 1, &wrapped).unwrap(), b"secret");
    assert_eq!(kek.epochs().unwrap().len(), 1);
}

#[test]
fn certificates_are_checked() {
    let Some(server) = PrivateOpenBao::start("kek::openbao::certificates_are_checked", OpenBaoKind::Tls)
    else {
        return;
    };
    let Some(other) = PrivateOpenBao::start("kek::openbao::certificates_are_checked", OpenBaoKind::Tls)
    else {
        return;
    };
    let mut kek = OpenBaoTransit::open_or_create(private(&server).trust(server.certificates())).unwrap();
    let wrapped = wrap(&mut kek, 1).unwrap();
    assert_eq!(unwrap(&mut kek, 1, &wrapped).unwrap(), b"secret");
    let error = OpenBaoTransit::open(private(&server).trust(other.certificates())).map(drop).unwrap_err();
    assert!(matches!(error, KekError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_misconfigured(OpenBaoTransit::open(private(&server)), &["certificates to trust"]);
}
