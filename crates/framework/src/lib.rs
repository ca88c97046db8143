//! Event sourcing for Rust: deciders, typed events, snapshots, upcasters, time travel.

// The derive names this crate `::factum`, here too.
#[cfg(test)]
#[allow(unused_extern_crates)]
extern crate self as factum;

#[doc(hidden)]
#[path = "derived.rs"]
pub mod __private;
mod boundary;
mod cache;
mod codec;
mod decider;
mod domain;
mod event;
mod execute;
mod given;
mod json_state;
mod metadata;
mod outcome;
mod personal_data;
mod process;
mod projection;
mod repeated;
mod replay;
mod schema;
mod snapshot;
mod subscriber;
mod union;
mod upcast;

pub use boundary::{Boundary, BoundaryState};
pub use cache::{Cache, Load, Lookup, MAX_CACHE_TAGS};
pub use codec::{
    Codec, CodecError, DecodeError, DecodeFault, EncodeError, EncodeFault, MAX_DROPPED_FIELDS, UnknownEvents,
    UnknownFields,
};
pub use decider::{Context, Decider, OnRedacted};
pub use domain::{
    AggregateFold, Domain, DomainError, FoldError, FoldState, MAX_AGGREGATE_NAME_BYTES, Upcasted,
    UpcastedStep,
};
pub use event::{Event, EventKind};
pub use execute::{Executor, RetryPolicy};
pub use factum_derive::{Event, PersonalFields};
pub use factum_vault::{ErasureId, InvalidName, Keep, Subject, Unavailable};
pub use given::{Given, When, given, given_stored};
pub use json_state::{
    Blame, Change as JsonChange, JsonState, Leaf as JsonLeaf, MAX_JSON_DEPTH, Origin, Skipped, at as json_at,
    diff as diff_json, leaves as json_leaves,
};
pub use metadata::{ACTOR_KEY, COMMAND_KEY, CommandId, CommandMetadata, TRACEPARENT_KEY};
pub use outcome::{Applied, Change, ExecuteError, MAX_CHANGES_NAMED, Outcome};
pub use personal_data::{
    Erased, Personal, PersonalField, PersonalFields, PersonalMark, Revealed, fresh_personal, map_personal,
    personal,
};
pub use process::{
    Delivery, Dispatch, Dispatched, Dispatcher, DoneStep, Effect, EventSource, GivenProcess, InputRecord,
    KnownProcesses, MAX_INSTANCE_BYTES, OperatorAction, OutstandingStep, PROCESS_STARTED_TYPE, ProcessError,
    ProcessFilter, ProcessInput, ProcessInstance, ProcessManager, ProcessRecord, ProcessRunner, ProcessStage,
    ProcessStats, ProcessTimeline, RefusedInstance, RequestError, RetryBudget, TimelineEntry, Trouble,
    WhenProcess, given_process, list_processes, request_process, show_process,
};
pub use projection::{
    ApplyError, Changed, ChangedTags, Changes, DeclarationCheckError, DeclarationError, DeclaredEvent,
    DeclaredProjection, Definition, DefinitionError, ExplainError, ForgettingReadModels, Handle,
    MAX_CHANGED_TAGS, MAX_PARTITIONS, Model, Observer, Projection, ProjectionError, Projections, RowChange,
    RowHistory, RowQuestion, STALLED_AFTER, Status, StatusReport, TypedProjection, UnknownType, Waited,
    explain,
};
pub use replay::{Asked, ReplayError, Replayed, decide_at, load_at};
pub use schema::{EventSchema, LockError, LockFault, SchemaSet, ShapeChange};
pub use snapshot::{
    DEFAULT_SNAPSHOT_EVERY, SNAPSHOT_TYPE, SnapshotError, SnapshotStats, SnapshotWrite, Snapshots,
    snapshot_stream,
};
pub use subscriber::{
    Handler, SUBSCRIBER_ATTEMPT_TYPE, SUBSCRIBER_CHECKPOINT_TYPE, Subscriber, SubscriberError,
    SubscriberMonitor,
};
pub use upcast::{UpcastStep, Upcaster};

/// The Rust of the guide to projections, run as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/projections.md")]
struct GuideToProjections;

/// The Rust of the guide to personal data, run as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/personal-data.md")]
struct GuideToPersonalData;

/// The Rust of the manual's guides, run as it stands there.
#[cfg(doctest)]
mod manual {
    #[doc = include_str!("../../../docs/book/src/guides/aggregate.md")]
    struct Aggregate;
    #[doc = include_str!("../../../docs/book/src/guides/domain.md")]
    struct Domain;

    #[doc = include_str!("../../../docs/book/src/guides/upcast.md")]
    struct Upcast;

    #[doc = include_str!("../../../docs/book/src/guides/process.md")]
    struct Process;

    #[doc = include_str!("../../../docs/book/src/guides/bug.md")]
    struct Bug;
}
