//! `factum streams truncate`, `delete`, `tombstone`: three ways in which events go out of sight.

use clap::Args;
use factum_core::{
    Delete, DeleteMode, EventStore, EventStoreExt, ExpectedRevision, Read, Revision, Selector, StreamName,
    StreamState,
};
use serde_json::Value;

use crate::append::expected;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;

const TRUNCATE_EXAMPLES: &str = "EXAMPLES:
  factum streams truncate order-1 --before 100 --dry-run
  factum streams truncate order-1 --before 100 --yes";

const DELETE_EXAMPLES: &str = "EXAMPLES:
  factum streams delete order-1
  factum streams delete order-1 --expect 17 --yes";

const TOMBSTONE_EXAMPLES: &str = "EXAMPLES:
  factum streams tombstone order-1 --dry-run
  factum streams tombstone order-1 --confirm order-1";

/// Hide the events of a stream before a revision
///
/// Readers no longer see them; `factum storage scavenge` then reclaims their bytes.
#[derive(Args, Debug)]
#[command(after_help = TRUNCATE_EXAMPLES)]
pub(super) struct TruncateArgs {
    /// The stream
    stream: StreamName,
    /// The first revision that stays visible
    #[arg(long, value_name = "REVISION")]
    before: u64,
    #[command(flatten)]
    ask: Ask,
}

/// Delete a stream; an append revives it
///
/// The stream is no longer found. An append revives it, with its numbering continued and its old events hidden.
#[derive(Args, Debug)]
#[command(after_help = DELETE_EXAMPLES)]
pub(super) struct DeleteArgs {
    /// The stream
    stream: StreamName,
    /// What the stream must be like: any, exists, or the revision of its last event
    #[arg(long, value_name = "STATE", default_value = "any", value_parser = expected)]
    expect: ExpectedRevision,
    #[command(flatten)]
    ask: Ask,
}

/// Delete a stream for ever, and its name with it
#[derive(Args, Debug)]
#[command(after_help = TOMBSTONE_EXAMPLES)]
pub(super) struct TombstoneArgs {
    /// The stream
    stream: StreamName,
    /// What the stream must be like: any, exists, or the revision of its last event
    #[arg(long, value_name = "STATE", default_value = "any", value_parser = expected)]
    expect: ExpectedRevision,
    /// The stream's name again: this cannot be undone
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Show what would happen and exit with 8
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
struct Ask {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show what would happen and exit with 8
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// What a stream holds before something happens to it.
struct Before {
    first: u64,
    last: Option<Revision>,
}

impl Before {
    /// Reads it; a stream that is not there is an error.
    async fn of(store: &dyn EventStore, stream: &StreamName) -> Result<Self, Failure> {
        let reader = store.read(Read::backwards(Selector::Stream(stream.clone())).limit(1)).await?;
        let last = reader.head().stream.and_then(StreamState::last_revision);
        Ok(Self { first: reader.head().first_visible.map_or(0, |revision| revision.0), last })
    }

    /// How many visible events lie before this revision.
    fn before(&self, revision: u64) -> u64 {
        let end = self.last.map_or(0, |last| last.0 + 1);
        revision.min(end).saturating_sub(self.first)
    }

    fn all(&self) -> u64 {
        self.before(u64::MAX)
    }
}

/// Runs `streams truncate`.
pub(super) async fn truncate(args: TruncateArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let before = Before::of(&store, &args.stream).await?;
    let hidden = before.before(args.before);
    let what = format!("'{}': hides {hidden} events before revision {}", args.stream, args.before);
    if args.ask.dry_run {
        return Err(context.dry_run(&what));
    }
    context.confirm(&what, args.ask.yes)?;
    let mut metadata = store.stream_metadata(args.stream.clone()).await?;
    metadata.truncate_before = Some(args.before);
    let appended = store.set_stream_metadata(args.stream.clone(), &metadata).await?;
    report(context, &args.stream, hidden, appended.last)
}

/// Runs `streams delete`.
pub(super) async fn delete(args: DeleteArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let hidden = Before::of(&store, &args.stream).await?.all();
    let what = format!("'{}': deletes the stream and hides its {hidden} events", args.stream);
    if args.ask.dry_run {
        return Err(context.dry_run(&what));
    }
    context.confirm(&what, args.ask.yes)?;
    end(&store, context, args.stream, args.expect, DeleteMode::Soft, hidden).await
}

/// Runs `streams tombstone`.
pub(super) async fn tombstone(args: TombstoneArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let hidden = Before::of(&store, &args.stream).await?.all();
    let what = format!("'{}': deletes the stream and its {hidden} events for ever", args.stream);
    if args.dry_run {
        return Err(context.dry_run(&what));
    }
    context.confirm_name(&what, &args.stream, args.confirm.as_deref())?;
    end(&store, context, args.stream, args.expect, DeleteMode::Tombstone, hidden).await
}

async fn end(
    store: &dyn EventStore,
    context: &Context,
    stream: StreamName,
    expected: ExpectedRevision,
    mode: DeleteMode,
    hidden: u64,
) -> Result<(), Failure> {
    let deleted = store.delete(Delete { stream: stream.clone(), expected, mode }).await;
    let deleted = deleted.map_err(|e| Failure::from(e).about("nothing was deleted"))?;
    report(context, &stream, hidden, deleted.position)
}

fn report(
    context: &Context,
    stream: &StreamName,
    hidden: u64,
    position: Option<factum_core::Position>,
) -> Result<(), Failure> {
    context.out.one(&record([
        ("stream", stream.as_str().into()),
        ("hidden", hidden.into()),
        ("position", position.map_or(Value::Null, |position| position.to_string().into())),
    ]))?;
    context.out.flush()
}
