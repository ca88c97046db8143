//! Providers of key-encryption keys that are down, sealed, or say no: by the real binary, against real ones.

use factum_testkit::{OpenBaoKind, PrivateOpenBao, SoftHsmToken, TransitMount};
use serde_json::json;

use crate::factum::Factum;

/// What a vault may do with its key once that was made.
const RIGHTS: &[(&str, &str)] = &[
    ("keys/bank", "read"),
    ("encrypt/bank", "update"),
    ("decrypt/bank", "update"),
    ("keys/bank/rotate", "update"),
    ("keys/bank/config", "update"),
    ("keys/bank/trim", "update"),
];

impl Factum {
    /// Customers whose keys are wrapped by this place, with this secret.
    fn wrapped_by(kek: String, secret: &str) -> Self {
        let mut factum = Self::new();
        factum.set("FACTUM_KEK", kek);
        factum.set("FACTUM_KEK_SECRET", secret);
        let factum = factum.and_customers();
        factum.projected();
        assert!(!factum.path("data.kek").exists());
        factum
    }
}

#[test]
fn openbao_wraps_rotates_and_erases() {
    let Some(mount) = TransitMount::fresh("privacy::providers::openbao_wraps_rotates_and_erases") else {
        return;
    };
    let mut factum =
        Factum::wrapped_by(format!("openbao:{}/{}/bank", mount.url(), mount.path()), mount.token());
    let token = mount.token_with(RIGHTS);
    let file = factum.file("token", &format!("{token}\n"));
    factum.set("FACTUM_KEK_SECRET", "");
    factum.set("FACTUM_KEK_SECRET_FILE", file);
    factum.is_well();
    assert_eq!(factum.privacy_line(&["rotate"])["epoch"], 2);
    factum.is_well();
    let erasure = factum.erased("customer-7");
    assert_eq!(factum.exported("customer-7")[0], json!({ "erased": erasure }));
    factum.privacy(&["verify", &erasure]).ok();
    let refused = factum.privacy(&["show", "customer-7", "--kek", "openbao:http://127.0.0.1:1/bank"]);
    assert!(refused.fails(7).contains("127.0.0.1:1"), "{}", refused.stderr);
}

#[test]
fn a_revoked_token_of_openbao() {
    let Some(mount) = TransitMount::fresh("privacy::providers::a_revoked_token_of_openbao") else { return };
    let mut factum =
        Factum::wrapped_by(format!("openbao:{}/{}/bank", mount.url(), mount.path()), mount.token());
    let token = mount.token_with(RIGHTS);
    factum.set("FACTUM_KEK_SECRET", token.as_str());
    factum.is_well();
    mount.revoke(&token);
    factum.is_refused(&[], 4, &["revoked"]);
    factum.set("FACTUM_KEK_SECRET", mount.token());
    // A key that is not there is not made anew for a vault that had one.
    let other = format!("openbao:{}/{}/other", mount.url(), mount.path());
    factum.is_refused(&["--kek", &other], 2, &["other"]);
    factum.is_well();
}

#[test]
fn openbao_sealed_and_down() {
    let name = "privacy::providers::openbao_sealed_and_down";
    let Some(mut server) = PrivateOpenBao::start(name, OpenBaoKind::Disk) else { return };
    let factum = Factum::wrapped_by(format!("openbao:{}/bank", server.url()), server.token());
    server.seal();
    factum.is_refused(&[], 4, &["sealed"]);
    server.unseal();
    factum.is_well();
    server.stop();
    factum.is_refused(&[], 7, &["cannot be reached"]);
    server.start_again();
    server.unseal();
    factum.is_well();
}

#[test]
fn a_wrong_pin_of_a_token() {
    let Some(token) = SoftHsmToken::fresh("privacy::providers::a_wrong_pin_of_a_token") else { return };
    let kek = format!("pkcs11:{}/{}/kek", token.module().display(), token.label());
    let mut factum = Factum::wrapped_by(kek, SoftHsmToken::PIN);
    factum.is_well();
    factum.set("FACTUM_KEK_SECRET", "a-wrong-one");
    factum.is_refused(&[], 4, &["PIN"]);
    factum.set("FACTUM_KEK_SECRET", SoftHsmToken::PIN);
    assert_eq!(factum.privacy_line(&["rotate"])["epoch"], 2);
    factum.is_well();
    let keys = format!("pkcs11:{}/{}/others", token.module().display(), token.label());
    factum.is_refused(&["--kek", &keys], 2, &["others"]);
    let erasure = factum.erased("customer-7");
    assert_eq!(factum.exported("customer-7")[0], json!({ "erased": erasure }));
}
