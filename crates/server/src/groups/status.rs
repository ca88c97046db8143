//! Is a group at the end of its source, and if it does not move, why?

use std::time::Duration;

use factum_core::Timestamp;

use super::config::GroupConfig;
use super::running::Snapshot;

/// A group that has events and handles none for this long does not move.
const STILL_AFTER: Duration = Duration::from_secs(5);

/// One word that clients know, and where the group does not move, the reason.
pub(super) fn text(
    config: &GroupConfig,
    snapshot: &Snapshot,
    last_known: Option<u64>,
    now: Timestamp,
) -> String {
    let before_first = config.first_place().and_then(|first| first.checked_sub(1));
    let seen = snapshot.numbers.looked.max(before_first);
    let word = if last_known > seen { "Behind" } else { "Live" };
    match reason(snapshot, now) {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    }
}

fn reason(snapshot: &Snapshot, now: Timestamp) -> Option<String> {
    let trouble: Vec<&str> =
        [&snapshot.writing, &snapshot.reading].into_iter().flatten().map(String::as_str).collect();
    if !trouble.is_empty() {
        return Some(trouble.join("; "));
    }
    let numbers = &snapshot.numbers;
    let waiting = numbers.fresh + numbers.again;
    if waiting + numbers.in_flight == 0 || now < numbers.last_handled.saturating_add(STILL_AFTER) {
        return None;
    }
    let counts = format!("waiting: {waiting}, unanswered: {}", numbers.in_flight);
    let why = if numbers.consumers.is_empty() {
        "no consumer is connected"
    } else if !numbers.any_free {
        "each consumer holds as many events as it asked for, and answers none"
    } else if waiting > 0 {
        "the consumers that events are pinned to hold as many as they asked for, and answer none"
    } else {
        return None;
    };
    Some(format!("{why} ({counts})"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::groups::config::Start;
    use crate::groups::consumers::{ConsumerId, ConsumerNumbers};
    use crate::groups::group::Numbers;
    use crate::groups::key::GroupKey;
    use crate::groups::ranges::Ranges;
    use crate::groups::settings::Settings;
    use crate::groups::statistics::Rate;

    fn shown(numbers: Numbers, reading: Option<&str>) -> String {
        let config = GroupConfig {
            key: GroupKey::read("s", "g").expect("a key"),
            settings: Settings::default(),
            start: Start::At(3),
            began: None,
            filter: None,
        };
        let reading = reading.map(str::to_owned);
        let (members, away) = (BTreeMap::new(), Ranges::default());
        let snapshot = Snapshot { numbers, members, away, replays: Vec::new(), reading, writing: None };
        text(&config, &snapshot, Some(2), Timestamp::from_unix_millis(10_000))
    }

    fn numbers() -> Numbers {
        Numbers {
            consumers: Vec::new(),
            rate: Rate::default(),
            fresh: 0,
            again: 0,
            in_flight: 0,
            parking: 0,
            looked: None,
            checkpoint: None,
            last_handled: Timestamp::from_unix_millis(5_000),
            any_free: false,
            oldest_in_flight: None,
        }
    }

    #[test]
    fn a_group_that_does_not_move_says_why() {
        assert_eq!(shown(numbers(), None), "Live", "nothing before its first event is its own");
        assert_eq!(shown(numbers(), Some("reading fails")), "Live: reading fails");
        assert_eq!(
            shown(Numbers { fresh: 2, ..numbers() }, None),
            "Live: no consumer is connected (waiting: 2, unanswered: 0)"
        );
        let recent = Timestamp::from_unix_millis(5_001);
        assert_eq!(shown(Numbers { fresh: 2, last_handled: recent, ..numbers() }, None), "Live");
        let consumer = ConsumerNumbers {
            id: ConsumerId(1),
            slots: 1,
            in_flight: 1,
            rate: Rate::default(),
            measurements: Vec::new(),
        };
        let full = Numbers { fresh: 2, in_flight: 1, consumers: vec![consumer], ..numbers() };
        assert!(
            shown(full.clone(), None)
                .contains("as it asked for, and answers none (waiting: 2, unanswered: 1)")
        );
        assert!(shown(Numbers { any_free: true, ..full }, None).contains("pinned"));
    }
}
