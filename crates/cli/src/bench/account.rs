//! The events that are measured with: 256 bytes of JSON, typed.

use factum::{Decider, Event};
use factum_core::{EventType, NewEvent, StreamName, Tag};

use super::BenchResult;

/// Bytes of one event's data.
pub(super) const EVENT_BYTES: usize = 256;

/// What happens to a measured account.
#[derive(Clone, Debug, Event)]
pub(super) enum AccountEvent {
    Deposited { account: u64, amount: i64, currency: String, reference: String },
}

/// The state that is folded.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(super) struct Balance {
    pub(super) amount: i64,
    pub(super) events: u64,
}

/// A decider that is only loaded, never asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account;

impl Decider for Account {
    type State = Balance;
    type Command = i64;
    type Event = AccountEvent;
    type Rejection = String;

    fn initial_state(&self) -> Balance {
        Balance::default()
    }

    fn evolve(&self, state: &mut Balance, event: &AccountEvent) {
        let AccountEvent::Deposited { amount, .. } = event;
        state.amount += amount;
        state.events += 1;
    }

    fn decide(
        &self,
        state: &Balance,
        command: &i64,
        _context: &factum::Context,
    ) -> Result<Vec<AccountEvent>, String> {
        Ok(vec![AccountEvent::Deposited {
            account: state.events,
            amount: *command,
            currency: "EUR".to_owned(),
            reference: String::new(),
        }])
    }
}

/// The data of the `n`th event.
pub(super) fn data(n: u64) -> Vec<u8> {
    let head = format!(r#"{{"account":{n},"amount":{},"currency":"EUR","reference":""#, n % 1_000);
    let mut text = head.into_bytes();
    text.resize(EVENT_BYTES - 2, b'r');
    text.extend_from_slice(b"\"}");
    text
}

/// The `n`th event.
pub(super) fn event(n: u64) -> BenchResult<NewEvent> {
    Ok(NewEvent::json(EventType::new("Deposited")?, data(n)))
}

/// The stream of account `n`.
pub(super) fn stream(n: u64) -> BenchResult<StreamName> {
    Ok(StreamName::new(format!("account-{n}"))?)
}

/// The tag of account `n`.
pub(super) fn tag(n: u64) -> BenchResult<Tag> {
    Ok(Tag::new(format!("account:{n}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_size_that_is_said_and_decode() {
        for n in [0, 7, 10_000_000] {
            assert_eq!(data(n).len(), EVENT_BYTES);
            let decoded = AccountEvent::decode("Deposited", &data(n)).unwrap();
            assert!(matches!(decoded, AccountEvent::Deposited { account, .. } if account == n));
        }
    }
}
