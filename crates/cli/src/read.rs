//! `factum read`: shows events of a stream, of the whole log, or of what an index finds.

use clap::Args;
use factum_core::{AsOf, Direction, EventFilter, EventStore, Read, ReadFrom, StreamView};
use factum_server::{Moment, TimeKind};

use crate::context::Context;
use crate::failure::Failure;
use crate::moment::Start;
use crate::output::EventSink;
use crate::selector::{SelectorArgs, columns};
use crate::store::Access;

const EXAMPLES: &str = r#"EXAMPLES:
  A stream, and then its last two events, newest first:
    factum read order-1
    factum read order-1 --back -n 2
  What the log knew of a category at the end of the year, as lines of your own:
    factum read --category order --at 2026-12-31 --recorded --format '{stream} {type} {data.total}'
  Every event with a tag that is of one of two types:
    factum read --tag customer:7 --type OrderPlaced --type OrderPaid
  From position 4711 of the whole log on, 100 events:
    factum read --all --from @4711 -n 100"#;

/// Read events
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Where to start: start, end, a revision, @POSITION or a time [default: start, with --back end]
    #[arg(long, value_name = "PLACE")]
    from: Option<Start>,
    /// From new to old
    #[arg(long)]
    back: bool,
    /// At most so many events
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
    /// Only what had happened by then: a revision, @POSITION or a time
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,
    /// A time in --at means when events were recorded, not when they happened; a deleted stream is shown too
    #[arg(long)]
    recorded: bool,
    /// Only events whose stream's name starts with this; several times: with any of them
    #[arg(long, value_name = "PREFIX")]
    stream_prefix: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(args: ReadArgs, context: &Context) -> Result<(), Failure> {
    let selector = args.selector.required()?;
    let kind = if args.recorded { TimeKind::Recorded } else { TimeKind::Occurred };
    let mut sink = context.out.events(columns(&selector));
    let read = Read {
        direction: if args.back { Direction::Backwards } else { Direction::Forwards },
        from: match (args.from, args.back) {
            (Some(Start(from)), _) => from,
            (None, true) => ReadFrom::End,
            (None, false) => ReadFrom::Start,
        },
        limit: args.limit,
        filter: EventFilter { stream_prefixes: args.stream_prefix, ..EventFilter::default() },
        at: args.at.map_or(AsOf::Now, |moment| moment.as_of(kind)),
        view: if args.recorded { StreamView::Recorded } else { StreamView::Visible },
        ..Read::forwards(selector)
    };
    let store = context.open(Access::Existing)?;
    copy(&store, read, &mut sink).await?;
    sink.finish()
}

/// Shows everything that a read finds.
pub(crate) async fn copy(store: &dyn EventStore, read: Read, sink: &mut EventSink) -> Result<(), Failure> {
    let mut reader = store.read(read).await?;
    while let Some(page) = reader.next_page().await? {
        for event in &page.events {
            sink.push(event)?;
        }
    }
    Ok(())
}
