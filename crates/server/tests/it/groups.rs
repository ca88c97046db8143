//! Groups: who gets what, what can be chosen, and what a client is told that asks for what cannot be.

use std::collections::{BTreeSet, HashMap};

use factum_core::MemoryStore;
use factum_protocol::wire::v1::filter_options::{Expression, Filter, Window};
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use factum_protocol::wire::v1::{AllStreamPosition, FilterOptions};
use tonic::Code;
use wire::create_req::options::StreamOption;
use wire::read_req::nack::Action;
use wire::stream_options::RevisionOption;

use crate::group_client::{Given, Setup, event, from, from_start, revisions, settings, trailer};

#[tokio::test]
async fn consumers_of_a_group_share_its_events_and_wait_for_more() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 4).await;
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut one = setup.consumer("s", "g", 2).await.unwrap();
    let first = one.events(2).await;
    assert_eq!(revisions(&first), [0, 1]);
    assert!(first.iter().all(|event| event.retries == 0 && event.link.is_none()));
    assert!(one.is_silent().await, "it holds as many as it asked for");
    let mut other = setup.consumer("s", "g", 10).await.unwrap();
    assert_eq!(revisions(&other.events(2).await), [2, 3]);
    one.ack(&first).await;
    setup.until("s", "g", |info| info.total_in_flight_messages == 2).await;
    setup.fill("s", 4).await;
    let (a, b) = (one.events(2).await, other.events(2).await);
    let both: BTreeSet<u64> = revisions(&a).into_iter().chain(revisions(&b)).collect();
    assert_eq!(both, BTreeSet::from([4, 5, 6, 7]), "one after the other");
    setup.server.stop().await;
}

#[tokio::test]
async fn a_group_begins_where_it_was_asked_to() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 5).await;
    setup.create(from("s", "third", RevisionOption::Revision(3))).await.unwrap();
    setup.create(from("s", "end", RevisionOption::End(()))).await.unwrap();
    setup.create(from("none", "end", RevisionOption::End(()))).await.unwrap();
    let mut third = setup.consumer("s", "third", 10).await.unwrap();
    let mut end = setup.consumer("s", "end", 10).await.unwrap();
    assert_eq!(revisions(&third.events(2).await), [3, 4]);
    assert!(end.is_silent().await);
    setup.fill("s", 1).await;
    setup.fill("none", 1).await;
    assert_eq!(end.event().await.revision(), 5);
    assert_eq!(third.event().await.revision(), 5);
    assert_eq!(setup.consumer("none", "end", 1).await.unwrap().event().await.revision(), 0);
    let start = async |group| setup.info("s", group).await.unwrap().start_from;
    assert_eq!((start("third").await.as_str(), start("end").await.as_str()), ("3", "-1"));
}

#[tokio::test]
async fn the_log_is_shared_through_a_filter_and_without_the_groups_own_events() {
    let setup = Setup::over(MemoryStore::new()).await;
    let mut options = from_start("$all", "g", settings());
    let filter = FilterOptions {
        filter: Some(Filter::EventType(Expression {
            regex: r"^(?!\$).*Wanted$".to_owned(),
            prefix: Vec::new(),
        })),
        window: Some(Window::Count(())),
        checkpoint_interval_multiplier: 1,
    };
    if let Some(StreamOption::All(all)) = &mut options.stream_option {
        all.filter_option = Some(wire::all_options::FilterOption::Filter(filter));
    }
    setup.create(options).await.unwrap();
    setup.append("a", vec![event("Wanted"), event("Other"), event("AlsoWanted")]).await;
    let mut reader = setup.consumer("$all", "g", 10).await.unwrap();
    let events = reader.events(2).await;
    assert_eq!(revisions(&events), [0, 2]);
    reader.ack(&events).await;
    let is_position = |text: &str| text.starts_with("C:") && text.contains("/P:");
    let info = setup.until("$all", "g", |info| is_position(&info.last_checkpointed_event_position)).await;
    assert_eq!((info.event_source.as_str(), info.start_from.as_str()), ("$all", "C:0/P:0"));
    // Without a filter, everything that clients see in the log, system events too.
    setup.create(from_start("$all", "whole", settings())).await.unwrap();
    let mut whole = setup.consumer("$all", "whole", 100).await.unwrap();
    let mut seen: Vec<Given> = Vec::new();
    while seen.iter().filter(|given| given.event.as_ref().unwrap().0 == "a").count() < 3 {
        seen.push(whole.event().await);
    }
    let streams: BTreeSet<String> = seen.iter().map(|given| given.event.clone().unwrap().0).collect();
    assert!(streams.contains("$persistentSubscriptionConfig"), "{streams:?}");
    assert!(
        !streams.iter().any(|stream| stream.starts_with("$persistentsubscription-$all::")),
        "{streams:?}"
    );
}

