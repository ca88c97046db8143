// Appends to several streams at once, with checks: the second version of the protocol.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { ANY, ErrorType, NO_STREAM, STREAM_EXISTS } from "./published.mjs";
import { collect, connect, event, events, expecting, isCurrent, lib, ofType, revisions, stream } from "./published.mjs";
import { Server } from "./serving.mjs";

// The older client knows only the first version.
describe("several streams at once", { skip: isCurrent ? false : "this client has no such call" }, () => {
  let server, client;
  before(async () => {
    server = await Server.start();
    client = connect(server);
  });
  after(async () => {
    await client.dispose();
    await server.close();
  });

  const write = (streamName, events, expectedState) => ({ streamName, events, expectedState });
  const record = (streamName, record = event("Moved")) => ({ streamName, record });
  const check = (streamName, expectedState) => ({ type: lib.STREAM_STATE, streamName, expectedState });

  test("they are written together", async () => {
    const [a, b] = [stream(), stream()];
    const { position, responses } = await client.multiStreamAppend([write(a, events(2), NO_STREAM), write(b, events(1), ANY)]);
    assert.deepEqual(responses.map(({ streamName, revision }) => [streamName, revision]), [[a, 1n], [b, 0n]]);
    const [last] = await collect(client.readStream(b));
    assert.equal(last.event.position.commit, position);
  });

  test("one that is not as expected refuses all", async () => {
    const [a, b] = [stream(), stream()];
    for (const state of [STREAM_EXISTS, 4n]) {
      await assert.rejects(client.multiStreamAppend([write(a, events(1), ANY), write(b, events(1), state)]), (error) => {
        ofType(ErrorType.WRONG_EXPECTED_VERSION)(error);
        assert.deepEqual([error.streamName, error.expectedState, error.actualState], [b, state, NO_STREAM]);
        return true;
      });
    }
    await assert.rejects(collect(client.readStream(a)), ofType(ErrorType.STREAM_NOT_FOUND));
  });

  test("a tombstoned one refuses all", async () => {
    const [a, b] = [stream(), stream()];
    await client.appendToStream(b, event());
    await client.tombstoneStream(b);
    await assert.rejects(client.multiStreamAppend([write(a, events(1), ANY), write(b, events(1), ANY)]), (error) => {
      ofType(ErrorType.STREAM_TOMBSTONED)(error);
      assert.equal(error.stream, b);
      return true;
    });
  });

  test("sizes over the limits are told", async () => {
    const big = (bytes) => lib.binaryEvent({ type: "Big", data: new Uint8Array(bytes) });
    const name = stream();
    await assert.rejects(client.multiStreamAppend([write(name, [big(17 * 1024 * 1024)], ANY)]), (error) => {
      ofType(ErrorType.APPEND_RECORD_SIZE_EXCEEDED)(error);
      assert.deepEqual([error.stream, error.maxSize], [name, 16 * 1024 * 1024]);
      return true;
    });
    const many = Array.from({ length: 8 }, () => write(stream(), [big(10 * 1024 * 1024)], ANY));
    await assert.rejects(client.multiStreamAppend(many), ofType(ErrorType.TRANSACTION_MAX_SIZE_EXCEEDED));
  });

  test("records take turns, and are read with their properties", async () => {
    const [a, b] = [stream(), stream()];
    const { responses } = await client.appendRecords([
      record(a, lib.jsonEvent({ type: "Moved", data: { n: 1 }, metadata: { who: "me" } })),
      record(b),
      record(a),
    ]);
    assert.deepEqual(Object.fromEntries(responses.map(({ streamName, revision }) => [streamName, revision])), { [a]: 1n, [b]: 0n });
    const [one] = await collect(client.readStream(a));
    assert.deepEqual([one.event.data, one.event.metadata.who, one.event.isJson], [{ n: 1 }, "me", true]);
  });

  test("checks hold, and every one that fails is told", async () => {
    const [a, b, c] = [stream(), stream(), stream()];
    await client.appendToStream(b, events(3));
    await client.appendRecords([record(a)], [check(b, 2n), check(c, NO_STREAM), check(b, STREAM_EXISTS)]);
    await assert.rejects(client.appendRecords([record(a)], [check(b, 0n), check(a, 0n), check(c, STREAM_EXISTS)]), (error) => {
      ofType(ErrorType.APPEND_CONSISTENCY_VIOLATION)(error);
      assert.deepEqual(error.violations, [
        { checkIndex: 0, streamName: b, expectedState: 0n, actualState: 2n },
        { checkIndex: 2, streamName: c, expectedState: STREAM_EXISTS, actualState: NO_STREAM },
      ]);
      return true;
    });
    assert.deepEqual(revisions(await collect(client.readStream(a))), [0]);
    await client.appendRecords([record(a)], [check(a, 0n)]);
  });
});
