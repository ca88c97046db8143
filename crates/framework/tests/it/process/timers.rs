//! Do timers go off once, in order, and not when they were cancelled? Also a hundred thousand of them.

use std::time::Duration;

use factum::{Dispatched, ProcessRecord};

use crate::trip::{DEADLINE, TripEvent, inputs, memory_world};

#[tokio::test]
async fn a_timer_goes_off_at_its_time_and_not_before() {
    let world = memory_world();
    world.desk.now_answers(
        |delivery| {
            if delivery.undo { Dispatched::done() } else { Dispatched::failed("busy") }
        },
    );
    world.wanted("7").await;
    let mut runner = world.runner().with_retries(factum::RetryBudget {
        total: DEADLINE * 10,
        longest_pause: DEADLINE * 10,
        first_pause: DEADLINE * 10,
    });
    runner.run_until_idle().await.unwrap();
    world.clock.advance(DEADLINE - Duration::from_nanos(100));
    runner.run_until_idle().await.unwrap();
    assert_eq!(inputs(&world.show("7").await), ["event Wanted"]);
    world.clock.advance(Duration::from_nanos(100));
    runner.run_until_idle().await.unwrap();
    assert_eq!(inputs(&world.show("7").await), ["event Wanted", "timer deadline"]);
    runner.run_until_idle().await.unwrap();
    assert_eq!(inputs(&world.show("7").await).len(), 2, "it goes off once");
}

#[tokio::test]
async fn a_timer_that_was_cancelled_first_does_not_go_off() {
    let world = memory_world();
    world.desk.now_answers(|delivery| match delivery.step.as_str() {
        "ticket" => Dispatched::failed("printer on fire"),
        _ => Dispatched::done(),
    });
    world.wanted("7").await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.counts("7").await["$processTimerCancelled"], 1);
    world.clock.advance(DEADLINE * 2);
    let mut next = world.runner();
    next.run_until_idle().await.unwrap();
    assert_eq!(next.stats().fired, 0);
    assert!(!inputs(&world.show("7").await).contains(&"timer deadline".to_owned()));
}

#[tokio::test]
async fn a_timer_that_was_due_while_no_runner_ran_goes_off_at_the_next_start() {
    let world = memory_world();
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    world.wanted("7").await;
    world.runner().run_until_idle().await.unwrap();
    world.clock.advance(DEADLINE * 100);
    let mut next = world.runner();
    next.run_until_idle().await.unwrap();
    assert_eq!(next.stats().fired, 1);
}

#[tokio::test]
async fn a_stopped_instance_keeps_its_timers_for_later() {
    let world = memory_world();
    world.wanted("7").await;
    world.desk.now_answers(|_| Dispatched::hopeless("closed"));
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    world.clock.advance(DEADLINE * 2);
    runner.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().fired, 0);
    world.desk.now_answers(|_| Dispatched::failed("busy"));
    let retry = factum::OperatorAction::Retry;
    factum::request_process(&world.dynamic(), "trip", "7", retry, "ada", "open again").await.unwrap();
    runner.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().fired, 1);
    assert_eq!(world.stage("7").await, "compensating");
}

#[tokio::test]
async fn timers_end_with_their_instance() {
    let world = memory_world();
    world.wanted("7").await;
    world.append(TripEvent::Cancelled { trip: "7".into() }).await;
    let mut runner = world.runner();
    runner.run_until_idle().await.unwrap();
    assert_eq!(world.stage("7").await, "failed");
    world.clock.advance(DEADLINE * 2);
    runner.run_until_idle().await.unwrap();
    assert_eq!(runner.stats().fired, 0);
}

/// A process that only waits, as long as its event says.
mod alarm {
    use std::time::Duration;

    use factum::{Effect, Event, EventSource, ProcessInput, ProcessManager};

    #[derive(Debug, Event)]
    pub(super) enum AlarmEvent {
        AlarmSet { alarm: u64, seconds: u64 },
        AlarmStopped { alarm: u64 },
    }

    pub(super) struct Alarm;

    impl ProcessManager for Alarm {
        type State = ();
        type Event = AlarmEvent;
        type Command = ();
        fn name(&self) -> &'static str {
            "alarm"
        }
        fn steps(&self) -> &'static [&'static str] {
            &[]
        }
        fn correlate(&self, event: &AlarmEvent, _: &EventSource) -> Option<String> {
            match event {
                AlarmEvent::AlarmSet { alarm, .. } | AlarmEvent::AlarmStopped { alarm } => {
                    Some(alarm.to_string())
                }
            }
        }
        fn starts_on(&self, event: &AlarmEvent) -> bool {
            matches!(event, AlarmEvent::AlarmSet { .. })
        }
        fn initial_state(&self, _: &str) {}
        fn evolve(&self, (): &mut (), _: &ProcessInput<AlarmEvent>) {}
        fn react(&self, (): &(), input: &ProcessInput<AlarmEvent>) -> Vec<Effect<()>> {
            match input {
                ProcessInput::Event(AlarmEvent::AlarmSet { seconds, .. }) => {
                    vec![Effect::start_timer("ring", Duration::from_secs(*seconds))]
                }
                ProcessInput::Event(AlarmEvent::AlarmStopped { .. }) => vec![Effect::cancel_timer("ring")],
                _ => vec![Effect::Complete],
            }
        }
    }
}

