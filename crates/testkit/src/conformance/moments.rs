//! What is seen as of a revision, a position, a recorded time or an occurred time, and from a time on?

use std::time::Duration;

use factum_core::{AsOf, NewEvent, Position, Read, ReadError, ReadFrom, Revision, Selector, Timestamp};

use crate::case::{Case, Fresh, event, events, positions, stream};

fn seconds(seconds: u64) -> Timestamp {
    Fresh::START.saturating_add(Duration::from_secs(seconds))
}

fn before(seconds: u64) -> Timestamp {
    Fresh::START.saturating_sub(Duration::from_secs(seconds))
}

fn happened(name: &str, at: Timestamp) -> NewEvent {
    event(name).with_occurred_at(at)
}

/// Recorded at second 0: A, B of "s"; at 10: Z of "other"; at 20: C of "s" (a late fact), D of "s"; at 30: E of "s".
async fn history(t: &Case) {
    t.append("s", events("AB")).await;
    t.advance(10);
    t.append("other", events("Z")).await;
    t.advance(10);
    t.append("s", vec![happened("C", before(50)), happened("D", seconds(90))]).await;
    t.advance(10);
    t.append("s", events("E")).await;
}

/// Asserts what is seen of the stream and of the log as of a moment, both ways.
async fn assert_sees(t: &Case, at: AsOf, of_stream: &str, of_log: &str) {
    for (selector, expected) in [(Selector::Stream(stream("s")), of_stream), (Selector::All, of_log)] {
        let newest_first: String = expected.chars().rev().collect();
        assert_eq!(t.types(Read::forwards(selector.clone()).at(at)).await, expected, "{at:?}");
        assert_eq!(t.types(Read::backwards(selector.clone()).at(at)).await, newest_first, "{at:?} backwards");
        let one = Read::backwards(selector).at(at).limit(1);
        assert_eq!(t.types(one).await, newest_first.get(..1).unwrap_or_default(), "{at:?}, the last one");
    }
}

pub async fn as_of_now(t: Case) {
    history(&t).await;
    assert_sees(&t, AsOf::Now, "ABCDE", "ABZCDE").await;
}

pub async fn as_of_a_position(t: Case) {
    history(&t).await;
    let at = |position| AsOf::Position(Position(position));
    assert_sees(&t, at(0), "A", "A").await;
    assert_sees(&t, at(2), "AB", "ABZ").await;
    assert_sees(&t, at(4), "ABCD", "ABZCD").await;
    assert_sees(&t, at(5), "ABCDE", "ABZCDE").await;
    assert_sees(&t, at(u64::MAX), "ABCDE", "ABZCDE").await;
}

pub async fn as_of_a_recorded_time(t: Case) {
    history(&t).await;
    assert_sees(&t, AsOf::Recorded(before(1)), "", "").await;
    assert_sees(&t, AsOf::Recorded(seconds(0)), "AB", "AB").await;
    assert_sees(&t, AsOf::Recorded(seconds(10)), "AB", "ABZ").await;
    assert_sees(&t, AsOf::Recorded(Timestamp(seconds(20).0 - 1)), "AB", "ABZ").await;
    assert_sees(&t, AsOf::Recorded(seconds(20)), "ABCD", "ABZCD").await;
    assert_sees(&t, AsOf::Recorded(Timestamp::MAX), "ABCDE", "ABZCDE").await;
    assert_sees(&t, AsOf::Recorded(Timestamp::MIN), "", "").await;
}

pub async fn as_of_an_occurred_time(t: Case) {
    history(&t).await;
    assert_sees(&t, AsOf::Occurred(before(51)), "", "").await;
    // The late fact had happened before everything, although it was recorded after.
    assert_sees(&t, AsOf::Occurred(before(50)), "C", "C").await;
    assert_sees(&t, AsOf::Occurred(seconds(0)), "ABC", "ABC").await;
    assert_sees(&t, AsOf::Occurred(seconds(30)), "ABCE", "ABZCE").await;
    assert_sees(&t, AsOf::Occurred(seconds(90)), "ABCDE", "ABZCDE").await;
}

pub async fn as_of_a_revision(t: Case) {
    history(&t).await;
    for (revision, expected) in [(0, "A"), (2, "ABC"), (4, "ABCDE"), (u64::MAX, "ABCDE")] {
        let read = Read::stream(stream("s")).at(AsOf::Revision(Revision(revision)));
        assert_eq!(t.types(read).await, expected, "{revision}");
    }
    match t.try_read(Read::forwards(Selector::All).at(AsOf::Revision(Revision(0)))).await {
        Err(ReadError::Invalid { .. }) => {}
        other => panic!("expected that the read is refused, got {other:?}"),
    }
}

pub async fn from_a_time_on(t: Case) {
    history(&t).await;
    for (time, ahead, back) in [
        (before(1), "ABZCDE", ""),
        (seconds(0), "ABZCDE", "BA"),
        (seconds(1), "ZCDE", "BA"),
        (seconds(10), "ZCDE", "ZBA"),
        (seconds(20), "CDE", "DCZBA"),
        (seconds(30), "E", "EDCZBA"),
        (seconds(31), "", "EDCZBA"),
        (Timestamp::MAX, "", "EDCZBA"),
        (Timestamp::MIN, "ABZCDE", ""),
    ] {
        let from = ReadFrom::Time(time);
        assert_eq!(t.types(Read::forwards(Selector::All).from(from)).await, ahead, "{time}");
        assert_eq!(t.types(Read::backwards(Selector::All).from(from)).await, back, "{time}");
        let of_stream: String = back.chars().filter(|letter| *letter != 'Z').collect();
        let read = Read::backwards(Selector::Stream(stream("s"))).from(from);
        assert_eq!(t.types(read).await, of_stream, "{time}");
    }
}

pub async fn a_start_and_a_moment_together(t: Case) {
    history(&t).await;
    let read =
        Read::forwards(Selector::All).from(ReadFrom::Position(Position(1))).at(AsOf::Recorded(seconds(20)));
    assert_eq!(t.types(read.clone()).await, "BZCD");
    assert_eq!(t.types(read.limit(2)).await, "BZ");
    let back = Read::backwards(Selector::Stream(stream("s"))).at(AsOf::Position(Position(4)));
    assert_eq!(t.types(back.from(ReadFrom::Revision(Revision(2)))).await, "CBA");
}

pub async fn the_snapshot_ends_where_the_moment_does(t: Case) {
    history(&t).await;
    for (at, next) in [
        (AsOf::Now, 6),
        (AsOf::Position(Position(2)), 3),
        (AsOf::Position(Position(99)), 6),
        (AsOf::Recorded(seconds(10)), 3),
        (AsOf::Occurred(seconds(0)), 6),
    ] {
        let reader = t.store.read(Read::forwards(Selector::All).at(at)).await.expect("the read starts");
        assert_eq!(reader.head().snapshot.next_position(), Some(Position(next)), "{at:?}");
    }
}

pub async fn recorded_times_never_go_back(t: Case) {
    t.append("s", events("A")).await;
    t.clock.set(before(100));
    t.append("s", events("B")).await;
    t.clock.set(seconds(5));
    t.append("s", events("C")).await;
    let times: Vec<_> =
        t.read_stream("s").await.iter().map(factum_core::RecordedEvent::recorded_at).collect();
    assert_eq!(times, [seconds(0), seconds(0), seconds(5)]);
    let from = Read::forwards(Selector::All).from(ReadFrom::Time(seconds(1)));
    assert_eq!(positions(&t.read(from).await), [2]);
}
