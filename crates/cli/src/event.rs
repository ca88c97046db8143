//! `factum event`: shows one event, by its id or its place.

use std::str::FromStr;

use clap::Args;
use factum_core::{EventId, EventStoreExt, Read, ReadFrom, Revision, Selector, StreamName};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Columns;
use crate::store::Access;

const EXAMPLES: &str = r#"EXAMPLES:
  By its place:
    factum event order-1@3
  By its id, the data alone:
    factum event 0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90 -o raw"#;

/// Show one event
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EventArgs {
    /// An event id, or STREAM@REVISION
    #[arg(value_name = "ID|STREAM@REVISION")]
    place: EventPlace,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum EventPlace {
    Id(EventId),
    At(StreamName, Revision),
}

impl FromStr for EventPlace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let Some((stream, revision)) = text.rsplit_once('@') else {
            return Err(format!(
                "'{text}' is neither an event id (a UUID) nor STREAM@REVISION such as order-1@3"
            ));
        };
        let revision =
            revision.parse().map_err(|_| format!("'{revision}' is not a revision: give a number"))?;
        Ok(Self::At(stream.parse().map_err(|e: factum_core::NameError| e.to_string())?, Revision(revision)))
    }
}

/// Runs the command.
pub(crate) async fn run(args: EventArgs, context: &Context) -> Result<(), Failure> {
    let store = context.open(Access::Existing)?;
    let (read, name) = match &args.place {
        EventPlace::Id(id) => (Read::forwards(Selector::Event(*id)), format!("with id {id}")),
        EventPlace::At(stream, revision) => (
            Read::stream(stream.clone()).from(ReadFrom::Revision(*revision)).limit(1),
            format!("{revision} in stream '{stream}'"),
        ),
    };
    let mut events = store.read_all(read).await?;
    if let EventPlace::At(_, revision) = args.place {
        events.retain(|event| event.revision() == revision);
    }
    if events.is_empty() {
        return Err(Failure::not_found(
            format!("there is no event {name}"),
            "the log has none, or its stream no longer shows it",
            "`factum streams info STREAM` shows which revisions a stream has",
        ));
    }
    let mut sink = context.out.events(Columns::ManyStreams);
    for event in &events {
        sink.push(event)?;
    }
    sink.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_id_or_a_revision() {
        let id = EventId::generate();
        assert_eq!(id.to_string().parse(), Ok(EventPlace::Id(id)));
        let stream = StreamName::new("a@b").unwrap();
        assert_eq!("a@b@7".parse(), Ok(EventPlace::At(stream, Revision(7))));
        for bad in ["", "order-1", "order-1@", "@7", "$all@1"] {
            assert!(bad.parse::<EventPlace>().is_err(), "{bad}");
        }
    }
}
