//! A user as its stream has it: one JSON object, in KurrentDB's form.

use std::fmt;

use factum_core::{EventType, NewEvent, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Standing, User};

/// The object. KurrentDB has written the names of its members in both cases.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UserRecord {
    #[serde(alias = "loginName")]
    login_name: String,
    #[serde(alias = "fullName", default)]
    full_name: Option<String>,
    #[serde(alias = "salt", default)]
    salt: Option<String>,
    #[serde(alias = "hash", default)]
    hash: Option<String>,
    #[serde(alias = "disabled", default)]
    disabled: bool,
    #[serde(alias = "groups", default)]
    groups: Option<Vec<String>>,
}

impl UserRecord {
    pub(super) fn new(login: String, full_name: String, groups: Vec<String>, hash: String) -> Self {
        Self {
            login_name: login,
            full_name: Some(full_name),
            salt: Some(String::new()),
            hash: Some(hash),
            disabled: false,
            groups: Some(groups),
        }
    }

    /// Reads it; `None` where it is not a user, or another one than `login`.
    pub(super) fn parse(login: &str, data: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(data).ok().filter(|record| record.login_name == login)
    }

    pub(super) fn to_event(&self, event_type: EventType) -> NewEvent {
        // Text, lists of text and a bool are always JSON.
        NewEvent::json(event_type, serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn login(&self) -> &str {
        &self.login_name
    }

    pub(super) fn rename(&mut self, full_name: String, groups: Vec<String>) {
        self.full_name = Some(full_name);
        self.groups = Some(groups);
    }

    /// Says whether anything changed.
    pub(super) fn stand(&mut self, standing: Standing) -> bool {
        let disabled = standing == Standing::Disabled;
        std::mem::replace(&mut self.disabled, disabled) != disabled
    }

    /// The salt of argon2id is in its PHC string.
    pub(super) fn set_hash(&mut self, hash: String) {
        self.salt = Some(String::new());
        self.hash = Some(hash);
    }

    pub(super) fn into_user(self, last_updated: Timestamp) -> User {
        User {
            login: self.login_name,
            full_name: self.full_name.unwrap_or_default(),
            groups: self.groups.unwrap_or_default(),
            standing: if self.disabled { Standing::Disabled } else { Standing::Enabled },
            last_updated,
        }
    }
}

/// What is needed to let a user in, and to say what it may do.
pub(crate) struct Known(UserRecord);

impl From<UserRecord> for Known {
    fn from(record: UserRecord) -> Self {
        Self(record)
    }
}

impl Known {
    /// A user as this text has it, for tests of others.
    #[cfg(test)]
    pub(crate) fn of_text(login: &str, data: &[u8]) -> Self {
        UserRecord::parse(login, data).expect("a user").into()
    }

    pub(crate) fn login(&self) -> &str {
        &self.0.login_name
    }

    pub(crate) fn groups(&self) -> &[String] {
        self.0.groups.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.0.disabled
    }

    /// The hash of its password; of a user without one, no password has it.
    pub(crate) fn hash(&self) -> &str {
        self.0.hash.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("login", &self.login()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_kurrentdb_writes_it_and_read_in_both_cases() {
        let record = UserRecord::new(
            "ada".to_owned(),
            "Ada L.".to_owned(),
            vec!["g".to_owned()],
            "$argon2id$".to_owned(),
        );
        let event = record.to_event(EventType::new("$UserCreated").expect("a type"));
        let text = r#"{"LoginName":"ada","FullName":"Ada L.","Salt":"","Hash":"$argon2id$","Disabled":false,"Groups":["g"]}"#;
        assert_eq!(event.data, text);
        let old =
            br#"{"loginName":"ada","fullName":"A","salt":"s","hash":"h","disabled":true,"groups":null}"#;
        let known = Known::from(UserRecord::parse("ada", old).expect("a user"));
        assert!(known.is_disabled() && known.groups().is_empty() && known.hash() == "h");
    }

    #[test]
    fn what_is_no_user_or_another_one_is_none() {
        for data in ["", "7", "{}", "[]", "{\"LoginName\":7}", "{\"LoginName\":\"bob\"}"] {
            assert!(UserRecord::parse("ada", data.as_bytes()).is_none(), "{data}");
        }
    }

    #[test]
    fn its_hash_is_not_shown() {
        let data = br#"{"LoginName":"ada","Hash":"hush"}"#;
        let known = Known::from(UserRecord::parse("ada", data).expect("a user"));
        assert!(!format!("{known:?}").contains("hush"));
    }
}
