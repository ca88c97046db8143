//! Tests of a decider as sentences: given these events, when this command comes, then those events follow.

use std::fmt::Debug;

use factum_core::{
    ContentType, EventId, EventType, NewEvent, Position, RecordedEvent, RecordedHeader, Revision,
    SchemaVersion, StreamName, Timestamp,
};

use crate::codec::decode;
use crate::{CommandMetadata, Context, Decider};

/// Begins a test with what has happened.
///
/// ```text
/// given(Account, [opened(), deposited(100)]).when(Withdraw(30)).then([withdrawn(30)]);
/// given(Account, [opened()]).when(Withdraw(30)).then_rejected(Rejection::Overdraft);
/// ```
/// [`Decider`] shows one that runs.
pub fn given<D: Decider>(decider: D, events: impl IntoIterator<Item = D::Event>) -> Given<D> {
    let mut state = decider.initial_state();
    let mut count = 0;
    for event in events {
        decider.evolve(&mut state, &event);
        count += 1;
    }
    Given::new(decider, state, count)
}

/// Begins a test with what was stored, perhaps long ago: event type, schema version and JSON data. The data goes
/// through the upcasters as it does when it is read from a store.
///
/// # Panics
/// Where an event cannot be read: the message names it and says why.
#[track_caller]
pub fn given_stored<'a, D: Decider>(
    decider: D,
    stored: impl IntoIterator<Item = (&'a str, u32, serde_json::Value)>,
) -> Given<D> {
    let mut state = decider.initial_state();
    let mut count = 0;
    for (event_type, version, data) in stored {
        match stored_event(event_type, version, &data, count)
            .and_then(|event| decode::<D::Event>(&event).map_err(|error| error.to_string()))
        {
            Ok(event) => decider.evolve(&mut state, &event),
            Err(why) => panic!("given event {count} ('{event_type}' version {version}): {why}"),
        }
        count += 1;
    }
    Given::new(decider, state, count)
}

fn stored_event(
    event_type: &str,
    version: u32,
    data: &serde_json::Value,
    number: u64,
) -> Result<RecordedEvent, String> {
    let stream = StreamName::new("given-1").map_err(|error| error.to_string())?;
    let event_type = EventType::new(event_type).map_err(|error| error.to_string())?;
    let header = RecordedHeader {
        position: Position(number),
        revision: Revision(number),
        id: EventId::generate(),
        append_id: None,
        recorded_at: Timestamp(0),
        occurred_at: None,
        schema_version: SchemaVersion(version),
        content_type: ContentType::Json,
    };
    Ok(RecordedEvent::record(header, &stream, &NewEvent::json(event_type, data.to_string())))
}

/// A test whose past is set.
#[must_use = "say what is asked with `when`"]
pub struct Given<D: Decider> {
    decider: D,
    state: D::State,
    context: Context,
}

impl<D: Decider> Given<D> {
    fn new(decider: D, state: D::State, count: u64) -> Self {
        let last = count.checked_sub(1);
        let context =
            Context { revision: last.map(Revision), position: last.map(Position), ..Context::default() };
        Self { decider, state, context }
    }

    /// The command is asked by this one.
    pub fn as_actor(mut self, actor: impl Into<String>) -> Self {
        self.context.metadata.actor = Some(actor.into());
        self
    }

    /// The command is decided at this time; otherwise at 1970-01-01T00:00:00Z.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.context.now = now;
        self
    }

    /// The command is about this stream.
    pub fn on_stream(mut self, stream: StreamName) -> Self {
        self.context.stream = Some(stream);
        self
    }

    /// The command comes with this metadata, the actor included.
    pub fn with_metadata(mut self, metadata: CommandMetadata) -> Self {
        self.context.metadata = metadata;
        self
    }

    /// The command is asked.
    #[expect(clippy::needless_pass_by_value, reason = "a test reads better without borrows")]
    pub fn when(self, command: D::Command) -> When<D> {
        let decision = self.decider.decide(&self.state, &command, &self.context);
        When { decider: self.decider, state: self.state, decision }
    }

    /// The state that the past has come to, for a closer look.
    pub fn state(&self) -> &D::State {
        &self.state
    }
}

