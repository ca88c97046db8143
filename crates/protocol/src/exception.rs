//! The names of errors and the keys of their values in the trailers of the first version of the protocol.

/// The trailer that holds the error's name.
pub const EXCEPTION: &str = "exception";

/// No right to do that.
pub const ACCESS_DENIED: &str = "access-denied";
/// The stream was deleted for ever.
pub const STREAM_DELETED: &str = "stream-deleted";
/// The stream is not as expected.
pub const WRONG_EXPECTED_VERSION: &str = "wrong-expected-version";
/// The whole append is too large.
pub const MAXIMUM_APPEND_SIZE_EXCEEDED: &str = "maximum-append-size-exceeded";
/// One event is too large.
pub const MAXIMUM_APPEND_EVENT_SIZE_EXCEEDED: &str = "maximum-append-event-size-exceeded";
/// An event has no type or no content type.
pub const MISSING_REQUIRED_METADATA_PROPERTY: &str = "missing-required-metadata-property";
/// There is no such group.
pub const GROUP_DOES_NOT_EXIST: &str = "persistent-subscription-does-not-exist";
/// There is such a group already.
pub const GROUP_EXISTS: &str = "persistent-subscription-exists";
/// The group cannot be as it was asked for.
pub const GROUP_FAILED: &str = "persistent-subscription-failed";
/// The group has as many consumers as it may have.
pub const MAXIMUM_SUBSCRIBERS_REACHED: &str = "maximum-subscribers-reached";
/// The group was changed or deleted while it was read.
pub const GROUP_DROPPED: &str = "persistent-subscription-dropped";
/// There is no such user.
pub const USER_NOT_FOUND: &str = "user-not-found";
/// There is such a user already, or somebody changes it.
pub const USER_CONFLICT: &str = "user-conflict";
/// There is no such scavenge.
pub const SCAVENGE_NOT_FOUND: &str = "scavenge-not-found";
/// Another node leads.
pub const NOT_LEADER: &str = "not-leader";

/// Key of a stream's name.
pub const STREAM_NAME: &str = "stream-name";
/// Key of a group's name.
pub const GROUP_NAME: &str = "group-name";
/// Key of a reason.
pub const REASON: &str = "reason";
/// Key of the expected revision.
pub const EXPECTED_VERSION: &str = "expected-version";
/// Key of the actual revision.
pub const ACTUAL_VERSION: &str = "actual-version";
/// Key of the largest append, in bytes.
pub const MAXIMUM_APPEND_SIZE: &str = "maximum-append-size";
/// Key of the largest event, in bytes.
pub const MAXIMUM_APPEND_EVENT_SIZE: &str = "maximum-append-event-size";
/// Key of the size of the event that was refused, in bytes.
pub const PROPOSED_APPEND_EVENT_SIZE: &str = "proposed-append-event-size";
/// Key of an event's id.
pub const EVENT_ID: &str = "event-id";
/// Key of the names of the properties that an event must have.
pub const REQUIRED_METADATA_PROPERTIES: &str = "required-metadata-properties";
/// Key of a scavenge's id.
pub const SCAVENGE_ID: &str = "scavenge-id";
/// Key of a user's name.
pub const LOGIN_NAME: &str = "login-name";
/// Key of the leader's host.
pub const LEADER_HOST: &str = "leader-endpoint-host";
/// Key of the leader's port.
pub const LEADER_PORT: &str = "leader-endpoint-port";
