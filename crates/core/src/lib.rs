//! Factum's vocabulary, and the contract that every event store keeps.
//!
//! Start with [`EventStore`]: five verbs, and a sixth that a store may have. [`NewEvent`] is a fact before the log has it, [`RecordedEvent`] after.
//! [`Append`], [`Read`] and [`Subscribe`] say what is asked; [`MemoryStore`] is the store that all others are tested
//! against.
//!
//! **Invariant:** nothing here does I/O, and nothing but [`SystemClock`] reads the clock.

mod admission;
mod append;
mod capabilities;
mod checkpoint;
mod clock;
mod delete;
mod error;
mod event;
mod ids;
mod leaf;
pub mod limits;
mod memory;
mod metadata;
mod names;
mod numbers;
mod query;
mod read;
pub mod read_model;
mod read_plan;
mod recorded;
mod redaction;
mod schema;
mod store;
mod subscription;
mod text;
mod waiting;

pub use admission::{
    Admission, Admitted, LogView, StreamFacts, SystemEvent, Written, admit, admit_delete, check_limits,
    state_meets,
};
pub use append::{
    Append, AppendCondition, Appended, ExpectedRevision, StreamAppended, StreamCheck, StreamState,
    StreamWrite,
};
pub use capabilities::{Capabilities, Capability, Durability};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use clock::{Clock, ManualClock, ParseTimestampError, SystemClock, Timestamp};
pub use delete::{Delete, DeleteMode, Deleted};
pub use error::{
    AppendError, ErrorKind, FailedCheck, InvalidEvent, ReadError, RedactError, SchemaViolation, with_causes,
};
pub use event::{
    CAUSATION_KEY, CORRELATION_KEY, ContentType, METADATA_TYPE, NewEvent, PERSONAL_MEMBER, PRIVACY_STREAM,
    STREAM_DELETED_TYPE, check_json,
};
pub use ids::{AppendId, EventId, StoreId};
pub use memory::MemoryStore;
pub use metadata::{StreamMetadata, TRUNCATE_ALL, VisibleRange};
pub use names::{Category, EventType, METASTREAM_PREFIX, NameError, StreamName, Tag, category_of};
pub use numbers::{Position, Revision, SchemaVersion};
pub use query::{Query, QueryItem, QueryTooLarge};
pub use read::{
    AsOf, Direction, EventFilter, EventReader, Page, Read, ReadFrom, ReadHead, Selector, StreamView,
    SystemEvents,
};
pub use read_plan::{ReadPlan, ReadView, stream_range};
pub use recorded::{
    BodyLayout, MalformedBody, RecordedEvent, RecordedHeader, encode_body, encode_body_into, metadata_text,
};
pub use redaction::{
    EVENT_REDACTED_TYPE, Leaf, REDACTIONS_STREAM, Redact, RedactOutcome, Redacted, Redaction,
    RedactionRequest,
};
pub use schema::{SCHEMA_REGISTERED_TYPE, SCHEMAS_STREAM, SchemaRegistry};
pub use store::{BoxFuture, EventStore, EventStoreExt};
pub use subscription::{CatchUp, Subscribe, SubscribeFrom, Subscription, SubscriptionMessage};
pub use text::Text;
pub use waiting::block_on;
