//! Hashes of passwords, and who may make the server compute them.
//!
//! A hash takes tens of milliseconds and 19 MiB by design, and anybody may ask for one by sending a password. So few are
//! computed at once, few wait, and the rest are refused; a password that was found right or wrong is remembered by a
//! keyed hash, so that those who are known never wait. What is remembered includes the stored hash: once the user's
//! password changes, it is of no use.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params, PasswordHash};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{Known, MAX_PASSWORD_BYTES, Secret};

/// Most hashes that are computed at once.
const MAX_AT_ONCE: usize = 4;
/// Most that wait for one to be computed.
const MAX_WAITING: usize = 64;
/// Most of those that come from one address: others get a turn while it floods the server.
const MAX_OF_ADDRESS: usize = 16;
/// The part of an IPv6 address that one subscriber has for itself, as a mask.
const NETWORK: u128 = !0 << 64;
/// Right passwords that are remembered.
const MAX_RIGHT: usize = 4_096;
/// Wrong passwords that are remembered, apart from the right ones so that they cannot push those out.
const MAX_WRONG: usize = 4_096;
/// Most memory that a stored hash may ask for, in KiB. An administrator can store any.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes that a stored hash may ask for.
const MAX_PASSES: u32 = 16;
/// A hash that no password has, in the place of a user who is not there: both answers take equally long.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Too many hashes of passwords are wanted at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at once: try again")]
pub struct Overloaded;

type Fingerprint = [u8; 32];

#[derive(Default)]
struct Remembered {
    right: HashSet<Fingerprint>,
    wrong: HashSet<Fingerprint>,
}

/// Makes and checks hashes.
pub(crate) struct Passwords {
    /// Makes fingerprints that nobody else can: how long their comparison takes tells nothing.
    key: Fingerprint,
    /// Behind a lock that is held for a look-up.
    remembered: Mutex<Remembered>,
    /// What is being checked: a second one of the same waits for the first, and takes no place.
    under_way: Mutex<HashMap<Fingerprint, Arc<tokio::sync::Mutex<()>>>>,
    at_once: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// How many places each address has. Behind a lock that is held to count.
    addresses: Addresses,
}

type Addresses = Arc<Mutex<HashMap<IpAddr, usize>>>;

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    pub(crate) fn new() -> Self {
        // Half of the processors at most: the rest goes on serving.
        let half = std::thread::available_parallelism().map_or(1, NonZero::get) / 2;
        let random = [Uuid::new_v4(), Uuid::new_v4()];
        let mut key = Sha256::new();
        random.iter().for_each(|random| key.update(random.as_bytes()));
        Self {
            key: key.finalize().into(),
            remembered: Mutex::default(),
            under_way: Mutex::default(),
            at_once: Arc::new(Semaphore::new(half.clamp(1, MAX_AT_ONCE))),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            addresses: Addresses::default(),
        }
    }

    /// The hash of a new password, as a PHC string.
    ///
    /// # Errors
    /// `Overloaded` where too many are wanted at once.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String, Overloaded> {
        let place = self.place(None).await?;
        let password = password.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let _place = place;
            Argon2::default().hash_password(password.expose().as_bytes()).map(|hash| hash.to_string())
        });
        // It fails only where the system has no randomness or no thread.
        hashed.await.ok().and_then(Result::ok).ok_or(Overloaded)
    }

    /// Whether `password`, which comes from an address, is the one of `user`. Of a user who is not there it never is.
    ///
    /// # Errors
    /// `Overloaded` where too many are checked at once.
    pub(crate) async fn check(
        &self,
        login: &str,
        password: &Secret,
        user: Option<&Known>,
        from: Option<IpAddr>,
    ) -> Result<bool, Overloaded> {
        if password.expose().len() > MAX_PASSWORD_BYTES {
            return Ok(false);
        }
        let stored = user.map_or(NOBODY, Known::hash);
        let fingerprint = self.fingerprint(login, stored, password);
        if let Some(known) = self.recall(&fingerprint) {
            return Ok(known);
        }
        let turn = self.turn(fingerprint);
        let _mine = turn.lock.lock().await;
        // Whoever asked the same before may have been answered by now.
        if let Some(known) = self.recall(&fingerprint) {
            return Ok(known);
        }
        let place = self.place(from).await?;
        let (secret, stored) = (password.clone(), stored.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            let _place = place;
            verify(&secret, &stored)
        });
        let right = verified.await.map_err(|_| Overloaded)? && user.is_some();
        self.remember(fingerprint, right);
        Ok(right)
    }

    /// A place among those that are computed; it is kept until the computation ends, even if nobody waits for it any more.
    async fn place(&self, from: Option<IpAddr>) -> Result<Place, Overloaded> {
        let share = from.map(|address| Share::take(&self.addresses, address)).transpose()?;
        let waiting = self.waiting.clone().try_acquire_owned().map_err(|_| Overloaded)?;
        let at_once = self.at_once.clone().acquire_owned().await.map_err(|_| Overloaded)?;
        Ok(Place { _share: share, _waiting: waiting, _at_once: at_once })
    }

    fn turn(&self, fingerprint: Fingerprint) -> Turn<'_> {
        let lock = self.under_way().entry(fingerprint).or_default().clone();
        Turn { passwords: self, fingerprint, lock }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Fingerprint, Arc<tokio::sync::Mutex<()>>>> {
        // A thread that panicked under the lock left a map that is whole.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fingerprint(&self, login: &str, stored: &str, password: &Secret) -> Fingerprint {
        let mut hash = Sha256::new_with_prefix(self.key);
        for part in [login, stored, password.expose()] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        // The key on both sides: a hash that is known cannot be continued.
        hash.update(self.key);
        hash.finalize().into()
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // A thread that panicked under the lock left two sets that are whole.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, fingerprint: &Fingerprint) -> Option<bool> {
        let remembered = self.lock();
        let right = remembered.right.contains(fingerprint);
        (right || remembered.wrong.contains(fingerprint)).then_some(right)
    }

    fn remember(&self, fingerprint: Fingerprint, right: bool) {
        let mut remembered = self.lock();
        let Remembered { right: rights, wrong: wrongs } = &mut *remembered;
        let (set, most) = if right { (rights, MAX_RIGHT) } else { (wrongs, MAX_WRONG) };
        if set.len() >= most {
            set.clear();
        }
        set.insert(fingerprint);
    }
}

