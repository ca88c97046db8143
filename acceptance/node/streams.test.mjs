// Appends, reads, deletes and metadata of streams.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { ANY, BACKWARDS, END, ErrorType, FORWARDS, NO_STREAM, START, STREAM_EXISTS } from "./published.mjs";
import { collect, connect, event, events, expecting, isCurrent, lib, ofType, revisions, stream } from "./published.mjs";
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

// Without credentials the clients append with BatchAppend, with them with Append.
for (const [rpc, more] of [["BatchAppend", {}], ["Append", { credentials: { username: "u", password: "p" } }]]) {
  describe(`appends with ${rpc}`, () => {
    const append = (name, written, state) => client.appendToStream(name, written, expecting(state, more));

    test("a new stream takes any and no stream", async () => {
      for (const state of [ANY, NO_STREAM]) {
        const name = stream();
        const { success, nextExpectedRevision, position } = await append(name, event(), state);
        assert.deepEqual([success, nextExpectedRevision], [true, 0n]);
        assert.equal(position.commit, position.prepare);
      }
    });

    test("a new stream refuses exists and revisions", async () => {
      for (const state of [STREAM_EXISTS, 0n, 5n]) {
        await assert.rejects(append(stream(), event(), state), (error) => {
          ofType(ErrorType.WRONG_EXPECTED_VERSION)(error);
          if (isCurrent) assert.deepEqual([error.expectedState, error.actualState], [state, NO_STREAM]);
          return true;
        });
      }
    });

    test("a live stream takes its revision and refuses another", async () => {
      const name = stream();
      await append(name, events(3), NO_STREAM);
      for (const state of [NO_STREAM, 0n, 1n, 7n]) {
        await assert.rejects(append(name, event(), state), (error) => {
          ofType(ErrorType.WRONG_EXPECTED_VERSION)(error);
          if (isCurrent) assert.deepEqual([error.streamName, error.expectedState, error.actualState], [name, state, 2n]);
          return true;
        });
      }
      for (const [state, next] of [[2n, 3n], [ANY, 4n], [STREAM_EXISTS, 5n]]) {
        assert.equal((await append(name, event(), state)).nextExpectedRevision, next);
      }
    });

    test("an append twice is one append", async () => {
      const name = stream();
      const written = events(2);
      const first = await append(name, written, NO_STREAM);
      for (const state of [NO_STREAM, ANY, STREAM_EXISTS]) assert.deepEqual(await append(name, written, state), first);
      assert.equal((await collect(client.readStream(name))).length, 2);
    });

    test("a tombstoned stream refuses everything", async () => {
      const name = stream();
      await append(name, event(), NO_STREAM);
      await client.tombstoneStream(name);
      for (const state of [ANY, NO_STREAM, STREAM_EXISTS, 0n]) {
        await assert.rejects(append(name, event(), state), ofType(ErrorType.STREAM_DELETED));
      }
    });

    test("a deleted stream comes back with its numbers", async () => {
      const name = stream();
      await append(name, events(2), NO_STREAM);
      await client.deleteStream(name);
      await assert.rejects(append(name, event(), STREAM_EXISTS), ofType(ErrorType.STREAM_DELETED));
      assert.equal((await append(name, event(), NO_STREAM)).nextExpectedRevision, 2n);
      assert.deepEqual(revisions(await collect(client.readStream(name))), [2]);
    });

    test("an append over the limit is refused", async () => {
      const big = () => lib.binaryEvent({ type: "Big", data: new Uint8Array(15 * 1024 * 1024) });
      const refused = [ErrorType.MAXIMUM_APPEND_SIZE_EXCEEDED];
      await assert.rejects(append(stream(), [big(), big(), big(), big(), big()], ANY), (error) => refused.includes(error.type));
    });
  });
}