/// A test whose command has been decided.
#[must_use = "say what is expected with `then`, `then_rejected` or `then_nothing`"]
pub struct When<D: Decider> {
    decider: D,
    state: D::State,
    decision: Result<Vec<D::Event>, D::Rejection>,
}

impl<D: Decider> When<D>
where
    D::Event: Debug,
    D::Rejection: Debug,
{
    /// Exactly these events follow.
    ///
    /// # Panics
    /// Where they do not: the message shows the difference.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = D::Event>)
    where
        D::Event: PartialEq,
    {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.decision {
            Ok(events) if *events == expected => {}
            Ok(events) => panic!(
                "the decision differs (- expected, + decided):\n{}",
                difference(&format!("{expected:#?}"), &format!("{events:#?}"))
            ),
            Err(rejection) => panic!("expected {expected:#?}\nbut it was rejected: {rejection:#?}"),
        }
    }

    /// There is nothing to do: no events, no rejection.
    ///
    /// # Panics
    /// Where there was.
    #[track_caller]
    pub fn then_nothing(self) {
        match &self.decision {
            Ok(events) if events.is_empty() => {}
            Ok(events) => panic!("expected nothing to do, but these were decided: {events:#?}"),
            Err(rejection) => panic!("expected nothing to do, but it was rejected: {rejection:#?}"),
        }
    }

    /// The command is refused for this reason.
    ///
    /// # Panics
    /// Where it is accepted, or refused for another reason.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a test reads better without borrows")]
    pub fn then_rejected(self, expected: D::Rejection)
    where
        D::Rejection: PartialEq,
    {
        match &self.decision {
            Err(rejection) if *rejection == expected => {}
            Err(rejection) => panic!(
                "the rejection differs (- expected, + decided):\n{}",
                difference(&format!("{expected:#?}"), &format!("{rejection:#?}"))
            ),
            Ok(events) => panic!("expected the rejection {expected:#?}\nbut these were decided: {events:#?}"),
        }
    }

    /// The command is refused for a reason that passes this test.
    ///
    /// # Panics
    /// Where it is accepted, or refused for another reason.
    #[track_caller]
    pub fn then_rejected_with(self, expected: impl FnOnce(&D::Rejection) -> bool) {
        match &self.decision {
            Err(rejection) if expected(rejection) => {}
            Err(rejection) => panic!("it was rejected for another reason: {rejection:#?}"),
            Ok(events) => panic!("expected a rejection, but these were decided: {events:#?}"),
        }
    }

    /// The state after the decided events, for a closer look.
    ///
    /// # Panics
    /// Where the command was refused.
    #[track_caller]
    pub fn then_state(mut self, look: impl FnOnce(&D::State)) {
        match &self.decision {
            Ok(events) => {
                for event in events {
                    self.decider.evolve(&mut self.state, event);
                }
                look(&self.state);
            }
            Err(rejection) => panic!("expected a decision, but it was rejected: {rejection:#?}"),
        }
    }
}

/// Both texts, line by line: common lines at the start and at the end once, what is between with `-` and `+`.
fn difference(expected: &str, actual: &str) -> String {
    if expected == actual {
        return format!("{actual}\nboth look alike: personal values are not shown, and some of them differ");
    }
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    let mut put = |sign: char, lines: &[&str]| {
        for line in lines {
            text.push(sign);
            text.push(' ');
            text.push_str(line);
            text.push('\n');
        }
    };
    put(' ', &old[..start]);
    put('-', &old[start..old.len() - end]);
    put('+', &new[start..new.len() - end]);
    put(' ', &old[old.len() - end..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_common_lines_once() {
        assert_eq!(
            difference("[\n  a,\n  b,\n]", "[\n  a,\n  c,\n  d,\n]"),
            "  [\n    a,\n-   b,\n+   c,\n+   d,\n  ]\n"
        );
        assert!(difference("a", "a").starts_with("a\nboth look alike"));
        assert_eq!(difference("a\na", "a"), "  a\n- a\n");
    }
}
