//! The service for streams: each of its calls has a file of its own.

use std::sync::Arc;

use factum_protocol::wire::v1::streams as wire;
use futures_util::TryStreamExt;
use tonic::{Request, Response, Status, Streaming};

use super::read_answer::Answer;
use super::read_options::{Reading, Span};
use super::{Answers, append, batch_append, delete, read, subscribe};
use crate::call::Call;
use crate::shared::Shared;

/// `event_store.client.streams.Streams`.
#[derive(Clone)]
pub(crate) struct Streams {
    shared: Arc<Shared>,
}

impl Streams {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The answers of a read or a subscription.
    pub(super) async fn answers(&self, request: Request<wire::ReadReq>) -> Result<Answers<Answer>, Status> {
        let call = Call::of(&request);
        let reading = Reading::from_wire(request.into_inner())?;
        match reading.span {
            Span::Count(count) => read::answers(self.shared.clone(), call, reading, count).await,
            Span::Subscription => subscribe::answers(self.shared.clone(), call, reading).await,
        }
    }
}

#[tonic::async_trait]
impl wire::streams_server::Streams for Streams {
    type ReadStream = Answers<wire::ReadResp>;
    type BatchAppendStream = Answers<wire::BatchAppendResp>;

    /// The service in front of this one takes the short way to the same answers.
    async fn read(&self, request: Request<wire::ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let answers = self.answers(request).await?;
        Ok(Response::new(Box::pin(answers.map_ok(Answer::into_message))))
    }

    async fn append(
        &self,
        request: Request<Streaming<wire::AppendReq>>,
    ) -> Result<Response<wire::AppendResp>, Status> {
        let call = Call::of(&request);
        append::append(&self.shared, &call, request.into_inner()).await.map(Response::new)
    }

    async fn delete(&self, request: Request<wire::DeleteReq>) -> Result<Response<wire::DeleteResp>, Status> {
        let call = Call::of(&request);
        let mode = factum_core::DeleteMode::Soft;
        delete::delete(&self.shared, &call, request.into_inner(), mode).await.map(Response::new)
    }

    async fn tombstone(
        &self,
        request: Request<wire::DeleteReq>,
    ) -> Result<Response<wire::DeleteResp>, Status> {
        let call = Call::of(&request);
        let mode = factum_core::DeleteMode::Tombstone;
        delete::delete(&self.shared, &call, request.into_inner(), mode).await.map(Response::new)
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<wire::BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let call = Call::of(&request);
        Ok(Response::new(batch_append::answers(self.shared.clone(), call, request.into_inner())))
    }
}
