//! What does an upcaster do with personal values, and with plain ones that became personal?

use factum_core::PERSONAL_MEMBER;
use factum_vault::{SEALED_MEMBER, Subject};
use serde_json::{Map, Value, json};

/// Changes the value in a personal one: for upcasters with `with = function`. What was erased or cannot be opened stays as
/// it is, so that nothing made up takes its place.
///
/// What is stored in clear beside the value stays, too.
///
/// # Errors
/// What `change` says, and where it is no personal value.
///
/// ```
/// use factum::map_personal;
/// use serde_json::{Value, json};
///
/// /// Version 1 had the name in one piece.
/// fn in_parts(mut data: Value) -> Result<Value, String> {
///     data["name"] = map_personal(data["name"].take(), |name| {
///         let (first, last) = name.as_str().and_then(|name| name.split_once(' ')).ok_or("it has no two parts")?;
///         Ok(json!({ "first": first, "last": last }))
///     })?;
///     Ok(data)
/// }
///
/// let old = json!({ "name": { "$personal": { "s": "c-1", "v": "Ada Lovelace" } } });
/// let new = json!({ "name": { "$personal": { "s": "c-1", "v": { "first": "Ada", "last": "Lovelace" } } } });
/// assert_eq!(in_parts(old)?, new);
///
/// let erased = json!({ "name": { "$personal": { "k": "AwMDAwMDAwMDAwMDAwMDAw", "e": "an erasure" } } });
/// assert_eq!(in_parts(erased.clone())?, erased);
/// # Ok::<(), String>(())
/// ```
pub fn map_personal(
    personal: Value,
    change: impl FnOnce(Value) -> Result<Value, String>,
) -> Result<Value, String> {
    let mut personal = personal;
    match members(&mut personal) {
        Some(Found::Marker(marker)) => {
            if let Some(value) = marker.get_mut("v") {
                *value = change(value.take())?;
            }
            Ok(personal)
        }
        Some(Found::Sealed) => Ok(personal),
        None => Err("this is no personal value".to_owned()),
    }
}

/// A plain value of an old event as a personal one of `subject`: for upcasters of fields that became personal.
///
/// What is personal already stays as it is, and so does `null`. The old event keeps the value in clear for ever: no erasure
/// reaches it. To forget it, its stream must go.
pub fn fresh_personal(subject: &Subject, value: Value) -> Value {
    let mut value = value;
    if value.is_null() || members(&mut value).is_some() {
        return value;
    }
    json!({ PERSONAL_MEMBER: { "s": subject.expose(), "v": value } })
}

enum Found<'a> {
    Marker(&'a mut Map<String, Value>),
    Sealed,
}

fn members(value: &mut Value) -> Option<Found<'_>> {
    let object = value.as_object_mut().filter(|object| object.len() == 1)?;
    if object.contains_key(SEALED_MEMBER) {
        return Some(Found::Sealed);
    }
    object.get_mut(PERSONAL_MEMBER)?.as_object_mut().map(Found::Marker)
}

/// [`UpcastStep::Personal`](crate::UpcastStep::Personal).
pub(crate) fn make_personal(
    fields: &mut Map<String, Value>,
    field: &str,
    subject: &str,
) -> Result<(), String> {
    let Some(value) = fields.get(field) else { return Ok(()) };
    let named = match fields.get(subject) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(format!("field '{subject}' does not name the subject of '{field}'")),
    };
    let named = Subject::new(named).map_err(|error| format!("field '{subject}': {error}"))?;
    let personal = fresh_personal(&named, value.clone());
    fields.insert(field.to_owned(), personal);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_are_changed() {
        let never = |_| -> Result<Value, String> { panic!("there is no value") };
        for left in [
            json!({"$personal": {"k": "k", "e": "e"}}),
            json!({"$personal": {"u": "vault_down", "c": 7}}),
            json!({"$pii": {"v": 1}}),
        ] {
            assert_eq!(map_personal(left.clone(), never), Ok(left));
        }
        for plain in [json!("ada"), json!({"$personal": 7}), json!({"$personal": {"v": 1}, "more": 1})] {
            let error = map_personal(plain, Ok).unwrap_err();
            assert_eq!(error, "this is no personal value");
        }
        let nulled = map_personal(json!({"$personal": {"s": "a", "v": 1, "c": 2}}), |_| Ok(Value::Null));
        assert_eq!(nulled, Ok(json!({"$personal": {"s": "a", "v": null, "c": 2}})));
    }

    #[test]
    fn a_plain_value_becomes_its_subjects() {
        let made = |mut data: Value| {
            make_personal(data.as_object_mut().unwrap(), "name", "id").map(|()| data.to_string())
        };
        assert_eq!(
            made(json!({"name": "Ada", "id": 7})),
            Ok(r#"{"name":{"$personal":{"s":"7","v":"Ada"}},"id":7}"#.to_owned())
        );
        for left in
            [json!({"id": "c"}), json!({"name": null, "id": "c"}), json!({"name": {"$pii": {}}, "id": "c"})]
        {
            assert_eq!(made(left.clone()), Ok(left.to_string()));
        }
        assert_eq!(
            made(json!({"name": "Ada"})).unwrap_err(),
            "field 'id' does not name the subject of 'name'"
        );
        let error = made(json!({"name": "Ada", "id": "c#1"})).unwrap_err();
        assert!(error.starts_with("field 'id': a subject has no '#'") && !error.contains("c#1"), "{error}");
    }
}
