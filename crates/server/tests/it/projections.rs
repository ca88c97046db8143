//! What the service for projections says of the system's, and of others.

use factum_protocol::wire::v1::projections as wire;
use tonic::transport::Channel;
use tonic::{Code, Status};
use wire::projections_client::ProjectionsClient;
use wire::statistics_req::options::Mode;

use crate::house::House;

async fn client(house: &House) -> ProjectionsClient<Channel> {
    ProjectionsClient::new(house.channel().await)
}

async fn statistics(house: &House, mode: Mode) -> Result<Vec<wire::statistics_resp::Details>, Status> {
    let options = wire::statistics_req::Options { mode: Some(mode) };
    let request = wire::StatisticsReq { options: Some(options) };
    let mut answers = client(house).await.statistics(request).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.extend(answer.details);
    }
    Ok(all)
}

const NAMES: [&str; 5] =
    ["$streams", "$stream_by_category", "$by_category", "$by_event_type", "$by_correlation_id"];

#[tokio::test]
async fn the_systems_projections_run_and_are_never_behind() {
    let house = House::new().await;
    house.fill("a-1", "A", 3).await;
    for mode in [Mode::All(()), Mode::Continuous(())] {
        let all = statistics(&house, mode).await.expect("they are listed");
        assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), NAMES);
        for one in all {
            assert_eq!((one.status.as_str(), one.mode.as_str()), ("Running", "Continuous"));
            assert_eq!((one.position.as_str(), one.progress.to_bits()), ("C:2/P:2", 100_f32.to_bits()));
        }
    }
    for mode in [Mode::Transient(()), Mode::OneTime(())] {
        assert_eq!(statistics(&house, mode).await.expect("none"), []);
    }
    let one = statistics(&house, Mode::Name("$by_category".to_owned())).await.expect("it is there");
    assert_eq!(one.len(), 1);
}

#[tokio::test]
async fn a_projection_that_is_not_there_is_not_found_by_any_call() {
    let house = House::new().await;
    let mut client = client(&house).await;
    let name = || "mine".to_owned();
    let refusals = [
        statistics(&house, Mode::Name(name())).await.map(|_| ()),
        client
            .enable(wire::EnableReq { options: Some(wire::enable_req::Options { name: name() }) })
            .await
            .map(|_| ()),
        client
            .disable(wire::DisableReq {
                options: Some(wire::disable_req::Options { name: name(), write_checkpoint: true }),
            })
            .await
            .map(|_| ()),
        client
            .reset(wire::ResetReq {
                options: Some(wire::reset_req::Options { name: name(), write_checkpoint: true }),
            })
            .await
            .map(|_| ()),
        client
            .state(wire::StateReq {
                options: Some(wire::state_req::Options { name: name(), partition: String::new() }),
            })
            .await
            .map(|_| ()),
        client
            .result(wire::ResultReq {
                options: Some(wire::result_req::Options { name: name(), partition: String::new() }),
            })
            .await
            .map(|_| ()),
        client
            .update(wire::UpdateReq {
                options: Some(wire::update_req::Options { name: name(), ..Default::default() }),
            })
            .await
            .map(|_| ()),
        client
            .delete(wire::DeleteReq {
                options: Some(wire::delete_req::Options { name: name(), ..Default::default() }),
            })
            .await
            .map(|_| ()),
    ];
    for refusal in refusals {
        let status = refusal.expect_err("there is none");
        assert_eq!((status.code(), status.message()), (Code::NotFound, "Projection 'mine' not found"));
    }
}

#[tokio::test]
async fn a_projection_of_a_users_is_refused_with_what_to_use_instead() {
    let house = House::new().await;
    let create = |name: &str| {
        let continuous =
            wire::create_req::options::Continuous { name: name.to_owned(), ..Default::default() };
        wire::CreateReq {
            options: Some(wire::create_req::Options {
                query: "fromAll()".to_owned(),
                mode: Some(wire::create_req::options::Mode::Continuous(continuous)),
                ..Default::default()
            }),
        }
    };
    let mut client = client(&house).await;
    let refused = client.create(create("mine")).await.expect_err("no");
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("read model"), "{}", refused.message());
    let taken = client.create(create("$by_category")).await.expect_err("no");
    assert_eq!(taken.message(), "Envelope callback expected Updated, received Conflict instead");
}

#[tokio::test]
async fn a_projection_of_the_systems_is_as_it_is() {
    let house = House::new().await;
    let mut client = client(&house).await;
    for name in NAMES {
        let name = || name.to_owned();
        let enable = wire::EnableReq { options: Some(wire::enable_req::Options { name: name() }) };
        client.enable(enable).await.expect("it runs already");
        let reset = wire::reset_req::Options { name: name(), write_checkpoint: false };
        client.reset(wire::ResetReq { options: Some(reset) }).await.expect("it is as new");
        let state = wire::state_req::Options { name: name(), partition: String::new() };
        let state = client.state(wire::StateReq { options: Some(state) }).await.expect("it has none");
        assert!(state.into_inner().state.is_some());
        let disable = wire::disable_req::Options { name: name(), write_checkpoint: true };
        let refused = client.disable(wire::DisableReq { options: Some(disable) }).await.expect_err("no");
        assert_eq!(refused.code(), Code::FailedPrecondition);
    }
    client.restart_subsystem(()).await.expect("there is nothing to do");
}