#[tokio::test]
async fn what_cancels_a_timer_wins_if_it_was_committed_before_the_timer_went_off() {
    use factum_core::{EventStoreExt as _, ExpectedRevision, StreamName};
    let world = memory_world();
    let codec = factum::Codec::<alarm::AlarmEvent>::new().unwrap();
    let append = async |event: alarm::AlarmEvent| {
        let stream = StreamName::new("alarms").unwrap();
        let new = vec![codec.encode(&event).unwrap()];
        world.store.append_to(stream, ExpectedRevision::Any, new).await.unwrap();
    };
    let runner = || {
        factum::ProcessRunner::new(world.dynamic(), alarm::Alarm, async |_| Dispatched::done())
            .unwrap()
            .with_clock(std::sync::Arc::clone(&world.clock) as _)
    };
    append(alarm::AlarmEvent::AlarmSet { alarm: 1, seconds: 10 }).await;
    append(alarm::AlarmEvent::AlarmSet { alarm: 2, seconds: 10 }).await;
    let mut running = runner();
    running.run_until_idle().await.unwrap();
    world.clock.advance(Duration::from_secs(20));
    // Both are due. The runner has not looked yet when one of them is stopped.
    append(alarm::AlarmEvent::AlarmStopped { alarm: 1 }).await;
    running.run_until_idle().await.unwrap();
    assert_eq!(running.stats().fired, 1);
    append(alarm::AlarmEvent::AlarmStopped { alarm: 2 }).await;
    running.run_until_idle().await.unwrap();
    assert_eq!(running.stats().too_late, 1, "it had gone off");
    // The same for a runner that was not there.
    append(alarm::AlarmEvent::AlarmSet { alarm: 3, seconds: 10 }).await;
    running.run_until_idle().await.unwrap();
    drop(running);
    world.clock.advance(Duration::from_secs(20));
    append(alarm::AlarmEvent::AlarmStopped { alarm: 3 }).await;
    let mut next = runner();
    next.run_until_idle().await.unwrap();
    assert_eq!(next.stats().fired, 0);
}

/// How many alarms wait, of how many that were set, and how many of these are stopped before they ring.
const ALARMS: u64 = 100_000;
const STOPPED: u64 = 1_000;

#[tokio::test]
async fn a_hundred_thousand_timers_survive_a_restart_and_ring_once_each_in_order() {
    use factum_core::{
        EventStore as _, EventStoreExt as _, ExpectedRevision, Page, Read, Selector, StreamName,
    };
    let world = memory_world();
    let codec = factum::Codec::<alarm::AlarmEvent>::new().unwrap();
    let alarms = StreamName::new("alarms").unwrap();
    // A permutation, so that the order of ringing is not that of setting.
    let seconds = |alarm: u64| 1 + alarm * 7_919 % ALARMS;
    let set = (0..ALARMS).map(|alarm| alarm::AlarmEvent::AlarmSet { alarm, seconds: seconds(alarm) });
    let stop = (0..STOPPED).map(|alarm| alarm::AlarmEvent::AlarmStopped { alarm });
    let events = set.chain(stop).map(|event| codec.encode(&event).unwrap()).collect();
    world.store.append_to(alarms, ExpectedRevision::NoStream, events).await.unwrap();
    let runner = || {
        factum::ProcessRunner::new(world.dynamic(), alarm::Alarm, async |_| Dispatched::done())
            .unwrap()
            .with_clock(std::sync::Arc::clone(&world.clock) as _)
    };
    let mut first = runner();
    first.run_until_idle().await.unwrap();
    assert_eq!((first.stats().started, first.stats().fired), (ALARMS, 0));
    drop(first);
    let mut second = runner();
    world.clock.advance(Duration::from_secs(ALARMS / 2));
    second.run_until_idle().await.unwrap();
    let early = second.stats().fired;
    assert!(early < ALARMS / 2 && early > ALARMS / 2 - STOPPED, "{early} rang by half time");
    world.clock.advance(Duration::from_secs(ALARMS));
    second.run_until_idle().await.unwrap();
    assert_eq!(second.stats().fired, ALARMS - STOPPED);
    let category = factum_core::Category::new("alarm").unwrap();
    let mut reader = world.store.read(Read::forwards(Selector::Category(category))).await.unwrap();
    let mut rung = Vec::new();
    while let Some(Page { events, .. }) = reader.next_page().await.unwrap() {
        for event in events.iter().filter(|event| event.event_type() == "$processInput") {
            if let Some(ProcessRecord::Input(taken)) = ProcessRecord::read(event).unwrap()
                && let factum::InputRecord::Timer { due, .. } = taken.input
            {
                rung.push((due, event.stream().to_owned()));
            }
        }
    }
    assert!(rung.windows(2).all(|two| two[0].0 < two[1].0), "not in order of due time");
    assert_eq!(rung.len() as u64, ALARMS - STOPPED);
    assert!(rung.iter().all(|(_, stream)| stream["alarm-".len()..].parse::<u64>().unwrap() >= STOPPED));
}
