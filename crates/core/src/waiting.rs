//! How does a thread without a runtime wait for a future?

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Parks the thread until `future` is ready. A store's futures need no particular runtime.
///
/// On a thread of a runtime it keeps the runtime's other futures waiting, and no longer than that: tokio's budget of polls is
/// set aside, since it is only given back to those who return, and without it an answer that is there would never be seen.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(tokio::task::coop::unconstrained(future));
    // Most outcomes are there at once: the caller made them itself.
    if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return value;
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::block_on;
    use tokio::sync::oneshot;

    #[test]
    fn a_thread_of_a_runtime_may_wait_more_often_than_a_task_may_be_polled() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answered = runtime.block_on(async {
            let mut answered = 0;
            for n in 0..1_000 {
                let (sender, receiver) = oneshot::channel();
                sender.send(n).unwrap();
                answered += block_on(receiver).map(|_| 1).unwrap();
            }
            answered
        });
        assert_eq!(answered, 1_000);
    }
}
