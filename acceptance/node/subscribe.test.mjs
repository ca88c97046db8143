// Catch-up subscriptions of streams and of the log.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { after, before, test } from "node:test";

import { END, ErrorType, NO_STREAM } from "./published.mjs";
import { connect, event, events, expecting, isCurrent, lib, ofType, revisions, stream, take } from "./published.mjs";
import { Server } from "./serving.mjs";

let server, client;
before(async () => {
  server = await Server.start();
  client = connect(server);
});
after(async () => {
  await client.dispose();
  await server.close();
});

test("a stream is followed from its start, after a revision and from its end", async () => {
  const name = stream();
  await client.appendToStream(name, events(3), expecting(NO_STREAM));
  const whole = client.subscribeToStream(name);
  const later = client.subscribeToStream(name, { fromRevision: 1n });
  const live = client.subscribeToStream(name, { fromRevision: END });
  await once(live, "confirmation");
  await client.appendToStream(name, events(2), expecting(2n));
  assert.deepEqual(revisions(await take(whole, 5)), [0, 1, 2, 3, 4]);
  assert.deepEqual(revisions(await take(later, 3)), [2, 3, 4]);
  assert.deepEqual(revisions(await take(live, 2)), [3, 4]);
});

test("a stream that is not yet there is waited for", async () => {
  const name = stream();
  const subscription = client.subscribeToStream(name);
  await once(subscription, "confirmation");
  await client.appendToStream(name, event());
  assert.deepEqual(revisions(await take(subscription, 1)), [0]);
});

test("a subscriber is told once that it has caught up", async (t) => {
  if (!isCurrent) return t.skip("this client does not tell");
  const name = stream();
  await client.appendToStream(name, events(4), expecting(NO_STREAM));
  const subscription = client.subscribeToStream(name);
  let told = [];
  subscription.on("caughtUp", (info) => told.push(info));
  const caughtUp = once(subscription, "caughtUp");
  const reading = take(subscription, 24);
  await caughtUp;
  await client.appendToStream(name, events(20), expecting(3n));
  assert.equal((await reading).length, 24);
  assert.deepEqual(told.map(({ revision }) => revision), [3n]);
  assert.ok(told[0].date instanceof Date);
});

test("the log is followed after a position and from its end", async () => {
  const name = stream();
  const { position } = await client.appendToStream(name, event(), expecting(NO_STREAM));
  const after = client.subscribeToAll({ fromPosition: position });
  const live = client.subscribeToAll({ fromPosition: END });
  await once(live, "confirmation");
  await client.appendToStream(name, event(), expecting(0n));
  for (const subscription of [after, live]) {
    const [one] = await take(subscription, 1);
    assert.deepEqual([one.event.streamId, one.event.revision], [name, 1n]);
  }
});

test("a filter's checkpoints are told, in history and live", async () => {
  await client.appendToStream(stream(), events(300, "Noise"));
  const reached = [];
  const told = new EventEmitter();
  const checkpointReached = (_, position) => {
    reached.push(position.commit);
    told.emit("checkpoint");
  };
  const filter = lib.eventTypeFilter({ prefixes: ["Wanted"], checkpointInterval: 1, maxSearchWindow: 10, checkpointReached });
  const first = once(told, "checkpoint");
  const subscription = client.subscribeToAll({ filter });
  subscription.resume();
  await first;
  for (let more = 0; more < 3; more++) {
    const next = once(told, "checkpoint");
    await client.appendToStream(stream(), events(50, "Noise"));
    await next;
  }
  await subscription.unsubscribe();
  assert.deepEqual(reached, [...new Set(reached)].sort((a, b) => (a < b ? -1 : 1)));
});

test("a tombstone is seen, and ends a subscription", async () => {
  const name = stream();
  await client.appendToStream(name, event(), expecting(NO_STREAM));
  const subscription = client.subscribeToStream(name);
  const seen = [];
  const failed = new Promise((resolve) => subscription.on("error", resolve));
  subscription.on("data", ({ event }) => seen.push(event.type));
  await once(subscription, "data");
  await client.tombstoneStream(name);
  ofType(ErrorType.STREAM_DELETED)(await failed);
  assert.deepEqual(seen, ["Deposited", "$streamDeleted"]);
});

test("a subscription ends when it is left", async () => {
  const name = stream();
  const subscription = client.subscribeToStream(name);
  await once(subscription, "confirmation");
  const ended = once(subscription, "end");
  subscription.resume();
  await subscription.unsubscribe();
  await ended;
});

test("clients and subscribers go on after the server was restarted", async () => {
  const kept = await Server.start({ keep: true });
  const client = connect(kept);
  try {
    const { position } = await client.appendToStream("kept-1", events(2), expecting(NO_STREAM));
    const subscription = client.subscribeToAll({ fromPosition: position });
    const failed = new Promise((resolve) => subscription.on("error", resolve));
    await once(subscription, "confirmation");
    subscription.resume();
    await kept.restart();
    ofType(ErrorType.UNAVAILABLE)(await failed);
    for (let tries = 0; ; tries++) {
      try {
        await client.appendToStream("kept-1", event(), expecting(1n));
        break;
      } catch (error) {
        ofType(ErrorType.UNAVAILABLE)(error);
        assert.ok(tries < 50, "the client does not find the server again");
      }
    }
    const [next] = await take(client.subscribeToAll({ fromPosition: position }), 1);
    assert.deepEqual([next.event.streamId, next.event.revision], ["kept-1", 2n]);
  } finally {
    await client.dispose();
    await kept.close();
  }
});
