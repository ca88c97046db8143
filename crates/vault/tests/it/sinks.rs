//! Does a receipt name who was handed the data, and who of them has said that it forgot it?

use factum_core::{ErrorKind, block_on};
use factum_vault::{ErasureRequest, Ledger, MAX_SINK_BYTES, MAX_SINKS, SealingStore, SinkName};
use serde_json::json;

use crate::house::{House, append, fresh, subject};

fn sink(name: &str) -> SinkName {
    SinkName::new(name).unwrap()
}

fn customers(store: &SealingStore) {
    for (stream, who) in [("c-1", "ada"), ("c-2", "bob")] {
        append(store, stream, &json!({ "name": fresh(who, &json!(who)) })).unwrap();
    }
}

#[test]
fn a_receipt_names_every_sink_and_whether_it_has_acknowledged() {
    let house = House::new();
    let store = house.open();
    let vault = store.vault();
    customers(&store);
    let (ada, bob) = (vault.subject_ref(&subject("ada")), vault.subject_ref(&subject("bob")));
    let add = |name, of| block_on(vault.add_sink(&*house.log, &sink(name), of, "told by mail")).unwrap();
    assert!(
        add("mailing", None) && add("export", Some(ada)) && add("export", Some(bob)) && add("gone", None)
    );
    assert!(!add("mailing", None), "it is known");
    assert!(block_on(vault.remove_sink(&*house.log, &sink("gone"), "dpo")).unwrap());
    assert!(!block_on(vault.remove_sink(&*house.log, &sink("gone"), "dpo")).unwrap());

    let asked = ErasureRequest::everything(ada, "art. 17", "dpo");
    let other = ErasureRequest::everything(bob, "art. 17", "dpo");
    let receipt = block_on(vault.erase(&*house.log, &asked, &[])).unwrap();
    let silent = |receipt: &factum_vault::SignedReceipt| -> Vec<String> {
        let places = receipt.receipt.not_reached.iter().filter(|place| place.kind == "sink");
        places.map(|place| place.name.clone()).collect()
    };
    assert_eq!(silent(&receipt), ["export", "mailing"]);
    assert!(receipt.receipt.reached.iter().all(|place| place.kind != "sink"));

    let ack = |erasure, name| block_on(vault.acknowledge(&*house.log, erasure, &sink(name), "clerk"));
    assert!(ack(asked.erasure, "mailing").unwrap());
    assert!(!ack(asked.erasure, "mailing").unwrap(), "once is enough");
    assert_eq!(ack(asked.erasure, "gone").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(ack(factum_vault::ErasureId::generate(), "mailing").unwrap_err().kind(), ErrorKind::Invalid);
    let ledger = block_on(Ledger::read(&*house.log)).unwrap();
    assert_eq!(ledger.unacknowledged(asked.erasure), [&sink("export")]);
    assert_eq!(ledger.foreign, 0);
    assert_eq!(block_on(vault.erase(&*house.log, &asked, &[])).unwrap(), receipt, "a receipt stays as it is");

    // Who acknowledges before the receipt is written is in it.
    struct Slow;
    impl factum_vault::ErasureHandler for Slow {
        fn forget<'a>(
            &'a self,
            _: &'a factum_vault::KeysDestroyed,
            _: factum_core::Position,
        ) -> factum_core::BoxFuture<'a, factum_vault::Reached> {
            let slow = factum_vault::Reach { kind: "x".into(), name: "x".into(), how: "slow".into() };
            Box::pin(async { Err(vec![slow]) })
        }
    }
    block_on(vault.erase(&*house.log, &other, &[&Slow])).unwrap_err();
    assert!(ack(other.erasure, "mailing").unwrap());
    let receipt = block_on(vault.erase(&*house.log, &other, &[])).unwrap();
    assert_eq!(silent(&receipt), ["export"]);
    let reached = receipt.receipt.reached.iter().find(|place| place.kind == "sink").unwrap();
    assert!(reached.name == "mailing" && reached.how.contains("by clerk"), "{reached}");
}

#[test]
fn sinks_have_limits() {
    assert!(SinkName::new("x".repeat(MAX_SINK_BYTES)).is_ok());
    for wrong in ["", "a b", "a@b.org", &"x".repeat(MAX_SINK_BYTES + 1)] {
        assert!(SinkName::new(wrong).is_err(), "{wrong}");
    }
    let house = House::new();
    let store = house.open();
    let add = |n: usize| {
        block_on(store.vault().add_sink(&*house.log, &sink(&format!("s-{n}")), None, &"x".repeat(n)))
    };
    assert!(add(factum_vault::MAX_REASON_BYTES).unwrap());
    assert_eq!(add(factum_vault::MAX_REASON_BYTES + 1).unwrap_err().kind(), ErrorKind::Invalid);
    let ada = store.vault().subject_ref(&subject("ada"));
    let add = |n: usize, of| {
        block_on(store.vault().add_sink(&*house.log, &sink(&format!("t-{n}")), of, "")).map_err(|e| e.kind())
    };
    for n in 1..MAX_SINKS {
        assert_eq!(add(n, Some(ada)), Ok(true));
    }
    assert_eq!(add(MAX_SINKS, Some(ada)), Err(ErrorKind::Invalid));
    // Another subject's are not counted.
    assert_eq!(add(MAX_SINKS, Some(store.vault().subject_ref(&subject("bob")))), Ok(true));
}
