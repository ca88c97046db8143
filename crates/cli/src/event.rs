//! `factum event`: one event, found by its id or its place.

mod redact;

use std::str::FromStr;

use clap::{Args, Subcommand};
use factum_core::{
    EventId, EventStore, EventStoreExt, Position, Read, ReadFrom, RecordedEvent, Revision, Selector,
    StreamName, StreamView,
};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Columns;
use crate::store::Access;

const EXAMPLES: &str = r#"EXAMPLES:
  By its place:
    factum event order-1@3
    factum event 4711
  By its id, the data alone:
    factum event 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90 -o raw"#;

/// Show one event, or redact it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub(crate) struct EventArgs {
    /// An event id, a position, or STREAM@REVISION
    #[arg(value_name = "ID|POSITION|STREAM@REVISION", required = true)]
    place: Option<EventPlace>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Redact(redact::RedactArgs),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum EventPlace {
    Id(EventId),
    Position(Position),
    At(StreamName, Revision),
}

impl FromStr for EventPlace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(Position(position)));
        }
        let Some((stream, revision)) = text.rsplit_once('@') else {
            return Err(format!(
                "'{text}' is no event id (a UUID), no position and no STREAM@REVISION such as order-1@3"
            ));
        };
        let revision =
            revision.parse().map_err(|_| format!("'{revision}' is not a revision: give a number"))?;
        Ok(Self::At(stream.parse().map_err(|e: factum_core::NameError| e.to_string())?, Revision(revision)))
    }
}

/// Runs the command.
pub(crate) async fn run(args: EventArgs, context: &Context) -> Result<(), Failure> {
    let place = match (args.verb, args.place) {
        (Some(Verb::Redact(args)), _) => return redact::run(args, context).await,
        (None, Some(place)) => place,
        (None, None) => return Err(Failure::usage("no event was named", "", "see `factum event --help`")),
    };
    let store = context.open(Access::Existing)?;
    let events = find(&store, &place, StreamView::Visible).await?;
    let mut sink = context.out.events(Columns::ManyStreams);
    for event in &events {
        sink.push(event)?;
    }
    sink.finish()
}

/// The events that are meant: one, or several that have one id. None is an error.
async fn find(
    store: &dyn EventStore,
    place: &EventPlace,
    view: StreamView,
) -> Result<Vec<RecordedEvent>, Failure> {
    let (read, name) = match place {
        EventPlace::Id(id) => (Read::forwards(Selector::Event(*id)), format!("with id {id}")),
        EventPlace::Position(position) => (
            Read::forwards(Selector::All).from(ReadFrom::Position(*position)).limit(1),
            format!("at position {position}"),
        ),
        EventPlace::At(stream, revision) => (
            Read::stream(stream.clone()).from(ReadFrom::Revision(*revision)).limit(1),
            format!("{revision} in stream '{stream}'"),
        ),
    };
    let mut events = store.read_all(read.view(view)).await?;
    match place {
        EventPlace::Id(_) => {}
        EventPlace::Position(position) => events.retain(|event| event.position() == *position),
        EventPlace::At(_, revision) => events.retain(|event| event.revision() == *revision),
    }
    if events.is_empty() {
        return Err(Failure::not_found(
            format!("there is no event {name}"),
            "the log has none, or its stream no longer shows it",
            "`factum streams info STREAM` shows which revisions a stream has",
        ));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_id_a_position_or_a_revision() {
        let id = EventId::generate();
        assert_eq!(id.to_string().parse(), Ok(EventPlace::Id(id)));
        assert_eq!("7".parse(), Ok(EventPlace::Position(Position(7))));
        let stream = StreamName::new("a@b").unwrap();
        assert_eq!("a@b@7".parse(), Ok(EventPlace::At(stream, Revision(7))));
        for bad in ["", "order-1", "order-1@", "@7", "$all@1"] {
            assert!(bad.parse::<EventPlace>().is_err(), "{bad}");
        }
    }
}
