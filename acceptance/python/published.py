"""Which of the two published Python clients is under test, and what are its names?

`kurrentdbclient` and its predecessor `esdbclient` speak one protocol and share most names. Errors ended in nothing and now
end in `Error`. They cannot be installed together, so the tests run once with each.
"""

import importlib

import grpc

try:
    package = importlib.import_module("kurrentdbclient")
    scheme = "kurrentdb"
    Client = package.KurrentDBClient
    AsyncClient = package.AsyncKurrentDBClient
    is_current = True
except ModuleNotFoundError:
    package = importlib.import_module("esdbclient")
    scheme = "esdb"
    Client = package.EventStoreDBClient
    AsyncClient = package.AsyncEventStoreDBClient
    is_current = False

NewEvent = package.NewEvent
StreamState = package.StreamState
Checkpoint = package.Checkpoint
CaughtUp = package.CaughtUp

_exceptions = importlib.import_module(package.__name__ + ".exceptions")


def error(name: str):
    """The client's class for the error, by its name without `Error`."""
    return getattr(_exceptions, name + "Error", None) or getattr(_exceptions, name)


AlreadyExists = error("AlreadyExists")
BadRequest = error("BadRequest")
DeadlineExceeded = error("DeadlineExceeded")
ExceptionThrownByHandler = error("ExceptionThrownByHandler")
FailedPrecondition = error("FailedPrecondition")
MaximumAppendSizeExceeded = error("MaximumAppendSizeExceeded")
MaximumSubscriptionsReached = error("MaximumSubscriptionsReached")
NotFound = error("NotFound")
ServiceUnavailable = error("ServiceUnavailable")
StreamIsDeleted = error("StreamIsDeleted")
WrongCurrentVersion = error("WrongCurrentVersion")
AnyError = _exceptions.KurrentDBClientError if is_current else _exceptions.EventStoreDBClientException


def connect(server, **options):
    return Client(f"{scheme}://{server.uri}", **options)


def features(server) -> bytes:
    """The methods that the server says it has, as they are on the wire: what is asked of it is only whether a name is there."""
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary("/event_store.client.server_features.ServerFeatures/GetSupportedMethods")
        return call(b"", timeout=30)
