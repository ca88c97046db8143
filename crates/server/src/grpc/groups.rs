//! The service for persistent subscriptions: what is asked about groups; reading from one has a file of its own.

use std::sync::Arc;

use factum_core::StreamName;
use factum_protocol::wire::v1::StreamIdentifier;
use factum_protocol::wire::v1::persistent_subscriptions as wire;
use factum_protocol::{StreamIdentifierError, stream_from_wire};
use tonic::{Request, Response, Status, Streaming};
use wire::replay_parked_req::options::StopAtOption;

use super::{Answers, groups_info, groups_options, groups_read};
use crate::access::Action;
use crate::call::Call;
use crate::groups::{Chosen, GroupError, GroupKey, Groups, Wish};
use crate::shared::Shared;
use crate::source::Source;
use crate::status;

/// Longest name of a group, in bytes; errors repeat it.
const MAX_GROUP_NAME_BYTES: usize = 1_024;

/// `event_store.client.persistent_subscriptions.PersistentSubscriptions`.
pub(crate) struct PersistentSubscriptions {
    shared: Arc<Shared>,
    groups: Groups,
}

impl PersistentSubscriptions {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { groups: Groups::of(&shared), shared }
    }

    async fn may(&self, call: &Call, action: Action<'_>) -> Result<(), Status> {
        self.shared.access.check(&call.caller, action).await
    }
}

/// The group that a request names; `all`, or a stream.
pub(super) fn key(stream: Option<Option<&StreamIdentifier>>, group: &str) -> Result<GroupKey, Status> {
    if group.is_empty() {
        return Err(Status::invalid_argument("the group has no name: give one"));
    }
    if group.len() > MAX_GROUP_NAME_BYTES {
        return Err(Status::invalid_argument(format!(
            "the group's name has {} bytes, at most {MAX_GROUP_NAME_BYTES} are allowed",
            group.len()
        )));
    }
    Ok(GroupKey::new(&source(stream)?, group))
}

/// What a request names: nothing at all, the log, or a stream.
fn source(stream: Option<Option<&StreamIdentifier>>) -> Result<Source, Status> {
    match stream {
        None => Err(Status::invalid_argument("'None' is not a valid StreamOption: name a stream, or all")),
        Some(None) => Ok(Source::All),
        Some(stream) => Ok(Source::named(named(stream).map_err(|error| status::bad_stream(&error))?)),
    }
}

fn named(stream: Option<&StreamIdentifier>) -> Result<StreamName, StreamIdentifierError> {
    stream_from_wire(stream)
}

fn no_options() -> Status {
    Status::invalid_argument("the request has no options")
}

fn replay_key(options: &wire::replay_parked_req::Options) -> Result<GroupKey, Status> {
    use wire::replay_parked_req::options::StreamOption;
    let stream = options.stream_option.as_ref().map(|stream| match stream {
        StreamOption::StreamIdentifier(stream) => Some(stream),
        StreamOption::All(()) => None,
    });
    key(stream, &options.group_name)
}

/// How many parked events are meant; `None`: all.
fn limit(stop: Option<StopAtOption>) -> Result<Option<u64>, Status> {
    match stop {
        Some(StopAtOption::StopAt(count)) => match u64::try_from(count) {
            Ok(count) => Ok(Some(count)),
            Err(_) => Err(Status::invalid_argument(format!("stop_at is {count}: it may not be negative"))),
        },
        Some(StopAtOption::NoLimit(())) => Ok(None),
        None => {
            Err(Status::invalid_argument("'None' is not a valid StopAtOption: give a number, or no limit"))
        }
    }
}

#[tonic::async_trait]
impl wire::persistent_subscriptions_server::PersistentSubscriptions for PersistentSubscriptions {
    type ReadStream = Answers<wire::ReadResp>;

    async fn create(&self, request: Request<wire::CreateReq>) -> Result<Response<wire::CreateResp>, Status> {
        let call = Call::of(&request);
        self.may(&call, Action::ManageGroups).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let config = groups_options::create(&options)?;
        self.groups.create(config, call.caller.name()).await.map_err(|error| status::of_group(&error))?;
        Ok(Response::new(wire::CreateResp {}))
    }

    async fn update(&self, request: Request<wire::CreateReq>) -> Result<Response<wire::CreateResp>, Status> {
        let call = Call::of(&request);
        self.may(&call, Action::ManageGroups).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let change = groups_options::update(&options)?;
        self.groups.update(change, call.caller.name()).await.map_err(|error| status::of_group(&error))?;
        Ok(Response::new(wire::CreateResp {}))
    }