#[tokio::test]
async fn an_index_is_shared_as_links_or_as_what_they_point_to() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("account-1", 1).await;
    setup.fill("account-2", 1).await;
    setup.fill("other-1", 1).await;
    let resolve = wire::Settings { resolve_links: true, ..settings() };
    setup.create(from_start("$ce-account", "resolved", resolve)).await.unwrap();
    setup.create(from_start("$ce-account", "links", settings())).await.unwrap();
    let events = setup.consumer("$ce-account", "resolved", 5).await.unwrap().events(2).await;
    let streams =
        |events: &[Given]| events.iter().map(|given| given.event.clone().unwrap().0).collect::<Vec<_>>();
    assert_eq!(streams(&events), ["account-1", "account-2"]);
    assert!(events.iter().all(|given| given.link.as_ref().unwrap().0 == "$ce-account"));
    let mut links = setup.consumer("$ce-account", "links", 5).await.unwrap();
    let events = links.events(2).await;
    assert_eq!(streams(&events), ["$ce-account", "$ce-account"]);
    links.ack(&events).await;
    setup.fill("account-3", 1).await;
    assert_eq!(links.event().await.event.unwrap().0, "$ce-account");
}

#[tokio::test]
async fn pinned_events_stay_with_one_consumer() {
    let setup = Setup::over(MemoryStore::new()).await;
    let pinned = wire::Settings { consumer_strategy: "PinnedByCorrelation".to_owned(), ..settings() };
    setup.create(from_start("s", "g", pinned)).await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(setup.consumer("s", "g", 200).await.unwrap());
    }
    let correlated = |number: usize| {
        event("Happened").with_metadata(format!(r#"{{"$correlationId":"c-{}"}}"#, number % 20))
    };
    setup.append("s", (0..120).map(correlated).collect()).await;
    setup.until("s", "g", |info| info.total_in_flight_messages == 120).await;
    let mut where_is: HashMap<u64, usize> = HashMap::new();
    for (number, reader) in readers.iter_mut().enumerate() {
        let count = setup.info("s", "g").await.unwrap().connections[number].in_flight_messages;
        for given in reader.events(usize::try_from(count).unwrap()).await {
            let before = where_is.insert(given.revision() % 20, number);
            assert!(before.is_none_or(|before| before == number), "a correlation id is at two consumers");
        }
    }
    assert!(where_is.values().collect::<BTreeSet<_>>().len() > 1, "all went to one consumer");
}

#[tokio::test]
async fn a_client_that_never_reads_keeps_nobody_waiting() {
    let setup = Setup::over(MemoryStore::new()).await;
    let short = wire::Settings {
        message_timeout: Some(wire::settings::MessageTimeout::MessageTimeoutMs(0)),
        max_retry_count: 1_000,
        consumer_strategy: "DispatchToSingle".to_owned(),
        ..settings()
    };
    setup.create(from_start("s", "g", short)).await.unwrap();
    let _silent = setup.silent_consumer("s", "g", 3).await;
    setup.until("s", "g", |info| info.connections.len() == 1).await;
    let large = vec![b'x'; 500 * 1024];
    let new = |_| factum_core::NewEvent::binary(factum_core::EventType::new("Large").unwrap(), large.clone());
    setup.append("s", (0..10).map(new).collect()).await;
    let mut reader = setup.consumer("s", "g", 3).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 10 {
        let given = reader.event().await;
        seen.insert(given.revision());
        reader.ack(&[given]).await;
    }
    setup.until("s", "g", |info| info.last_checkpointed_event_position == "9").await;
}

#[tokio::test]
async fn a_group_is_described_and_listed() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 3).await;
    let chosen = wire::Settings {
        extra_statistics: true,
        max_subscriber_count: 7,
        message_timeout: Some(wire::settings::MessageTimeout::MessageTimeoutTicks(90_000_000)),
        checkpoint_after: Some(wire::settings::CheckpointAfter::CheckpointAfterTicks(15_000_000)),
        consumer_strategy: String::new(),
        #[allow(deprecated, reason = "what most clients send")]
        named_consumer_strategy: i32::from(wire::settings::ConsumerStrategy::Pinned),
        ..settings()
    };
    setup.create(from_start("s", "a/b", chosen)).await.unwrap();
    let mut reader = setup.consumer("s", "a/b", 5).await.unwrap();
    let events = reader.events(3).await;
    reader.ack(&events[..2]).await;
    let info = setup.until("s", "a/b", |info| info.last_checkpointed_event_position == "1").await;
    assert_eq!((info.event_source.as_str(), info.group_name.as_str()), ("s", "a/b"));
    assert_eq!((info.status.as_str(), info.named_consumer_strategy.as_str()), ("Live", "Pinned"));
    assert_eq!((info.start_from.as_str(), info.last_known_event_position.as_str()), ("0", "2"));
    assert_eq!((info.message_timeout_milliseconds, info.check_point_after_milliseconds), (9_000, 1_500));
    assert_eq!((info.max_subscriber_count, info.buffer_size, info.live_buffer_size), (7, 500, 500));
    assert_eq!((info.total_items, info.total_in_flight_messages, info.outstanding_messages_count), (3, 1, 1));
    let connection = &info.connections[0];
    assert_eq!((connection.available_slots, connection.in_flight_messages), (4, 1));
    assert!(connection.from.starts_with("127.0.0.1:"));
    assert!(connection.observed_measurements.iter().any(|measurement| measurement.key == "Highest"));

    setup.create(from_start("$all", "z", settings())).await.unwrap();
    let list = async |option| {
        let request = wire::ListReq { options: Some(wire::list_req::Options { list_option: Some(option) }) };
        let answer = setup.client.clone().list(request).await?;
        let found = answer.into_inner().subscriptions;
        Ok::<_, tonic::Status>(found.into_iter().map(|info| info.group_name).collect::<Vec<_>>())
    };
    use wire::list_req::options::ListOption;
    use wire::list_req::stream_option::StreamOption as Of;
    let of = |of| ListOption::ListForStream(wire::list_req::StreamOption { stream_option: Some(of) });
    let named = |name: &'static str| {
        of(Of::Stream(factum_protocol::wire::v1::StreamIdentifier { stream_name: name.into() }))
    };
    assert_eq!(list(ListOption::ListAllSubscriptions(())).await.unwrap(), ["z", "a/b"]);
    assert_eq!(list(named("s")).await.unwrap(), ["a/b"]);
    assert_eq!(list(of(Of::All(()))).await.unwrap(), ["z"]);
    let status = list(named("other")).await.unwrap_err();
    assert_eq!(trailer(&status, "exception"), "persistent-subscription-does-not-exist");
}

