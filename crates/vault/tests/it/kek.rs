//! Do all providers of key-encryption keys mean the same?

mod openbao;
mod pkcs11;

mod key_file {
    //! The key file keeps the contract.

    use std::sync::Arc;

    use factum_core::SystemClock;
    use factum_testkit::{FreshKek, OpenKek, kek_conformance};
    use factum_vault::LocalKeyFile;

    fn make(_test: &str) -> Option<FreshKek> {
        let directory = tempfile::tempdir().unwrap();
        let opens = |name: &str| -> OpenKek {
            let path = directory.path().join(name);
            LocalKeyFile::create(&path, Arc::new(SystemClock)).unwrap();
            Box::new(move || Box::new(LocalKeyFile::open(&path, Arc::new(SystemClock)).unwrap()))
        };
        Some(FreshKek { open: opens("kek"), another: opens("other"), keep: Box::new(directory) })
    }

    kek_conformance!(super::make);
}

mod transit {
    //! OpenBao keeps the contract.

    use factum_testkit::{FreshKek, OpenKek, TransitMount, kek_conformance};
    use factum_vault::{OpenBaoTransit, TransitOptions};

    fn make(test: &str) -> Option<FreshKek> {
        let mount = TransitMount::fresh(test)?;
        let opens = |key: &'static str| -> OpenKek {
            let (url, path, token) =
                (mount.url().to_owned(), mount.path().to_owned(), mount.token().to_owned());
            let options = move || TransitOptions::new(&url, key, &token).mount(&path);
            OpenBaoTransit::open_or_create(options()).unwrap();
            Box::new(move || Box::new(OpenBaoTransit::open(options()).unwrap()))
        };
        Some(FreshKek { open: opens("kek"), another: opens("other"), keep: Box::new(mount) })
    }

    kek_conformance!(super::make);
}

mod token {
    //! A PKCS#11 token keeps the contract.

    use std::sync::Arc;

    use factum_core::SystemClock;
    use factum_testkit::{FreshKek, OpenKek, SoftHsmToken, kek_conformance};
    use factum_vault::{Pkcs11Options, Pkcs11Token};

    fn make(test: &str) -> Option<FreshKek> {
        let token = SoftHsmToken::fresh(test)?;
        let opens = |keys: &'static str| -> OpenKek {
            let (module, label) = (token.module().to_owned(), token.label().to_owned());
            let options = move || Pkcs11Options::new(&module, &label, SoftHsmToken::PIN).keys(keys);
            Pkcs11Token::open_or_create(options(), Arc::new(SystemClock)).unwrap();
            Box::new(move || Box::new(Pkcs11Token::open(options(), Arc::new(SystemClock)).unwrap()))
        };
        Some(FreshKek { open: opens("kek"), another: opens("other"), keep: Box::new(token) })
    }

    kek_conformance!(super::make);
}
