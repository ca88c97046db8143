//! Killed between any two steps, does an erasure go on where it was, and never end half?

use std::sync::Arc;

use factum_core::{EventStore, block_on};
use factum_vault::{ErasureRequest, Ledger};
use serde_json::json;

use crate::faults::{Effect, FaultyKeys, FaultyLog, Fuse};
use crate::house::{House, append, fresh, last, outcome, subject};

/// Every call of the key store and every append of the log, failing before and after its effect: as after a SIGKILL there.
#[test]
fn an_erasure_killed_at_any_step_is_completed_by_asking_again_or_by_opening() {
    let mut interrupted = 0;
    for effect in [Effect::Before, Effect::After] {
        for call in 1.. {
            let house = House::new();
            {
                let store = house.open();
                append(
                    &store,
                    "c-1",
                    &json!({ "name": fresh("ada", &json!("Ada")), "with": fresh("bob", &json!(1)) }),
                )
                .unwrap();
            }
            let fuse = Fuse::never();
            let options = house.options(FaultyKeys { keys: house.keys.clone(), fuse: fuse.clone() });
            let vault = house.try_open(options).unwrap().0;
            let log = FaultyLog { log: house.log.clone() as Arc<dyn EventStore>, fuse: fuse.clone() };
            let asked = ErasureRequest::everything(vault.subject_ref(&subject("ada")), "art. 17", "dpo");
            fuse.set(call, effect);
            let outcome_of_first = block_on(vault.erase(&log, &asked, &[]));
            let blown = fuse.is_blown();
            drop(vault);
            if !blown {
                assert!(outcome_of_first.is_ok());
                break;
            }
            interrupted += 1;
            assert!(outcome_of_first.is_err(), "{effect:?} {call}: nothing is called done before it is");
            let ledger = block_on(Ledger::read(&*house.log)).unwrap();
            let requested = ledger.find(asked.erasure).is_some();
            // What was asked for is carried out when the vault is next opened, before it gives out a key.
            let store = house.open();
            let name = outcome(&last(&store, "c-1"), "name");
            assert_eq!(name, if requested { "erased" } else { "value \"Ada\"" }, "{effect:?} {call}");
            let receipt = block_on(store.vault().erase(&*house.log, &asked, &[])).unwrap();
            assert_eq!(receipt.verify(&store.vault().receipt_key()), Ok(()));
            let data = last(&store, "c-1");
            assert_eq!(
                (outcome(&data, "name").as_str(), outcome(&data, "with").as_str()),
                ("erased", "value 1")
            );
            assert_eq!(receipt.receipt.keys.len(), 1, "{effect:?} {call}");
        }
    }
    assert!(interrupted > 8, "{interrupted}");
}
