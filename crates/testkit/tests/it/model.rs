//! The model test on the model itself finds nothing; on a store that lies it finds the lie.

use std::sync::Arc;

use factum_core::{
    Append, AppendError, Appended, BoxFuture, Capabilities, Delete, Deleted, EventReader, EventStore,
    MemoryStore, Position, Read, ReadError, Redact, RedactError, Redacted, Revision, Selector, StreamView,
    Subscribe, SubscribeFrom, Subscription,
};
use factum_testkit::Fresh;
use factum_testkit::model::{Report, check, memory, run};

#[test]
fn the_model_agrees_with_itself_and_the_operations_are_worth_something() {
    let report = check(memory, async |fresh| fresh, 10_000);
    let Report { appended, repeated, refused, deleted, redacted, gave, gave_nothing, reopened } = report;
    assert!(appended > 1_500 && gave > 1_500 && refused > 300, "{report:?}");
    assert!(
        redacted > 20 && repeated > 50 && deleted > 50 && gave_nothing > 300 && reopened > 10,
        "{report:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_operations() {
    let reports: Vec<_> = (0..2).map(|_| block_on(run(memory, async |fresh| fresh, 500, 7)).ok()).collect();
    assert!(reports[0].is_some());
    assert_eq!(reports[0], reports[1]);
    assert_ne!(reports[0], block_on(run(memory, async |fresh| fresh, 500, 8)).ok());
}

#[test]
fn every_lie_is_found() {
    for lie in [
        Lie::ForgetsConditions,
        Lie::ForgetsChecks,
        Lie::RevisionOffByOne,
        Lie::LosesTags,
        Lie::ShowsDeleted,
        Lie::IgnoresTheMoment,
        Lie::SubscribesOneTooLate,
        Lie::ForgetsAppendIds,
        Lie::SoftForHard,
        Lie::RedactsAnother,
    ] {
        let make = async || lying(memory().await, lie);
        let result = block_on(run(make, async |fresh| fresh, 10_000, 11));
        let divergence = result.expect_err("the lie is found").to_string();
        assert!(divergence.contains("FACTUM_SEED=11"), "{lie:?}: {divergence}");
    }
}

#[test]
fn a_store_that_forgets_when_reopened_is_found() {
    let reopen = async |fresh: Fresh| {
        let store = Arc::new(MemoryStore::with_clock(fresh.clock.clone()));
        Fresh { store, ..fresh }
    };
    assert!(block_on(run(memory, reopen, 10_000, 11)).is_err());
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime starts").block_on(future)
}

#[derive(Clone, Copy, Debug)]
enum Lie {
    ForgetsConditions,
    ForgetsChecks,
    RevisionOffByOne,
    LosesTags,
    ShowsDeleted,
    IgnoresTheMoment,
    SubscribesOneTooLate,
    ForgetsAppendIds,
    SoftForHard,
    RedactsAnother,
}

struct Liar {
    honest: Arc<dyn EventStore>,
    lie: Lie,
}

fn lying(fresh: Fresh, lie: Lie) -> Fresh {
    Fresh { store: Arc::new(Liar { honest: fresh.store.clone(), lie }), ..fresh }
}

impl EventStore for Liar {
    fn capabilities(&self) -> Capabilities {
        self.honest.capabilities()
    }

    fn append(&self, mut append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        match self.lie {
            Lie::ForgetsConditions => append.conditions.clear(),
            Lie::ForgetsChecks => append.checks.clear(),
            Lie::ForgetsAppendIds => append.append_id = None,
            Lie::LosesTags => {
                for event in append.writes.iter_mut().flat_map(|write| &mut write.events) {
                    event.tags.truncate(2);
                }
            }
            _ => {}
        }
        Box::pin(async move {
            let mut appended = self.honest.append(append).await?;
            if let (Lie::RevisionOffByOne, Some(stream)) = (self.lie, appended.streams.last_mut()) {
                stream.last = stream.last.map(Revision::next);
            }
            Ok(appended)
        })
    }

    fn read(&self, mut read: Read) -> BoxFuture<'_, Result<Box<dyn EventReader>, ReadError>> {
        match (self.lie, &read.selector) {
            (Lie::ShowsDeleted, Selector::Stream(_)) => read.view = StreamView::Recorded,
            (Lie::IgnoresTheMoment, Selector::Query(_)) => read.at = factum_core::AsOf::Now,
            _ => {}
        }
        self.honest.read(read)
    }

    fn subscribe(&self, mut subscribe: Subscribe) -> BoxFuture<'_, Result<Box<dyn Subscription>, ReadError>> {
        if let (Lie::SubscribesOneTooLate, SubscribeFrom::AfterPosition(after)) =
            (self.lie, &mut subscribe.from)
        {
            *after = Position(after.0 + 1);
        }
        self.honest.subscribe(subscribe)
    }

    fn delete(&self, mut delete: Delete) -> BoxFuture<'_, Result<Deleted, AppendError>> {
        if let Lie::SoftForHard = self.lie {
            delete.mode = factum_core::DeleteMode::Soft;
        }
        self.honest.delete(delete)
    }

    fn redact(&self, mut redact: Redact) -> BoxFuture<'_, Result<Redacted, RedactError>> {
        if let Lie::RedactsAnother = self.lie {
            redact.position = redact.position.next();
        }
        self.honest.redact(redact)
    }
}
