//! What does a read or a subscription ask for? Reads the request, and refuses what does not fit together.

use factum_core::{Direction, Position, ReadFrom, Revision, SubscribeFrom};
use factum_protocol::wire::v1::streams::ReadReq;
use factum_protocol::wire::v1::streams::read_req::Options;
use factum_protocol::wire::v1::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, ReadDirection, StreamOption, StreamOptions, all_options,
    stream_options,
};
use factum_protocol::wire::v1::uuid_option;
use factum_protocol::{EventForm, UuidForm, stream_from_wire};
use tonic::Status;

use crate::filter::Filter;
use crate::links::Links;
use crate::source::Source;
use crate::status;

/// The number that stands for the end of the log.
const END: u64 = u64::MAX;

/// A read or a subscription, understood.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// What is read.
    pub(crate) source: Source,
    /// How much of it.
    pub(crate) span: Span,
    /// Which way.
    pub(crate) direction: Direction,
    /// From where.
    pub(crate) place: Place,
    /// What of it; `None`: everything.
    pub(crate) filter: Option<Filter>,
    /// What is shown of links.
    pub(crate) links: Links,
    /// How events are written.
    pub(crate) form: EventForm,
    /// Whether the client knows the messages for first and last position.
    pub(crate) ends: Ends,
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// At most so many events, of what is there now.
    Count(u64),
    /// Everything, also what is still to come.
    Subscription,
}

/// Whether a client is told where a stream begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It is.
    Tell,
    /// It would not understand it.
    Omit,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the oldest event.
    Start,
    /// At the newest.
    End,
    /// At a revision of the stream.
    Revision(Revision),
    /// At a position of the log.
    Position(Position),
}

impl Reading {
    /// Reads a request.
    pub(crate) fn from_wire(request: ReadReq) -> Result<Self, Status> {
        let options =
            request.options.ok_or_else(|| Status::invalid_argument("the request has no options"))?;
        let form = EventForm { ids: uuid_form(&options)? };
        let (source, place) = source(&options)?;
        let direction = match options.read_direction() {
            ReadDirection::Forwards => Direction::Forwards,
            ReadDirection::Backwards => Direction::Backwards,
        };
        if options.read_direction != i32::from(options.read_direction()) {
            let message = format!("'{}' is not a valid ReadDirection", options.read_direction);
            return Err(Status::invalid_argument(message));
        }
        let span = match options.count_option {
            Some(CountOption::Count(count)) => Span::Count(count),
            Some(CountOption::Subscription(_)) => Span::Subscription,
            None => return Err(Status::invalid_argument("give a count, or ask for a subscription")),
        };
        if span == Span::Subscription && direction == Direction::Backwards {
            return Err(combination("a subscription", "Backwards"));
        }
        let filter = match (&options.filter_option, &source) {
            (None | Some(FilterOption::NoFilter(())), _) => None,
            (Some(FilterOption::Filter(filter)), Source::All) => Some(Filter::from_wire(filter)?),
            (Some(FilterOption::Filter(_)), _) => return Err(combination("a filter", "one stream")),
        };
        let known = options.control_option.is_some_and(|control| control.compatibility >= 1);
        Ok(Self {
            source,
            span,
            direction,
            place,
            filter,
            links: Links::of(options.resolve_links),
            form,
            ends: if known { Ends::Tell } else { Ends::Omit },
        })
    }

    /// Where a read begins.
    pub(crate) fn read_from(&self) -> ReadFrom {
        match (self.place, self.direction) {
            (Place::Start, _) => ReadFrom::Start,
            (Place::End, _) => ReadFrom::End,
            (Place::Position(position), _) => ReadFrom::Position(position),
            (Place::Revision(revision), Direction::Forwards) => self.source.place_of(revision),
            (Place::Revision(revision), Direction::Backwards) => self.source.place_of_backwards(revision),
        }
    }

    /// Where a subscription begins.
    pub(crate) fn subscribe_from(&self) -> SubscribeFrom {
        match self.place {
            Place::Start => SubscribeFrom::Start,
            Place::End => SubscribeFrom::End,
            Place::Position(position) => SubscribeFrom::AfterPosition(position),
            Place::Revision(revision) => self.source.after_revision(revision),
        }
    }
}

fn combination(one: &str, other: &str) -> Status {
    Status::invalid_argument(format!("The combination of ({one}, {other}) is invalid."))
}

