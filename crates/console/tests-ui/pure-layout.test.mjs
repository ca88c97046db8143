// How events that belong together are arranged, also where the data is bad.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { arrange, gaps, layout } from '../ui/screens/correlation.js';
import { merge } from '../ui/screens/compare.js';
import { follow, parseJson } from '../ui/core.js';

const event = (id, causationId, stream = 's', millis = 0) => ({ id, causationId, stream, type: 'T', revision: 0, time: new Date(1_760_000_000_000 + millis).toISOString() });

test('roots have no cause, their own id as cause, or one from elsewhere', () => {
  const shape = arrange([event('a'), event('b', 'a'), event('c', 'c'), event('d', 'elsewhere'), event('e', 'b')]);
  assert.deepEqual(shape.roots, [0, 2, 3]);
  assert.deepEqual(shape.missing, [3]);
  assert.deepEqual(shape.depth, [0, 1, 0, 0, 2]);
  assert.deepEqual(shape.order, [0, 1, 4, 2, 3]);
});

test('circles are cut at their earliest event, and everything is drawn once', () => {
  const two = arrange([event('a', 'b'), event('b', 'a'), event('c', 'b')]);
  assert.deepEqual([...two.looped], [0]);
  assert.deepEqual(two.order.toSorted((a, b) => a - b), [0, 1, 2]);
  const big = arrange(Array.from({ length: 2000 }, (_, i) => event(String(i), String((i + 1) % 2000))));
  assert.equal(big.looped.size, 1);
  assert.equal(big.order.length, 2000);
  const chain = arrange(Array.from({ length: 2000 }, (_, i) => event(String(i), String(i - 1))));
  assert.equal(chain.depth[1999], 1999);
});

test('gaps and lanes', () => {
  const events = [event('a', undefined, 'x', 0), event('b', 'a', 'y', 640), event('c', 'b', 'x', 650)];
  const found = gaps(events);
  assert.deepEqual(found.all, [640, 10]);
  assert.equal(found.slowest, 0);
  const shape = layout(events);
  assert.deepEqual(shape.lanes, ['x', 'y']);
  assert.equal(shape.at[0].y, shape.at[2].y);
  assert.ok(shape.at[0].x < shape.at[1].x && shape.at[1].x < shape.at[2].x);
  assert.deepEqual(gaps([]).all, []);
});

test('streams are merged in the order of the log, with positions of 64 bits', () => {
  const of = (position, id) => ({ ...event(id), position });
  const rows = merge([[of('9', 'a'), of('18446744073709551615', 'd')], [of('10', 'b'), of('18446744073709551614', 'c')]], false);
  assert.deepEqual(rows.map(row => row.id.split(':')[1]), ['a', 'b', 'c', 'd']);
  assert.deepEqual(merge([[of('1', 'a')], [of('2', 'b')]], true).map(row => row.lane), [1, 0]);
});

test('events that are followed survive any cut of the bytes, and go on after the last id', async () => {
  const asked = [];
  const text = 'id: 7\nevent: event\ndata: {"data":1.10,\ndata: "revision":1}\n\n: beat\n\nid: 8\r\nevent: event\r\ndata: {"revision":2}\r\n\r\nevent: caughtUp\ndata: {}\n\n';
  const given = [];
  const states = [];
  const original = globalThis.fetch;
  globalThis.fetch = async (url, { headers }) => {
    asked.push(headers['last-event-id']);
    if (asked.length > 1) return { ok: false, status: 503 };
    const bytes = new TextEncoder().encode(text);
    return { ok: true, body: new ReadableStream({ start(to) { for (const byte of bytes) to.enqueue(new Uint8Array([byte])); to.close(); } }) };
  };
  globalThis.location ??= { href: 'http://x/' };
  const end = await new Promise(resolve => {
    const stop = follow('/v1/events', { onEvents: list => given.push(...list), onState: state => { states.push(state); if (asked.length > 1 && given.length === 2) resolve(stop); } });
  });
  end();
  globalThis.fetch = original;
  assert.deepEqual(given.map(one => one.revision), [1, 2]);
  assert.equal(String(given[0].data), '1.10');
  assert.equal(given[0].data.constructor.name, parseJson('1.10').constructor.name);
  assert.deepEqual(asked.slice(0, 2), [undefined, '8']);
  assert.ok(states.includes('caughtUp') && states.includes('lost'));
});
