"""The library's own example of an application, with Factum as its store: aggregates, snapshots, notifications."""

import os
from unittest import mock

import eventsourcing.tests.application as applications
from eventsourcing.domain import Aggregate

from serving import Server


class TestExampleApplication(applications.ExampleApplicationTestCase):
    """The library learns of its store by the environment, and counts from nought as the store does."""

    expected_factory_topic = "eventsourcing_kurrentdb.factory:KurrentDBFactory"

    def setUp(self):
        server = Server()
        self.addCleanup(server.close)
        store = {"PERSISTENCE_MODULE": "eventsourcing_kurrentdb", "KURRENTDB_URI": f"kurrentdb://{server.uri}"}
        for change in [mock.patch.dict(os.environ, store), mock.patch.object(Aggregate, "INITIAL_VERSION", 0)]:
            change.start()
            self.addCleanup(change.stop)
        super().setUp()
