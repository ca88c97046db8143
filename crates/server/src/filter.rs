//! Which events of the log does a client want?
//!
//! What the store can test itself is left to it; a regular expression is tested here.

use factum_core::{EventFilter, RecordedEvent, SystemEvents};
use factum_protocol::wire::v1::FilterOptions;
use factum_protocol::wire::v1::filter_options::{Expression, Filter as Subject, Window};
use fancy_regex::{Regex, RegexBuilder};
use tonic::Status;

/// Events looked at between two checkpoints, where the client names no window.
const DEFAULT_WINDOW: u32 = 32;
/// Longest regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 8 * 1024;
/// Most prefixes in one filter.
const MAX_PREFIXES: usize = 1_024;
/// Steps after which matching one name gives up: a pattern that needs more would stop the server.
const BACKTRACK_LIMIT: usize = 100_000;
/// What the clients' "leave system events out" is, in several of them.
const NO_SYSTEM_EVENTS: [&str; 2] = [r"^[^\$].*", r"^[^$].*"];

/// A filter, ready to be used.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// What the store tests.
    pub(crate) store: EventFilter,
    /// What is tested here.
    here: Here,
    /// Events looked at between two checkpoints.
    pub(crate) interval: u64,
}

#[derive(Clone, Debug)]
enum Here {
    Anything,
    Nothing,
    Stream(Regex),
    Type(Regex),
}

impl Filter {
    /// Reads it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a filter without expression or window, or with one that cannot be read; `UNKNOWN`, as
    /// clients expect, for an interval of nothing.
    pub(crate) fn from_wire(options: &FilterOptions) -> Result<Self, Status> {
        let window = match &options.window {
            Some(Window::Max(max)) => *max,
            Some(Window::Count(())) => DEFAULT_WINDOW,
            None => return Err(Status::invalid_argument("the filter has no window: give `max` or `count`")),
        };
        if options.checkpoint_interval_multiplier == 0 {
            return Err(Status::unknown("Exception was thrown by handler."));
        }
        let interval = u64::from(window.max(1)) * u64::from(options.checkpoint_interval_multiplier);
        let (store, here) = match &options.filter {
            Some(Subject::StreamIdentifier(expression)) => of_streams(expression)?,
            Some(Subject::EventType(expression)) => of_types(expression)?,
            None => {
                return Err(Status::invalid_argument(
                    "the filter tests nothing: give an expression for the stream's name or the event's type",
                ));
            }
        };
        Ok(Self { store, here, interval })
    }

    /// Whether an event that the store let pass is wanted.
    pub(crate) fn passes(&self, event: &RecordedEvent) -> bool {
        match &self.here {
            Here::Anything => true,
            Here::Nothing => false,
            // A name that needs more steps than are allowed does not match.
            Here::Stream(regex) => regex.is_match(event.stream()).unwrap_or(false),
            Here::Type(regex) => regex.is_match(event.event_type()).unwrap_or(false),
        }
    }
}

fn of_streams(expression: &Expression) -> Result<(EventFilter, Here), Status> {
    if !expression.regex.is_empty() {
        return Ok((EventFilter::default(), Here::Stream(compile(&expression.regex)?)));
    }
    prefixes(&expression.prefix, |prefixes| EventFilter {
        stream_prefixes: prefixes,
        ..EventFilter::default()
    })
}

fn of_types(expression: &Expression) -> Result<(EventFilter, Here), Status> {
    if NO_SYSTEM_EVENTS.contains(&expression.regex.as_str()) {
        let store = EventFilter { system_events: SystemEvents::Exclude, ..EventFilter::default() };
        return Ok((store, Here::Anything));
    }
    if !expression.regex.is_empty() {
        return Ok((EventFilter::default(), Here::Type(compile(&expression.regex)?)));
    }
    prefixes(&expression.prefix, |prefixes| EventFilter { type_prefixes: prefixes, ..EventFilter::default() })
}

/// Any of the prefixes; of none, nothing passes.
fn prefixes(
    prefixes: &[String],
    filter: impl Fn(Vec<String>) -> EventFilter,
) -> Result<(EventFilter, Here), Status> {
    if prefixes.len() > MAX_PREFIXES {
        return Err(Status::invalid_argument(format!(
            "the filter has {} prefixes, at most {MAX_PREFIXES} are allowed",
            prefixes.len()
        )));
    }
    let here = if prefixes.is_empty() { Here::Nothing } else { Here::Anything };
    Ok((filter(prefixes.to_vec()), here))
}

fn compile(pattern: &str) -> Result<Regex, Status> {
    if pattern.len() > MAX_REGEX_BYTES {
        return Err(Status::invalid_argument(format!(
            "the filter's regular expression has {} bytes, at most {MAX_REGEX_BYTES} are allowed",
            pattern.len()
        )));
    }
    RegexBuilder::new(pattern).backtrack_limit(BACKTRACK_LIMIT).build().map_err(|error| {
        Status::invalid_argument(format!("the filter's regular expression cannot be read: {error}"))
    })
}

/// Whether the log as clients see it has this event. Consumer groups keep their progress in streams of their own, which
/// would answer every read of the log with a write.
pub(crate) fn shown_in_all(event: &RecordedEvent) -> bool {
    let stream = event.stream();
    if !stream.starts_with('$') {
        return true;
    }
    let group_of_all = stream.strip_prefix("$persistentsubscription-$all::");
    let kept = group_of_all.is_some_and(|rest| rest.ends_with("-checkpoint") || rest.ends_with("-parked"));
    !kept && stream != "$epoch-information"
}
