//! `factum event redact`: takes what one event said out of the store, for good.

use clap::Args;
use factum::snapshot_stream;
use factum_core::{
    EventStore, EventStoreExt, Leaf, RecordedEvent, Redact, RedactOutcome, Redaction, StreamName, StreamView,
};

use super::{EventPlace, find};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Record, record};
use crate::store::Access;

const EXAMPLES: &str = "EXAMPLES:
  What would go, and then that it goes:
    factum event redact order-1@3 --reason 'a name in the wrong field' --dry-run
    factum event redact order-1@3 --reason 'a name in the wrong field'
  By its position, without being asked:
    factum event redact 4711 --reason 'request 2026-118' --yes";

/// Take data, metadata and tags out of one event, for good
///
/// The event keeps its place, its stream, its type, its times and its proof, and carries the reason from then on;
/// '$redactions' records who did it. No file of the store holds the rest any more. Copies that were made before are
/// not reached: backups, exports, rows of read models, snapshots.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RedactArgs {
    /// A position, an event id, or STREAM@REVISION
    #[arg(value_name = "POSITION|ID|STREAM@REVISION")]
    place: EventPlace,
    /// Why. Everybody can read it for ever: it must not say what is taken out
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "operator")]
    actor: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show what would happen and exit with 8
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// Runs the command.
pub(super) async fn run(args: RedactArgs, context: &Context) -> Result<(), Failure> {
    let store = context.engine(Access::Existing)?;
    let events = find(&store, &args.place, StreamView::Recorded).await?;
    let [event] = events.as_slice() else {
        let places: Vec<_> = events.iter().map(|event| event.position().to_string()).collect();
        return Err(Failure::usage(
            "several events have this id",
            format!("they are at positions {}", places.join(", ")),
            "give the position of the one that is meant",
        ));
    };
    let redact = Redact::at(event.position(), args.reason).by(args.actor);
    redact.check()?;
    if !event.is_redacted() {
        redact.check_event(event)?;
        let what = loses(event);
        if args.dry_run {
            context.out.one(&fields(event, &Leaf::of(event)))?;
            context.out.flush()?;
            return Err(context.dry_run(&what));
        }
        context.confirm_typed(&what, &event.position().to_string(), args.yes)?;
    }
    let redacted = store.redact(redact).await?;
    if redacted.outcome == RedactOutcome::DoneBefore {
        context.say("it was redacted before: nothing was changed");
    } else {
        warn_of_copies(&store, &redacted.event, context).await;
    }
    report(context, &redacted.event, &redacted.redaction, redacted.outcome)
}

/// What a person is asked to agree to.
fn loses(event: &RecordedEvent) -> String {
    format!(
        "position {} ('{}', revision {} of '{}'): takes out {} bytes of data, {} bytes of metadata and {} tags for ever",
        event.position(),
        event.event_type(),
        event.revision(),
        event.stream(),
        event.data_slice().len(),
        event.metadata_slice().len(),
        event.tags().count()
    )
}

/// A redaction that leaves copies behind must not look like one that does not.
async fn warn_of_copies(store: &dyn EventStore, event: &RecordedEvent, context: &Context) {
    context.say(
        "copies made before still hold it: backups, exports, rows of read models (`factum projections rebuild`), \
         other systems",
    );
    let snapshots = StreamName::new(event.stream_text()).ok().and_then(|stream| snapshot_stream(&stream));
    if let Some(snapshots) = snapshots
        && let Ok(Some(_)) = store.last_event(snapshots.clone()).await
    {
        context.say(&format!(
            "the snapshot in '{snapshots}' may hold it: `factum streams tombstone` and `factum storage scavenge` take it out"
        ));
    }
}

fn fields(event: &RecordedEvent, leaf: &Leaf) -> Record {
    record([
        ("position", event.position().to_string().into()),
        ("stream", event.stream().into()),
        ("revision", event.revision().0.into()),
        ("id", event.id().to_string().into()),
        ("type", event.event_type().into()),
        ("leaf", leaf.to_string().into()),
    ])
}

fn report(
    context: &Context,
    event: &RecordedEvent,
    redaction: &Redaction,
    outcome: RedactOutcome,
) -> Result<(), Failure> {
    let mut fields = fields(event, &redaction.leaf);
    fields.extend(record([
        ("reason", redaction.reason.as_str().into()),
        ("at", redaction.at.to_string().into()),
        ("recorded", redaction.recorded.to_string().into()),
        ("doneBefore", (outcome == RedactOutcome::DoneBefore).into()),
    ]));
    context.out.one(&fields)?;
    context.out.flush()
}