    async fn delete(&self, request: Request<wire::DeleteReq>) -> Result<Response<wire::DeleteResp>, Status> {
        use wire::delete_req::options::StreamOption;
        let call = Call::of(&request);
        self.may(&call, Action::ManageGroups).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let stream = options.stream_option.as_ref().map(|stream| match stream {
            StreamOption::StreamIdentifier(stream) => Some(stream),
            StreamOption::All(()) => None,
        });
        let key = key(stream, &options.group_name)?;
        self.groups.delete(key, call.caller.name()).await.map_err(|error| status::of_group(&error))?;
        Ok(Response::new(wire::DeleteResp {}))
    }

    async fn read(
        &self,
        request: Request<Streaming<wire::ReadReq>>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let call = Call::of(&request);
        Ok(Response::new(groups_read::answers(self.shared.clone(), call, request.into_inner())))
    }

    async fn get_info(
        &self,
        request: Request<wire::GetInfoReq>,
    ) -> Result<Response<wire::GetInfoResp>, Status> {
        use wire::get_info_req::options::StreamOption;
        let call = Call::of(&request);
        self.may(&call, Action::SeeGroups).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let stream = options.stream_option.as_ref().map(|stream| match stream {
            StreamOption::StreamIdentifier(stream) => Some(stream),
            StreamOption::All(()) => None,
        });
        let key = key(stream, &options.group_name)?;
        let info = self.groups.info(&key).await.map_err(|error| status::of_group(&error))?;
        Ok(Response::new(wire::GetInfoResp { subscription_info: Some(groups_info::to_wire(&info)) }))
    }

    async fn replay_parked(
        &self,
        request: Request<wire::ReplayParkedReq>,
    ) -> Result<Response<wire::ReplayParkedResp>, Status> {
        let call = Call::of(&request);
        self.may(&call, Action::ManageGroups).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let (key, limit) = (replay_key(&options)?, limit(options.stop_at_option)?);
        let wish = Wish { by: call.caller.name().to_owned(), ..Wish::default() };
        let replayed = self.groups.replay_parked(&key, Chosen::Oldest(limit), wish).await;
        replayed.map_err(|error| status::of_group(&error))?;
        Ok(Response::new(wire::ReplayParkedResp {}))
    }

    async fn truncate_parked(
        &self,
        request: Request<wire::ReplayParkedReq>,
    ) -> Result<Response<wire::ReplayParkedResp>, Status> {
        let call = Call::of(&request);
        self.may(&call, Action::ManageGroups).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let (key, limit) = (replay_key(&options)?, limit(options.stop_at_option)?);
        self.groups
            .forget_parked(&key, Chosen::Oldest(limit))
            .await
            .map_err(|error| status::of_group(&error))?;
        Ok(Response::new(wire::ReplayParkedResp {}))
    }

    async fn list(&self, request: Request<wire::ListReq>) -> Result<Response<wire::ListResp>, Status> {
        use wire::list_req::options::ListOption;
        use wire::list_req::stream_option::StreamOption;
        let call = Call::of(&request);
        self.may(&call, Action::SeeGroups).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let of = match options.list_option.as_ref() {
            Some(ListOption::ListAllSubscriptions(())) => None,
            Some(ListOption::ListForStream(stream)) => {
                Some(source(stream.stream_option.as_ref().map(|stream| match stream {
                    StreamOption::Stream(stream) => Some(stream),
                    StreamOption::All(()) => None,
                }))?)
            }
            None => return Err(Status::invalid_argument("'None' is not a valid ListOption")),
        };
        let mut list = self.groups.list().await.map_err(|error| status::of_group(&error))?;
        if let Some(source) = &of {
            list.retain(|info| info.config.key.source_name() == source.name());
        }
        // As clients expect it: nothing to list is no list.
        if list.is_empty() {
            let asked = GroupKey::new(of.as_ref().unwrap_or(&Source::All), "");
            return Err(status::of_group(&GroupError::Missing(asked)));
        }
        Ok(Response::new(wire::ListResp { subscriptions: list.iter().map(groups_info::to_wire).collect() }))
    }

    async fn restart_subsystem(&self, request: Request<()>) -> Result<Response<()>, Status> {
        self.may(&Call::of(&request), Action::ManageGroups).await?;
        self.groups.restart().await.map_err(|error| status::of_group(&error))?;
        Ok(Response::new(()))
    }
}
