//! Taking what one event said out of the files of the store, for good (ADR 13).
//!
//! The request is an event and is committed first. Then the segment that holds the event is sealed if it is open, written
//! anew and put in its place. What a crash leaves unfinished is found by its request, and finished by the next opening or the
//! next redaction. One redaction runs at a time, so that at most the newest request is unfinished.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use factum_core::{
    AppendError, BoxFuture, Leaf, Position, REDACTIONS_STREAM, Read, ReadError, RecordedEvent, Redact,
    RedactError, RedactOutcome, Redacted, RedactionRequest, Selector, StreamName, StreamView, block_on,
};
use tokio::sync::oneshot;

use crate::engine::{Engine, Shared, locked};
use crate::identity::{Identity, store_path};
use crate::rewrite::{Change, rewrite};
use crate::segment::format::{FORMAT_WITH_REDACTED, Record, encode_redacted};
use crate::segment::{damaged, failed};
use crate::writer::Work;

impl Engine {
    /// Takes data, metadata and tags out of one event, and blocks until they are in no file of the store. One redaction runs
    /// at a time; appends and reads go on. It takes the time and the memory of writing one segment anew.
    ///
    /// # Errors
    /// As [`EventStore::redact`](factum_core::EventStore::redact).
    pub fn redact_blocking(&self, redact: &Redact) -> Result<Redacted, RedactError> {
        redact.check()?;
        let shared = self.shared();
        let _one = shared.redact_alone();
        shared.finish_redactions()?;
        let (position, end) = (redact.position, shared.log.committed());
        if position >= end {
            return Err(RedactError::BeyondEnd { position, end });
        }
        let event = shared.log.event(position.0)?.ok_or(RedactError::Removed { position })?;
        if event.is_redacted() {
            return shared.redacted(event, RedactOutcome::DoneBefore);
        }
        redact.check_event(&event)?;
        let recorded = shared.record(redact, &event).map_err(RedactError::Record)?;
        let unfinished = |source| RedactError::Unfinished { position, recorded, source };
        let request = shared.log.event(recorded.0).map_err(unfinished)?;
        let request =
            request.as_ref().and_then(RedactionRequest::parse).ok_or(RedactError::Removed { position })?;
        shared.finish_one(&request).map_err(unfinished)?;
        let event = shared.log.event(position.0)?.ok_or(RedactError::Removed { position })?;
        shared.redacted(event, RedactOutcome::Done)
    }

    /// As [`redact_blocking`](Self::redact_blocking), on a thread of its own where the engine has threads. It goes on when
    /// nobody waits for it any more.
    pub(crate) fn redact_aside(&self, redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        Box::pin(async move {
            if !self.has_thread() {
                return self.redact_blocking(&redact);
            }
            let engine = self.clone();
            let (reply, outcome) = oneshot::channel();
            let work = move || {
                let done = engine.redact_blocking(&redact);
                // First the handle: whoever has the answer may close the store and open it again.
                drop(engine);
                // Whoever no longer waits loses the answer, not the redaction.
                drop(reply.send(done));
            };
            let started = std::thread::Builder::new().name("factum-redact".to_owned()).spawn(work);
            started.map_err(|error| failed(&self.shared().dir, 0, error))?;
            outcome.await.unwrap_or(Err(RedactError::Read(ReadError::Closed)))
        })
    }

    /// Finishes at opening what a crash left. Where that cannot be done the store opens, and says so: see
    /// [`StoreInfo`](crate::StoreInfo).
    pub(crate) fn resume_redactions(&self) {
        let shared = self.shared();
        let _one = shared.redact_alone();
        // The failure is noted.
        drop(shared.finish_redactions());
    }
}

