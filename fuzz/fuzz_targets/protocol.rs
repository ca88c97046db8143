//! Does any message of the wire make a conversion panic, or come back as another one?
//!
//! The first byte says which message the others are read as.
#![no_main]

use factum_protocol::own;
use factum_protocol::wire::own as wire;
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::streams::read_resp::ReadEvent;
use factum_protocol::{
    EventBytes, EventForm, LinkTarget, Proposed, UuidForm, WireEvent, stream_from_wire, uuid_from_wire,
    uuid_to_wire,
};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// What was read, written and read again is the same.
fn comes_back<M, T, E>(message: M, read: impl Fn(M) -> Result<T, E>, write: impl Fn(&T) -> M)
where
    T: PartialEq + std::fmt::Debug,
    E: std::fmt::Debug,
{
    if let Ok(value) = read(message) {
        assert_eq!(read(write(&value)).expect("what was written can be read"), value);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    match which % 12 {
        0 => {
            if let Ok(message) = wire::AppendRequest::decode(bytes) {
                comes_back(message, own::append_from_wire, own::append_to_wire);
            }
        }
        1 => {
            if let Ok(message) = wire::DeleteRequest::decode(bytes) {
                comes_back(message, own::delete_from_wire, own::delete_to_wire);
            }
        }
        2 => {
            if let Ok(message) = wire::ReadRequest::decode(bytes) {
                comes_back(message, own::read_from_wire, own::read_to_wire);
            }
        }
        3 => {
            if let Ok(message) = wire::SubscribeRequest::decode(bytes) {
                comes_back(message, own::subscribe_from_wire, own::subscribe_to_wire);
            }
        }
        4 => {
            if let Ok(message) = wire::RecordedEvent::decode(bytes)
                && let Ok(event) = own::event_from_wire(message)
            {
                // Every accessor is called, since each trusts the layout.
                let _ = (event.stream(), event.event_type(), event.tags().count(), event.data_slice());
                let _ = (event.metadata_slice(), event.correlation(), event.causation(), event.detach());
                assert_eq!(own::event_from_wire(own::event_to_wire(&event)), Ok(event.clone()));
                // The two ways of writing it to KurrentDB's clients agree.
                for ids in [UuidForm::Text, UuidForm::Structured] {
                    let form = EventForm { ids };
                    let parts = EventBytes::of(form, &event);
                    let mut written = Vec::new();
                    parts.write(&mut written);
                    assert_eq!(written.len(), parts.len());
                    let read = v1::RecordedEvent::decode(&written[..]).expect("what was written is a message");
                    assert_eq!(read, form.to_wire(&event));
                }
            }
        }
        5 => {
            if let Ok(message) = wire::append_response::Appended::decode(bytes) {
                comes_back(message, own::appended_from_wire, own::appended_to_wire);
            }
        }
        6 => {
            if let Ok(message) = wire::read_response::Head::decode(bytes) {
                comes_back(message, |message| own::head_from_wire(&message), own::head_to_wire);
            }
        }
        7 => {
            if let Ok(message) = wire::Failure::decode(bytes) {
                let _ = own::append_error_from_wire(message.clone()).to_string();
                let _ = own::read_error_from_wire(message).to_string();
            }
        }
        8 => {
            if let Ok(message) = v1::ProposedMessage::decode(bytes) {
                comes_back(message, Proposed::from_wire, Proposed::to_wire);
            }
        }
        9 => {
            if let Ok(message) = v1::Uuid::decode(bytes)
                && let Ok(id) = uuid_from_wire(Some(&message))
            {
                for form in [UuidForm::Text, UuidForm::Structured] {
                    assert_eq!(uuid_from_wire(Some(&uuid_to_wire(id, form))), Ok(id));
                }
            }
        }
        10 => {
            if let Ok(message) = v1::StreamIdentifier::decode(bytes) {
                let _ = stream_from_wire(Some(&message));
            }
            let _ = LinkTarget::parse(bytes);
        }
        _ => {
            if let Ok(message) = ReadEvent::decode(bytes)
                && let Some(event) = message.event
            {
                let event = WireEvent(event);
                let _ = event.property("type");
                let _ = event.into_recorded();
            }
        }
    }
});
