//! Clients that do not behave: they get a clear answer or none, and everyone else is served.

use std::time::Duration;

use factum_core::ExpectedRevision;
use factum_core::limits::MAX_EVENT_BYTES;
use factum_protocol::wire::v1;
use factum_protocol::wire::v1::streams as wire;
use factum_protocol::wire::v1::streams::read_req::{Options, options};
use factum_server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::house::{House, append, event, following, of_all, of_stream, read, shape, trailer};

/// A wait that only a broken server reaches.
const PATIENCE: Duration = Duration::from_secs(30);

async fn is_served(house: &House) {
    let mut client = house.streams().await;
    append(&mut client, "well", ExpectedRevision::Any, vec![event("A", "1")]).await.expect("served");
    assert_eq!(shape(&read(&mut client, of_stream("well", 1)).await.expect("served"))[0], "0");
}

#[tokio::test]
async fn a_request_that_lacks_something_says_what() {
    let house = House::new().await;
    let mut client = house.streams().await;
    let whole = || of_all(1);
    let filter = |filter, window| {
        Some(options::FilterOption::Filter(v1::FilterOptions {
            filter,
            window,
            checkpoint_interval_multiplier: 1,
        }))
    };
    let expression = |regex: &str| {
        let expression = v1::filter_options::Expression { regex: regex.to_owned(), prefix: Vec::new() };
        Some(v1::filter_options::Filter::EventType(expression))
    };
    let window = Some(v1::filter_options::Window::Count(()));
    let cases: Vec<(&str, Option<Options>)> = vec![
        ("no options", None),
        ("UUIDOption", Some(Options { uuid_option: None, ..whole() })),
        ("StreamOption", Some(Options { stream_option: None, ..whole() })),
        ("count", Some(Options { count_option: None, ..whole() })),
        ("ReadDirection", Some(Options { read_direction: 7, ..whole() })),
        ("window", Some(Options { filter_option: filter(expression("a"), None), ..whole() })),
        ("expression", Some(Options { filter_option: filter(None, window), ..whole() })),
        ("cannot be read", Some(Options { filter_option: filter(expression("("), window), ..whole() })),
        (
            "bytes",
            Some(Options { filter_option: filter(expression(&"a".repeat(100_000)), window), ..whole() }),
        ),
        (
            "combination",
            Some(Options { filter_option: filter(expression("a"), window), ..of_stream("s", 1) }),
        ),
        ("combination", Some(Options { read_direction: 1, ..following(whole()) })),
        (
            "invalid position",
            Some(Options {
                stream_option: Some(options::StreamOption::All(options::AllOptions {
                    all_option: Some(options::all_options::AllOption::Position(v1::AllStreamPosition {
                        commit_position: 99,
                        prepare_position: 99,
                    })),
                })),
                ..whole()
            }),
        ),
    ];
    for (says, options) in cases {
        let error = client.read(wire::ReadReq { options }).await.expect_err(says);
        assert_eq!(error.code(), Code::InvalidArgument, "{says}: {error:?}");
        assert!(error.message().contains(says), "{says}: {}", error.message());
    }
    for stream in ["", "$all", "$$$$x"] {
        let error = read(&mut client, of_stream(stream, 1)).await.expect_err(stream);
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    is_served(&house).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_the_limit() {
    let limits = Limits { event_bytes: 1_000, append_bytes: 2_000, ..Limits::default() };
    let house = House::with(limits).await;
    let mut client = house.streams().await;
    let large = |bytes: usize| event("A", &"1".repeat(bytes));
    let error =
        append(&mut client, "s", ExpectedRevision::Any, vec![large(1_000)]).await.expect_err("too large");
    assert_eq!(
        (error.code(), trailer(&error, "exception")),
        (Code::InvalidArgument, "maximum-append-event-size-exceeded")
    );
    assert_eq!(trailer(&error, "maximum-append-event-size"), "1000");
    let three = vec![large(900), large(900), large(900)];
    let error = append(&mut client, "s", ExpectedRevision::Any, three).await.expect_err("too large together");
    assert_eq!(trailer(&error, "exception"), "maximum-append-size-exceeded");
    let error = append(&mut client, "s", ExpectedRevision::Any, vec![large(3 * MAX_EVENT_BYTES)]).await;
    assert!(error.is_err(), "a message over the limit of messages");
    assert_eq!(shape(&read(&mut client, of_stream("s", 9)).await.expect("read")), ["not found"]);
}

#[tokio::test]
async fn bytes_that_are_no_protocol_end_their_own_connection() {
    let house = House::new().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frames: [&[u8]; 4] = [
        b"\x00\x00\x00\x00",
        // A settings frame of an impossible length, and headers that are no HPACK.
        b"\xff\xff\xff\x04\x00\x00\x00\x00\x00",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x03\x01\x05\x00\x00\x00\x01\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\x00\x01\x02\r\n\r\n",
    ];
    for frame in frames {
        for start in [&preface[..], b""] {
            let mut socket = TcpStream::connect(house.server.address()).await.expect("it listens");
            let _ = socket.write_all(start).await;
            let _ = socket.write_all(frame).await;
            let _ = socket.shutdown().await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("it ends");
        }
    }
    is_served(&house).await;
}

#[tokio::test]
async fn a_message_that_is_no_message_is_an_error_of_its_call() {
    let house = House::new().await;
    let channel = house.channel().await;
    let mut raw = tonic::client::Grpc::new(channel);
    for bytes in [vec![0xff; 40], vec![0x0a, 0xff, 0xff, 0xff, 0x7f], vec![0x0a, 0x02, 0x0a]] {
        raw.ready().await.expect("up");
        let path = http::uri::PathAndQuery::from_static("/event_store.client.streams.Streams/Read");
        let answer = raw.server_streaming(tonic::Request::new(bytes), path, RawCodec).await;
        assert_eq!(answer.expect_err("no message").code(), Code::Internal);
    }
    is_served(&house).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_loses_its_place() {
    let limits = Limits { handshake_timeout: Duration::from_millis(50), connections: 3, ..Limits::default() };
    let house = House::with(limits).await;
    let mut silent = Vec::new();
    for start in [&b""[..], b"PRI * HT", b"GET / HTTP/1.1\r\n"] {
        let mut socket = TcpStream::connect(house.server.address()).await.expect("it listens");
        socket.write_all(start).await.expect("it takes some");
        silent.push(socket);
    }
    for mut socket in silent {
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "a silent connection is still open");
    }
    is_served(&house).await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_the_others_served() {
    let house = House::with(Limits { connections: 2, ..Limits::default() }).await;
    let mut first = house.streams().await;
    append(&mut first, "s", ExpectedRevision::Any, vec![event("A", "1")]).await.expect("served");
    let second = house.streams().await;
    for _ in 0..20 {
        let mut socket = TcpStream::connect(house.server.address()).await.expect("the system takes it");
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(answer.is_empty());
    }
    append(&mut first, "s", ExpectedRevision::Any, vec![event("A", "1")]).await.expect("still served");
    drop(second);
}

#[tokio::test]
async fn a_client_that_never_reads_holds_up_nobody() {
    let house = House::new().await;
    for _ in 0..20 {
        house.fill("s", "A", 1_000).await;
    }
    let mut lazy = house.streams().await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let request = wire::ReadReq { options: Some(following(of_all(0))) };
        held.push(lazy.read(request).await.expect("subscribed").into_inner());
    }
    is_served(&house).await;
    let stopped = tokio::time::timeout(PATIENCE, house.server.stop()).await;
    assert!(stopped.is_ok(), "the server stops although nobody reads");
    drop(held);
}

/// Sends bytes as they are.
struct RawCodec;

impl tonic::codec::Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> Self::Encoder {
        RawCodec
    }

    fn decoder(&mut self) -> Self::Decoder {
        RawCodec
    }
}

impl tonic::codec::Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), tonic::Status> {
        bytes::BufMut::put_slice(out, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn decode(&mut self, from: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Vec<u8>>, tonic::Status> {
        let mut item = vec![0; bytes::Buf::remaining(from)];
        bytes::Buf::copy_to_slice(from, &mut item);
        Ok(Some(item))
    }
}
