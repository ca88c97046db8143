//! Projections: the system's, which are indexes of the store; there are no others.

use std::collections::BTreeMap;
use std::sync::Arc;

use factum_core::{EventStore, EventStoreExt};
use factum_protocol::wire::v1::projections as wire;
use futures_util::stream;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::{Request, Response, Status};

use super::Answers;
use crate::access::Action;
use crate::call::Call;
use crate::projections::SystemProjection;
use crate::shared::Shared;
use crate::status;

/// `event_store.client.projections.Projections`.
pub(crate) struct Projections {
    shared: Arc<Shared>,
}

impl Projections {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn check<T>(&self, request: &Request<T>, action: Action<'_>) -> Result<(), Status> {
        let call = Call::of(request);
        self.shared.access.check(&call.caller, action).await
    }

    async fn details(&self, chosen: Vec<SystemProjection>) -> Result<Vec<wire::StatisticsResp>, Status> {
        let store: &dyn EventStore = self.shared.store.as_ref();
        let last = store.head().await.map_err(|error| status::of_read(&error))?;
        let position = last.map_or_else(String::new, |event| {
            let position = event.position().0;
            format!("C:{position}/P:{position}")
        });
        let resp = |projection: SystemProjection| wire::StatisticsResp {
            details: Some(wire::statistics_resp::Details {
                effective_name: projection.name().to_owned(),
                name: projection.name().to_owned(),
                status: "Running".to_owned(),
                mode: "Continuous".to_owned(),
                position: position.clone(),
                progress: 100.0,
                last_checkpoint: position.clone(),
                ..wire::statistics_resp::Details::default()
            }),
        };
        Ok(chosen.into_iter().map(resp).collect())
    }
}

fn not_found(name: &str) -> Status {
    Status::not_found(format!("Projection '{name}' not found"))
}

fn known(name: &str) -> Result<SystemProjection, Status> {
    SystemProjection::named(name).ok_or_else(|| not_found(name))
}

fn no_options() -> Status {
    Status::invalid_argument("the request has no options")
}

/// What is said of a change that an index does not allow.
fn is_an_index(name: &str, change: &str) -> Status {
    Status::failed_precondition(format!(
        "'{name}' is an index of the store and cannot be {change}: it costs nothing while nobody reads it"
    ))
}

#[tonic::async_trait]
impl wire::projections_server::Projections for Projections {
    type StatisticsStream = Answers<wire::StatisticsResp>;

    async fn create(&self, request: Request<wire::CreateReq>) -> Result<Response<wire::CreateResp>, Status> {
        use wire::create_req::options::Mode;
        self.check(&request, Action::Statistics).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let name = match options.mode.ok_or_else(|| Status::invalid_argument("'None' is not a valid Mode"))? {
            Mode::OneTime(()) => String::new(),
            Mode::Transient(transient) => transient.name,
            Mode::Continuous(continuous) => continuous.name,
        };
        if SystemProjection::named(&name).is_some() {
            return Err(Status::unknown("Envelope callback expected Updated, received Conflict instead"));
        }
        Err(Status::unimplemented(
            "this server runs no projections of users: read '$ce-', '$et-' or '$bc-' streams, or subscribe to $all with a \
             filter, and keep the result in a read model of the application's",
        ))
    }

    async fn update(&self, request: Request<wire::UpdateReq>) -> Result<Response<wire::UpdateResp>, Status> {
        self.check(&request, Action::Statistics).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        known(&options.name)?;
        Err(is_an_index(&options.name, "changed"))
    }

    async fn delete(&self, request: Request<wire::DeleteReq>) -> Result<Response<wire::DeleteResp>, Status> {
        self.check(&request, Action::Operate).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        known(&options.name)?;
        Err(is_an_index(&options.name, "deleted"))
    }

    async fn statistics(
        &self,
        request: Request<wire::StatisticsReq>,
    ) -> Result<Response<Self::StatisticsStream>, Status> {
        use wire::statistics_req::options::Mode;
        self.check(&request, Action::Statistics).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let chosen = match options.mode {
            Some(Mode::Name(name)) => vec![known(&name)?],
            Some(Mode::All(()) | Mode::Continuous(())) => SystemProjection::ALL.to_vec(),
            Some(Mode::Transient(()) | Mode::OneTime(())) => Vec::new(),
            None => return Err(Status::invalid_argument("'None' is not a valid Mode")),
        };
        let details = self.details(chosen).await?;
        Ok(Response::new(Box::pin(stream::iter(details.into_iter().map(Ok)))))
    }

    async fn disable(
        &self,
        request: Request<wire::DisableReq>,
    ) -> Result<Response<wire::DisableResp>, Status> {
        self.check(&request, Action::Statistics).await?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        known(&options.name)?;
        Err(is_an_index(&options.name, "disabled"))
    }

    /// An index runs already.
    async fn enable(&self, request: Request<wire::EnableReq>) -> Result<Response<wire::EnableResp>, Status> {
        self.check(&request, Action::Statistics).await?;
        known(&request.into_inner().options.ok_or_else(no_options)?.name)?;
        Ok(Response::new(wire::EnableResp {}))
    }

    /// An index is at any time what it would be if it began anew.
    async fn reset(&self, request: Request<wire::ResetReq>) -> Result<Response<wire::ResetResp>, Status> {
        self.check(&request, Action::Statistics).await?;
        known(&request.into_inner().options.ok_or_else(no_options)?.name)?;
        Ok(Response::new(wire::ResetResp {}))
    }

    /// An index has no state.
    async fn state(&self, request: Request<wire::StateReq>) -> Result<Response<wire::StateResp>, Status> {
        self.check(&request, Action::Statistics).await?;
        known(&request.into_inner().options.ok_or_else(no_options)?.name)?;
        Ok(Response::new(wire::StateResp { state: Some(nothing()) }))
    }

    async fn result(&self, request: Request<wire::ResultReq>) -> Result<Response<wire::ResultResp>, Status> {
        self.check(&request, Action::Statistics).await?;
        known(&request.into_inner().options.ok_or_else(no_options)?.name)?;
        Ok(Response::new(wire::ResultResp { result: Some(nothing()) }))
    }

    async fn restart_subsystem(&self, request: Request<()>) -> Result<Response<()>, Status> {
        self.check(&request, Action::Operate).await?;
        Ok(Response::new(()))
    }
}

/// `{}`.
fn nothing() -> Value {
    Value { kind: Some(Kind::StructValue(Struct { fields: BTreeMap::new() })) }
}
