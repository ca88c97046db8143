//! What does a stream's metadata hide, and is it kept as it was written?

use factum_core::{
    ContentType, EventStoreExt, NewEvent, Read, ReadFrom, Revision, Selector, StreamMetadata, StreamState,
    StreamView,
};

use crate::case::{Case, event_type, events, revisions, stream};

pub async fn only_the_last_metadata_counts_and_only_it_is_readable(t: Case) {
    t.append("s", events("ABCD")).await;
    t.describe("s", r#"{"$maxCount":1}"#).await;
    t.describe("s", r#"{"$maxCount":3}"#).await;
    assert_eq!(revisions(&t.read_stream("s").await), [1, 2, 3]);
    let metadata = t.read_stream("$$s").await;
    assert_eq!(revisions(&metadata), [1]);
    assert_eq!(revisions(&t.read(Read::backwards(Selector::Stream(stream("$$s")))).await), [1]);
    let audit = Read::stream(stream("$$s")).view(StreamView::Recorded);
    assert_eq!(revisions(&t.read(audit).await), [0, 1]);
}

pub async fn metadata_is_kept_byte_for_byte(t: Case) {
    let text = "{ \"owner\" : \"ad\u{e9}\",\n \"$maxCount\":\t1.0e1, \"$acl\":{\"$r\":[\"$all\"]} }";
    t.describe("s", text).await;
    assert_eq!(t.read_stream("$$s").await[0].data(), text);
}

pub async fn what_is_no_json_object_counts_as_no_metadata(t: Case) {
    t.append("s", events("ABC")).await;
    for text in ["", "7", "[1]", "{\"$tb\":2", "nonsense"] {
        t.describe("s", r#"{"$tb":2}"#).await;
        assert_eq!(revisions(&t.read_stream("s").await), [2]);
        t.describe("s", text).await;
        assert_eq!(revisions(&t.read_stream("s").await), [0, 1, 2], "{text:?}");
    }
    let binary = NewEvent {
        content_type: ContentType::Binary,
        ..NewEvent::json(event_type("$metadata"), vec![0xff, 0x00])
    };
    t.append("$$s", vec![binary]).await;
    assert_eq!(revisions(&t.read_stream("s").await), [0, 1, 2]);
}

pub async fn truncate_before_hides_what_is_older(t: Case) {
    t.append("s", events("ABCDE")).await;
    t.describe("s", r#"{"$tb":3}"#).await;
    assert_eq!(revisions(&t.read_stream("s").await), [3, 4]);
    let backwards = Read::backwards(Selector::Stream(stream("s")));
    assert_eq!(revisions(&t.read(backwards.clone()).await), [4, 3]);
    assert_eq!(revisions(&t.read(backwards.from(ReadFrom::Revision(Revision(2)))).await), [0; 0]);
    let from_first = Read::stream(stream("s")).from(ReadFrom::Revision(Revision(0))).limit(1);
    assert_eq!(revisions(&t.read(from_first).await), [3]);
}

pub async fn max_count_keeps_the_newest(t: Case) {
    t.append("s", events("ABCDE")).await;
    t.describe("s", r#"{"$maxCount":2}"#).await;
    assert_eq!(revisions(&t.read_stream("s").await), [3, 4]);
    t.append("s", events("F")).await;
    assert_eq!(revisions(&t.read_stream("s").await), [4, 5]);
    t.describe("s", r#"{"$maxCount":9}"#).await;
    assert_eq!(revisions(&t.read_stream("s").await), [0, 1, 2, 3, 4, 5]);
}

pub async fn the_tighter_of_count_and_truncation_wins(t: Case) {
    t.append("s", events("ABCDE")).await;
    t.describe("s", r#"{"$maxCount":3,"$tb":1}"#).await;
    assert_eq!(revisions(&t.read_stream("s").await), [2, 3, 4]);
    t.describe("s", r#"{"$maxCount":3,"$tb":4}"#).await;
    assert_eq!(revisions(&t.read_stream("s").await), [4]);
}

pub async fn max_age_hides_what_is_older_by_the_clock(t: Case) {
    t.describe("s", r#"{"$maxAge":60}"#).await;
    t.append("s", events("A")).await;
    t.advance(40);
    t.append("s", events("B")).await;
    t.advance(20);
    // An event that is exactly as old as allowed is still there.
    assert_eq!(revisions(&t.read_stream("s").await), [0, 1]);
    t.advance(1);
    assert_eq!(revisions(&t.read_stream("s").await), [1]);
    assert_eq!(revisions(&t.read(Read::backwards(Selector::Stream(stream("s")))).await), [1]);
    t.advance(60);
    assert_eq!(revisions(&t.read_stream("s").await), [0; 0]);
    let audit = Read::stream(stream("s")).view(StreamView::Recorded);
    assert_eq!(revisions(&t.read(audit).await), [0, 1]);
}

pub async fn a_stream_with_everything_hidden_is_there_but_empty(t: Case) {
    t.append("s", events("AB")).await;
    t.describe("s", r#"{"$tb":9}"#).await;
    let mut reader = t.store.read(Read::stream(stream("s"))).await.expect("the stream is found");
    assert_eq!(reader.head().stream, Some(StreamState::Live { last: Revision(1) }));
    assert_eq!(reader.head().first_visible, Some(Revision(9)));
    while let Some(page) = reader.next_page().await.expect("the read goes on") {
        assert_eq!(page.events, []);
    }
}

pub async fn what_metadata_hides_stays_in_the_log(t: Case) {
    t.append("s-1", events("ABC")).await;
    t.describe("s-1", r#"{"$tb":2}"#).await;
    assert_eq!(t.types(Read::forwards(Selector::All)).await, "ABC$metadata");
    let category = factum_core::Category::new("s").expect("a category");
    assert_eq!(t.types(Read::forwards(Selector::Category(category))).await, "ABC");
    let type_a = Selector::event_type(event_type("A"));
    assert_eq!(t.types(Read::forwards(type_a)).await, "A");
}

pub async fn metadata_round_trips_through_its_short_forms(t: Case) {
    let text = r#"{"$maxAge":60,"$maxCount":3,"$tb":2,"$cacheControl":5,"$acl":{"$r":"a"},"owner":"ada"}"#;
    let metadata = StreamMetadata::parse(text.as_bytes());
    let missing = t.store.stream_metadata(stream("s")).await.expect("missing metadata is empty");
    assert_eq!(missing, StreamMetadata::default());
    t.store.set_stream_metadata(stream("s"), &metadata).await.expect("the metadata is written");
    let read = t.store.stream_metadata(stream("s")).await.expect("the metadata is read");
    assert_eq!(read, metadata);
    assert!(t.store.set_stream_metadata(stream("$$s"), &metadata).await.is_err());
}
