//! What is left of a stream after a soft delete, a tombstone and a revival?

use factum_core::{
    AppendError, Delete, DeleteMode, ErrorKind, EventStoreExt, ExpectedRevision, Position, Read, ReadFrom,
    Revision, Selector, StreamMetadata, StreamState, StreamView,
};

use crate::case::{Case, assert_deleted, events, exact, revisions, span, stream, types};
use ExpectedRevision::{Any, NoStream};

pub async fn a_soft_deleted_stream_is_not_found_but_stays_in_the_log(t: Case) {
    t.append("s", events("AB")).await;
    let deleted = t.soft_delete("s").await;
    assert_eq!(deleted.position, Some(Position(2)));
    assert_eq!(deleted.token.next_position(), Some(Position(3)));
    t.assert_not_found(Read::stream(stream("s"))).await;
    t.assert_not_found(Read::backwards(Selector::Stream(stream("s")))).await;
    assert_eq!(t.types(Read::forwards(Selector::All)).await, "AB$metadata");
    assert_eq!(t.types(Read::stream(stream("s")).view(StreamView::Recorded)).await, "AB");
}

pub async fn a_soft_delete_replaces_the_metadata_by_exactly_one_key(t: Case) {
    t.describe("s", r#"{"$maxCount":5,"owner":"ada"}"#).await;
    t.append("s", events("A")).await;
    t.soft_delete("s").await;
    let metadata = t.read_stream("$$s").await;
    assert_eq!(metadata.len(), 1);
    assert_eq!(metadata[0].data(), r#"{"$tb":9223372036854775807}"#);
    assert_eq!((metadata[0].event_type(), metadata[0].revision()), ("$metadata", Revision(1)));
}

pub async fn an_append_revives_and_what_was_deleted_stays_hidden(t: Case) {
    t.append("s", events("AB")).await;
    t.soft_delete("s").await;
    let revived = t.try_append("s", NoStream, events("C")).await.expect("the append is done");
    assert_eq!(span(&revived), Some((4, 4)));
    assert_eq!(revived.token.next_position(), Some(Position(5)));
    let visible = t.read_stream("s").await;
    assert_eq!((types(&visible), revisions(&visible)), (vec!["C"], vec![2]));
    assert_eq!(t.types(Read::forwards(Selector::All)).await, "AB$metadata$metadataC");
}

pub async fn a_revival_keeps_the_metadata_written_after_the_delete(t: Case) {
    t.append("s", events("AB")).await;
    t.describe("s", r#"{"$tb":9223372036854775807,"owner":"ada","$maxCount":7}"#).await;
    t.assert_not_found(Read::stream(stream("s"))).await;
    t.append("s", events("C")).await;
    let metadata = t.store.stream_metadata(stream("s")).await.expect("the metadata is read");
    assert_eq!((metadata.truncate_before, metadata.max_count), (Some(2), Some(7)));
    assert_eq!(metadata.user["owner"], "ada");
}

pub async fn metadata_written_over_a_soft_delete_revives_the_stream(t: Case) {
    t.append("s", events("AB")).await;
    t.soft_delete("s").await;
    t.describe("s", r#"{"owner":"ada"}"#).await;
    // It lives, and has nothing to show yet.
    assert_eq!(t.read_stream("s").await, []);
    t.try_append("s", exact(1), events("C")).await.expect("numbering goes on");
    assert_eq!(t.types(Read::stream(stream("s"))).await, "C");
    let metadata = t.store.stream_metadata(stream("s")).await.expect("the metadata is read");
    assert_eq!(metadata, StreamMetadata::parse(br#"{"$tb":2,"owner":"ada"}"#));
}

pub async fn a_stream_can_be_deleted_and_revived_many_times(t: Case) {
    for round in 0..5 {
        let appended = t.try_append("s", NoStream, events("A")).await.expect("the append is done");
        assert_eq!(appended.streams[0].first, Some(Revision(round)));
        assert_eq!(revisions(&t.read_stream("s").await), [round]);
        t.soft_delete("s").await;
        t.assert_not_found(Read::stream(stream("s"))).await;
    }
}

pub async fn a_stream_with_only_metadata_can_be_deleted(t: Case) {
    t.describe("s", r#"{"owner":"ada"}"#).await;
    t.soft_delete("s").await;
    t.assert_not_found(Read::stream(stream("s"))).await;
    t.append("s", events("A")).await;
    assert_eq!(revisions(&t.read_stream("s").await), [0]);
}

pub async fn a_tombstone_is_an_event_of_the_stream_beyond_all_others(t: Case) {
    t.append("s", events("AB")).await;
    let deleted = t.tombstone("s").await;
    assert_eq!(deleted.position, Some(Position(2)));
    let log = t.read(Read::forwards(Selector::All)).await;
    assert_eq!(types(&log), ["A", "B", "$streamDeleted"]);
    assert_eq!((log[2].stream(), log[2].revision()), ("s", Revision(i64::MAX as u64)));
}

pub async fn a_tombstoned_stream_refuses_everything_for_ever(t: Case) {
    t.describe("s", "{}").await;
    t.append("s", events("A")).await;
    t.tombstone("s").await;
    t.assert_stream_deleted(Read::stream(stream("s"))).await;
    t.assert_stream_deleted(
        Read::backwards(Selector::Stream(stream("s"))).from(ReadFrom::Revision(Revision(0))),
    )
    .await;
    assert_deleted(t.try_append("s", Any, events("B")).await, "s");
    for mode in [DeleteMode::Soft, DeleteMode::Tombstone] {
        assert_deleted(t.try_delete("s", Any, mode).await, "s");
    }
    assert_eq!(t.length().await, 3);
}

pub async fn the_metadata_stream_of_a_tombstoned_stream_is_deleted_too(t: Case) {
    t.append("s", events("A")).await;
    t.describe("s", r#"{"owner":"ada"}"#).await;
    t.tombstone("s").await;
    t.assert_stream_deleted(Read::stream(stream("$$s"))).await;
    let metadata = events("M");
    assert_deleted(t.try_append("$$s", Any, metadata).await, "$$s");
    let audit = t.read(Read::stream(stream("$$s")).view(StreamView::Recorded)).await;
    assert_eq!(types(&audit), ["$metadata"]);
}

pub async fn the_audit_view_shows_a_tombstoned_stream_with_its_tombstone(t: Case) {
    t.append("s", events("AB")).await;
    t.tombstone("s").await;
    let recorded = |read: Read| read.view(StreamView::Recorded);
    assert_eq!(t.types(recorded(Read::stream(stream("s")))).await, "AB$streamDeleted");
    let backwards = recorded(Read::backwards(Selector::Stream(stream("s"))));
    assert_eq!(t.types(backwards.clone().limit(2)).await, "$streamDeletedB");
    assert_eq!(t.types(backwards.from(ReadFrom::Revision(Revision(1)))).await, "BA");
    t.assert_not_found(recorded(Read::stream(stream("never")))).await;
    let reader = t.store.read(recorded(Read::stream(stream("s")))).await.expect("the read starts");
    assert_eq!(reader.head().stream, Some(StreamState::Tombstoned));
}

pub async fn metadata_streams_and_the_schemas_are_not_deleted(t: Case) {
    t.describe("s", "{}").await;
    for (name, mode) in [
        ("$$s", DeleteMode::Soft),
        ("$$s", DeleteMode::Tombstone),
        ("$schemas", DeleteMode::Soft),
        ("$schemas", DeleteMode::Tombstone),
    ] {
        match t.store.delete(Delete { stream: stream(name), expected: Any, mode }).await {
            Err(error @ AppendError::Invalid { .. }) => assert_eq!(error.kind(), ErrorKind::Invalid),
            other => panic!("expected that '{name}' cannot be deleted, got {other:?}"),
        }
    }
    assert_eq!(t.length().await, 1);
}
