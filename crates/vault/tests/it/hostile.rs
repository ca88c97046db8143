//! Do hostile bytes ever make a parser of sealed values panic, or lead it to what is not there?
//!
//! `fuzz/` does the same, guided by coverage and for as long as you like. Here: some hundred thousand texts, made from good
//! ones by chance, the same in every run unless `FACTUM_SEED` says otherwise.

use std::collections::BTreeMap;

use factum_core::NewEvent;
use factum_vault::{Body, Envelope, KeyId, Marker, SALT_BYTES, SEALED_MEMBER, Sealed, find_objects};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{House, append, event, fresh, last, read, stream};

const TEXTS: usize = 200_000;
/// Texts that are appended and read back.
const STORED: usize = 3_000;

struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = std::env::var("FACTUM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        println!("FACTUM_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % limit.max(1) as u64).unwrap()
    }

    /// A text with a few changes: bytes flipped, cut out, copied, or words of the format put in.
    fn change(&mut self, good: &[u8]) -> Vec<u8> {
        const WORDS: [&[u8]; 14] = [
            b"\"$pii\"",
            b"\"$personal\"",
            b"{",
            b"}",
            b"[",
            b"]",
            b"\"",
            b"\\u0024pii",
            b"\\",
            b"null",
            b",",
            b":",
            b"\xff",
            b"1e999",
        ];
        let mut text = good.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(text.len() + 1);
            match self.below(5) {
                0 if at < text.len() => text[at] = u8::try_from(self.below(256)).unwrap(),
                1 => text.truncate(at),
                2 => {
                    let end = at + self.below(text.len() - at + 1);
                    text.drain(at..end);
                }
                3 => {
                    let from = self.below(text.len() + 1);
                    let copied = text[from.min(at)..from.max(at)].to_vec();
                    text.splice(at..at, copied);
                }
                _ => drop(text.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
            }
            text.truncate(4_096);
        }
        text
    }
}

fn good() -> Vec<Vec<u8>> {
    let salt = [5; SALT_BYTES];
    let bodies = [
        (Body::Here(Sealed { salt, bytes: vec![1; 48] }), Some("\"1990\"")),
        (Body::Outside { salt, value: Uuid::from_u128(9) }, None),
        (Body::Erased, None),
    ];
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for (body, partial) in bodies {
        let mut text = Vec::new();
        Envelope { key: KeyId([3; 16]), body, partial }.write(&mut text);
        let sealed: Value = serde_json::from_slice(&text).unwrap();
        let within = json!({ "a": [1, { "b/c~": sealed }, "x\"\\\u{e9}"], "d": { "e": null }, "f": sealed });
        texts.push(serde_json::to_vec(&sealed["$pii"]).unwrap());
        texts.push(within.to_string().into_bytes());
        texts.push(text);
    }
    texts.push(
        json!({ "n": fresh("ada", &json!({ "v": [1, 2] })), "m": [fresh("b", &json!(null))] })
            .to_string()
            .into_bytes(),
    );
    texts.push(br#"{"s":"ada","p":"billing","x":true,"v":{"a":1},"c":"9"}"#.to_vec());
    texts
}

#[test]
fn no_text_makes_a_parser_panic_or_find_what_is_not_there() {
    let (good, mut chance) = (good(), Chance::new());
    let (mut envelopes, mut markers, mut objects) = (0, 0, 0);
    for _ in 0..TEXTS {
        let which = chance.below(good.len());
        let text = chance.change(&good[which]);
        if let Ok(envelope) = Envelope::parse(&text) {
            envelopes += 1;
            let mut written = Vec::new();
            envelope.write(&mut written);
            let found = find_objects(&written, SEALED_MEMBER).unwrap();
            assert_eq!(Envelope::parse(&written[found[0].value.clone()]), Ok(envelope));
        }
        if let Ok(marker) = Marker::parse(&text) {
            markers += 1;
            let mut written = Vec::new();
            marker.write(&mut written);
            let found = find_objects(&written, "$personal").unwrap();
            assert_eq!(Marker::parse(&written[found[0].value.clone()]), Ok(marker));
        }
        let Ok(found) = find_objects(&text, SEALED_MEMBER) else { continue };
        let is_json = serde_json::from_slice::<&RawValue>(&text).is_ok();
        for object in found.iter().filter(|_| is_json) {
            objects += 1;
            // Not a `Value`: that has no number beyond those of the machine.
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_slice(&text[object.object.clone()]).unwrap();
            assert!(members.contains_key(SEALED_MEMBER), "{}", String::from_utf8_lossy(&text));
        }
    }
    assert!(envelopes > 100 && markers > 100 && objects > 1_000, "{envelopes} {markers} {objects}");
}

#[test]
fn whatever_is_in_the_log_is_read_and_nothing_hostile_is_taken_for_a_value() {
    let house = House::new();
    let store = house.open();
    append(&store, "c-1", &json!({ "name": fresh("ada", &json!("Ada")) })).unwrap();
    let sealed = last(&*house.log, "c-1").to_string().into_bytes();
    let mut chance = Chance::new();
    let hostile: Vec<NewEvent> =
        (0..STORED).map(|_| NewEvent { data: chance.change(&sealed).into(), ..event(&json!({})) }).collect();
    let any = factum_core::ExpectedRevision::Any;
    for new in hostile {
        // A text that names the marker's member is refused as unsealed; all others are kept as they are.
        let _ = factum_core::block_on(factum_core::EventStoreExt::append_to(
            &*house.log,
            stream("h-1"),
            any,
            vec![new],
        ));
    }
    let events = read(&store, "h-1");
    assert!(events.len() > STORED / 2);
    for opened in &events {
        let Ok(data) = serde_json::from_slice::<Value>(opened.data_slice()) else { continue };
        assert!(
            !data.to_string().contains("Ada"),
            "a copied or changed value is never opened in another event"
        );
    }
}
