//! Access lists, as clients meet them: each change counts with the next call, and ends what goes on.

use factum_core::{EventStoreExt, EventType, ExpectedRevision, NewEvent, StreamName};
use factum_protocol::stream_to_wire;
use factum_protocol::wire::v1::persistent_subscriptions as groups;
use factum_protocol::wire::v1::persistent_subscriptions::persistent_subscriptions_client::PersistentSubscriptionsClient;
use factum_protocol::wire::v1::streams as wire;
use factum_protocol::wire::v1::{UuidOption, uuid_option};
use tonic::{Code, Streaming};

use super::{Fixture, OPS_PASSWORD, Who, assert_denied, data_of};
use crate::group_client::{from_start, settings};

fn ada() -> Who {
    Who::user("ada", "ada")
}

fn bob() -> Who {
    Who::user("bob", "bob")
}

#[tokio::test]
async fn without_lists_users_have_their_streams_and_administrators_the_systems() {
    let fixture = Fixture::with_users().await;
    let (admin, ops) = (Who::admin(), Who::user("ops", OPS_PASSWORD));
    for who in [&ada(), &ops, &admin] {
        fixture.append(who, "s", "A", "1").await.unwrap();
        fixture.append(who, "$$s", "$metadata", "{}").await.unwrap();
        fixture.read(who, "s").await.unwrap();
        fixture.read(who, "$$s").await.unwrap();
        fixture.delete(who, "s").await.unwrap();
    }
    for closed in ["$all", "$settings", "$users", "$user-ada", "$$$settings", "$ce-s", "$streams", "$et-A"] {
        for who in [&ada(), &ops] {
            assert_denied(fixture.read(who, closed).await);
            assert_denied(fixture.subscribe(who, closed).await);
        }
        fixture.read(&admin, closed).await.unwrap();
    }
    for closed in ["$settings", "$x", "$$$x", "$$$all", "$user-ada", "$$$user-ada"] {
        assert_denied(fixture.append(&ada(), closed, "A", "{}").await);
        assert_denied(fixture.delete(&ada(), closed).await);
    }
    fixture.append(&admin, "$x", "A", "1").await.unwrap();
}