fn uuid_form(options: &Options) -> Result<UuidForm, Status> {
    match options.uuid_option.as_ref().and_then(|option| option.content) {
        Some(uuid_option::Content::Structured(())) => Ok(UuidForm::Structured),
        Some(uuid_option::Content::String(())) => Ok(UuidForm::Text),
        None => {
            Err(Status::invalid_argument("'None' is not a valid UUIDOption: say how ids are to be written"))
        }
    }
}

fn source(options: &Options) -> Result<(Source, Place), Status> {
    match &options.stream_option {
        Some(StreamOption::Stream(stream)) => of_stream(stream),
        Some(StreamOption::All(all)) => Ok((Source::All, of_all(all)?)),
        None => Err(Status::invalid_argument("'None' is not a valid StreamOption: name a stream, or all")),
    }
}

fn of_stream(options: &StreamOptions) -> Result<(Source, Place), Status> {
    let name =
        stream_from_wire(options.stream_identifier.as_ref()).map_err(|error| status::bad_stream(&error))?;
    let place = match options.revision_option {
        Some(stream_options::RevisionOption::Revision(END) | stream_options::RevisionOption::End(())) => {
            Place::End
        }
        Some(stream_options::RevisionOption::Revision(revision)) => Place::Revision(Revision(revision)),
        Some(stream_options::RevisionOption::Start(())) => Place::Start,
        None => return Err(Status::invalid_argument("'None' is not a valid RevisionOption")),
    };
    Ok((Source::named(name), place))
}

fn of_all(options: &AllOptions) -> Result<Place, Status> {
    match &options.all_option {
        Some(all_options::AllOption::Start(())) => Ok(Place::Start),
        Some(all_options::AllOption::End(())) => Ok(Place::End),
        Some(all_options::AllOption::Position(position)) => {
            match (position.commit_position, position.prepare_position) {
                (END, END) => Ok(Place::End),
                (commit, prepare) if commit == prepare => Ok(Place::Position(Position(commit))),
                _ => Err(Status::invalid_argument("Trying to read from an invalid position.")),
            }
        }
        None => Err(Status::invalid_argument("'None' is not a valid AllOption")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_protocol::stream_to_wire;
    use factum_protocol::wire::v1;
    use prost::Message;

    /// Numbers that look random and are the same in every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, most: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % u64::try_from(most.max(1)).unwrap_or(1)).unwrap_or(0)
        }
    }

    fn whole() -> Vec<u8> {
        let filter = v1::FilterOptions {
            filter: Some(v1::filter_options::Filter::EventType(v1::filter_options::Expression {
                regex: "^(?!x).*".to_owned(),
                prefix: vec!["a".to_owned()],
            })),
            window: Some(v1::filter_options::Window::Max(9)),
            checkpoint_interval_multiplier: 3,
        };
        let options = Options {
            read_direction: 1,
            resolve_links: true,
            uuid_option: Some(v1::UuidOption { content: Some(uuid_option::Content::Structured(())) }),
            control_option: Some(factum_protocol::wire::v1::streams::read_req::options::ControlOption {
                compatibility: 1,
            }),
            stream_option: Some(StreamOption::Stream(StreamOptions {
                stream_identifier: Some(stream_to_wire("account-1")),
                revision_option: Some(stream_options::RevisionOption::Revision(7)),
            })),
            count_option: Some(CountOption::Count(10)),
            filter_option: Some(FilterOption::Filter(filter)),
        };
        ReadReq { options: Some(options) }.encode_to_vec()
    }

    /// Bytes of a request, changed at random: they are no message, are refused, or mean something. They never panic.
    #[test]
    fn hostile_requests_are_refused() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut understood, mut refused, mut no_message) = (0, 0, 0);
        for _ in 0..50_000 {
            let mut bytes = whole();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                match random.below(3) {
                    0 => bytes[at] = u8::try_from(random.below(256)).unwrap_or(0),
                    1 => {
                        bytes.remove(at);
                    }
                    _ => bytes.insert(at, u8::try_from(random.below(256)).unwrap_or(0)),
                }
            }
            match ReadReq::decode(bytes.as_slice()).map(Reading::from_wire) {
                Ok(Ok(reading)) => {
                    let _ = (reading.read_from(), reading.subscribe_from());
                    understood += 1;
                }
                Ok(Err(status)) => {
                    assert!(matches!(status.code(), tonic::Code::InvalidArgument | tonic::Code::Unknown));
                    refused += 1;
                }
                Err(_) => no_message += 1,
            }
        }
        assert!(refused > 100 && no_message > 100, "{understood} {refused} {no_message}");
    }
}
