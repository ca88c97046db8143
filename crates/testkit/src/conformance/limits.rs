//! Is everything up to its limit taken, and what is beyond refused with nothing written?

use bytes::Bytes;
use factum_core::{
    Append, AppendCondition, AppendError, ErrorKind, ExpectedRevision, InvalidEvent, NewEvent, Query, Read,
    SchemaVersion, Selector, limits,
};

use crate::case::{Case, event, event_type, stream, tag};
use ExpectedRevision::Any;

async fn refused(t: &Case, append: Append) -> AppendError {
    let before = t.length().await;
    let error = t.store.append(append).await.expect_err("the append is over a limit");
    assert_eq!(t.length().await, before, "a refused append writes nothing");
    error
}

fn sized(bytes: usize) -> NewEvent {
    NewEvent::binary(event_type("T"), Bytes::from(vec![7; bytes]))
}

pub async fn the_largest_event_is_taken_and_one_byte_more_is_not(t: Case) {
    // The stream's and the type's name count.
    let largest = limits::MAX_EVENT_BYTES - 2;
    t.append("s", vec![sized(largest)]).await;
    let read = t.read_stream("s").await;
    assert_eq!(read[0].data_slice().len(), largest);
    let error = refused(&t, Append::to(stream("s"), Any, vec![event("A"), sized(largest + 1)])).await;
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    match error {
        AppendError::InvalidEvent { index: 1, source: InvalidEvent::TooLarge { limit, actual }, .. } => {
            assert_eq!((limit, actual), (16 * 1024 * 1024, 16 * 1024 * 1024 + 1));
        }
        other => panic!("expected that the event is too large, got {other:?}"),
    }
}

pub async fn an_append_over_its_bytes_is_refused(t: Case) {
    let part = sized(limits::MAX_EVENT_BYTES / 2);
    let parts = limits::MAX_APPEND_BYTES / part.data.len();
    let error = refused(&t, Append::to(stream("s"), Any, vec![part; parts])).await;
    assert!(matches!(error, AppendError::TooLarge { unit: "bytes", .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

pub async fn the_longest_names_are_taken(t: Case) {
    let longest = "x".repeat(1_024);
    let mut new = event(&longest);
    for n in 0..64 {
        new = new.with_tag(tag(&format!("{n:04}{}", "t".repeat(1_020))));
    }
    t.append(&longest, vec![new]).await;
    t.describe(&longest, r#"{"$maxCount":5}"#).await;
    let read = t.read(Read::stream(stream(&longest))).await;
    assert_eq!((read[0].stream(), read[0].event_type()), (&*longest, &*longest));
    assert_eq!(read[0].tags().count(), 64);
    t.soft_delete(&longest).await;
    t.assert_not_found(Read::stream(stream(&longest))).await;
    t.append(&longest, vec![event("A")]).await;
    assert_eq!(t.types(Read::stream(stream(&longest))).await, "A");
    assert_eq!(
        t.read(Read::forwards(Selector::tag(tag(&format!("0063{}", "t".repeat(1_020)))))).await.len(),
        1
    );
}

pub async fn too_many_tags_are_refused(t: Case) {
    let new = (0..65).fold(event("A"), |event, n| event.with_tag(tag(&format!("t{n}"))));
    let error = refused(&t, Append::to(stream("s"), Any, vec![new])).await;
    let expected = InvalidEvent::TooManyTags { limit: 64, actual: 65 };
    assert!(matches!(&error, AppendError::InvalidEvent { source, .. } if *source == expected), "{error:?}");
}

pub async fn schema_version_zero_is_refused(t: Case) {
    let new = event("A").with_schema_version(SchemaVersion(0));
    let error = refused(&t, Append::to(stream("s"), Any, vec![new])).await;
    assert!(
        matches!(error, AppendError::InvalidEvent { source: InvalidEvent::SchemaVersionZero, .. }),
        "{error:?}"
    );
}

pub async fn personal_data_in_clear_is_refused(t: Case) {
    let clear = r#"{"name":{"$personal":{"s":"ada","v":"Ada"}}}"#;
    let error = refused(&t, Append::to(stream("s"), Any, vec![NewEvent::json(event_type("A"), clear)])).await;
    assert!(matches!(error, AppendError::InvalidEvent { source: InvalidEvent::Unsealed, .. }), "{error:?}");
    let about = r#"{"text":"the member \"$personal\" is reserved"}"#;
    t.append("s", vec![NewEvent::json(event_type("A"), about)]).await;
}

pub async fn too_many_conditions_are_refused(t: Case) {
    let condition = AppendCondition::CountBelow { query: Query::all(), below: 1 };
    let append =
        Append { conditions: vec![condition; 1_025], ..Append::to(stream("s"), Any, vec![event("A")]) };
    let error = refused(&t, append).await;
    assert!(matches!(error, AppendError::TooLarge { limit: 1_024, actual: 1_025, .. }), "{error:?}");
}

pub async fn unusual_names_are_names(t: Case) {
    for name in ["a b", "\u{1F600}", "a\nb", "-", "$settings", "$$$settings", "a/b\\c..", "\u{0}"] {
        t.append(name, vec![event(name)]).await;
        let read = t.read_stream(name).await;
        assert_eq!((read[0].stream(), read[0].event_type()), (name, name));
    }
}