/// A place among those that are computed.
struct Place {
    _share: Option<Share>,
    _waiting: OwnedSemaphorePermit,
    _at_once: OwnedSemaphorePermit,
}

/// One of the places that an address may have.
struct Share {
    addresses: Addresses,
    address: IpAddr,
}

impl Share {
    fn take(addresses: &Addresses, address: IpAddr) -> Result<Self, Overloaded> {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
            address => address,
        };
        {
            let mut counts = addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= MAX_OF_ADDRESS {
                return Err(Overloaded);
            }
            *count += 1;
        }
        Ok(Self { addresses: addresses.clone(), address })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// One of those that wait for the same check. The last one clears up.
struct Turn<'a> {
    passwords: &'a Passwords,
    fingerprint: Fingerprint,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = self.passwords.under_way();
        // This one and the map's: the lock is copied only under the map's lock, so nobody else can come.
        if Arc::strong_count(&self.lock) == 2 {
            under_way.remove(&self.fingerprint);
        }
    }
}

/// Whether the password has this hash. A hash that is none, or that asks for too much, is no password's.
fn verify(password: &Secret, stored: &str) -> bool {
    let Ok(hash) = PasswordHash::new(stored) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
        return false;
    }
    Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::record::UserRecord;

    fn user(hash: &str) -> Known {
        UserRecord::new("ada".to_owned(), String::new(), Vec::new(), hash.to_owned()).into()
    }

    #[tokio::test]
    async fn a_hash_is_of_one_password_and_never_the_same_twice() {
        let passwords = Passwords::new();
        let secret = Secret::new("lovelace");
        let hash = passwords.hash(&secret).await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(&secret).await.expect("a hash"));
        let ada = user(&hash);
        for _ in 0..2 {
            assert_eq!(passwords.check("ada", &secret, Some(&ada), None).await, Ok(true));
            assert_eq!(passwords.check("ada", &Secret::new("Lovelace"), Some(&ada), None).await, Ok(false));
            assert_eq!(passwords.check("ada", &secret, None, None).await, Ok(false));
        }
    }

    #[tokio::test]
    async fn what_was_right_is_forgotten_with_the_hash() {
        let passwords = Passwords::new();
        let (old, new) = (Secret::new("old"), Secret::new("new"));
        let before = user(&passwords.hash(&old).await.expect("a hash"));
        let after = user(&passwords.hash(&new).await.expect("a hash"));
        assert_eq!(passwords.check("ada", &old, Some(&before), None).await, Ok(true));
        assert_eq!(passwords.check("ada", &old, Some(&after), None).await, Ok(false));
        assert_eq!(passwords.check("ada", &new, Some(&after), None).await, Ok(true));
    }

    #[tokio::test]
    async fn hashes_that_are_none_or_ask_for_too_much_are_of_no_password() {
        let passwords = Passwords::new();
        let salt = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let huge = format!("$argon2id$v=19$m=4000000,t=2,p=1${salt}");
        let slow = format!("$argon2id$v=19$m=19456,t=4000000,p=1${salt}");
        for hash in ["", "x", "bmV2ZXI=", "$argon2id$", NOBODY, &huge, &slow] {
            assert_eq!(
                passwords.check("ada", &Secret::new("x"), Some(&user(hash)), None).await,
                Ok(false),
                "{hash}"
            );
        }
        assert!(PasswordHash::new(NOBODY).is_ok_and(|hash| Params::try_from(&hash).is_ok()));
    }

    #[tokio::test]
    async fn a_flood_of_wrong_passwords_is_bounded_and_those_who_are_known_do_not_notice() {
        let passwords = Arc::new(Passwords::new());
        let secret = Secret::new("right");
        let ada = Arc::new(user(&passwords.hash(&secret).await.expect("a hash")));
        assert_eq!(passwords.check("ada", &secret, Some(&ada), None).await, Ok(true));
        // Nothing is computed until the end of the look at it.
        let at_once = u32::try_from(passwords.at_once.available_permits()).expect("a few");
        let pause = passwords.at_once.clone().acquire_many_owned(at_once).await.expect("open");
        let mut flood = tokio::task::JoinSet::new();
        for n in 0..(MAX_WAITING * 3) {
            let (passwords, ada) = (passwords.clone(), ada.clone());
            flood.spawn(async move {
                passwords.check("ada", &Secret::new(format!("wrong {n}")), Some(&ada), None).await
            });
        }
        while passwords.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.check("ada", &secret, Some(&ada), None).await, Ok(true));
        assert_eq!(passwords.check("bob", &secret, None, None).await, Err(Overloaded));
        drop(pause);
        let outcomes = flood.join_all().await;
        assert!(outcomes.iter().all(|outcome| *outcome != Ok(true)));
        assert!(outcomes.contains(&Ok(false)));
        assert_eq!(passwords.waiting.available_permits(), MAX_WAITING);
        assert!(passwords.under_way().is_empty());
    }

    #[tokio::test]
    async fn many_with_the_same_password_are_one_check() {
        let passwords = Arc::new(Passwords::new());
        let ada = Arc::new(user(&passwords.hash(&Secret::new("right")).await.expect("a hash")));
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..(MAX_WAITING * 3) {
            let (passwords, ada) = (passwords.clone(), ada.clone());
            calls.spawn(async move {
                let right = Secret::new("right");
                let check = passwords.check("ada", &right, Some(&ada), None);
                // Some do not wait for the answer.
                if n % 7 == 0 { futures_util::FutureExt::now_or_never(check) } else { Some(check.await) }
            });
        }
        let outcomes = calls.join_all().await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, None | Some(Ok(true)))), "{outcomes:?}");
        assert!(passwords.under_way().is_empty());
    }

    #[tokio::test]
    async fn one_address_does_not_take_every_place() {
        let passwords = Arc::new(Passwords::new());
        let at_once = u32::try_from(passwords.at_once.available_permits()).expect("a few");
        let pause = passwords.at_once.clone().acquire_many_owned(at_once).await.expect("open");
        let address = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let mut flood = tokio::task::JoinSet::new();
        for n in 0..MAX_WAITING {
            let passwords = passwords.clone();
            let from = address(&format!("2001:db8::{n:x}"));
            flood.spawn(async move { passwords.check("x", &Secret::new(format!("{n}")), None, from).await });
        }
        while passwords.waiting.available_permits() > MAX_WAITING - MAX_OF_ADDRESS {
            tokio::task::yield_now().await;
        }
        let secret = Secret::new("y");
        assert_eq!(passwords.check("x", &secret, None, address("2001:db8::ffff")).await, Err(Overloaded));
        let (other, mapped) = (address("2001:db8:0:1::1"), address("::ffff:10.0.0.1"));
        let others = async {
            tokio::join!(
                passwords.check("x", &secret, None, other),
                passwords.check("z", &secret, None, mapped)
            )
        };
        let release = async { drop(pause) };
        assert_eq!(tokio::join!(others, release).0, (Ok(false), Ok(false)));
        let outcomes = flood.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(false)).count(), MAX_OF_ADDRESS);
        assert!(passwords.addresses.lock().expect("counts").is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let passwords = Passwords::new();
        let fingerprint = |n: usize| passwords.fingerprint(&n.to_string(), "", &Secret::new(""));
        passwords.remember(fingerprint(usize::MAX), true);
        for n in 0..(MAX_WRONG + 10) {
            passwords.remember(fingerprint(n), false);
        }
        assert_eq!(passwords.recall(&fingerprint(usize::MAX)), Some(true));
        assert_eq!(passwords.lock().wrong.len(), 10);
    }

    #[test]
    fn parts_of_a_fingerprint_do_not_run_into_each_other() {
        let passwords = Passwords::new();
        let of = |login, stored, password: &str| passwords.fingerprint(login, stored, &Secret::new(password));
        assert_ne!(of("ab", "", "c"), of("a", "", "bc"));
        assert_ne!(of("a", "b", "c"), of("a", "", "bc"));
        assert_ne!(of("a", "b", "c"), Passwords::new().fingerprint("a", "b", &Secret::new("c")));
        assert!(!format!("{passwords:?}").contains(&format!("{:?}", passwords.key)));
    }
}
