//! Why does a row have the value that it has?

use super::*;

use factum::{ExplainError, RowQuestion, explain};
use factum_core::read_model::VersionNumber;

async fn asked(world: &World, key: &str, column: Option<&str>) -> Result<factum::RowHistory, ExplainError> {
    let question =
        RowQuestion { table: None, key: vec![key.to_owned()], column: column.map(ToOwned::to_owned) };
    explain(&*world.store, &world.read_models, &balances(), VersionNumber(1), &question).await
}

#[tokio::test]
async fn the_events_that_made_a_row_are_named_with_who_asked() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    world.pay("a", 5).await;
    world.pay("b", 1).await;
    world.rain(10).await;
    let token = world.pay("a", 0).await;
    ready(&handle, &token).await;
    world.projections.handle(handle.name()).unwrap().stop("ada", "").unwrap();
    world.pay("a", 99).await;
    let history = asked(&world, "a", None).await.unwrap();
    let changes: Vec<_> = history.changes.iter().map(|change| change.position.0).collect();
    assert_eq!(changes, [0, 12], "and nothing after the rows that were asked about");
    let last = &history.changes[1];
    assert_eq!((last.stream.as_str(), last.event_type.as_str()), ("till-a", "Paid"));
    assert_eq!((last.actor.as_deref(), last.correlation.as_deref()), (Some("ada"), Some("shift-1")));
    assert_eq!(last.before.as_ref().unwrap()[1], Value::Integer(5));
    // The payment of nothing changed the count, not the cents.
    let cents = asked(&world, "a", Some("cents")).await.unwrap();
    assert_eq!(cents.changes.len(), 1);
    assert_eq!(cents.changes[0].position.0, 0);
    assert_eq!(asked(&world, "a", Some("payments")).await.unwrap().changes.len(), 2);
}

#[tokio::test]
async fn a_question_that_does_not_fit_says_what_would() {
    let world = World::new().await;
    let handle = world.projections.start(balances()).await.unwrap();
    ready(&handle, &world.pay("a", 5).await).await;
    let no_row = asked(&world, "z", None).await.unwrap_err();
    assert!(matches!(no_row, ExplainError::NoRow { .. }), "{no_row}");
    let column = asked(&world, "a", Some("euros")).await.unwrap_err();
    assert!(column.to_string().contains("it has till, cents, payments"), "{column}");
    let question = RowQuestion { table: Some("t".to_owned()), key: vec!["a".to_owned()], column: None };
    let table = explain(&*world.store, &world.read_models, &balances(), VersionNumber(1), &question).await;
    assert!(table.unwrap_err().to_string().contains("has no table 't' with a primary key: it has balances"));
    let question = RowQuestion { table: None, key: vec!["a".to_owned(), "b".to_owned()], column: None };
    let key = explain(&*world.store, &world.read_models, &balances(), VersionNumber(1), &question).await;
    assert!(key.unwrap_err().to_string().contains("give 1 values, not 2"));
}