#[tokio::test]
async fn a_list_counts_with_the_next_call() {
    let fixture = Fixture::with_users().await;
    fixture.append(&ada(), "s", "A", "1").await.unwrap();
    // Again and again: no round may see what the one before left in memory.
    for _ in 0..20 {
        fixture.set_acl("s", r#"{"$r":["readers"],"$w":"ada","$d":[],"$mr":"bob"}"#).await;
        assert_denied(fixture.read(&ada(), "s").await);
        fixture.append(&ada(), "s", "A", "1").await.unwrap();
        assert_denied(fixture.delete(&ada(), "s").await);
        assert_denied(fixture.read(&ada(), "$$s").await);
        fixture.read(&bob(), "s").await.unwrap();
        assert_denied(fixture.append(&bob(), "s", "A", "1").await);
        fixture.read(&bob(), "$$s").await.unwrap();
        fixture.set_acl("s", "{}").await;
        fixture.read(&ada(), "s").await.unwrap();
        fixture.append(&bob(), "s", "A", "1").await.unwrap();
    }
    fixture.set_acl("s", r#"{"$r":[],"$d":"ada"}"#).await;
    assert_denied(fixture.read(&bob(), "s").await);
    // A delete takes the list along, as it does in KurrentDB.
    fixture.delete(&ada(), "s").await.unwrap();
    fixture.append(&ada(), "s", "A", "1").await.unwrap();
    fixture.read(&bob(), "s").await.unwrap();
}

#[tokio::test]
async fn the_defaults_come_from_the_settings() {
    let fixture = Fixture::with_users().await;
    let admin = Who::admin();
    fixture.append(&admin, "s", "A", "1").await.unwrap();
    fixture.append(&admin, "$x", "A", "1").await.unwrap();
    let settings = r#"{"$userStreamAcl":{"$r":"ada"},"$systemStreamAcl":{"$r":"$all","$w":"$all"}}"#;
    fixture.append(&admin, "$settings", "update-settings", settings).await.unwrap();
    fixture.read(&ada(), "s").await.unwrap();
    assert_denied(fixture.read(&bob(), "s").await);
    fixture.read(&bob(), "$x").await.unwrap();
    // Hashes of passwords stay closed whatever the settings are, and whatever their own list is.
    fixture.set_acl("$user-ada", r#"{"$r":"$all","$w":"$all"}"#).await;
    for closed in ["$user-ada", "$users", "$users-password-notifications"] {
        assert_denied(fixture.read(&bob(), closed).await);
        assert_denied(fixture.append(&bob(), closed, "A", "{}").await);
    }
    fixture.append(&admin, "$settings", "update-settings", "{}").await.unwrap();
    fixture.read(&bob(), "s").await.unwrap();
    assert_denied(fixture.read(&bob(), "$x").await);
}

#[tokio::test]
async fn a_link_to_what_may_not_be_read_stays_a_link() {
    let fixture = Fixture::with_users().await;
    let admin = Who::admin();
    fixture.append(&admin, "c-1", "Secret", "\"hush\"").await.unwrap();
    fixture.append(&admin, "c-2", "Open", "\"open\"").await.unwrap();
    fixture.set_acl("c-1", r#"{"$r":[]}"#).await;
    fixture.set_acl("$ce-c", r#"{"$r":"ada"}"#).await;
    let shown = async |who: &Who| {
        let options = wire::read_req::Options {
            resolve_links: true,
            ..fixture.read_options("$ce-c", wire::read_req::options::CountOption::Count(10))
        };
        let request = who.asks(wire::ReadReq { options: Some(options) });
        let mut answers = fixture.streams().read(request).await.unwrap().into_inner();
        let mut data = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            data.extend(data_of(answer));
        }
        data
    };
    assert_eq!(shown(&admin).await, ["\"hush\"", "\"open\""]);
    assert_eq!(shown(&ada()).await, ["\"open\""]);
}

#[tokio::test]
async fn the_whole_log_can_be_opened_by_its_own_list() {
    let fixture = Fixture::with_users().await;
    fixture.append(&ada(), "s", "A", "1").await.unwrap();
    assert_denied(fixture.read(&ada(), "$all").await);
    fixture.set_acl("$all", r#"{"$r":"writers"}"#).await;
    assert!(fixture.read(&ada(), "$all").await.unwrap().contains(&"1".to_owned()));
    assert_denied(fixture.read(&bob(), "$all").await);
}

/// Takes answers until one is an event with this data.
async fn until(answers: &mut Streaming<wire::ReadResp>, data: &str) {
    while let Some(answer) = answers.message().await.unwrap() {
        if data_of(answer).as_deref() == Some(data) {
            return;
        }
    }
    panic!("the subscription ended");
}

/// Takes answers until the end; the events on the way.
async fn ended(mut answers: Streaming<wire::ReadResp>) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        match answers.message().await {
            Ok(answer) => events.extend(data_of(answer.expect("an end with a status"))),
            Err(status) => {
                assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "Access Denied"));
                assert_eq!(status.metadata().get("exception").unwrap(), "access-denied");
                return events;
            }
        }
    }
}

#[tokio::test]
async fn a_subscription_ends_when_its_right_is_gone() {
    let fixture = Fixture::with_users().await;
    let admin = Who::admin();
    fixture.append(&admin, "s", "A", "1").await.unwrap();
    let mut of_ada = fixture.subscribe(&ada(), "s").await.unwrap();
    let mut of_bob = fixture.subscribe(&bob(), "s").await.unwrap();
    until(&mut of_ada, "1").await;
    until(&mut of_bob, "1").await;
    // Changes that leave the right alone leave the subscription alone.
    fixture.set_acl("other", r#"{"$r":[]}"#).await;
    fixture.set_acl("s", r#"{"$r":["ada","readers"]}"#).await;
    fixture.append(&admin, "s", "A", "2").await.unwrap();
    until(&mut of_ada, "2").await;
    until(&mut of_bob, "2").await;
    // An event after the change of the list is not seen any more.
    fixture.set_acl("s", r#"{"$r":["readers"]}"#).await;
    fixture.append(&admin, "s", "A", "3").await.unwrap();
    assert_eq!(ended(of_ada).await, [""; 0]);
    until(&mut of_bob, "3").await;
    fixture.disable(&admin, "bob").await.unwrap();
    assert_eq!(ended(of_bob).await, [""; 0]);
}

/// Connects a consumer of a group of `s`, and waits until it is confirmed.
async fn consume(fixture: &Fixture, who: &Who) -> Streaming<groups::ReadResp> {
    let options = groups::read_req::Options {
        group_name: "g".to_owned(),
        buffer_size: 10,
        uuid_option: Some(UuidOption { content: Some(uuid_option::Content::String(())) }),
        stream_option: Some(groups::read_req::options::StreamOption::StreamIdentifier(stream_to_wire("s"))),
    };
    let first = groups::ReadReq { content: Some(groups::read_req::Content::Options(options)) };
    // The requests do not end: the consumer stays.
    let requests = tokio_stream::StreamExt::chain(tokio_stream::iter([first]), tokio_stream::pending());
    let mut client = PersistentSubscriptionsClient::new(fixture.channel.clone());
    let mut answers = client.read(who.asks(requests)).await.unwrap().into_inner();
    let confirmed = answers.message().await.unwrap().and_then(|answer| answer.content);
    assert!(matches!(confirmed, Some(groups::read_resp::Content::SubscriptionConfirmation(_))));
    answers
}

#[tokio::test]
async fn a_consumer_of_a_group_goes_when_its_right_is_gone() {
    let fixture = Fixture::with_users().await;
    let admin = Who::admin();
    let create = groups::CreateReq { options: Some(from_start("s", "g", settings())) };
    PersistentSubscriptionsClient::new(fixture.channel.clone()).create(admin.asks(create)).await.unwrap();
    let (mut of_ada, mut of_bob) = (consume(&fixture, &ada()).await, consume(&fixture, &bob()).await);
    fixture.set_acl("s", r#"{"$r":["readers"]}"#).await;
    let denied = of_ada.message().await.expect_err("ada may not read it any more");
    assert_eq!((denied.code(), denied.message()), (Code::PermissionDenied, "Access Denied"));
    // The other one stays, and gets what comes.
    fixture.append(&admin, "s", "A", "1").await.unwrap();
    let given = of_bob.message().await.unwrap().and_then(|answer| answer.content);
    assert!(matches!(given, Some(groups::read_resp::Content::Event(_))), "{given:?}");
    fixture.disable(&admin, "bob").await.unwrap();
    assert_eq!(of_bob.message().await.expect_err("bob is gone").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_others_write_into_the_store_counts_soon() {
    let fixture = Fixture::with_users().await;
    fixture.append(&ada(), "s", "A", "1").await.unwrap();
    let mut subscription = fixture.subscribe(&ada(), "s").await.unwrap();
    until(&mut subscription, "1").await;
    let write = async |stream: &str, event_type: &str, data: &str| {
        let event = NewEvent::json(EventType::new(event_type).unwrap(), data.to_owned());
        let stream = StreamName::new(stream).unwrap();
        fixture.store.append_to(stream, ExpectedRevision::Any, vec![event]).await.unwrap();
    };
    write("$$s", "$metadata", r#"{"$acl":{"$r":"bob"}}"#).await;
    while fixture.read(&ada(), "s").await.is_ok() {}
    ended(subscription).await;
    write("$$s", "$metadata", "{}").await;
    while fixture.read(&ada(), "s").await.is_err() {}
    write("$settings", "anything", r#"{"$userStreamAcl":{"$r":"bob"}}"#).await;
    while fixture.read(&ada(), "s").await.is_ok() {}
    fixture.read(&bob(), "s").await.unwrap();
    write("$user-bob", "$UserUpdated", r#"{"LoginName":"bob","Disabled":true}"#).await;
    while fixture.read(&bob(), "s").await.is_ok() {}
}

#[tokio::test]
async fn a_batch_of_appends_is_refused_one_by_one() {
    use wire::batch_append_req::{Options, options};
    let fixture = Fixture::with_users().await;
    fixture.set_acl("closed", r#"{"$w":[]}"#).await;
    let message = |stream: &str| wire::BatchAppendReq {
        correlation_id: Some(factum_protocol::uuid_to_wire(
            factum_core::EventId::generate(),
            factum_protocol::UuidForm::Text,
        )),
        options: Some(Options {
            stream_identifier: Some(stream_to_wire(stream)),
            expected_stream_position: Some(options::ExpectedStreamPosition::Any(())),
            deadline_option: None,
        }),
        proposed_messages: Vec::new(),
        is_final: true,
    };
    let messages = tokio_stream::iter(["closed", "open"].map(message));
    let mut answers = fixture.streams().batch_append(ada().asks(messages)).await.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let stream = String::from_utf8_lossy(&answer.stream_identifier.unwrap().stream_name).into_owned();
        let code = match answer.result.unwrap() {
            wire::batch_append_resp::Result::Success(_) => 0,
            wire::batch_append_resp::Result::Error(error) => error.code,
        };
        outcomes.push((stream, code));
    }
    outcomes.sort();
    assert_eq!(outcomes, [("closed".to_owned(), 7), ("open".to_owned(), 0)]);
}

#[tokio::test]
async fn the_second_version_of_the_protocol_says_it_in_its_own_way() {
    use factum_protocol::wire::v2;
    let fixture = Fixture::with_users().await;
    fixture.set_acl("closed", r#"{"$w":[]}"#).await;
    let mut client = v2::streams_service_client::StreamsServiceClient::new(fixture.channel.clone());
    let record = |stream: &str| v2::AppendRecord {
        stream: Some(stream.to_owned()),
        schema: Some(v2::SchemaInfo {
            format: i32::from(v2::SchemaFormat::Json),
            name: Some("A".to_owned()),
            id: None,
        }),
        data: Some("1".into()),
        ..v2::AppendRecord::default()
    };
    let request =
        |stream: &str| v2::AppendRecordsRequest { records: vec![record(stream)], checks: Vec::new() };
    client.append_records(ada().asks(request("open"))).await.unwrap();
    let status = client.append_records(ada().asks(request("closed"))).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "'ada' may not append 'closed'"));
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(
        details.contains("ACCESS_DENIED") && details.contains("kurrent.rpc.AccessDeniedErrorDetails"),
        "{details}"
    );
    let wrong = client.append_records(Who::user("ada", "x").asks(request("open"))).await.unwrap_err();
    assert_eq!((wrong.code(), wrong.message()), (Code::Unauthenticated, "Unauthenticated"));
}