test("an append of thousands is cut into chunks and is whole", async () => {
  const name = stream();
  const written = events(5_000);
  const { nextExpectedRevision } = await client.appendToStream(name, written, { batchAppendSize: 10_000, ...expecting(NO_STREAM) });
  assert.equal(nextExpectedRevision, 4_999n);
  const read = await collect(client.readStream(name, { maxCount: 10_000 }));
  assert.deepEqual(read.map(({ event }) => event.id), written.map(({ id }) => id));
});

test("a flood of appends over one call is answered whole", async () => {
  const name = stream();
  await Promise.all(Array.from({ length: 2_000 }, () => client.appendToStream(name, event(), expecting(ANY))));
  assert.equal((await collect(client.readStream(name, { maxCount: 5_000 }))).length, 2_000);
});

test("a client may be told of a wrong version instead of an error", async () => {
  const lenient = connect(server, "&throwOnAppendFailure=false");
  const name = stream();
  await lenient.appendToStream(name, events(2), expecting(NO_STREAM));
  const { success, nextExpectedRevision } = await lenient.appendToStream(name, event(), expecting(7n));
  assert.deepEqual([success, nextExpectedRevision], [false, 1n]);
  await lenient.dispose();
});

test("a deadline that has passed is told", async () => {
  await assert.rejects(client.appendToStream(stream(), event(), expecting(ANY, { deadline: 0 })), ofType(ErrorType.DEADLINE_EXCEEDED));
  await client.appendToStream(stream(), event(), expecting(ANY));
});

test("events are read as they were written", async () => {
  const name = stream();
  const id = randomUUID();
  const json = lib.jsonEvent({ id, type: "Opened", data: { a: "\u00e4", b: [1] }, metadata: { who: "me" } });
  const binary = lib.binaryEvent({ type: "Seen", data: Uint8Array.of(0, 255, 1), metadata: Uint8Array.of(9) });
  const { position } = await client.appendToStream(name, [json, binary], expecting(NO_STREAM));
  const [one, two] = (await collect(client.readStream(name))).map(({ event }) => event);
  assert.deepEqual([one.id, one.type, one.data, one.metadata, one.isJson], [id, "Opened", json.data, json.metadata, true]);
  assert.deepEqual([two.type, [...two.data], two.isJson, two.streamId], ["Seen", [0, 255, 1], false, name]);
  if (isCurrent) assert.deepEqual(two.position, position);
  assert.ok(Math.abs(Date.now() - new Date(one.created).getTime()) < 60_000);
});

test("a stream is read both ways, from anywhere", async () => {
  const name = stream();
  await client.appendToStream(name, events(10), expecting(NO_STREAM));
  const read = async (options) => revisions(await collect(client.readStream(name, options)));
  assert.deepEqual(await read({ direction: FORWARDS, fromRevision: START, maxCount: 3 }), [0, 1, 2]);
  assert.deepEqual(await read({ fromRevision: 8n }), [8, 9]);
  assert.deepEqual(await read({ direction: BACKWARDS, fromRevision: END, maxCount: 2 }), [9, 8]);
  assert.deepEqual(await read({ direction: BACKWARDS, fromRevision: 1n }), [1, 0]);
  assert.deepEqual(await read({ fromRevision: 10n }), []);
});

test("a stream that is not there, or is gone, fails the read", async () => {
  await assert.rejects(collect(client.readStream(stream())), ofType(ErrorType.STREAM_NOT_FOUND));
  const name = stream();
  await client.appendToStream(name, event());
  await client.tombstoneStream(name);
  await assert.rejects(collect(client.readStream(name)), ofType(ErrorType.STREAM_DELETED));
});

test("the log is read both ways, from anywhere", async () => {
  const name = stream();
  const { position } = await client.appendToStream(name, events(3), expecting(NO_STREAM));
  const [last] = await collect(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1 }));
  assert.deepEqual(last.event.position, position);
  const from = await collect(client.readAll({ fromPosition: position }));
  assert.deepEqual([from.length, from[0].event.streamId], [1, name]);
  const back = await collect(client.readAll({ direction: BACKWARDS, fromPosition: position, maxCount: 2 }));
  assert.deepEqual(revisions(back), [1, 0]);
});

