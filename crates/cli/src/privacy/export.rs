//! `factum privacy export`: everything that is kept of a person, in clear, for that person.

use std::sync::Arc;

use clap::Args;
use factum_core::{EventStore, PERSONAL_MEMBER, Page, Query, QueryItem, Read, Selector};
use factum_vault::{Content, KeyOwner, Marker, SealingStore, SinkName, find_objects, subject_tag};
use serde_json::{Map, Value};

use super::{SubjectArgs, open};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Record, record};

const EXAMPLES: &str = "EXAMPLES:
  factum privacy export customer-17 -o json > customer-17.json
  factum privacy export customer-17 --purpose billing";

/// What the log says of it.
const NOTE: &str = "factum privacy export";

/// Write every value that is kept of a person, in clear, one event per line
///
/// That it was given out is kept in the log: the receipt of an erasure names it. Values of others in the same events are left out. What was erased is named as erased; a value that cannot be opened now makes
/// the command fail at the end, so that an incomplete copy is not taken for a whole one.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    subject: SubjectArgs,
}

/// Runs the command.
pub(super) async fn run(args: &ExportArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let subject = args.subject.subject_ref(&opened.vault)?;
    let purpose = args.subject.purpose()?;
    let ours = |owner: &KeyOwner| owner.subject == subject && (purpose.is_none() || owner.purpose == purpose);
    let store = SealingStore::new(Arc::clone(&opened.log), opened.vault.clone());
    let mut told = false;
    let query = Query::item(QueryItem { types: Vec::new(), tags: vec![subject_tag(subject)] });
    let mut reader = store.read(Read::forwards(Selector::Query(query))).await?;
    let mut sink = context.out.many(&["position", "stream", "type", "recorded", "values"]);
    let mut missing = 0_u64;
    while let Some(Page { events, .. }) = reader.next_page().await? {
        for event in events {
            let Values { values, clear, unavailable } = values_of(event.data_slice(), &ours);
            missing += unavailable;
            // Before a value leaves: whoever gets this has to be told of an erasure.
            if clear && !std::mem::replace(&mut told, true) {
                opened.vault.add_sink(&*opened.log, &given()?, Some(subject), NOTE).await?;
            }
            if !values.is_empty() {
                let fields: Record = record([
                    ("position", event.position().0.into()),
                    ("stream", event.stream().into()),
                    ("type", event.event_type().into()),
                    ("recorded", event.recorded_at().to_string().into()),
                    ("values", values.into()),
                ]);
                sink.push(&fields)?;
            }
        }
    }
    sink.finish()?;
    if missing == 0 {
        return Ok(());
    }
    Err(Failure::new(
        (Exit::Unavailable, "export-incomplete"),
        "the export is incomplete",
        format!("{missing} values cannot be opened now: whose they are is not known"),
        "`factum privacy check` says what is wrong with the vault; then export again",
    ))
}

/// The sink that stands for whoever got an export.
fn given() -> Result<SinkName, Failure> {
    SinkName::new("export").map_err(|error| Failure::usage("that names no sink", error.to_string(), ""))
}

struct Values {
    values: Map<String, Value>,
    /// Whether one of them is in clear.
    clear: bool,
    unavailable: u64,
}

/// The values of an opened event that are `ours`, by their place in its data.
fn values_of(data: &[u8], ours: &impl Fn(&KeyOwner) -> bool) -> Values {
    let mut found = Values { values: Map::new(), clear: false, unavailable: 0 };
    for object in find_objects(data, PERSONAL_MEMBER).unwrap_or_default() {
        let Ok(marker) = Marker::parse(&data[object.value.clone()]) else { continue };
        let value = match marker.content {
            Content::Opened { owner, value, .. } if ours(&owner) => {
                found.clear = true;
                serde_json::from_str(value).unwrap_or_else(|_| value.into())
            }
            Content::Erased { owner: Some(owner), erasure, .. } if ours(&owner) => {
                serde_json::json!({ "erased": erasure.to_string() })
            }
            Content::Unavailable(_) => {
                found.unavailable += 1;
                continue;
            }
            _ => continue,
        };
        found.values.insert(object.pointer, value);
    }
    found
}
