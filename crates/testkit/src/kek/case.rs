//! What does one rule for providers of key-encryption keys work with? A fresh provider and short forms of what is asked of it.

use std::any::Any;

use factum_vault::{KekEpoch, KekError, KekProvider, ToUnwrap, ToWrap, Wrapped};

/// Opens a provider.
pub type OpenKek = Box<dyn Fn() -> Box<dyn KekProvider>>;

/// Key-encryption keys for one test, with a first epoch.
pub struct FreshKek {
    /// Opens them once more, as another process would.
    pub open: OpenKek,
    /// Keys of the same kind that are another vault's, with a first epoch too.
    pub another: OpenKek,
    /// What must outlive the keys, such as their directory.
    pub keep: Box<dyn Any>,
}

/// One rule's keys, with short forms. What must succeed panics where it does not.
pub struct Keks {
    /// The provider under test.
    pub kek: Box<dyn KekProvider>,
    open: OpenKek,
    another: OpenKek,
    // Dropped last.
    _keep: Box<dyn Any>,
}

/// Runs one rule on fresh keys. Without any the test is skipped, and whoever makes them says so.
///
/// # Panics
/// Where the provider breaks the rule.
pub fn check_kek(make: impl FnOnce(&str) -> Option<FreshKek>, test: &str, rule: impl FnOnce(&mut Keks)) {
    // The runner leaves out the crate's name.
    let test = test.split_once("::").map_or(test, |(_, name)| name);
    let Some(FreshKek { open, another, keep }) = make(test) else { return };
    rule(&mut Keks { kek: open(), open, another, _keep: keep });
}

/// What must succeed.
#[track_caller]
pub(crate) fn done<T>(result: Result<T, KekError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// Panics unless the call was refused in this way.
macro_rules! assert_refused {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            Err(other) => panic!("expected {}, got {other:?}", stringify!($pattern)),
            Ok(_) => panic!("expected {}, and it was done", stringify!($pattern)),
        }
    };
}
pub(crate) use assert_refused;

pub(crate) fn to_wrap<'a>(secret: &'a [u8], label: &'a [u8]) -> ToWrap<'a> {
    ToWrap { secret, label }
}

pub(crate) fn to_unwrap<'a>(epoch: KekEpoch, wrapped: &'a Wrapped, label: &'a [u8]) -> ToUnwrap<'a> {
    ToUnwrap { epoch, wrapped, label }
}

impl Keks {
    /// The same keys once more, as another process has them.
    pub(crate) fn again(&self) -> Box<dyn KekProvider> {
        (self.open)()
    }

    /// Goes on with a handle that knows nothing of what the former one did.
    pub(crate) fn reopen(&mut self) {
        self.kek = self.again();
    }

    /// Another vault's keys.
    pub(crate) fn another(&self) -> Box<dyn KekProvider> {
        (self.another)()
    }

    pub(crate) fn epochs(&mut self) -> Vec<u32> {
        done(self.kek.epochs()).iter().map(|info| info.epoch.0).collect()
    }

    pub(crate) fn new_epoch(&mut self) -> KekEpoch {
        done(self.kek.new_epoch())
    }

    pub(crate) fn wrap_one(&mut self, epoch: KekEpoch, secret: &[u8], label: &[u8]) -> Wrapped {
        done(self.kek.wrap(epoch, &[to_wrap(secret, label)])).remove(0)
    }

    pub(crate) fn unwrap_one(
        &mut self,
        epoch: KekEpoch,
        wrapped: &Wrapped,
        label: &[u8],
    ) -> Result<Vec<u8>, KekError> {
        let mut secrets = self.kek.unwrap_keys(&[to_unwrap(epoch, wrapped, label)])?;
        Ok(secrets.remove(0).to_vec())
    }
}
