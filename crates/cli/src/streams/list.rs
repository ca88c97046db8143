//! `factum streams ls` and `find`: the streams of a store, in order of creation.

use clap::Args;
use factum_core::{Category, EventStore, Read, ReadError, Selector, StreamName, category_of};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;
use crate::store::Access;

const LS_EXAMPLES: &str = "EXAMPLES:
  factum streams ls
  factum streams ls --category order --long -n 50
  factum streams ls -o raw | wc -l";

const FIND_EXAMPLES: &str = "EXAMPLES:
  factum streams find 8f31
  factum streams find order- --long -o json";

/// List the streams, in order of creation
#[derive(Args, Debug)]
#[command(after_help = LS_EXAMPLES)]
pub(super) struct ListArgs {
    /// Only those of this category
    #[arg(long, value_name = "C")]
    category: Option<Category>,
    #[command(flatten)]
    shown: Shown,
}

/// Find streams by a part of their name
#[derive(Args, Debug)]
#[command(after_help = FIND_EXAMPLES)]
pub(super) struct FindArgs {
    /// The part; case counts
    text: String,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args, Debug)]
struct Shown {
    /// Also the last revision, type and time of each: one more read per stream
    #[arg(short, long)]
    long: bool,
    /// Also system streams (their names start with '$')
    #[arg(long)]
    system: bool,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
}

/// Runs `streams ls`.
pub(super) async fn ls(args: ListArgs, context: &Context) -> Result<(), Failure> {
    let category = args.category;
    list(&args.shown, context, |name| category.as_deref().is_none_or(|c| category_of(name) == Some(c))).await
}

/// Runs `streams find`.
pub(super) async fn find(args: FindArgs, context: &Context) -> Result<(), Failure> {
    list(&args.shown, context, |name| name.contains(&args.text)).await
}

async fn list(shown: &Shown, context: &Context, wanted: impl Fn(&str) -> bool) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let columns: &[&str] = if shown.long {
        &["stream", "created", "lastRevision", "lastType", "lastTime"]
    } else {
        &["stream", "created"]
    };
    let mut sink = context.out.many(columns);
    let mut left = shown.limit.unwrap_or(u64::MAX);
    let mut reader = store.read(Read::forwards(Selector::StreamStarts)).await?;
    'pages: while let Some(page) = reader.next_page().await? {
        for first in &page.events {
            let name = first.stream();
            if !wanted(name) || (name.starts_with('$') && !shown.system) {
                continue;
            }
            if left == 0 {
                break 'pages;
            }
            let Some(last) = last_event(&store, name, shown.long).await? else { continue };
            left -= 1;
            let mut fields =
                record([("stream", name.into()), ("created", first.recorded_at().to_string().into())]);
            if let Some(last) = last {
                fields.insert("lastRevision".to_owned(), last.revision().0.into());
                fields.insert("lastType".to_owned(), last.event_type().into());
                fields.insert("lastTime".to_owned(), last.happened_at().to_string().into());
            }
            if context.out.format() == crate::output::Format::Raw {
                context.out.line(name)?;
            } else {
                sink.push(&fields)?;
            }
        }
    }
    if context.out.format() == crate::output::Format::Raw { context.out.flush() } else { sink.finish() }
}

/// The stream's newest event, if it is wanted; `None` where the stream is deleted.
async fn last_event(
    store: &dyn EventStore,
    name: &str,
    wanted: bool,
) -> Result<Option<Option<factum_core::RecordedEvent>>, Failure> {
    let stream = StreamName::new(name)?;
    let read = Read::backwards(Selector::Stream(stream)).limit(1);
    let mut reader = match store.read(read).await {
        Ok(reader) => reader,
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !wanted {
        return Ok(Some(None));
    }
    Ok(Some(reader.next_page().await?.and_then(|page| page.events.into_iter().next())))
}
