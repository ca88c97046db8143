//! Which of a token's objects are the vault's keys?

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use factum_core::Timestamp;

use super::super::{EpochInfo, KekEpoch, KekError};
use super::link::Failure;

/// AES-256.
const KEY_BYTES: usize = 32;

/// The keys whose labels begin in a certain way.
pub(super) struct Keys {
    label: String,
    description: String,
}

/// The key of one epoch. Two processes that rotate at once may make two for the same epoch: both are kept, until both are
/// destroyed.
pub(super) struct Key {
    pub(super) info: EpochInfo,
    objects: Vec<ObjectHandle>,
}

impl Keys {
    pub(super) fn new(label: String, description: String) -> Self {
        Self { label, description }
    }

    pub(super) fn no_epoch(&self, epoch: KekEpoch) -> KekError {
        KekError::NoEpoch { provider: self.description.clone(), epoch }
    }

    pub(super) fn not_ours(&self, epoch: KekEpoch) -> KekError {
        KekError::NotOurs { provider: self.description.clone(), epoch }
    }

    pub(super) fn none(&self) -> KekError {
        let why = format!(
            "the token has no key labelled '{}-1' or later: give the vault's token, or restore it; without its keys no \
             personal data can be read",
            self.label
        );
        KekError::Misconfigured { provider: self.description.clone(), why }
    }

    fn label_of(&self, epoch: KekEpoch) -> Attribute {
        Attribute::Label(format!("{}-{epoch}", self.label).into_bytes())
    }

    fn epoch_of(&self, label: &[u8]) -> Option<KekEpoch> {
        let number = std::str::from_utf8(label).ok()?.strip_prefix(&self.label)?.strip_prefix('-')?;
        // As it is written, so that an epoch has one label.
        let epoch = KekEpoch(number.parse().ok()?);
        (epoch.0 > 0 && epoch.to_string() == number).then_some(epoch)
    }

    /// All of them, the oldest epoch first.
    pub(super) fn list(&self, session: &Session) -> Result<Vec<Key>, Failure> {
        let mut keys: Vec<Key> = Vec::new();
        for object in session.find_objects(&[secret_key(), aes(), Attribute::Token(true)])? {
            let asked = [
                AttributeType::Label,
                AttributeType::Id,
                AttributeType::Sensitive,
                AttributeType::Extractable,
            ];
            let attributes = match session.get_attributes(object, &asked).map_err(Failure::from) {
                Ok(attributes) => attributes,
                // Somebody destroyed it since it was found.
                Err(failure) if failure.is_no_object() => continue,
                Err(failure) => return Err(failure),
            };
            let (mut epoch, mut created, mut stays) = (None, None, true);
            for attribute in attributes {
                match attribute {
                    Attribute::Label(label) => epoch = self.epoch_of(&label),
                    Attribute::Id(id) => {
                        created = id.try_into().ok().map(|id| Timestamp(i64::from_be_bytes(id)));
                    }
                    Attribute::Sensitive(sensitive) => stays &= sensitive,
                    Attribute::Extractable(extractable) => stays &= !extractable,
                    _ => {}
                }
            }
            let Some(epoch) = epoch else { continue };
            if !stays {
                let why = format!(
                    "the key of epoch {epoch} may leave the token: destroy it, and let one be made here"
                );
                return Err(Failure::Misconfigured(why));
            }
            match keys.iter_mut().find(|key| key.info.epoch == epoch) {
                Some(key) => key.objects.push(object),
                None => keys.push(Key { info: EpochInfo { epoch, created }, objects: vec![object] }),
            }
        }
        keys.sort_by_key(|key| key.info.epoch);
        Ok(keys)
    }

    /// The objects of one epoch, at least one.
    pub(super) fn of(&self, session: &Session, epoch: KekEpoch) -> Result<Vec<ObjectHandle>, Failure> {
        let template = [secret_key(), aes(), Attribute::Token(true), self.label_of(epoch)];
        let objects = session.find_objects(&template)?;
        if objects.is_empty() { Err(self.no_epoch(epoch).into()) } else { Ok(objects) }
    }

    pub(super) fn generate(&self, session: &Session, epoch: KekEpoch, now: Timestamp) -> Result<(), Failure> {
        let template = [
            secret_key(),
            aes(),
            Attribute::ValueLen(KEY_BYTES.try_into()?),
            self.label_of(epoch),
            Attribute::Id(now.0.to_be_bytes().to_vec()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::Derive(false),
            Attribute::Sign(false),
            Attribute::Verify(false),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template)?;
        Ok(())
    }

    pub(super) fn destroy(&self, session: &Session, key: &Key) -> Result<(), Failure> {
        for object in &key.objects {
            match session.destroy_object(*object).map_err(Failure::from) {
                Err(failure) if !failure.is_no_object() => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn check_none_before(&self, session: &Session, keep: KekEpoch) -> Result<(), Failure> {
        match self.list(session)?.iter().find(|key| key.info.epoch < keep) {
            None => Ok(()),
            Some(key) => {
                let why =
                    format!("the key of epoch {} is still there after it was destroyed", key.info.epoch);
                Err(Failure::Unreachable(why))
            }
        }
    }
}

fn secret_key() -> Attribute {
    Attribute::Class(ObjectClass::SECRET_KEY)
}

fn aes() -> Attribute {
    Attribute::KeyType(KeyType::AES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_one_label() {
        let keys = Keys::new("factum-kek".to_owned(), "the token".to_owned());
        assert_eq!(keys.epoch_of(b"factum-kek-12"), Some(KekEpoch(12)));
        for other in [
            "factum-kek-0",
            "factum-kek-01",
            "factum-kek-+1",
            "factum-kek-",
            "factum-kek-1 ",
            "kek-1",
            "factum-keks-1",
        ] {
            assert_eq!(keys.epoch_of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(keys.epoch_of(b"factum-kek-4294967296"), None);
    }
}