test("the log is read through a filter", async (t) => {
  if (!isCurrent) return t.skip("this client filters no reads");
  const category = `ledger${randomUUID().replaceAll("-", "")}`;
  await client.appendToStream(`${category}-1`, [event("Wanted"), event("Other")]);
  const read = async (filter) => (await collect(client.readAll({ filter, maxCount: 1_000_000 }))).map(({ event }) => event.type);
  assert.deepEqual(await read(lib.streamNameFilter({ prefixes: [`${category}-`] })), ["Wanted", "Other"]);
  assert.deepEqual(await read(lib.streamNameFilter({ regex: `^${category}-1$` })), ["Wanted", "Other"]);
  assert.ok((await read(lib.eventTypeFilter({ prefixes: ["Wanted"] }))).every((type) => type === "Wanted"));
  assert.ok((await read(lib.excludeSystemEvents())).every((type) => !type.startsWith("$")));
});

test("deletes expect the stream as appends do", async () => {
  const name = stream();
  await client.appendToStream(name, events(2), expecting(NO_STREAM));
  for (const act of ["deleteStream", "tombstoneStream"]) {
    await assert.rejects(client[act](name, { expectedRevision: 7n }), ofType(ErrorType.WRONG_EXPECTED_VERSION));
    await assert.rejects(client[act](stream(), { expectedRevision: 0n }), ofType(ErrorType.WRONG_EXPECTED_VERSION));
  }
  const { position } = await client.deleteStream(name, { expectedRevision: 1n });
  assert.equal(typeof position.commit, "bigint");
  await assert.rejects(collect(client.readStream(name)), ofType(ErrorType.STREAM_NOT_FOUND));
  assert.equal(typeof (await client.tombstoneStream(name)).position.commit, "bigint");
  await assert.rejects(client.deleteStream(name), ofType(ErrorType.STREAM_DELETED));
  await assert.rejects(client.tombstoneStream(name), ofType(ErrorType.STREAM_DELETED));
});

test("metadata is what was set last", async () => {
  const name = stream();
  await client.appendToStream(name, events(5), expecting(NO_STREAM));
  assert.deepEqual((await client.getStreamMetadata(name)).metadata, undefined);
  const metadata = { maxAge: 3600, maxCount: 2, truncateBefore: 1, cacheControl: 5, acl: { readRoles: ["$all"] }, colour: "blue" };
  const { nextExpectedRevision } = await client.setStreamMetadata(name, metadata, expecting(NO_STREAM));
  assert.equal(nextExpectedRevision, 0n);
  const read = await client.getStreamMetadata(name);
  assert.deepEqual([read.metadata.maxCount, read.metadata.maxAge, read.metadata.colour], [2, 3600, "blue"]);
  assert.equal(typeof read.metastreamRevision, "bigint");
  assert.deepEqual(revisions(await collect(client.readStream(name))), [3, 4]);
  await assert.rejects(client.setStreamMetadata(name, {}, expecting(NO_STREAM)), ofType(ErrorType.WRONG_EXPECTED_VERSION));
});

test("links are resolved where that is asked for", async () => {
  const category = `ledger${randomUUID().replaceAll("-", "")}`;
  await client.appendToStream(`${category}-1`, events(2));
  const [shown] = await collect(client.readStream(`$ce-${category}`));
  assert.equal(shown.event.type, "$>");
  const resolved = await collect(client.readStream(`$ce-${category}`, { resolveLinkTos: true }));
  assert.deepEqual(resolved.map(({ event }) => event.streamId), [`${category}-1`, `${category}-1`]);
  assert.equal(resolved[0].link.id, shown.event.id);
});
