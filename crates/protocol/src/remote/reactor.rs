//! Where does the network's work run?
//!
//! On a thread of the store's own. A store's futures need no particular runtime, and a caller may park the only thread of
//! its own while it waits: the connection must go on all the same.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A runtime with one thread. Dropping it ends what runs on it.
#[derive(Debug)]
pub(super) struct Reactor(Option<Runtime>);

/// A piece of work. Dropping it ends the work.
#[derive(Debug)]
pub(super) struct Work<T>(JoinHandle<T>);

/// The work was ended because the store was dropped, or it panicked.
#[derive(Debug)]
pub(super) struct Ended;

impl Reactor {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("factum-remote")
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Begins `work`.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<Work<T>> {
        self.0.as_ref().map(|runtime| Work(runtime.spawn(work)))
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // The last handle may be dropped on a thread of another runtime, which must not be kept waiting.
            runtime.shutdown_background();
        }
    }
}

impl<T> Work<T> {
    /// Waits for its end.
    pub(super) async fn done(mut self) -> Result<T, Ended> {
        (&mut self.0).await.map_err(|_| Ended)
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
