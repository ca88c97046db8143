//! The access list of a stream, and what stands in its place where it says nothing.
//!
//! For each right: what the stream's own `$acl` says, else what `$settings` says of streams of its kind, else the
//! built-in default (streams of users: everybody who has signed in; system streams: administrators). A list that is not
//! one lets nobody in but administrators: whoever wrote it wanted to keep somebody out.

use serde_json::Value;

use super::{ADMIN, ADMINS, Action, EVERYBODY};
use crate::operations::OPERATIONS_STREAM;

/// What may be done to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Write,
    Delete,
    ReadMetadata,
    WriteMetadata,
}

impl Right {
    fn key(self) -> &'static str {
        match self {
            Right::Read => "$r",
            Right::Write => "$w",
            Right::Delete => "$d",
            Right::ReadMetadata => "$mr",
            Right::WriteMetadata => "$mw",
        }
    }
}

/// Who has a right: names of users and groups.
type Roles = Vec<Box<str>>;

/// An access list. A right that it does not name is not its business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acl {
    read: Option<Roles>,
    write: Option<Roles>,
    delete: Option<Roles>,
    read_metadata: Option<Roles>,
    write_metadata: Option<Roles>,
}

impl Acl {
    /// Reads the value of `$acl`.
    pub(super) fn parse(value: Option<&Value>) -> Self {
        let of = |right: Right| match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(keys)) => keys.get(right.key()).filter(|roles| !roles.is_null()).map(roles),
            Some(_) => Some(Roles::new()),
        };
        Self {
            read: of(Right::Read),
            write: of(Right::Write),
            delete: of(Right::Delete),
            read_metadata: of(Right::ReadMetadata),
            write_metadata: of(Right::WriteMetadata),
        }
    }

    fn roles(&self, right: Right) -> Option<&Roles> {
        match right {
            Right::Read => self.read.as_ref(),
            Right::Write => self.write.as_ref(),
            Right::Delete => self.delete.as_ref(),
            Right::ReadMetadata => self.read_metadata.as_ref(),
            Right::WriteMetadata => self.write_metadata.as_ref(),
        }
    }
}

/// A role or an array of them; anything else is nobody.
fn roles(value: &Value) -> Roles {
    match value {
        Value::String(role) => vec![role.as_str().into()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(Into::into).collect(),
        _ => Roles::new(),
    }
}

/// What `$settings` says of streams without an access list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    user_streams: Acl,
    system_streams: Acl,
}

impl Settings {
    /// Reads the last event of `$settings`.
    pub(super) fn parse(data: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(data).unwrap_or_default();
        Self {
            user_streams: Acl::parse(value.get("$userStreamAcl")),
            system_streams: Acl::parse(value.get("$systemStreamAcl")),
        }
    }
}

/// A right to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    pub(super) stream: &'a str,
    pub(super) right: Right,
}

impl<'a> Wanted<'a> {
    /// The right that an action needs; `None` where it is not about a stream.
    pub(super) fn by(action: Action<'a>) -> Option<Self> {
        let (name, right, of_metadata) = match action {
            Action::Read(name) => (name, Right::Read, Right::ReadMetadata),
            Action::Write(name) => (name, Right::Write, Right::WriteMetadata),
            // A metadata stream that is deleted takes its access list along.
            Action::Delete(name) => (name, Right::Delete, Right::WriteMetadata),
            Action::ManageGroups
            | Action::SeeGroups
            | Action::Operate
            | Action::Privacy
            | Action::Statistics
            | Action::ManageUsers
            | Action::SeeUser(_)
            | Action::ChangePassword(_) => return None,
        };
        Some(match name.strip_prefix("$$") {
            Some(described) => Self { stream: described, right: of_metadata },
            None => Self { stream: name, right },
        })
    }

    /// Whether nobody at all may have it: the log as a whole is neither written nor deleted, and what operators did is told by the
    /// server alone.
    pub(super) fn is_impossible(self) -> bool {
        ["$all", OPERATIONS_STREAM].contains(&self.stream)
            && matches!(self.right, Right::Write | Right::Delete)
    }

    /// Whether only administrators may have it, whatever lists say: hashes of passwords stand there.
    pub(super) fn is_reserved(self) -> bool {
        self.stream.starts_with("$user-") || matches!(self.stream, "$users" | "$users-password-notifications")
    }
}

/// Whom a right is asked for: a name and groups; a stranger has neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bearer<'a> {
    pub(super) login: &'a str,
    pub(super) groups: &'a [String],
}

impl Bearer<'_> {
    /// Somebody who did not sign in, where such may do what everybody may.
    pub(super) const STRANGER: Bearer<'static> = Bearer { login: "", groups: &[] };

    pub(super) fn is_in(self, group: &str) -> bool {
        self.groups.iter().any(|of| of == group)
    }

    pub(super) fn is_admin(self) -> bool {
        self.login == ADMIN || self.is_in(ADMINS)
    }

    fn has(self, role: &str) -> bool {
        role == EVERYBODY || role == self.login || self.is_in(role)
    }
}

