//! What does a path give that leads to personal data, and which paths give nothing because of it?

use factum_core::PERSONAL_MEMBER;
use factum_core::read_model::{PersonalData, Value};
use factum_vault::{SEALED_MEMBER, Unavailable, key_id};
use serde_json::Value as Json;

use super::parameter::{of_json, refused};
use crate::projection::ApplyError;

/// The step from personal data to the reference of its subject.
const SUBJECT_STEP: &str = "$subject";
/// The step to the id of the key that sealed it, as `$keysDestroyed` names it.
const KEY_STEP: &str = "$key";

/// The value under `steps`; `None` where there is none. Through personal data as through any other, where the rows forget.
pub(super) fn value(
    data: &Json,
    steps: &[String],
    personal: PersonalData,
) -> Result<Option<Value<'static>>, ApplyError> {
    let mut at = data;
    let mut steps = steps.iter();
    loop {
        if let Some(marker) = marker_of(at)? {
            if personal == PersonalData::None {
                return Err(refused(
                    "the path leads to personal data, and the declaration does not say how its rows forget it: add \
                     statements on '$keysDestroyed', or personal = \"rebuilt\"",
                ));
            }
            if let Some(reason) = marker["u"].as_str() {
                return Err(Unavailable::from_word(reason).unwrap_or(Unavailable::Malformed).into());
            }
            if steps.as_slice().first().is_some_and(|step| step == SUBJECT_STEP) {
                let owner = marker["o"].as_str().unwrap_or_default();
                return Ok(Some(Value::from(owner.split('#').next().unwrap_or_default().to_owned())));
            }
            if steps.as_slice().first().is_some_and(|step| step == KEY_STEP) {
                let key = marker["k"].as_str().and_then(key_id);
                return Ok(Some(key.map(|key| key.to_string()).into()));
            }
            match marker.get("v") {
                Some(value) => at = value,
                None => return Ok(Some(Value::Null)),
            }
        }
        let Some(step) = steps.next() else { break };
        let next = match at {
            Json::Object(members) => members.get(step),
            Json::Array(elements) => step.parse::<usize>().ok().and_then(|index| elements.get(index)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    if holds_personal_data(at) {
        return Err(refused(
            "the path leads to an object or array with personal data inside: name the values one by one",
        ));
    }
    Ok(Some(of_json(at)))
}

/// What is under `$personal`, where this is personal data that a vault opened.
fn marker_of(value: &Json) -> Result<Option<&Json>, ApplyError> {
    match value.as_object() {
        Some(members) if members.len() == 1 => match members.get(PERSONAL_MEMBER) {
            Some(marker) => Ok(Some(marker)),
            None if members.contains_key(SEALED_MEMBER) => Err(Unavailable::NoVault.into()),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn holds_personal_data(value: &Json) -> bool {
    match value {
        Json::Object(members) => {
            members.contains_key(PERSONAL_MEMBER)
                || members.contains_key(SEALED_MEMBER)
                || members.values().any(holds_personal_data)
        }
        Json::Array(elements) => elements.iter().any(holds_personal_data),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWNER: &str = "07070707070707070707070707070707#billing";

    fn at(data: &Json, path: &str, personal: PersonalData) -> Result<Option<Value<'static>>, String> {
        let steps: Vec<String> = path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect();
        value(data, &steps, personal).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_goes_through_personal_data_where_the_rows_forget() {
        let opened =
            json!({ "$personal": { "k": "AwMDAwMDAwMDAwMDAwMDAw", "o": OWNER, "v": { "city": "Delft" } } });
        let data =
            json!({ "address": opened, "gone": { "$personal": { "k": "k", "e": "e", "o": OWNER } }, "n": 1 });
        let known = |path| at(&data, path, PersonalData::Forgotten);
        assert_eq!(known("address.city"), Ok(Some(Value::from("Delft"))));
        assert_eq!(known("address.$subject"), Ok(Some(Value::from("07070707070707070707070707070707"))));
        assert_eq!(known("address.$key"), Ok(Some(Value::from("03".repeat(16)))));
        assert_eq!(known("gone"), Ok(Some(Value::Null)));
        assert_eq!(known("gone.city"), Ok(Some(Value::Null)));
        assert_eq!(known("n"), Ok(Some(Value::Integer(1))));
        assert!(known("").unwrap_err().contains("one by one"));
    }

    #[test]
    fn rows_that_do_not_forget_take_no_personal_data() {
        let data = json!({ "name": { "$personal": { "k": "k", "o": OWNER, "v": "Ada" } }, "n": 1 });
        for path in ["name", "name.$subject", ""] {
            let error = at(&data, path, PersonalData::None).unwrap_err();
            assert!(!error.contains("Ada"), "{error}");
        }
        assert_eq!(at(&data, "n", PersonalData::None), Ok(Some(Value::Integer(1))));
    }

    #[test]
    fn what_cannot_be_opened_is_no_null() {
        let down = json!({ "name": { "$personal": { "u": "vault_down" } } });
        let steps = ["name".to_owned()];
        let error = value(&down, &steps, PersonalData::Rebuilt).unwrap_err();
        assert!(matches!(error, ApplyError::Unavailable(_)), "{error}");
        let sealed = json!({ "name": { "$pii": { "v": 1 } } });
        let error = value(&sealed, &steps, PersonalData::Rebuilt).unwrap_err();
        assert!(error.to_string().contains("vault"), "{error}");
    }
}
