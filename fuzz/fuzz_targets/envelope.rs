//! Does any text make the parsers of sealed values panic, or find what is not there?
#![no_main]

use std::collections::BTreeMap;

use factum_vault::{Envelope, Marker, SEALED_MEMBER, find_objects};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(envelope) = Envelope::parse(text) {
        let mut written = Vec::new();
        envelope.write(&mut written);
        let found = find_objects(&written, SEALED_MEMBER).expect("what was written is JSON");
        assert_eq!(Envelope::parse(&written[found[0].value.clone()]), Ok(envelope));
    }
    if let Ok(marker) = Marker::parse(text) {
        let mut written = Vec::new();
        marker.write(&mut written);
        let found = find_objects(&written, "$personal").expect("what was written is JSON");
        assert_eq!(Marker::parse(&written[found[0].value.clone()]), Ok(marker));
    }
    for member in [SEALED_MEMBER, "$personal"] {
        let Ok(found) = find_objects(text, member) else { continue };
        let whole: Result<&serde_json::value::RawValue, _> = serde_json::from_slice(text);
        for object in found {
            if whole.is_ok() {
                let members: BTreeMap<String, &serde_json::value::RawValue> =
                    serde_json::from_slice(&text[object.object.clone()]).expect("a part of JSON");
                assert!(members.contains_key(member));
            }
        }
    }
});
