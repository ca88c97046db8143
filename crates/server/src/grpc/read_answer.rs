//! One answer of a read, and how it is written: an event goes from the store's bytes to the wire's without a message
//! being built in between.

use bytes::BufMut;
use factum_protocol::wire::v1::streams::read_resp::{Content, ReadEvent, read_event};
use factum_protocol::wire::v1::streams::{ReadReq, ReadResp};
use factum_protocol::{EventBytes, EventForm};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::ProstCodec;

use crate::source::Resolved;

/// Numbers of the fields: `event` of an answer; `event`, `link` and `commit_position` in it.
const ANSWER_EVENT: u32 = 1;
const EVENT: u32 = 1;
const LINK: u32 = 2;
const COMMIT_POSITION: u32 = 3;

/// Bytes that are gathered before they are handed on, where answers come faster than they leave.
const GATHERED_BYTES: usize = 64 * 1024;
/// Bytes taken at first for the answers of a call: most calls have few.
const FIRST_BYTES: usize = 8 * 1024;

/// One answer of a read.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// An event.
    Event(Placed),
    /// Anything else.
    Other(ReadResp),
}

/// An event, where it stands, and how it is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    resolved: Resolved,
    position: u64,
    form: EventForm,
}

impl Answer {
    /// Something other than an event.
    pub(super) fn of(content: Content) -> Self {
        Answer::Other(ReadResp { content: Some(content) })
    }

    /// An event; `None` where there is neither event nor link.
    pub(super) fn event(form: EventForm, resolved: Resolved) -> Option<Self> {
        let position = resolved.original()?.position().0;
        Some(Answer::Event(Placed { resolved, position, form }))
    }

    /// The message that it is.
    pub(super) fn into_message(self) -> ReadResp {
        match self {
            Answer::Other(message) => message,
            Answer::Event(Placed { resolved, position, form }) => ReadResp {
                content: Some(Content::Event(ReadEvent {
                    event: resolved.event.as_ref().map(|event| form.to_wire(event)),
                    link: resolved.link.as_ref().map(|link| form.to_wire(link)),
                    position: Some(read_event::Position::CommitPosition(position)),
                })),
            },
        }
    }
}

impl Placed {
    fn write(&self, out: &mut impl BufMut) {
        let measured = |event| EventBytes::of(self.form, event);
        let parts = [
            (EVENT, self.resolved.event.as_ref().map(measured)),
            (LINK, self.resolved.link.as_ref().map(measured)),
        ];
        let nested = |len: usize| encoded_len_varint(u64::try_from(len).unwrap_or(u64::MAX)) + len;
        let written = |(tag, part): &(u32, Option<EventBytes<'_>>)| {
            part.as_ref().map_or(0, |part| key_len(*tag) + nested(part.len()))
        };
        // The position is a choice between two, and so it is written where it is 0 as well.
        let len = parts.iter().map(written).sum::<usize>()
            + key_len(COMMIT_POSITION)
            + encoded_len_varint(self.position);
        begin(ANSWER_EVENT, len, out);
        for (tag, part) in &parts {
            if let Some(part) = part {
                begin(*tag, part.len(), out);
                part.write(out);
            }
        }
        encode_key(COMMIT_POSITION, WireType::Varint, out);
        encode_varint(self.position, out);
    }
}

fn begin(tag: u32, len: usize, out: &mut impl BufMut) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(u64::try_from(len).unwrap_or(u64::MAX), out);
}

/// How reads cross the wire.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadCodec;

/// Writes answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerEncoder;

impl Codec for ReadCodec {
    type Encode = Answer;
    type Decode = ReadReq;
    type Encoder = AnswerEncoder;
    type Decoder = <ProstCodec<ReadResp, ReadReq> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        AnswerEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<ReadResp, ReadReq>::default().decoder()
    }
}

impl Encoder for AnswerEncoder {
    type Item = Answer;
    type Error = Status;

    fn encode(&mut self, answer: Answer, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match answer {
            Answer::Event(placed) => {
                placed.write(out);
                Ok(())
            }
            Answer::Other(message) => message
                .encode(out)
                .map_err(|error| Status::internal(format!("an answer is too large: {error}"))),
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(FIRST_BYTES, GATHERED_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factum_core::{
        EventId, EventType, NewEvent, Position, RecordedEvent, RecordedHeader, Revision, StreamName,
        Timestamp,
    };
    use uuid::Uuid;

    fn event(position: u64) -> RecordedEvent {
        let new = NewEvent::json(EventType::new("A").expect("a type"), "{}");
        let header = RecordedHeader {
            position: Position(position),
            revision: Revision(2),
            id: EventId(Uuid::from_u128(7)),
            append_id: None,
            recorded_at: Timestamp(5),
            occurred_at: None,
            schema_version: new.schema_version,
            content_type: new.content_type,
        };
        RecordedEvent::record(header, &StreamName::new("a-1").expect("a name"), &new)
    }

    #[test]
    fn the_bytes_are_those_of_the_message() {
        let cases = [
            Resolved { event: Some(event(0)), link: None },
            Resolved { event: Some(event(3)), link: Some(event(400)) },
            Resolved { event: None, link: Some(event(1)) },
        ];
        for resolved in cases {
            let answer = Answer::event(EventForm::default(), resolved).expect("an event");
            let Answer::Event(placed) = &answer else { panic!("not an event") };
            let mut written = Vec::new();
            placed.write(&mut written);
            let model = answer.into_message();
            assert_eq!(written.len(), model.encoded_len());
            assert_eq!(ReadResp::decode(written.as_slice()), Ok(model));
        }
        assert!(Answer::event(EventForm::default(), Resolved { event: None, link: None }).is_none());
    }
}
