//! `factum streams info`: what is known of one stream.

use clap::Args;
use factum_core::{
    EventStore, EventStoreExt, Read, ReadError, Revision, Selector, StreamName, StreamState, StreamView,
};
use serde_json::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Record, record};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  factum streams info order-1
  factum streams info order-1 --format '{lastRevision}'";

/// Show what is known of a stream
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct InfoArgs {
    /// The stream
    stream: StreamName,
}

/// Runs the command.
pub(super) async fn run(args: InfoArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let stream = args.stream;
    let view = StreamView::Recorded;
    let newest = Read::backwards(Selector::Stream(stream.clone())).limit(1).view(view);
    let mut reader = store.read(newest).await?;
    let state = reader.head().stream;
    let first_visible = reader.head().first_visible;
    let last = reader.next_page().await?.and_then(|page| page.events.into_iter().next());
    let first = store.read_all(Read::stream(stream.clone()).limit(1).view(view)).await?.into_iter().next();
    if let Some(StreamState::Missing) | None = state {
        return Err(ReadError::StreamNotFound { stream }.into());
    }
    let number = |revision: Option<Revision>| revision.map_or(Value::Null, |revision| revision.0.into());
    let last_revision = state.and_then(StreamState::last_revision);
    let mut fields = record([
        ("stream", stream.as_str().into()),
        ("category", stream.category().map_or(Value::Null, Value::from)),
        ("state", state.map_or("unknown", name_of).into()),
        ("lastRevision", number(last_revision)),
        ("firstVisible", number(first_visible)),
    ]);
    if let Some(first) = first {
        fields.insert("firstRecorded".to_owned(), number(Some(first.revision())));
        fields.insert("firstTime".to_owned(), first.happened_at().to_string().into());
    }
    if let Some(last) = last {
        fields.insert("lastType".to_owned(), last.event_type().into());
        fields.insert("lastTime".to_owned(), last.happened_at().to_string().into());
        fields.insert("lastPosition".to_owned(), last.position().to_string().into());
    }
    if state != Some(StreamState::Tombstoned) {
        add_metadata(&store, stream, &mut fields).await?;
    }
    context.out.one(&fields)?;
    context.out.flush()
}

async fn add_metadata(
    store: &dyn EventStore,
    stream: StreamName,
    fields: &mut Record,
) -> Result<(), Failure> {
    let metadata = store.stream_metadata(stream).await?.to_json();
    let metadata: Record = serde_json::from_slice(&metadata).unwrap_or_default();
    if !metadata.is_empty() {
        fields.insert("metadata".to_owned(), Value::Object(metadata));
    }
    Ok(())
}

fn name_of(state: StreamState) -> &'static str {
    match state {
        StreamState::Missing => "missing",
        StreamState::MetadataOnly => "metadataOnly",
        StreamState::Live { .. } => "live",
        StreamState::SoftDeleted { .. } => "deleted",
        StreamState::Tombstoned => "tombstoned",
    }
}
