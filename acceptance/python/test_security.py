"""TLS and users: who may do what, and what those who may not are told."""

import base64
import subprocess

import grpc
import pytest

import published
from published import StreamState
from serving import PASSWORD, Server

ANY = StreamState.ANY
DENIED = getattr(published._exceptions, "AccessDeniedError")
PATIENCE = 60


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine that vouches for itself, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    key, chain = directory / "key.pem", directory / "chain.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
               "-keyout", str(key), "-out", str(chain)]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not there to make a certificate")
    return key, chain


@pytest.fixture(scope="module")
def secure(server, certificate):
    if b"users.users" not in published.features(server):
        pytest.skip("the server has no users yet")
    key, chain = certificate
    secure = Server("--tls-certificate", str(chain), "--tls-key", str(key), secure=True)
    yield secure
    secure.close()


@pytest.fixture
def sign_in(secure, certificate):
    """Connects as a user."""
    clients = []

    def sign_in(name, password=PASSWORD):
        client = published.Client(f"{published.scheme}://{name}:{password}@{secure.address}", root_certificates=certificate[1].read_bytes())
        clients.append(client)
        return client

    yield sign_in
    for client in clients:
        client.close()


def refused():
    """What the client makes of a refusal: the current one has a class for it, the older one takes it as any error of gRPC."""
    return pytest.raises(published.AnyError, match="(?i)denied|authenticat")


def test_a_user_reads_and_writes_over_tls(sign_in, stream, event):
    client = sign_in("admin")
    client.append_to_stream(stream, events=event(), current_version=StreamState.NO_STREAM)
    client.append_to_stream(stream, events=[event()], current_version=0)
    assert len(client.get_stream(stream)) == 2
    with client.subscribe_to_stream(stream, timeout=PATIENCE) as subscription:
        assert [next(subscription).stream_position for _ in range(2)] == [0, 1]
    assert next(iter(client.read_all(filter_exclude=()))).type.startswith("$")


def test_a_wrong_password_is_no_sign_in(sign_in, stream, event):
    for name, password in [("admin", "wrong"), ("nobody", PASSWORD)]:
        client = sign_in(name, password)
        with refused():
            client.append_to_stream(stream, events=event(), current_version=ANY)
        with refused():
            client.get_stream(stream)


# What deletes the stream `a`, whatever its state, as it is on the wire: the clients refuse to go without a name themselves.
DELETE = b"\x0a\x07\x0a\x03\x1a\x01a\x22\x00"


def test_who_does_not_sign_in_learns_where_the_server_is_and_nothing_else(secure, certificate):
    with grpc.secure_channel(secure.address, grpc.ssl_channel_credentials(certificate[1].read_bytes())) as channel:
        ask = lambda method, request: channel.unary_unary(f"/event_store.client.{method}")(request, timeout=30)
        assert ask("gossip.Gossip/Read", b"")
        assert ask("server_features.ServerFeatures/GetSupportedMethods", b"")
        with pytest.raises(grpc.RpcError) as refusal:
            ask("streams.Streams/Delete", DELETE)
        assert refusal.value.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        # The same request of somebody who may: what is wrong with it then is that the stream is not there.
        admin = (("authorization", "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()),)
        with pytest.raises(grpc.RpcError) as missing:
            channel.unary_unary("/event_store.client.streams.Streams/Delete")(DELETE, timeout=30, metadata=admin)
        assert missing.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_certificate_that_nobody_trusts_is_no_connection(secure, stream):
    with published.Client(f"{published.scheme}://admin:{PASSWORD}@{secure.address}?MaxDiscoverAttempts=1") as client:
        with pytest.raises(published.ServiceUnavailable):
            client.get_stream(stream, timeout=10)


def test_plaintext_is_no_connection(secure, stream):
    with published.Client(f"{published.scheme}://{secure.address}?tls=false&MaxDiscoverAttempts=1") as client:
        with pytest.raises(published.AnyError):
            client.get_stream(stream, timeout=10)


def test_an_access_list_is_kept(sign_in, stream, event):
    admin, ops = sign_in("admin"), sign_in("ops")
    admin.append_to_stream(stream, events=event(), current_version=ANY)
    assert len(ops.get_stream(stream)) == 1
    admin.set_stream_metadata(stream, metadata={"$acl": {"$r": ["ops"], "$w": "$admins", "$d": "$admins"}})
    assert len(ops.get_stream(stream)) == 1
    with refused():
        ops.append_to_stream(stream, events=event(), current_version=ANY)
    with pytest.raises(DENIED):
        ops.append_to_stream(stream, events=[event()], current_version=ANY)
    with refused():
        ops.delete_stream(stream, current_version=ANY)
    admin.set_stream_metadata(stream, metadata={"$acl": {"$r": "$admins"}})
    with refused():
        ops.get_stream(stream)
    admin.append_to_stream(stream, events=[event()], current_version=ANY)


def test_streams_of_the_system_are_for_administrators(sign_in, event):
    ops = sign_in("ops")
    with refused():
        ops.append_to_stream("$settings", events=event(), current_version=ANY)


def test_losing_the_right_to_read_ends_a_subscription(sign_in, stream, event):
    admin, ops = sign_in("admin"), sign_in("ops")
    admin.append_to_stream(stream, events=event(), current_version=ANY)
    with ops.subscribe_to_stream(stream, timeout=PATIENCE) as subscription:
        next(subscription)
        admin.set_stream_metadata(stream, metadata={"$acl": {"$r": "$admins"}})
        with refused():
            next(subscription)
