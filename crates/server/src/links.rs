//! Where does a link lead?

use factum_core::{EventStore, EventStoreExt, Read, ReadError, RecordedEvent, StreamName};
use factum_protocol::{LINK_TYPE, LinkTarget};

use crate::access::Action;
use crate::call::Call;
use crate::shared::Shared;
use crate::source::{Resolved, Source};

/// What a reader wants to see of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// What they point to, and the link beside it.
    Resolve,
    /// The links.
    Show,
}

impl Links {
    /// Reads it.
    pub(crate) fn of(resolve: bool) -> Self {
        if resolve { Links::Resolve } else { Links::Show }
    }

    /// Gets ready for events of `source` that were read just now: what has been hidden meanwhile is known from then on.
    ///
    /// # Errors
    /// `ReadError` where the store cannot be asked.
    pub(crate) async fn prepare(self, shared: &Shared, source: &Source) -> Result<(), ReadError> {
        match (self, source) {
            (Links::Resolve, Source::Index(_)) => shared.limited.look(shared.store.as_ref()).await,
            _ => Ok(()),
        }
    }

    /// The event as this reader wants it.
    ///
    /// # Errors
    /// `ReadError` where the target could not be looked up. A target that is gone, or that the caller may not read, is no
    /// error: the link stands alone.
    pub(crate) async fn apply(
        self,
        shared: &Shared,
        call: &Call,
        placed: Resolved,
    ) -> Result<Resolved, ReadError> {
        match (self, placed) {
            // A link that an index made came with its target.
            (Links::Show, Resolved { link: Some(link), .. }) => Ok(Resolved::plain(link)),
            (Links::Resolve, Resolved { event: Some(link), link: None })
                if link.event_type() == LINK_TYPE =>
            {
                let event = match LinkTarget::parse(link.data_slice()) {
                    Some(target) => self::target(shared, call, target).await?,
                    None => None,
                };
                Ok(Resolved { event, link: Some(link) })
            }
            (Links::Resolve, Resolved { event: Some(event), link: Some(link) }) => {
                if shared.limited.has(event.stream()) {
                    let event = match StreamName::new(event.stream().to_owned()) {
                        Ok(stream) => {
                            let target = LinkTarget { stream, revision: event.revision() };
                            self::target(shared, call, target).await?
                        }
                        Err(_) => None,
                    };
                    return Ok(Resolved { event, link: Some(link) });
                }
                let may = shared.access.check(&call.caller, Action::Read(event.stream())).await.is_ok();
                Ok(Resolved { event: may.then_some(event), link: Some(link) })
            }
            (_, placed) => Ok(placed),
        }
    }
}

/// What a link points to; `None` where that is gone, or the caller may not read it.
///
/// # Errors
/// `ReadError` where it could not be looked up.
pub(crate) async fn target(
    shared: &Shared,
    call: &Call,
    target: LinkTarget,
) -> Result<Option<RecordedEvent>, ReadError> {
    if shared.access.check(&call.caller, Action::Read(target.stream.as_str())).await.is_err() {
        return Ok(None);
    }
    let store: &dyn EventStore = shared.store.as_ref();
    let source = Source::named(target.stream);
    let mut read = Read::forwards(source.selector()).from(source.place_of(target.revision)).limit(1);
    read.filter = source.filter();
    match store.read_all(read).await {
        Ok(events) => {
            let placed = events.into_iter().filter_map(|event| source.place(event)?.original().cloned());
            Ok(placed.into_iter().find(|event| event.revision() == target.revision))
        }
        Err(ReadError::StreamNotFound { .. } | ReadError::StreamDeleted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
