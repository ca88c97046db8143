//! Read your writes, in this process and in another, and through a cache.

use super::*;

use factum::{Cache, Lookup, Observer};
use factum_core::read_model::VersionNumber;

#[tokio::test]
async fn what_was_acknowledged_is_seen_by_a_query_that_waits_for_it() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    for n in 1..=300 {
        let token = world.pay("a", 1).await;
        ready(&handle, &token).await;
        let (rows, progress) = handle.query("select cents from balances where till = 'a'", &[]).unwrap();
        assert_eq!(rows.first_value().unwrap().as_integer(), Some(n));
        assert!(progress.applied.reaches(&token).unwrap());
    }
}

#[tokio::test]
async fn a_wait_that_runs_out_says_how_far_it_is() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    let token = world.pay("a", 1).await;
    ready(&handle, &token).await;
    let beyond = token.at(factum_core::Position(11));
    let waited = handle.wait(&beyond, Duration::from_millis(1)).await.unwrap();
    assert!(matches!(&waited, Waited::Behind { applied, lag: 10, .. } if *applied == token), "{waited:?}");
    let other = Checkpoint::before(factum_core::StoreId::generate(), 0, factum_core::Position(1));
    assert!(handle.wait(&other, LONG).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_is_woken_by_the_commit() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &world.pay("a", 1).await).await;
    let elsewhere = open(&world.dir);
    let observer = Arc::new(Observer::start(Arc::clone(&elsewhere), handle.name()).unwrap());
    let first = observer.applied();
    let waits: Vec<_> = (1..=1_000)
        .map(|n| {
            let (observer, token) = (Arc::clone(&observer), first.at(factum_core::Position(1 + n % 100)));
            tokio::spawn(async move { observer.wait(&token, LONG).await.unwrap() })
        })
        .collect();
    for _ in 0..100 {
        world.pay("a", 1).await;
    }
    for wait in waits {
        let waited = wait.await.unwrap();
        assert!(matches!(waited, Waited::Ready { .. }), "{waited:?}");
    }
    // Another version takes over: the observer follows.
    let rebuilt = world.projections.rebuild(balances()).await.unwrap();
    rebuilt.promote(LONG, "ada", "").await.unwrap();
    let token = world.pay("a", 1).await;
    assert!(matches!(observer.wait(&token, LONG).await.unwrap(), Waited::Ready { .. }));
    let mut reader = elsewhere.reader(&[(handle.name().clone(), VersionNumber(2))]).unwrap();
    let (rows, _) = reader.query("select cents from balances", &[]).unwrap();
    assert_eq!(rows.first_value().unwrap().as_integer(), Some(102));
}

/// Writers pay and remember what the balance must be at least; readers ask with the newest token they know of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_never_serves_what_is_older_than_the_token() {
    const PAYMENTS: u64 = 400;
    let world = Arc::new(World::new().await);
    let handle = world.projections.start(balances()).await.unwrap();
    let cache = Arc::new(Cache::<String, i64>::new(100));
    let mut changes = handle.changes();
    let hearing = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move {
            while let Some(change) = changes.next().await {
                cache.changed(&change);
            }
        }
    });
    let newest = Arc::new(std::sync::Mutex::new((world.pay("a", 1).await, 1_i64)));
    let writing = tokio::spawn({
        let (world, newest) = (Arc::clone(&world), Arc::clone(&newest));
        async move {
            for n in 2..=PAYMENTS {
                let token = world.pay("a", 1).await;
                *newest.lock().unwrap() = (token, n as i64);
                if n % 3 == 0 {
                    world.pay("b", 1).await;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let (mut hits, mut loads) = (0, 0);
    loop {
        let (token, least) = newest.lock().unwrap().clone();
        let cents = match cache.get(&"a".to_owned(), Some(&token)) {
            Lookup::Hit(cents) => {
                hits += 1;
                cents
            }
            Lookup::Miss(load) => {
                loads += 1;
                ready(&handle, &token).await;
                let (rows, progress) =
                    handle.query("select cents from balances where till = 'a'", &[]).unwrap();
                load.keep(rows.first_value().unwrap().as_integer().unwrap(), ["till:a"], &progress.applied)
            }
        };
        assert!(cents >= least, "{cents} was served where {least} had been acknowledged");
        if least == PAYMENTS as i64 && hits > 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
    hearing.abort();
    assert!(loads > 0 && hits > 0, "{loads} loads, {hits} hits");
}
