//! Running a server: scavenges, and its end.

use std::sync::Arc;

use factum_protocol::exception;
use factum_protocol::wire::v1::operations as wire;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;
use wire::scavenge_resp::ScavengeResult;

use crate::access::Action;
use crate::call::Call;
use crate::jobs::{Begun, Kind};
use crate::operations::By;
use crate::scavenges;
use crate::shared::Shared;
use crate::status;

/// `event_store.client.operations.Operations`.
pub(crate) struct Operations {
    shared: Arc<Shared>,
}

impl Operations {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let call = Call::of(request);
        self.shared.access.check(&call.caller, Action::Operate).await
    }

    /// One server has nothing to do here; that it answers is what clients want.
    async fn nothing_to_do<T>(&self, request: &Request<T>) -> Result<Response<()>, Status> {
        self.check(request).await?;
        Ok(Response::new(()))
    }
}

fn answer(id: Uuid, result: ScavengeResult) -> Response<wire::ScavengeResp> {
    Response::new(wire::ScavengeResp { scavenge_id: id.to_string(), scavenge_result: i32::from(result) })
}

fn unknown(id: &str) -> Status {
    let values = [(exception::SCAVENGE_ID, id.to_owned())];
    status::named(Code::NotFound, exception::SCAVENGE_NOT_FOUND, "Scavenge id was invalid.", &values)
}

#[tonic::async_trait]
impl wire::operations_server::Operations for Operations {
    async fn start_scavenge(
        &self,
        request: Request<wire::StartScavengeReq>,
    ) -> Result<Response<wire::ScavengeResp>, Status> {
        self.check(&request).await?;
        let by = Call::of(&request).caller;
        let options = request.into_inner().options.unwrap_or_default();
        if options.thread_count < 0 || options.start_from_chunk < 0 {
            return Err(Status::invalid_argument(
                "a thread count and a first chunk are 0 or more: leave them out to let the server choose",
            ));
        }
        let Some(maintenance) = self.shared.ops.maintenance.clone() else {
            return Err(Status::failed_precondition(
                "there is nothing to scavenge: this server's store keeps no files",
            ));
        };
        let begun = scavenges::start(&self.shared, maintenance, By::caller(&by), "").await;
        Ok(match begun.map_err(|error| status::of_append(&error, "StartScavenge"))? {
            Begun::Started(id) => answer(id, ScavengeResult::Started),
            Begun::InProgress(id) => answer(id, ScavengeResult::InProgress),
        })
    }

    async fn stop_scavenge(
        &self,
        request: Request<wire::StopScavengeReq>,
    ) -> Result<Response<wire::ScavengeResp>, Status> {
        self.check(&request).await?;
        let asked = request.into_inner().options.unwrap_or_default().scavenge_id;
        let id = Uuid::parse_str(&asked).map_err(|_| unknown(&asked))?;
        self.shared.ops.jobs.stop(Kind::Scavenge, id).map_err(|_| unknown(&asked))?;
        Ok(answer(id, ScavengeResult::Stopped))
    }

    async fn shutdown(&self, request: Request<()>) -> Result<Response<()>, Status> {
        self.check(&request).await?;
        tracing::info!("a client asked for the end");
        // This call is under way, so it is answered before its connection is closed.
        self.shared.ops.shut_down();
        Ok(Response::new(()))
    }

    async fn merge_indexes(&self, request: Request<()>) -> Result<Response<()>, Status> {
        // The store merges its indexes by itself.
        self.nothing_to_do(&request).await
    }

    async fn resign_node(&self, request: Request<()>) -> Result<Response<()>, Status> {
        self.nothing_to_do(&request).await
    }

    async fn set_node_priority(
        &self,
        request: Request<wire::SetNodePriorityReq>,
    ) -> Result<Response<()>, Status> {
        self.nothing_to_do(&request).await
    }

    async fn restart_persistent_subscriptions(&self, request: Request<()>) -> Result<Response<()>, Status> {
        self.nothing_to_do(&request).await
    }
}
