//! `factum tail`: shows the newest events, and follows the log.

use std::time::Duration;

use clap::Args;
use factum_core::{
    AsOf, Clock, EventStore, EventStoreExt, Position, Read, ReadError, ReadFrom, Selector, Subscribe,
    SubscribeFrom, SubscriptionMessage, SystemClock,
};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::moment::duration;
use crate::output::EventSink;
use crate::read::copy;
use crate::selector::{SelectorArgs, columns};
use crate::store::Access;

const EXAMPLES: &str = r#"EXAMPLES:
  The last ten events of the log, and of one stream:
    factum tail
    factum tail order-1
  What the last hour brought of one type, and then what comes:
    factum tail --type OrderPaid --since 1h -f"#;

/// Show the newest events, and follow the log with -f
///
/// A store in a directory belongs to one process at a time, so -f sees what this process is sent, not what another
/// process appends.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Start so long ago: 90s, 30m, 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "limit")]
    since: Option<Duration>,
    /// Start with so many events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    limit: u64,
}

/// Runs the command.
pub(crate) async fn run(args: TailArgs, context: &Context) -> Result<(), Failure> {
    let selector = args.selector.selector()?.unwrap_or(Selector::All);
    let mut sink = context.out.events(columns(&selector));
    let store = context.open(Access::Existing)?;
    // The reads below end at this head and the subscription begins after it: no gap and no duplicate.
    let head = store.head().await?.map(|event| event.position());
    if let Some(head) = head {
        show(&store, &args, &selector, head, &mut sink).await?;
    }
    if !args.follow {
        return sink.finish();
    }
    sink.flush()?;
    let from = head.map_or(SubscribeFrom::Start, SubscribeFrom::AfterPosition);
    let mut subscription = store.subscribe(Subscribe::to(selector).from(from)).await?;
    loop {
        if let SubscriptionMessage::Events { events, .. } = subscription.next().await? {
            for event in &events {
                sink.push(event)?;
            }
            sink.flush()?;
        }
    }
}

async fn show(
    store: &dyn EventStore,
    args: &TailArgs,
    selector: &Selector,
    head: Position,
    sink: &mut EventSink,
) -> Result<(), Failure> {
    let at = AsOf::Position(head);
    let shown = match args.since {
        Some(since) => {
            let from = ReadFrom::Time(SystemClock.now().saturating_sub(since));
            match copy(store, Read::forwards(selector.clone()).from(from).at(at), sink).await {
                Err(failure) if failure.exit == Exit::NotFound && args.follow => return Ok(()),
                done => return done,
            }
        }
        None => store.read_all(Read::backwards(selector.clone()).limit(args.limit).at(at)).await.map(
            |mut events| {
                events.reverse();
                events
            },
        ),
    };
    let events = match shown {
        Ok(events) => events,
        // A stream that is followed may come yet.
        Err(ReadError::StreamNotFound { .. }) if args.follow => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for event in &events {
        sink.push(event)?;
    }
    Ok(())
}
