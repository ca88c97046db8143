//! Is the server about to stop?

use tokio::sync::watch;

/// A handle that knows. Whatever has no end of its own waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// A sender that stops, and the handle that is told.
    pub(crate) fn channel() -> (watch::Sender<bool>, Self) {
        let (stop, stopping) = watch::channel(false);
        (stop, Self(stopping))
    }

    /// Whether it is.
    pub(crate) fn is_due(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is. A server that is gone has stopped.
    pub(crate) async fn wait(&mut self) {
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}
