// Persistent subscriptions: what only Node's clients do, and what they make of errors.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";

import { END, ErrorType, NO_STREAM, START } from "./published.mjs";
import { connect, event, events, expecting, lib, ofType, stream } from "./published.mjs";
import { Server } from "./serving.mjs";

const { PARK, RETRY, SKIP } = lib;
let server, client, missing;
before(async () => {
  server = await Server.start();
  client = connect(server);
  await client.appendToStream(stream(), event());
  try {
    await client.listAllPersistentSubscriptions();
  } catch (error) {
    if (error.type !== ErrorType.PERSISTENT_SUBSCRIPTION_DOES_NOT_EXIST) missing = "the server has no persistent subscriptions yet";
  }
});
after(async () => {
  await client.dispose();
  await server.close();
});

const settings = (changes) => lib.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, ...changes });
const known = (name, body) => test(name, (t) => (missing ? t.skip(missing) : body(t)));

const withGroup = async (count, changes, body) => {
  const name = stream();
  await client.appendToStream(name, events(count), expecting(NO_STREAM));
  await client.createPersistentSubscriptionToStream(name, "group", settings(changes));
  const consumer = client.subscribeToPersistentSubscriptionToStream(name, "group");
  try {
    return await body(consumer, name);
  } finally {
    await consumer.unsubscribe();
  }
};

const until = async (true_) => {
  for (let tries = 0; !(await true_()); tries++) {
    assert.ok(tries < 300, "it did not come true");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

known("events are acknowledged, retried, skipped and parked", () =>
  withGroup(4, {}, async (consumer, name) => {
    const seen = [];
    for await (const resolved of consumer) {
      const { revision } = resolved.event;
      seen.push([Number(revision), resolved.retryCount]);
      if (revision === 0n) await consumer.ack(resolved);
      else if (revision === 1n && resolved.retryCount === 0) await consumer.nack(RETRY, "again", resolved);
      else if (revision === 1n) await consumer.ack(resolved);
      else if (revision === 2n) await consumer.nack(SKIP, "not for us", resolved);
      else await consumer.nack(PARK, "cannot be read", resolved);
      if (seen.length === 5) break;
    }
    assert.deepEqual(seen.sort(), [[0, 0], [1, 0], [1, 1], [2, 0], [3, 0]]);
    const info = () => client.getPersistentSubscriptionToStreamInfo(name, "group");
    await until(async () => (await info()).stats.parkedMessageCount === 1n);
    const again = client.subscribeToPersistentSubscriptionToStream(name, "group");
    await once(again, "confirmation");
    await client.replayParkedMessagesToStream(name, "group");
    for await (const resolved of again) {
      assert.equal(resolved.event.revision, 3n);
      await again.ack(resolved);
      break;
    }
  }));

known("a group tells its settings", () =>
  withGroup(1, { maxRetryCount: 3, consumerStrategyName: lib.PINNED, messageTimeout: 7_000, resolveLinkTos: true }, async (_, name) => {
    const { settings: told, eventSource, groupName } = await client.getPersistentSubscriptionToStreamInfo(name, "group");
    assert.deepEqual([eventSource, groupName, told.maxRetryCount], [name, "group", 3]);
    assert.deepEqual([told.consumerStrategyName, told.messageTimeout, told.resolveLinkTos], ["Pinned", 7_000, true]);
    const listed = await client.listPersistentSubscriptionsToStream(name);
    assert.deepEqual(listed.map((info) => info.groupName), ["group"]);
  }));

known("errors have their own classes", async () => {
  const name = stream();
  const missing = ofType(ErrorType.PERSISTENT_SUBSCRIPTION_DOES_NOT_EXIST);
  await assert.rejects(client.getPersistentSubscriptionToStreamInfo(name, "group"), missing);
  await assert.rejects(client.deletePersistentSubscriptionToStream(name, "group"), missing);
  await assert.rejects(client.updatePersistentSubscriptionToStream(name, "group", settings()), missing);
  await assert.rejects(client.replayParkedMessagesToStream(name, "group"), missing);
  await client.createPersistentSubscriptionToStream(name, "group", settings({ maxSubscriberCount: 1 }));
  await assert.rejects(
    client.createPersistentSubscriptionToStream(name, "group", settings()),
    ofType(ErrorType.PERSISTENT_SUBSCRIPTION_EXISTS),
  );
  const first = client.subscribeToPersistentSubscriptionToStream(name, "group");
  await once(first, "confirmation");
  const second = client.subscribeToPersistentSubscriptionToStream(name, "group");
  const [tooMany] = await once(second, "error");
  ofType(ErrorType.MAXIMUM_SUBSCRIBERS_REACHED)(tooMany);
  const dropped = once(first, "error");
  await client.deletePersistentSubscriptionToStream(name, "group");
  ofType(ErrorType.PERSISTENT_SUBSCRIPTION_DROPPED)((await dropped)[0]);
});

known("a group of the log is filtered", async () => {
  const type = `Wanted${Math.floor(Math.random() * 1e9)}`;
  const filter = lib.eventTypeFilter({ prefixes: [type] });
  const ofAll = lib.persistentSubscriptionToAllSettingsFromDefaults({ startFrom: END });
  await client.createPersistentSubscriptionToAll("group", ofAll, { filter });
  const consumer = client.subscribeToPersistentSubscriptionToAll("group");
  await once(consumer, "confirmation");
  const name = stream();
  await client.appendToStream(name, [event(), event(type), event(), event(type)]);
  const seen = [];
  for await (const resolved of consumer) {
    seen.push(Number(resolved.event.revision));
    await consumer.ack(resolved);
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen, [1, 3]);
  await client.restartPersistentSubscriptionSubsystem();
  await client.deletePersistentSubscriptionToAll("group");
});
