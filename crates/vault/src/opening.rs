//! Which thread opens which events, and may what was opened ahead still be given out?
//!
//! Events are cut into parts. The openers, threads of the vault, take parts from a queue; whoever needs a part that none has
//! taken opens it itself. So nobody waits for work that nobody does, and without openers all goes on as with them.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, available_parallelism};

use factum_core::{RecordedEvent, block_on};
use tokio::sync::oneshot::{Receiver, Sender, channel};

use crate::open_event::{Opened, may_hold_sealed};
use crate::vault::{KeyVault, WeakVault};

/// Events of one part: opening them takes many times as long as handing them over, and little of a page.
const PART_EVENTS: usize = 32;
/// Most openers of one vault: others have work too.
const MAX_OPENERS: usize = 3;
/// Most parts in the queue. Those that are not put there are opened by whoever needs them.
const MAX_QUEUED: usize = 256;

impl KeyVault {
    /// The same events with every sealed value opened: in its place is a marker, for typed code to read. An event without
    /// sealed values is given as it is, and costs a look at its bytes.
    ///
    /// Never fails: a value that cannot be opened says so itself, and the others are there.
    pub async fn open_events(&self, events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
        OpeningEvents::begin(self, events).finish(self).await
    }
}

/// Events that are being opened.
pub(crate) struct OpeningEvents {
    /// As they are sealed.
    events: Arc<Vec<RecordedEvent>>,
    parts: Vec<Part>,
    begun: Begun,
}

/// When the openers began with them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// In the call that gives them out.
    Now,
    /// In an earlier one: somebody may have been erased since.
    Earlier,
}

struct Part {
    claim: Arc<Claim>,
    /// `None` once it has answered.
    opened: Option<Receiver<Opened>>,
}

/// Whoever takes it out opens the part.
type Claim = Mutex<Option<Sender<Opened>>>;

impl OpeningEvents {
    pub(crate) fn begin(vault: &KeyVault, events: Vec<RecordedEvent>) -> Self {
        let mut this = Self { events: Arc::new(events), parts: Vec::new(), begun: Begun::Now };
        // The first one that may hold something mostly comes at once, or there is none.
        if !this.events.iter().any(may_hold_sealed) {
            return this;
        }
        for _ in 0..this.events.len().div_ceil(PART_EVENTS) {
            let (sender, receiver) = channel();
            let part = Part { claim: Arc::new(Mutex::new(Some(sender))), opened: Some(receiver) };
            this.parts.push(part);
        }
        // One part is opened as fast by who needs it.
        if this.parts.len() > 1 {
            vault.openers().take(this.parts.iter().enumerate().map(|(number, part)| {
                let (events, claim) = (Arc::clone(&this.events), Arc::clone(&part.claim));
                Task { vault: vault.downgrade(), events, number, claim }
            }));
        }
        this
    }

    /// Says that the next [`finish`](Self::finish) is of a later call.
    pub(crate) fn was_begun_earlier(&mut self) {
        self.begun = Begun::Earlier;
    }

    /// The events, opened as they would be now. A call that is given up may be made again.
    pub(crate) async fn finish(&mut self, vault: &KeyVault) -> Vec<RecordedEvent> {
        if self.parts.is_empty() {
            return self.events.to_vec();
        }
        let mut opened: Vec<Option<Opened>> = Vec::with_capacity(self.parts.len());
        // First whatever nobody has taken, and then to wait.
        for (number, part) in self.parts.iter().enumerate() {
            let unclaimed = lock(&part.claim).take().is_some();
            opened.push(match unclaimed {
                true => Some(vault.open_here(events_of(&self.events, number)).await),
                false => None,
            });
        }
        let mut events = Vec::with_capacity(self.events.len());
        for (number, opened) in opened.into_iter().enumerate() {
            events.extend(match opened {
                Some(opened) => opened.events,
                None => self.taken(number, vault).await.events,
            });
        }
        events
    }

    /// A part that somebody has taken.
    async fn taken(&mut self, number: usize, vault: &KeyVault) -> Opened {
        let part = &mut self.parts[number];
        if let Some(receiver) = &mut part.opened {
            let opened = receiver.await;
            part.opened = None;
            // An opener that ended without an answer has none for anybody: this one opens it, and sees why.
            if let Ok(opened) = opened
                && (self.begun == Begun::Now || vault.still_opens(opened.settled))
            {
                return opened;
            }
        }
        vault.open_here(events_of(&self.events, number)).await
    }
}

fn events_of(events: &[RecordedEvent], part: usize) -> &[RecordedEvent] {
    events.chunks(PART_EVENTS).nth(part).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part in the queue.
struct Task {
    /// Whoever asked keeps it open.
    vault: WeakVault,
    events: Arc<Vec<RecordedEvent>>,
    number: usize,
    claim: Arc<Claim>,
}

impl Task {
    fn run(self) {
        let Some(sender) = lock(&self.claim).take() else { return };
        if sender.is_closed() {
            return;
        }
        if let Some(vault) = self.vault.upgrade() {
            // Nobody may wait any more.
            let _ = sender.send(block_on(vault.open_here(events_of(&self.events, self.number))));
        }
    }
}

/// The threads of a vault that open parts. They are started when there is a part for them, and end with the vault.
pub(crate) struct Openers {
    queue: Arc<Queue>,
    /// How many there are.
    started: OnceLock<usize>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Openers {
    pub(crate) fn new() -> Self {
        Self { queue: Arc::default(), started: OnceLock::new() }
    }

    /// Puts parts into the queue, as far as there is room and anybody to take them out.
    fn take(&self, tasks: impl Iterator<Item = Task>) {
        if *self.started.get_or_init(|| self.start()) == 0 {
            return;
        }
        let mut waiting = lock(&self.queue.waiting);
        let room = MAX_QUEUED.saturating_sub(waiting.tasks.len());
        waiting.tasks.extend(tasks.take(room));
        drop(waiting);
        // All are woken for several parts, not one for each: waking costs as much as opening an event.
        self.queue.more.notify_all();
    }

    /// How many could be started: one processor is whoever needs the events.
    fn start(&self) -> usize {
        let wanted = available_parallelism().map_or(0, |cores| NonZero::get(cores) - 1).min(MAX_OPENERS);
        let start = |_: &usize| {
            let queue = Arc::clone(&self.queue);
            Builder::new().name("factum-opener".to_owned()).spawn(move || queue.work()).is_ok()
        };
        (0..wanted).filter(start).count()
    }
}

impl Drop for Openers {
    /// They are not waited for: the last handle on a vault may be one of theirs.
    fn drop(&mut self) {
        lock(&self.queue.waiting).closed = true;
        self.queue.more.notify_all();
    }
}

impl Queue {
    fn work(&self) {
        while let Some(task) = self.next() {
            task.run();
        }
    }

    fn next(&self) -> Option<Task> {
        let waiting = lock(&self.waiting);
        let idle = |waiting: &mut Waiting| waiting.tasks.is_empty() && !waiting.closed;
        let mut waiting = self.more.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.closed { None } else { waiting.tasks.pop_front() }
    }
}
