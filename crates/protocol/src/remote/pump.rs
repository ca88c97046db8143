//! How do pages and messages come from the network's thread to whoever reads?
//!
//! A piece of work reads ahead by as much as the channel holds, and ends when the reader is dropped. A wait that is dropped
//! loses nothing: what has come stays in the channel.

use std::sync::Arc;

use factum_core::{
    BoxFuture, EventReader, Page, Read, ReadError, ReadHead, Subscribe, Subscription, SubscriptionMessage,
};
use tokio::sync::{mpsc, oneshot};

use super::cluster::{Cluster, Way};
use super::reactor::Work;
use super::{Shared, kurrent, own, way};

/// Pages that are read ahead.
const PAGES_AHEAD: usize = 2;

/// Where a read's pages come from.
pub(super) trait Pages: Send {
    /// The next page, or `None` after the last one.
    async fn next(&mut self) -> Result<Option<Page>, ReadError>;
}

/// Where a subscription's messages come from; goes on by itself after a broken connection.
pub(super) trait Messages: Send {
    async fn next(&mut self) -> Result<SubscriptionMessage, ReadError>;
}

/// Begins a read.
pub(super) async fn read(shared: Arc<Shared>, read: Read) -> Result<Box<dyn EventReader>, ReadError> {
    read.check()?;
    let (told, head) = oneshot::channel();
    let (sender, pages) = mpsc::channel(PAGES_AHEAD);
    let cluster = shared.cluster.clone();
    let work = shared.reactor.run(async move {
        match way(&cluster).await {
            Ok(Way::Own) => pump(own::read(cluster, read).await, told, sender).await,
            Ok(Way::Kurrent) => pump(kurrent::read(cluster, read).await, told, sender).await,
            // A reader that has gone away needs no answer, here and below.
            Err(error) => drop(told.send(Err(error))),
        }
    });
    let work = work.ok_or(ReadError::Closed)?;
    let head = head.await.unwrap_or(Err(ReadError::Closed))?;
    Ok(Box::new(Reader { head, pages: Some(pages), _work: work, _shared: shared }))
}

async fn pump(
    begun: Result<(ReadHead, impl Pages), ReadError>,
    told: oneshot::Sender<Result<ReadHead, ReadError>>,
    sender: mpsc::Sender<Result<Option<Page>, ReadError>>,
) {
    let mut source = match begun {
        Ok((head, source)) => {
            let _ = told.send(Ok(head));
            source
        }
        Err(error) => return drop(told.send(Err(error))),
    };
    loop {
        let page = source.next().await;
        let goes_on = matches!(page, Ok(Some(_)));
        if sender.send(page).await.is_err() || !goes_on {
            return;
        }
    }
}

struct Reader {
    head: ReadHead,
    /// `None` once the last page has been given.
    pages: Option<mpsc::Receiver<Result<Option<Page>, ReadError>>>,
    _work: Work<()>,
    /// The thread that the work runs on must outlive it.
    _shared: Arc<Shared>,
}

impl EventReader for Reader {
    fn head(&self) -> &ReadHead {
        &self.head
    }

    fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Page>, ReadError>> {
        Box::pin(async move {
            let Some(pages) = &mut self.pages else { return Ok(None) };
            // The end is said: a channel that is closed without it was cut off.
            let page = pages.recv().await.unwrap_or(Err(ReadError::Closed));
            if !matches!(page, Ok(Some(_))) {
                self.pages = None;
            }
            page
        })
    }
}

/// Begins a subscription.
pub(super) async fn subscribe(
    shared: Arc<Shared>,
    subscribe: Subscribe,
) -> Result<Box<dyn Subscription>, ReadError> {
    let (told, started) = oneshot::channel();
    let (sender, messages) = mpsc::channel(PAGES_AHEAD);
    let cluster: Arc<Cluster> = shared.cluster.clone();
    let work = shared.reactor.run(async move {
        match way(&cluster).await {
            Ok(Way::Own) => forward(own::subscribe(cluster, subscribe).await, told, sender).await,
            Ok(Way::Kurrent) => forward(kurrent::subscribe(cluster, subscribe).await, told, sender).await,
            Err(error) => drop(told.send(Err(error))),
        }
    });
    let work = work.ok_or(ReadError::Closed)?;
    started.await.unwrap_or(Err(ReadError::Closed))?;
    Ok(Box::new(Following { messages, ended: None, _work: work, _shared: shared }))
}

async fn forward(
    begun: Result<impl Messages, ReadError>,
    told: oneshot::Sender<Result<(), ReadError>>,
    sender: mpsc::Sender<Result<SubscriptionMessage, ReadError>>,
) {
    let mut source = match begun {
        Ok(source) => {
            let _ = told.send(Ok(()));
            source
        }
        Err(error) => return drop(told.send(Err(error))),
    };
    loop {
        let message = source.next().await;
        let goes_on = message.is_ok();
        if sender.send(message).await.is_err() || !goes_on {
            return;
        }
    }
}

struct Following {
    messages: mpsc::Receiver<Result<SubscriptionMessage, ReadError>>,
    /// Why there will be no more messages.
    ended: Option<ReadError>,
    _work: Work<()>,
    _shared: Arc<Shared>,
}

impl Subscription for Following {
    fn next(&mut self) -> BoxFuture<'_, Result<SubscriptionMessage, ReadError>> {
        Box::pin(async move {
            if let Some(error) = &self.ended {
                return Err(error.clone());
            }
            let message = self.messages.recv().await.unwrap_or(Err(ReadError::Closed));
            self.ended = message.as_ref().err().cloned();
            message
        })
    }
}
