//! How do the sealed values of events become values again, as erased, or as not to be had?

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use factum_core::{ContentType, RecordedEvent};
use uuid::Uuid;

use crate::cache::{Forgotten, Known};
use crate::envelope::{Written, WrittenBody};
use crate::find::{Spot, Spots, has_sealed_name};
use crate::keeper::KeyState;
use crate::marker::{Content, Keep, Marker, Unavailable, write_opened};
use crate::seal::{AssociatedData, Place, SALT_BYTES, open_onto};
use crate::subject::KeyId;
use crate::vault::KeyVault;

/// The same events, opened.
pub(crate) struct Opened {
    pub(crate) events: Vec<RecordedEvent>,
    /// Whether each sealed value is what it is until an erasure: none was unavailable.
    pub(crate) settled: Settled,
}

/// Until when values may be given out that were opened earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// As long as no key was forgotten since.
    Until(Forgotten),
    /// Not at all: some were not to be had.
    Never,
}

impl KeyVault {
    /// Opens every sealed value of a few events, on this thread.
    pub(crate) async fn open_here(&self, events: &[RecordedEvent]) -> Opened {
        // Before any key is looked up: what is forgotten after that counts.
        let forgotten = self.forgotten();
        let mut opened = events.to_vec();
        let page = SealedPage::of(events);
        let mut room = Room::default();
        if !page.events.is_empty() {
            let keys = self.states_of(&page).await;
            let outside = self.outside_of(&page, &keys).await;
            let vault = Opening { tenant: self.tenant(), page: &page, keys: &keys, outside: &outside };
            for (index, event) in vault.open(&mut room) {
                opened[index] = event;
            }
        }
        let settled = if room.unavailable { Settled::Never } else { Settled::Until(forgotten) };
        Opened { events: opened, settled }
    }

    /// What is known of each of a page's keys, in its order.
    async fn states_of(&self, page: &SealedPage<'_>) -> Vec<KeyState> {
        if page.keys.is_empty() {
            return Vec::new();
        }
        let states = self.keys(&page.keys).await;
        states.unwrap_or_else(|_| vec![Err(Unavailable::VaultDown); page.keys.len()])
    }

    /// The bytes of values that are kept outside; `None` where they could not be asked for.
    async fn outside_of(&self, page: &SealedPage<'_>, keys: &[KeyState]) -> Outside {
        let opens = |key: usize| matches!(keys[key], Ok(Known::Key(_)));
        let ids: Vec<Uuid> = page
            .values
            .iter()
            .filter_map(|value| match value {
                Some(SealedValue { key, written }) if opens(*key) => match written.body {
                    WrittenBody::Outside { value, .. } => Some(value),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            return Some(HashMap::new());
        }
        let values = self.values(ids.clone()).await.ok()?;
        Some(ids.into_iter().zip(values).filter_map(|(id, value)| Some((id, value?))).collect())
    }
}

type Outside = Option<HashMap<Uuid, Vec<u8>>>;

/// Whether it is worth a closer look: it has the name of the member in it.
pub(crate) fn may_hold_sealed(event: &RecordedEvent) -> bool {
    event.content_type() == ContentType::Json && has_sealed_name(event.data_slice())
}

/// What some events hold, before their keys are known.
struct SealedPage<'a> {
    /// Those that hold anything.
    events: Vec<SealedEvent<'a>>,
    spots: Spots<'a>,
    /// For each spot, the value; `None` for what is none.
    values: Vec<Option<SealedValue<'a>>>,
    /// Each key once.
    keys: Vec<KeyId>,
}

struct SealedEvent<'a> {
    index: usize,
    event: &'a RecordedEvent,
    /// Which of the page's spots are its own.
    spots: Range<usize>,
}

struct SealedValue<'a> {
    /// Which of the page's keys.
    key: usize,
    written: Written<'a>,
}

impl<'a> SealedPage<'a> {
    fn of(events: &'a [RecordedEvent]) -> Self {
        let mut page =
            Self { events: Vec::new(), spots: Spots::default(), values: Vec::new(), keys: Vec::new() };
        for (index, event) in events.iter().enumerate() {
            let from = page.spots.list.len();
            // What cannot be looked through is given as it is: typed code refuses it with a place.
            if event.content_type() != ContentType::Json || page.spots.add_sealed(event.data_slice()).is_err()
            {
                continue;
            }
            let spots = from..page.spots.list.len();
            if !spots.is_empty() {
                page.events.push(SealedEvent { index, event, spots });
            }
        }
        page.read_envelopes();
        page
    }

    fn read_envelopes(&mut self) {
        let mut numbers: HashMap<KeyId, usize> = HashMap::with_capacity(self.events.len());
        // The values of one event mostly have the same key.
        let mut last: Option<(KeyId, usize)> = None;
        self.values.reserve(self.spots.list.len());
        for SealedEvent { event, spots, .. } in &self.events {
            for spot in &mut self.spots.list[spots.clone()] {
                let parse = || Written::parse(&event.data_slice()[spot.value.clone()]).ok();
                self.values.push(spot.written.take().or_else(parse).map(|written| {
                    let id = written.key;
                    let key = match last {
                        Some((same, key)) if same == id => key,
                        _ => *numbers.entry(id).or_insert_with(|| {
                            self.keys.push(id);
                            self.keys.len() - 1
                        }),
                    };
                    last = Some((id, key));
                    SealedValue { key, written }
                }));
            }
        }
    }
}

