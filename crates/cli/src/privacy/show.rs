//! `factum privacy show`: which keys a person has, and where its data is.

use clap::Args;
use factum_vault::{KeySummary, Preview};

use super::{SubjectArgs, open};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::record;

const EXAMPLES: &str = "EXAMPLES:
  factum privacy show customer-17
  factum privacy show ref:1f0c9a7be2d4566f8a3b1c2d3e4f5061 -o json";

/// Show which keys a person has and in which streams its data is; no values
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    subject: SubjectArgs,
}

/// Runs the command.
pub(super) async fn run(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let opened = open(context).await?;
    let subject = args.subject.subject_ref(&opened.vault)?;
    let purpose = args.subject.purpose()?;
    let Preview { events, streams, .. } =
        opened.vault.preview(&*opened.log, subject, purpose.as_ref()).await?;
    let keys = opened.vault.keys_of(subject).await?;
    context.say(&format!("subject ref:{subject}: {events} events in {} streams", streams.len()));
    let mut sink = context.out.many(&["kind", "name", "state", "since", "events"]);
    for key in keys.iter().filter(|key| purpose.is_none() || key.owner.purpose == purpose) {
        let name = match &key.owner.purpose {
            Some(purpose) => format!("{} #{purpose}", key.id),
            None => key.id.to_string(),
        };
        sink.push(&record([
            ("kind", "key".into()),
            ("name", name.into()),
            ("state", state(key).into()),
            ("since", key.created.to_string().into()),
            ("events", serde_json::Value::Null),
        ]))?;
    }
    for (stream, count) in streams {
        sink.push(&record([
            ("kind", "stream".into()),
            ("name", stream.into()),
            ("state", "".into()),
            ("since", "".into()),
            ("events", count.into()),
        ]))?;
    }
    sink.finish()
}

/// Whether what it sealed opens.
pub(super) fn state(key: &KeySummary) -> String {
    match (key.erased, key.destroyed) {
        (None, _) => "opens".to_owned(),
        (Some(erasure), true) => format!("destroyed by {erasure}"),
        (Some(erasure), false) => format!("fenced by {erasure}, not destroyed yet"),
    }
}
