//! Puts the calls of `Read` on a codec of their own, and leaves all others to the generated service.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use factum_protocol::wire::v1::streams::ReadReq;
use factum_protocol::wire::v1::streams::streams_server::StreamsServer;

use super::Answers;
use super::read_answer::{Answer, ReadCodec};
use super::streams::Streams;

const READ: &str = "/event_store.client.streams.Streams/Read";

/// The streams service, with reads on the short way.
#[derive(Clone)]
pub(super) struct StreamsService {
    streams: Streams,
    generated: StreamsServer<Streams>,
}

impl StreamsService {
    pub(super) fn new(streams: Streams, generated: StreamsServer<Streams>) -> Self {
        Self { streams, generated }
    }
}

impl NamedService for StreamsService {
    const NAME: &'static str = <StreamsServer<Streams> as NamedService>::NAME;
}

impl Service<http::Request<Body>> for StreamsService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Either<
        BoxFuture<'static, Result<Self::Response, Infallible>>,
        <StreamsServer<Streams> as Service<http::Request<Body>>>::Future,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != READ {
            return Either::Right(self.generated.call(request));
        }
        let streams = self.streams.clone();
        let answer = async move {
            let mut grpc = Grpc::new(ReadCodec).accept_compressed(CompressionEncoding::Gzip);
            Ok(grpc.server_streaming(ReadCall(streams), request).await)
        };
        Either::Left(answer.boxed())
    }
}

struct ReadCall(Streams);

impl ServerStreamingService<ReadReq> for ReadCall {
    type Response = Answer;
    type ResponseStream = Answers<Answer>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<ReadReq>) -> Self::Future {
        let streams = self.0.clone();
        async move { streams.answers(request).await.map(Response::new) }.boxed()
    }
}