impl Shared {
    /// Takes the right to redact. A store that closes waits for it.
    pub(crate) fn redact_alone(&self) -> MutexGuard<'_, ()> {
        locked(&self.redacting)
    }

    /// Appends the event that records the redaction of `event`.
    fn record(&self, redact: &Redact, event: &RecordedEvent) -> Result<Position, AppendError> {
        let work = Work::Redact(Box::new((redact.clone(), event.clone())));
        let outcome = block_on(self.submit_and_lead(work)?).unwrap_or(Err(AppendError::Closed))?;
        outcome.first.ok_or(AppendError::Closed)
    }

    /// Finishes every redaction that is recorded and not done.
    fn finish_redactions(&self) -> Result<(), RedactError> {
        let done = self.unfinished_redactions().map_err(RedactError::Read).and_then(|unfinished| {
            // From the oldest on, so that those that are left are again the newest ones.
            unfinished.iter().rev().try_for_each(|request| {
                let (position, recorded) = (request.position, request.redaction.recorded);
                self.finish_one(request).map_err(|source| RedactError::Unfinished {
                    position,
                    recorded,
                    source,
                })
            })
        });
        *locked(&self.redaction_failure) = done.as_ref().err().map(ToString::to_string);
        done
    }

    /// The requests whose events are still whole, from the newest on.
    fn unfinished_redactions(&self) -> Result<Vec<RedactionRequest>, ReadError> {
        let mut unfinished = Vec::new();
        let Ok(stream) = StreamName::new(REDACTIONS_STREAM) else { return Ok(unfinished) };
        let read = Read::backwards(Selector::Stream(stream)).view(StreamView::Recorded);
        let mut reader = match self.read(read) {
            Err(ReadError::StreamNotFound { .. }) => return Ok(unfinished),
            reader => reader?,
        };
        while let Some(page) = reader.page()? {
            for event in page.events {
                let Some(request) = RedactionRequest::parse(&event) else { continue };
                match self.log.event(request.position.0)? {
                    Some(event) if !event.is_redacted() => unfinished.push(request),
                    // Older ones were finished before this one was recorded.
                    _ => return Ok(unfinished),
                }
            }
        }
        Ok(unfinished)
    }

    fn finish_one(&self, request: &RedactionRequest) -> Result<(), ReadError> {
        let position = request.position;
        self.seal_if_open(position)?;
        self.raise_format()?;
        let _replacing = self.upkeep.replace();
        // A store that is closed may be open elsewhere: nothing is replaced any more.
        if self.closing.load(Ordering::Acquire) {
            return Err(ReadError::Closed);
        }
        let segment = self.log.segment_of(position.0)?;
        let mut other = false;
        let rewritten = rewrite(&segment, FORMAT_WITH_REDACTED, |step, out| match &step.record {
            Record::Event(event) if event.position() == position && !event.is_redacted() => {
                other = event.id() != request.event
                    || Leaf(step.record.leaf(&step.bytes)) != request.redaction.leaf;
                if other {
                    return Change::None;
                }
                encode_redacted(event, &request.redaction, out);
                Change::Changed
            }
            _ => Change::None,
        })?;
        if other {
            let recorded = request.redaction.recorded;
            let what = format!(
                "the redaction recorded at position {recorded} is about another event than {position}"
            );
            return Err(damaged(&segment.path, 0, what));
        }
        // A scavenge may have come first: then nothing is left to take out.
        if rewritten.changed == 0 { Ok(()) } else { rewritten.put_in_place(&*self.vfs, &self.log, &segment) }
    }

    /// Seals the segment that holds the position, if it is the open one.
    fn seal_if_open(&self, position: Position) -> Result<(), ReadError> {
        let sealed = match &mut *locked(&self.writer) {
            Some(writer) => writer.seal_if_open(position),
            None => return Err(ReadError::Closed),
        };
        // Work that came meanwhile found the writer taken.
        self.wake.notify_one();
        let place = || "the open segment, which had to be sealed".to_owned();
        sealed.map_err(|error| match error {
            AppendError::Stopped { cause } => ReadError::Io { place: place(), source: cause },
            AppendError::DiskFull => {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                ReadError::Io { place: place(), source: Arc::new(full) }
            }
            other => ReadError::Invalid { why: other.to_string() },
        })
    }

    /// Lets older builds refuse the store before there is anything in it that they do not know.
    fn raise_format(&self) -> Result<(), ReadError> {
        if self.format.load(Ordering::Acquire) < FORMAT_WITH_REDACTED {
            let raised = Identity { format: FORMAT_WITH_REDACTED, ..self.identity };
            raised.write(&*self.vfs, &self.dir).map_err(|error| failed(&store_path(&self.dir), 0, error))?;
            self.format.store(FORMAT_WITH_REDACTED, Ordering::Release);
        }
        Ok(())
    }

    fn redacted(&self, event: RecordedEvent, outcome: RedactOutcome) -> Result<Redacted, RedactError> {
        let position = event.position();
        let redaction = event.redaction().cloned().ok_or(RedactError::Removed { position })?;
        let token = self.start().at(redaction.recorded.next());
        Ok(Redacted { event, redaction, outcome, token })
    }
}
