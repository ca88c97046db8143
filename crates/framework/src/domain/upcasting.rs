//! What does a stored event look like to the application that reads it today, and how did it come to that?

use std::fmt;

use factum_core::{ContentType, RecordedEvent};
use serde_json::value::{RawValue, to_raw_value};

use crate::codec::{DecodeFault, reads_as, upcast};
use crate::{Event, EventKind};

/// An event as the application reads it today.
#[derive(Clone, Debug)]
pub struct Upcasted {
    /// The type's current name.
    pub event_type: &'static str,
    /// The current schema version.
    pub version: u32,
    /// The upcasters that changed it, in order; none where it is of the current version. Where one failed, those before it.
    pub steps: Vec<UpcastedStep>,
    /// The data of the current version, which the application can read; or why it cannot.
    pub data: Result<Box<RawValue>, DecodeFault>,
}

/// What one upcaster did.
#[derive(Clone, Debug)]
pub struct UpcastedStep {
    /// The version that it read. It gave the version after it.
    pub from: u32,
    /// What it does, part by part.
    pub does: Vec<String>,
    /// The data after it.
    pub data: Box<RawValue>,
}

type ReadsAs = fn(usize, &[u8]) -> Result<(), DecodeFault>;

/// A kind of event, with what its enum's type is needed for.
#[derive(Clone, Copy)]
pub(super) struct KnownKind {
    number: usize,
    declared: &'static EventKind,
    reads_as: ReadsAs,
}

impl KnownKind {
    pub(super) fn new<E: Event>(number: usize, declared: &'static EventKind) -> Self {
        Self { number, declared, reads_as: reads_as::<E> }
    }

    pub(super) fn declared(&self) -> &'static EventKind {
        self.declared
    }

    pub(super) fn upcast(&self, event: &RecordedEvent) -> Upcasted {
        let mut steps = Vec::new();
        let data = self.read(event, &mut steps);
        let EventKind { event_type, version, .. } = *self.declared;
        Upcasted { event_type, version, steps, data }
    }

    fn read(
        &self,
        event: &RecordedEvent,
        steps: &mut Vec<UpcastedStep>,
    ) -> Result<Box<RawValue>, DecodeFault> {
        if let Some(redaction) = event.redaction() {
            return Err(DecodeFault::Redacted { reason: redaction.reason.as_str().into() });
        }
        if event.content_type() != ContentType::Json {
            return Err(DecodeFault::Binary);
        }
        let stored = event.data_slice();
        let made = upcast(self.declared, event.schema_version().0, stored, |upcaster, value| {
            let does = upcaster.steps.iter().map(ToString::to_string).collect();
            steps.push(UpcastedStep {
                from: upcaster.from,
                does,
                data: to_raw_value(value).unwrap_or_default(),
            });
        })?;
        let data = made.as_deref().unwrap_or(stored);
        (self.reads_as)(self.number, data)?;
        serde_json::from_slice(data).map_err(|error| DecodeFault::data(&error, data))
    }
}

impl fmt::Debug for KnownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KnownKind").field(&self.declared.event_type).finish()
    }
}
