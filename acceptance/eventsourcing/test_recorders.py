"""The library's own test cases of recorders, run on Factum.

`eventsourcing` publishes them for everybody who writes a recorder; `eventsourcing-kurrentdb` is the recorder, and the server
is what is tested here. Only what the cases ask a subclass for is ours.
"""

import unittest
import uuid

import eventsourcing.tests.persistence as cases
from eventsourcing.persistence import InfrastructureFactory, IntegrityError, ProgrammingError, StoredEvent
from eventsourcing.utils import Environment
from eventsourcing_kurrentdb.factory import KurrentDBFactory
from eventsourcing_kurrentdb.recorders import KurrentDBAggregateRecorder, KurrentDBApplicationRecorder
from kurrentdbclient import KurrentDBClient, NewEvent, StreamState

from serving import Server


class OnFactum(unittest.TestCase):
    """A server and a client for each test: the cases look at the whole log."""

    # Revisions begin with nought.
    INITIAL_VERSION = 0

    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.client = KurrentDBClient(f"kurrentdb://{self.server.uri}")
        self.addCleanup(self.client.close)
        super().setUp()


class TestAggregateRecorder(OnFactum, cases.AggregateRecorderTestCase):
    def create_recorder(self):
        return KurrentDBAggregateRecorder(client=self.client)


class TestSnapshotRecorder(OnFactum):
    """Snapshots: one stream per aggregate, versions in metadata."""

    def test_the_last_snapshot_is_found(self):
        recorder = KurrentDBAggregateRecorder(client=self.client, for_snapshotting=True)
        of = uuid.uuid4()
        for version in (5, 9):
            recorder.insert_events([StoredEvent(of, version, "Snapshot", b"%d" % version)])
        found = recorder.select_events(of, desc=True, limit=1)
        self.assertEqual([(event.originator_version, event.state) for event in found], [(9, b"9")])
        recorder.insert_events([StoredEvent(of, 7, "Snapshot", b"late")])
        self.assertEqual(len(recorder.select_events(of)), 2)


class OfUuids:
    """The cases name their streams by UUIDs, and expect UUIDs back."""

    def create_recorder(self):
        recorder = KurrentDBApplicationRecorder(client=self.client)
        recorder.validate_uuids = True
        return recorder


class TestApplicationRecorder(OnFactum, OfUuids, cases.ApplicationRecorderTestCase):
    # A notification's id is a position of the log, and system events have positions too.
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = False

    def test_insert_select(self):
        """In the place of the library's case, which expects ids 1, 2, 3: those of a database with a counter. The library leaves
        it out for KurrentDB too."""
        recorder = self.create_recorder()
        self.assertEqual(recorder.select_notifications(start=None, limit=3), [])
        one, other = uuid.uuid4(), uuid.uuid4()
        written = [StoredEvent(one, 0, "topic1", b"1"), StoredEvent(one, 1, "topic2", b"2"), StoredEvent(other, 0, "topic3", b"3")]
        self.assertRaises(ProgrammingError, recorder.insert_events, written)
        recorder.insert_events(written[:2])
        (last,) = recorder.insert_events(written[2:])
        self.assertRaises(IntegrityError, recorder.insert_events, [StoredEvent(other, 0, "topic4", b"4")])
        self.assertEqual(recorder.max_notification_id(), last)
        self.assertEqual(recorder.select_events(one), written[:2])
        self.assertEqual(recorder.select_events(one, desc=True, limit=1), written[1:2])
        self.assertEqual(recorder.select_events(one, gt=0), written[1:2])
        self.assertEqual(recorder.select_events(one, lte=0), written[:1])
        told = recorder.select_notifications(start=None, limit=10)
        self.assertEqual([(n.originator_id, n.originator_version, n.topic, n.state) for n in told],
                         [(e.originator_id, e.originator_version, e.topic, e.state) for e in written])  # fmt: skip
        ids = [notification.id for notification in told]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual(recorder.select_notifications(start=ids[1], limit=10), told[1:])
        self.assertEqual(recorder.select_notifications(start=ids[1], limit=10, inclusive_of_start=False), told[2:])
        self.assertEqual(recorder.select_notifications(start=None, limit=2), told[:2])
        self.assertEqual(recorder.select_notifications(start=None, limit=10, stop=ids[1]), told[:2])
        self.assertEqual(recorder.select_notifications(start=None, limit=10, topics=["topic1", "topic3"]), [told[0], told[2]])
        with recorder.subscribe(gt=ids[0]) as subscription:
            self.assertEqual([next(subscription), next(subscription)], told[1:])


class TestNotificationIds(OnFactum, OfUuids, cases.NonInterleavingNotificationIDsBaseCase):
    def setUp(self):
        super().setUp()
        # The case begins after the last notification: there must be one.
        self.client.append_to_stream(
            str(uuid.uuid4()), events=NewEvent("first", b"{}"), current_version=StreamState.NO_STREAM
        )


class TestFactory(cases.InfrastructureFactoryTestCase):
    def setUp(self):
        self.env = Environment("Acceptance")
        self.env[InfrastructureFactory.PERSISTENCE_MODULE] = "eventsourcing_kurrentdb"
        server = Server()
        self.addCleanup(server.close)
        self.env[KurrentDBFactory.KURRENTDB_URI] = f"kurrentdb://{server.uri}"
        super().setUp()

    def expected_factory_class(self):
        return KurrentDBFactory

    def expected_aggregate_recorder_class(self):
        return KurrentDBAggregateRecorder

    def expected_application_recorder_class(self):
        return KurrentDBApplicationRecorder

    # The library has no recorders of these kinds for KurrentDB, and says so.
    def expected_tracking_recorder_class(self):
        raise NotImplementedError

    def tracking_recorder_subclass(self):
        raise NotImplementedError

    def expected_process_recorder_class(self):
        raise NotImplementedError

    def test_create_tracking_recorder(self):
        self.assertRaises(NotImplementedError, self.factory.tracking_recorder)

    def test_create_process_recorder(self):
        self.assertRaises(NotImplementedError, self.factory.process_recorder)


# A base class is no test case.
del OnFactum, OfUuids