/// Whether `bearer`, who is no administrator, has a right that somebody may have.
pub(super) fn allows(bearer: Bearer<'_>, wanted: Wanted<'_>, own: &Acl, settings: &Settings) -> bool {
    let is_system = wanted.stream.starts_with('$');
    let defaults = if is_system { &settings.system_streams } else { &settings.user_streams };
    match own.roles(wanted.right).or_else(|| defaults.roles(wanted.right)) {
        Some(roles) => roles.iter().any(|role| bearer.has(role)),
        None => !is_system,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn acl(value: &Value) -> Acl {
        Acl::parse(Some(value))
    }

    fn bearer<'a>(login: &'a str, groups: &'a [String]) -> Bearer<'a> {
        Bearer { login, groups }
    }

    fn read(stream: &str) -> Wanted<'_> {
        Wanted::by(Action::Read(stream)).expect("a stream")
    }

    #[test]
    fn actions_on_a_metadata_stream_need_the_rights_to_metadata() {
        let table = [
            (Action::Read("a"), "a", Right::Read),
            (Action::Write("a"), "a", Right::Write),
            (Action::Delete("a"), "a", Right::Delete),
            (Action::Read("$$a"), "a", Right::ReadMetadata),
            (Action::Write("$$a"), "a", Right::WriteMetadata),
            (Action::Delete("$$a"), "a", Right::WriteMetadata),
            (Action::Read("$$$settings"), "$settings", Right::ReadMetadata),
            (Action::Write("$$$all"), "$all", Right::WriteMetadata),
            (Action::Read("$all"), "$all", Right::Read),
        ];
        for (action, stream, right) in table {
            assert_eq!(Wanted::by(action), Some(Wanted { stream, right }), "{action:?}");
        }
        assert_eq!(Wanted::by(Action::Operate), None);
        assert!(Wanted::by(Action::Delete("$all")).is_some_and(Wanted::is_impossible));
        assert!(Wanted::by(Action::Write("$all")).is_some_and(Wanted::is_impossible));
        assert!(!read("$all").is_impossible());
        for reserved in ["$user-ada", "$$$user-ada", "$users", "$$$users-password-notifications"] {
            assert!(read(reserved).is_reserved(), "{reserved}");
        }
        assert!(!read("$userland").is_reserved());
    }

    #[test]
    fn the_streams_own_list_comes_before_the_settings_and_those_before_the_defaults() {
        let ada_groups = ["readers".to_owned()];
        let ada = bearer("ada", &ada_groups);
        let none = Settings::default();
        let settings =
            Settings::parse(br#"{"$userStreamAcl":{"$r":"$admins"},"$systemStreamAcl":{"$r":["readers"]}}"#);
        let table = [
            ("built-in, a user's stream", "a", json!({}), &none, true),
            ("built-in, a system stream", "$a", json!({}), &none, false),
            ("the log", "$all", json!({}), &none, false),
            ("settings close", "a", json!({}), &settings, false),
            ("settings open", "$a", json!({}), &settings, true),
            ("own list, by name", "a", json!({"$r": "ada"}), &settings, true),
            ("own list, by group", "a", json!({"$r": ["x", "readers"]}), &settings, true),
            ("own list, everybody", "$a", json!({"$r": "$all"}), &none, true),
            ("own list, somebody else", "$a", json!({"$r": ["bob"]}), &settings, false),
            ("own list, nobody", "a", json!({"$r": []}), &none, false),
            ("own list of another right", "a", json!({"$w": []}), &none, true),
            ("null says nothing", "a", json!({"$r": null}), &none, true),
            ("no list of roles", "a", json!({"$r": 7}), &none, false),
            ("a role that is no text", "a", json!({"$r": [7, "ada"]}), &none, true),
        ];
        for (why, stream, own, settings, expected) in table {
            assert_eq!(allows(ada, read(stream), &acl(&own), settings), expected, "{why}");
        }
    }

    #[test]
    fn each_right_has_its_key() {
        let ada = bearer("ada", &[]);
        let rights = [
            (Action::Read("s"), "$r"),
            (Action::Write("s"), "$w"),
            (Action::Delete("s"), "$d"),
            (Action::Read("$$s"), "$mr"),
            (Action::Write("$$s"), "$mw"),
        ];
        for (action, key) in rights {
            for (other, other_key) in rights {
                let wanted = Wanted::by(other).expect("a stream");
                let allowed = allows(ada, wanted, &acl(&json!({ key: "bob" })), &Settings::default());
                assert_eq!(allowed, key != other_key, "{action:?} closed, {other:?} asked");
            }
        }
    }

    #[test]
    fn a_list_that_is_none_lets_nobody_in() {
        for value in [json!("ada"), json!(["ada"]), json!(7), json!(true)] {
            assert!(!allows(bearer("ada", &[]), read("s"), &acl(&value), &Settings::default()), "{value}");
        }
        assert!(allows(bearer("ada", &[]), read("s"), &acl(&Value::Null), &Settings::default()));
        assert_eq!(Settings::parse(b"not json"), Settings::default());
    }

    #[test]
    fn administrators_are_known_by_name_and_by_group() {
        assert!(bearer("admin", &[]).is_admin());
        assert!(bearer("ada", &["$admins".to_owned()]).is_admin());
        assert!(!bearer("ada", &["admin".to_owned(), "admins".to_owned()]).is_admin());
        assert!(!Bearer::STRANGER.is_admin());
        assert!(!allows(Bearer::STRANGER, read("s"), &acl(&json!({"$r": ["ada"]})), &Settings::default()));
    }
}
