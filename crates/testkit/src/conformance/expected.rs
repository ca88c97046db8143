//! What does each expected revision allow in each state of a stream? The table, cell by cell.

use factum_core::{
    Append, Capability, DeleteMode, ExpectedRevision, FailedCheck, Read, Revision, StreamState, StreamView,
};

use crate::case::{
    Case, assert_deleted, by_stream, conflict, events, exact, live, revision_check, span, stream,
};
use ExpectedRevision::{Any, NoStream, StreamExists};

/// What a stream went through before the cell.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Past {
    Nothing,
    /// Metadata was written, events never.
    OnlyMetadata,
    /// Three events.
    Written,
    /// Three events, then a soft delete.
    SoftDeleted,
    /// Metadata, then a soft delete.
    EmptyAndSoftDeleted,
    /// Three events, then a tombstone.
    Tombstoned,
    /// A tombstone, and nothing else.
    EmptyAndTombstoned,
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    /// It is done, and the first event gets this revision.
    Done(u64),
    Conflict(StreamState),
    Deleted,
}

async fn prepare(t: &Case, past: Past, name: &str) {
    match past {
        Past::Nothing => {}
        Past::OnlyMetadata | Past::EmptyAndSoftDeleted => {
            t.describe(name, r#"{"owner":"ada"}"#).await;
        }
        Past::Written | Past::SoftDeleted | Past::Tombstoned => {
            t.append(name, events("ABC")).await;
        }
        Past::EmptyAndTombstoned => {}
    }
    match past {
        Past::SoftDeleted | Past::EmptyAndSoftDeleted => {
            t.soft_delete(name).await;
        }
        Past::Tombstoned | Past::EmptyAndTombstoned => {
            t.tombstone(name).await;
        }
        Past::Nothing | Past::OnlyMetadata | Past::Written => {}
    }
}

/// Checks a row twice: with two events, and with none.
async fn row(t: &Case, past: Past, cells: [(ExpectedRevision, Cell); 6]) {
    for (index, (expected, cell)) in cells.into_iter().enumerate() {
        for new in ["XY", ""] {
            let name = format!("s{}-{index}", new.len());
            prepare(t, past, &name).await;
            let before = t.length().await;
            let result = t.try_append(&name, expected, events(new)).await;
            let place = format!("{past:?}, {expected:?}, events {new:?}: {result:?}");
            match cell {
                Cell::Done(first) if new.is_empty() => {
                    let appended = result.unwrap_or_else(|_| panic!("{place}"));
                    assert_eq!(span(&appended), None, "{place}");
                    assert_eq!(by_stream(&appended), [(&*name, None, first.checked_sub(1))], "{place}");
                }
                Cell::Done(first) => {
                    let appended = result.unwrap_or_else(|_| panic!("{place}"));
                    assert!(!appended.deduplicated, "{place}");
                    assert_eq!(by_stream(&appended), [(&*name, Some(first), Some(first + 1))], "{place}");
                    // A stream that was soft-deleted is revived by a metadata event before.
                    let revived = matches!(past, Past::SoftDeleted | Past::EmptyAndSoftDeleted);
                    let at = before + u64::from(revived);
                    assert_eq!(span(&appended), Some((at, at + 1)), "{place}");
                    let visible = if past == Past::Written { "ABCXY" } else { "XY" };
                    assert_eq!(t.types(Read::stream(stream(&name))).await, visible, "{place}");
                    continue;
                }
                Cell::Conflict(actual) => {
                    assert_eq!(conflict(result), [revision_check(&name, expected, actual)], "{place}");
                }
                Cell::Deleted => assert_deleted(result, &name),
            }
            assert_eq!(t.length().await, before, "nothing is written: {place}");
        }
    }
}

pub async fn a_stream_that_never_was(t: Case) {
    let missing = Cell::Conflict(StreamState::Missing);
    let cells = [
        (Any, Cell::Done(0)),
        (NoStream, Cell::Done(0)),
        (StreamExists, missing),
        (exact(0), missing),
        (exact(7), missing),
        (ExpectedRevision::Exact(Revision(u64::MAX)), missing),
    ];
    row(&t, Past::Nothing, cells).await;
}

pub async fn a_stream_with_only_metadata(t: Case) {
    let only_metadata = Cell::Conflict(StreamState::MetadataOnly);
    let cells = [
        (Any, Cell::Done(0)),
        (NoStream, Cell::Done(0)),
        (StreamExists, Cell::Done(0)),
        (exact(0), only_metadata),
        (exact(1), only_metadata),
        (exact(7), only_metadata),
    ];
    row(&t, Past::OnlyMetadata, cells).await;
}

pub async fn a_live_stream(t: Case) {
    let other = Cell::Conflict(live(2));
    let cells = [
        (Any, Cell::Done(3)),
        (NoStream, other),
        (StreamExists, Cell::Done(3)),
        (exact(2), Cell::Done(3)),
        (exact(1), other),
        (exact(3), other),
    ];
    row(&t, Past::Written, cells).await;
}

pub async fn a_soft_deleted_stream(t: Case) {
    let other = Cell::Conflict(StreamState::SoftDeleted { last: Some(Revision(2)) });
    let cells = [
        (Any, Cell::Done(3)),
        (NoStream, Cell::Done(3)),
        (StreamExists, Cell::Deleted),
        (exact(2), Cell::Done(3)),
        (exact(1), other),
        (exact(3), other),
    ];
    row(&t, Past::SoftDeleted, cells).await;
}

pub async fn a_soft_deleted_stream_that_never_had_an_event(t: Case) {
    let other = Cell::Conflict(StreamState::SoftDeleted { last: None });
    let cells = [
        (Any, Cell::Done(0)),
        (NoStream, Cell::Done(0)),
        (StreamExists, Cell::Deleted),
        (exact(0), other),
        (exact(1), other),
        (exact(7), other),
    ];
    row(&t, Past::EmptyAndSoftDeleted, cells).await;
}

pub async fn a_tombstoned_stream(t: Case) {
    for past in [Past::Tombstoned, Past::EmptyAndTombstoned] {
        for (index, expected) in
            [Any, NoStream, StreamExists, exact(2), exact(1), exact(i64::MAX as u64)].into_iter().enumerate()
        {
            let name = format!("{past:?}-{index}");
            prepare(&t, past, &name).await;
            let before = t.length().await;
            assert_deleted(t.try_append(&name, expected, events("X")).await, &name);
            assert_deleted(t.try_append(&name, expected, vec![]).await, &name);
            assert_eq!(t.length().await, before);
        }
    }
}

/// What a delete of either kind may find.
async fn deletes(t: &Case, mode: DeleteMode, past: Past, cells: &[(ExpectedRevision, Cell)]) {
    for (index, (expected, cell)) in cells.iter().enumerate() {
        let name = format!("{mode:?}-{past:?}-{index}");
        prepare(t, past, &name).await;
        let before = t.length().await;
        let result = t.try_delete(&name, *expected, mode).await;
        let place = format!("{mode:?}, {past:?}, {expected:?}: {result:?}");
        match cell {
            Cell::Done(_) => {
                let deleted = result.unwrap_or_else(|_| panic!("{place}"));
                assert_eq!(deleted.position.map(|position| position.0), Some(before), "{place}");
                assert_eq!(t.length().await, before + 1, "{place}");
                continue;
            }
            Cell::Conflict(actual) => {
                assert_eq!(conflict(result), [revision_check(&name, *expected, *actual)], "{place}");
            }
            Cell::Deleted => assert_deleted(result, &name),
        }
        assert_eq!(t.length().await, before, "nothing is written: {place}");
    }
}

pub async fn a_soft_delete_in_each_state(t: Case) {
    let (done, soft) = (Cell::Done(0), DeleteMode::Soft);
    let missing = Cell::Conflict(StreamState::Missing);
    let cells = [(Any, missing), (NoStream, missing), (StreamExists, missing), (exact(0), missing)];
    deletes(&t, soft, Past::Nothing, &cells).await;
    let other = Cell::Conflict(StreamState::MetadataOnly);
    deletes(&t, soft, Past::OnlyMetadata, &[(Any, done), (StreamExists, done), (exact(0), other)]).await;
    let other = Cell::Conflict(live(2));
    let cells = [
        (Any, done),
        (NoStream, other),
        (StreamExists, done),
        (exact(2), done),
        (exact(1), other),
        (exact(3), other),
    ];
    deletes(&t, soft, Past::Written, &cells).await;
    let other = Cell::Conflict(StreamState::SoftDeleted { last: Some(Revision(2)) });
    let cells = [(Any, done), (StreamExists, Cell::Deleted), (exact(2), done), (exact(1), other)];
    deletes(&t, soft, Past::SoftDeleted, &cells).await;
    let gone = Cell::Deleted;
    let cells = [(Any, gone), (NoStream, gone), (StreamExists, gone), (exact(2), gone)];
    deletes(&t, soft, Past::Tombstoned, &cells).await;
}

pub async fn a_tombstone_in_each_state(t: Case) {
    let (done, hard) = (Cell::Done(0), DeleteMode::Tombstone);
    let missing = Cell::Conflict(StreamState::Missing);
    let cells = [(Any, done), (NoStream, done), (StreamExists, missing), (exact(0), missing)];
    deletes(&t, hard, Past::Nothing, &cells).await;
    let other = Cell::Conflict(StreamState::MetadataOnly);
    deletes(&t, hard, Past::OnlyMetadata, &[(Any, done), (StreamExists, done), (exact(0), other)]).await;
    let other = Cell::Conflict(live(2));
    let cells = [
        (Any, done),
        (NoStream, other),
        (StreamExists, done),
        (exact(2), done),
        (exact(1), other),
        (exact(3), other),
    ];
    deletes(&t, hard, Past::Written, &cells).await;
    let other = Cell::Conflict(StreamState::SoftDeleted { last: Some(Revision(2)) });
    let cells = [(Any, done), (StreamExists, Cell::Deleted), (exact(2), done), (exact(1), other)];
    deletes(&t, hard, Past::SoftDeleted, &cells).await;
    let gone = Cell::Deleted;
    let cells = [(Any, gone), (NoStream, gone), (StreamExists, gone), (exact(2), gone)];
    deletes(&t, hard, Past::EmptyAndTombstoned, &cells).await;
}

pub async fn a_check_on_a_stream_that_is_not_written(t: Case) {
    if !t.has(Capability::StreamChecks) {
        return t.close();
    }
    let soft_deleted = StreamState::SoftDeleted { last: Some(Revision(2)) };
    let table = [
        (Past::Nothing, StreamState::Missing, vec![Any, NoStream], vec![StreamExists, exact(0)]),
        (Past::OnlyMetadata, StreamState::MetadataOnly, vec![Any, NoStream, StreamExists], vec![exact(0)]),
        (Past::Written, live(2), vec![Any, StreamExists, exact(2)], vec![NoStream, exact(1), exact(3)]),
        (Past::SoftDeleted, soft_deleted, vec![Any, NoStream, exact(2)], vec![StreamExists, exact(1)]),
        (Past::Tombstoned, StreamState::Tombstoned, vec![Any], vec![NoStream, StreamExists, exact(2)]),
    ];
    for (past, actual, holds, fails) in table {
        let name = format!("{past:?}");
        prepare(&t, past, &name).await;
        for expected in holds {
            let append = Append::to(stream("written"), Any, events("X")).check(stream(&name), expected);
            assert!(t.store.append(append).await.is_ok(), "{past:?}, {expected:?}");
        }
        let before = t.length().await;
        for expected in fails {
            let append = Append::to(stream("written"), Any, events("X")).check(stream(&name), expected);
            let failed = [revision_check(&name, expected, actual)];
            assert_eq!(conflict(t.store.append(append).await), failed, "{past:?}, {expected:?}");
        }
        assert_eq!(t.length().await, before);
    }
}

pub async fn every_failing_check_is_named(t: Case) {
    if !t.has(Capability::StreamChecks) || !t.has(Capability::MultiStreamAppend) {
        return t.close();
    }
    t.append("a", events("A")).await;
    let append = Append::to(stream("a"), NoStream, events("X"))
        .and(stream("b"), exact(4), events("Y"))
        .and(stream("c"), Any, events("Z"))
        .check(stream("a"), exact(0))
        .check(stream("d"), StreamExists);
    let expected: Vec<FailedCheck> = vec![
        revision_check("a", NoStream, live(0)),
        revision_check("b", exact(4), StreamState::Missing),
        revision_check("d", StreamExists, StreamState::Missing),
    ];
    assert_eq!(conflict(t.store.append(append).await), expected);
    assert_eq!(t.length().await, 1);
}

pub async fn numbering_never_restarts(t: Case) {
    t.append("s", events("ABCDE")).await;
    t.describe("s", r#"{"$tb":4,"$maxCount":1}"#).await;
    assert_eq!(by_stream(&t.append("s", events("F")).await), [("s", Some(5), Some(5))]);
    t.soft_delete("s").await;
    assert_eq!(by_stream(&t.append("s", events("G")).await), [("s", Some(6), Some(6))]);
    t.soft_delete("s").await;
    t.soft_delete("s").await;
    assert_eq!(by_stream(&t.append("s", events("H")).await), [("s", Some(7), Some(7))]);
    let audit = Read::stream(stream("s")).view(StreamView::Recorded);
    assert_eq!(t.types(audit).await, "ABCDEFGH");
}
