//! `factum streams meta`: shows and changes a stream's metadata.

use std::time::Duration;

use clap::Args;
use factum_core::{EventStoreExt, ReadError, StreamMetadata, StreamName};
use serde_json::Value;

use crate::context::Context;
use crate::failure::Failure;
use crate::moment::duration;
use crate::output::{Format, Record, pretty};
use crate::store::Access;

const EXAMPLES: &str = r#"EXAMPLES:
  Show it:
    factum streams meta order-1
  Keep the newest 100 events, and none older than a week; remember an owner:
    factum streams meta order-1 --max-count 100 --max-age 7d --set owner='"ada"'
  Forget both:
    factum streams meta order-1 --unset '$maxCount' --unset owner"#;

/// Show or change a stream's metadata
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct MetaArgs {
    /// The stream
    stream: StreamName,
    /// Show only so many of the newest events
    #[arg(long, value_name = "N")]
    max_count: Option<u64>,
    /// Show only events younger than this: 90s, 30m, 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    max_age: Option<Duration>,
    /// A key of your own and its JSON value; several times for several
    #[arg(long, value_name = "KEY=JSON", value_parser = key_json)]
    set: Vec<(String, Value)>,
    /// A key to remove, reserved ones such as $maxAge too
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

/// Runs the command.
pub(super) async fn run(args: MetaArgs, context: &Context) -> Result<(), Failure> {
    let changes =
        args.max_count.is_some() || args.max_age.is_some() || !args.set.is_empty() || !args.unset.is_empty();
    let store = context.open(if changes { Access::Create } else { Access::Existing })?;
    let before = match store.stream_metadata(args.stream.clone()).await {
        Ok(metadata) => metadata,
        Err(error @ ReadError::StreamDeleted { .. }) => return Err(error.into()),
        Err(error) => return Err(error.into()),
    };
    let mut keys: Record = serde_json::from_slice(&before.to_json()).unwrap_or_default();
    if changes {
        for (key, value) in args.set {
            keys.insert(key, value);
        }
        for key in &args.unset {
            keys.shift_remove(key);
        }
        if let Some(count) = args.max_count {
            keys.insert("$maxCount".to_owned(), count.into());
        }
        if let Some(age) = args.max_age {
            keys.insert("$maxAge".to_owned(), age.as_secs().into());
        }
        let metadata = StreamMetadata::parse(Value::Object(keys.clone()).to_string().as_bytes());
        store.set_stream_metadata(args.stream, &metadata).await?;
    }
    match context.out.format() {
        Format::Table => context.out.line(&pretty(&Value::Object(keys)))?,
        Format::Json | Format::Ndjson | Format::Raw => context.out.one(&keys)?,
    }
    context.out.flush()
}

fn key_json(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("'{text}' is not KEY=JSON"))?;
    let value = serde_json::from_str(value)
        .map_err(|e| format!("the value of '{key}' is not JSON ({e}): put text in double quotes"))?;
    Ok((key.to_owned(), value))
}