#[tokio::test]
async fn a_change_drops_consumers_and_goes_on_and_a_delete_ends_it() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 3).await;
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    let events = reader.events(3).await;
    reader.ack(&events[..1]).await;
    setup.until("s", "g", |info| info.last_checkpointed_event_position == "0").await;
    let changed = wire::Settings { max_retry_count: 3, resolve_links: true, ..settings() };
    setup.update(from_start("s", "g", changed)).await.unwrap();
    let dropped = |status: &tonic::Status| {
        assert_eq!(
            (status.code(), trailer(status, "exception")),
            (Code::Cancelled, "persistent-subscription-dropped")
        );
        assert_eq!(status.message(), "Subscription group g on stream s was dropped.");
        assert_eq!((trailer(status, "stream-name"), trailer(status, "group-name")), ("s", "g"));
    };
    dropped(&reader.end().await.unwrap_err());
    let info = setup.info("s", "g").await.unwrap();
    assert_eq!((info.max_retry_count, info.resolve_link_tos), (3, true));
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    assert_eq!(revisions(&reader.events(2).await), [1, 2]);
    setup.client.clone().restart_subsystem(()).await.unwrap();
    dropped(&reader.end().await.unwrap_err());
    setup.client.clone().restart_subsystem(()).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    assert_eq!(revisions(&reader.events(2).await), [1, 2]);
    setup.delete("s", "g").await.unwrap();
    dropped(&reader.end().await.unwrap_err());
    assert_eq!(setup.info("s", "g").await.unwrap_err().code(), Code::NotFound);
    // A group of the same name begins anew.
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    let events = reader.events(3).await;
    assert_eq!(revisions(&events), [0, 1, 2]);
    reader.ack(&events[..1]).await;
    setup.until("s", "g", |info| info.last_checkpointed_event_position == "0").await;
    setup.client.clone().restart_subsystem(()).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    assert_eq!(revisions(&reader.events(2).await), [1, 2]);
    // Where a group is to begin does not count once it has a checkpoint.
    setup.update(from("s", "g", RevisionOption::End(()))).await.unwrap();
    let mut reader = setup.consumer("s", "g", 10).await.unwrap();
    assert_eq!(revisions(&reader.events(2).await), [1, 2]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_the_words_that_clients_know() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup
        .create(from_start("s", "g", wire::Settings { max_subscriber_count: 1, ..settings() }))
        .await
        .unwrap();
    let refused = |status: tonic::Status, code, exception: &str, message: &str| {
        assert_eq!((status.code(), trailer(&status, "exception")), (code, exception), "{status:?}");
        assert_eq!(status.message(), message);
        assert_ne!(trailer(&status, "stream-name"), "");
        assert_ne!(trailer(&status, "group-name"), "");
    };
    let missing = |status| {
        let message = "Subscription group none on stream s does not exist.";
        refused(status, Code::NotFound, "persistent-subscription-does-not-exist", message);
    };
    missing(setup.info("s", "none").await.unwrap_err());
    missing(setup.delete("s", "none").await.unwrap_err());
    missing(setup.replay("s", "none", None).await.unwrap_err());
    missing(setup.update(from_start("s", "none", settings())).await.unwrap_err());
    missing(setup.silent_consumer("s", "none", 1).await.end().await.unwrap_err());
    let exists = setup.create(from_start("s", "g", settings())).await.unwrap_err();
    let message = "Subscription group g on stream s exists.";
    refused(exists, Code::AlreadyExists, "persistent-subscription-exists", message);
    let _first = setup.consumer("s", "g", 1).await.unwrap();
    let full = setup.silent_consumer("s", "g", 1).await.end().await.unwrap_err();
    let message = "Maximum subscriptions reached for subscription group g on stream s.";
    refused(full, Code::FailedPrecondition, "maximum-subscribers-reached", message);

    let failed = async |change: &dyn Fn(&mut wire::Settings), reason: &str| {
        let mut settings = settings();
        change(&mut settings);
        let status = setup.create(from_start("s", "bad", settings)).await.unwrap_err();
        assert_eq!(trailer(&status, "reason"), reason);
        let message = format!("Subscription group bad on stream s failed: '{reason}'");
        refused(status, Code::Internal, "persistent-subscription-failed", &message);
    };
    let batch = "the read batch size (500) must be smaller than the history buffer size (500)";
    failed(&|settings| settings.read_batch_size = 500, batch).await;
    let strategy = |settings: &mut wire::Settings| settings.consumer_strategy = "Nobody".to_owned();
    failed(&strategy, "Consumer strategy Nobody does not exist.").await;
    let negative = "max_retry_count is -1: it may not be negative";
    failed(&|settings| settings.max_retry_count = -1, negative).await;

    let mut beyond = from_start("$all", "bad", settings());
    if let Some(StreamOption::All(all)) = &mut beyond.stream_option {
        let far = AllStreamPosition { commit_position: 1_000_000, prepare_position: 1_000_000 };
        all.all_option = Some(wire::all_options::AllOption::Position(far));
    }
    let status = setup.create(beyond).await.unwrap_err();
    assert_eq!(trailer(&status, "exception"), "persistent-subscription-failed");
    let long = setup.create(from_start("s", &"g".repeat(1_000), settings())).await.unwrap_err();
    assert_eq!(trailer(&long, "exception"), "persistent-subscription-failed");
    let long = setup.create(from_start("s", &"g".repeat(1_025), settings())).await.unwrap_err();
    assert_eq!(long.code(), Code::InvalidArgument);
    for bad in ["", "$$"] {
        let status = setup.create(from_start(bad, "g", settings())).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad}");
    }
    assert_eq!(setup.replay("s", "g", Some(-1)).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_consumer_that_makes_no_sense_is_told_so_and_one_that_stops_has_stopped() {
    let setup = Setup::over(MemoryStore::new()).await;
    setup.fill("s", 1).await;
    setup.create(from_start("s", "g", settings())).await.unwrap();
    let mut reader = setup.consumer("s", "g", 1).await.unwrap();
    reader.event().await;
    reader.say(None).await;
    assert_eq!(reader.end().await.unwrap_err().code(), Code::InvalidArgument);
    let mut reader = setup.consumer("s", "g", 1).await.unwrap();
    let given = reader.event().await;
    assert_eq!(given.retries, 1, "the one before it held it");
    reader.nack(&[given], Action::Stop, "").await;
    reader.end().await.unwrap();
    setup.until("s", "g", |info| info.connections.is_empty()).await;
    // One that breaks off is gone as well.
    drop(setup.consumer("s", "g", 1).await.unwrap());
    setup.until("s", "g", |info| info.connections.is_empty()).await;
}

#[tokio::test]
async fn clients_are_told_that_groups_can_be_asked_for() {
    let setup = Setup::over(MemoryStore::new()).await;
    let channel =
        tonic::transport::Channel::from_shared(format!("http://{}", setup.server.address())).unwrap();
    let client =
        factum_protocol::wire::v1::server_features::server_features_client::ServerFeaturesClient::new(
            channel.connect().await.unwrap(),
        );
    let methods = client.clone().get_supported_methods(()).await.unwrap().into_inner().methods;
    let service = "event_store.client.persistent_subscriptions.persistentsubscriptions";
    let ours: Vec<_> = methods.iter().filter(|method| method.service_name == service).collect();
    assert_eq!(ours.len(), 9);
    assert!(ours.iter().all(|method| method.features == ["stream", "all"]));
}