/// Opens the events of a page, once its keys are known.
struct Opening<'a> {
    tenant: &'a str,
    page: &'a SealedPage<'a>,
    keys: &'a [KeyState],
    outside: &'a Outside,
}

/// What is used again for each value of a part.
#[derive(Default)]
struct Room {
    sealed: Vec<u8>,
    bound_to: AssociatedData,
    /// For which of the page's keys `bound_to` is, in the event at hand.
    bound_for: Option<usize>,
    /// Whether any value was not to be had.
    unavailable: bool,
}

impl Room {
    fn write_unavailable(&mut self, why: Unavailable, partial: Option<&str>, into: &mut Vec<u8>) {
        self.unavailable = true;
        Marker { content: Content::Unavailable(why), partial }.write(into);
    }
}

impl Opening<'_> {
    /// The events that hold anything, opened, with their places among all. They share a buffer.
    fn open(&self, room: &mut Room) -> Vec<(usize, RecordedEvent)> {
        let events = &self.page.events;
        // A marker is shorter than the envelope in whose place it comes, but for values that are kept outside.
        let length = events.iter().map(|sealed| sealed.event.body().len()).sum();
        let (mut bodies, mut ends) = (Vec::with_capacity(length), Vec::with_capacity(events.len()));
        for sealed in events {
            self.write_body(sealed, room, &mut bodies);
            ends.push(bodies.len());
        }
        let (bodies, mut start) = (Bytes::from(bodies), 0);
        let opened = events.iter().zip(ends).map(|(sealed, end)| {
            let body = bodies.slice(std::mem::replace(&mut start, end)..end);
            // Only the data is another one, which is the last part.
            let event = RecordedEvent::from_encoded(*sealed.event.header(), body, sealed.event.layout());
            (sealed.index, event)
        });
        opened.collect()
    }

    fn write_body(&self, sealed: &SealedEvent<'_>, room: &mut Room, bodies: &mut Vec<u8>) {
        let (event, spots) = (sealed.event, &sealed.spots);
        let (body, id) = (event.body(), event.id());
        let mut place = Place {
            tenant: self.tenant,
            stream: event.stream(),
            event_id: id.0.as_bytes(),
            event_type: event.event_type(),
            pointer: "",
            partial: b"",
        };
        room.bound_for = None;
        let data_at = body.len() - event.data_slice().len();
        let mut done = 0;
        let values = &self.page.values[spots.clone()];
        for (spot, value) in self.page.spots.list[spots.clone()].iter().zip(values) {
            let Spot { object, pointer, .. } = spot;
            bodies.extend_from_slice(&body[done..data_at + object.start]);
            done = data_at + object.end;
            let Some(SealedValue { key, written }) = value else {
                room.write_unavailable(Unavailable::Malformed, None, bodies);
                continue;
            };
            if let WrittenBody::Here { sealed, .. } = written.body
                && Written::decode(sealed, &mut room.sealed).is_err()
            {
                room.write_unavailable(Unavailable::Malformed, None, bodies);
                continue;
            }
            place.pointer = &self.page.spots.pointers[pointer.clone()];
            place.partial = written.partial.unwrap_or_default().as_bytes();
            let start = bodies.len();
            if let Err(why) = self.write_value(*key, written, &place, room, bodies) {
                bodies.truncate(start);
                room.write_unavailable(why, written.partial, bodies);
            }
        }
        bodies.extend_from_slice(&body[done..]);
    }

    /// Writes the marker of one value, whose sealed bytes are in `room` if they are here; where it is not to be had, part of one.
    fn write_value(
        &self,
        number: usize,
        written: &Written<'_>,
        place: &Place<'_>,
        room: &mut Room,
        into: &mut Vec<u8>,
    ) -> Result<(), Unavailable> {
        let key = match &self.keys[number] {
            Err(why) => return Err(*why),
            Ok(Known::Erased { owner, erasure }) => {
                let content = Content::Erased { key: written.key, owner: owner.clone(), erasure: *erasure };
                Marker { content, partial: written.partial }.write(into);
                return Ok(());
            }
            Ok(Known::Key(key)) => key,
        };
        let (salt, sealed, keep): (&[u8; SALT_BYTES], &[u8], Keep) = match (&written.body, self.outside) {
            (WrittenBody::Here { salt, .. }, _) => (salt, &room.sealed, Keep::InEvent),
            (WrittenBody::Outside { .. }, None) => return Err(Unavailable::VaultDown),
            (WrittenBody::Outside { salt, value }, Some(outside)) => {
                (salt, outside.get(value).ok_or(Unavailable::Missing)?, Keep::Outside)
            }
            // It was erased when it was written, and its key is live again: that cannot be.
            (WrittenBody::Erased, _) => return Err(Unavailable::Malformed),
        };
        if room.bound_for.replace(number) != Some(number) {
            room.bound_to.event(key, place);
        }
        room.bound_to.value(place);
        write_opened(key.marker_head(), keep, written.partial, into, |into| {
            let start = into.len();
            open_onto(key, &room.bound_to, salt, sealed, into).map_err(Unavailable::from)?;
            std::str::from_utf8(&into[start..]).map_err(|_| Unavailable::Malformed)?;
            while into.len() > start && into.ends_with(b" ") {
                into.pop();
            }
            Ok(())
        })
    }
}
