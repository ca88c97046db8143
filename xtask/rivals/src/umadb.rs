//! UmaDB, embedded: its own writer thread, which puts the requests that wait into one commit.
//!
//! Events carry their stream as a tag, and each append's condition is that nothing with this tag came after the last one.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot, watch};
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_core::writer_thread_blocking::writer_thread_blocking;
use umadb_core::writer_thread_request::WriterThreadRequest;
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbQuery, DcbQueryItem};

use crate::scenario::{Client, Rival};

/// Requests that may wait for the writer.
const QUEUE: usize = 1_024;

/// Most events in one of UmaDB's commits.
const EVENTS_PER_COMMIT: usize = 2_000;

struct Umadb {
    requests: mpsc::Sender<WriterThreadRequest>,
    writer: Option<JoinHandle<()>>,
}

pub(crate) fn open(directory: &Path) -> Result<Box<dyn Rival>, String> {
    let options = StorageOptions::default().db_path(directory);
    let mvcc = Arc::new(Mvcc::new(false, options).map_err(|error| format!("umadb: {error:?}"))?);
    let (requests, incoming) = mpsc::channel(QUEUE);
    let (head, _) = watch::channel(None);
    let writer = thread::spawn(move || writer_thread_blocking(mvcc, incoming, head, EVENTS_PER_COMMIT));
    Ok(Box::new(Umadb { requests, writer: Some(writer) }))
}

impl Rival for Umadb {
    fn append(&self, client: &mut Client, events: &[Vec<u8>]) -> Result<(), String> {
        let tagged = |data: &Vec<u8>| DcbEvent {
            event_type: "Deposited".to_owned(),
            tags: vec![client.stream.clone()],
            data: data.clone(),
            ..DcbEvent::new()
        };
        let item = DcbQueryItem { tags: vec![client.stream.clone()], ..DcbQueryItem::new() };
        let condition = DcbAppendCondition {
            fail_if_events_match: DcbQuery { items: vec![item] },
            after: client.last_position,
        };
        let (response_tx, response) = oneshot::channel();
        let request = WriterThreadRequest::Append {
            events: events.iter().map(tagged).collect(),
            condition: Some(condition),
            tracking_info: None,
            response_tx,
            cancel: None,
        };
        self.requests.blocking_send(request).map_err(|_| "umadb: its writer has ended")?;
        let answer = response.blocking_recv().map_err(|_| "umadb: no answer")?;
        client.last_position = Some(answer.map_err(|error| format!("umadb: {error:?}"))?);
        Ok(())
    }
}

impl Drop for Umadb {
    fn drop(&mut self) {
        // The writer ends by itself when the channel closes; a shutdown that cannot be sent says that it has.
        let _ = self.requests.blocking_send(WriterThreadRequest::Shutdown);
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has answered its requests with errors already.
            let _ = writer.join();
        }
    }
}
