// Do the operator's screens say what is so? Pure: no browser, no server.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as words from '../ui/words.js';

const NOW = Date.parse('2026-11-22T12:00:00Z');

test('a span in a sentence has one unit', () => {
  assert.deepEqual([0.5, 999, 119_000, 7_100_000, 200_000_000].map(words.span), ['500 µs', '999 ms', '1 min', '1 h', '2 d']);
  assert.equal(words.span(null), 'an unknown time');
  assert.equal(words.ago('2026-11-22T11:50:00.1234567Z', NOW), '9 min ago');
  assert.equal(words.ago('2026-11-22T12:00:30Z', NOW), 'in 30 s');
  assert.equal(words.ago('yesterday', NOW), 'at an unknown time');
});

test('names are listed up to a bound', () => {
  assert.equal(words.listed(['a']), 'a');
  assert.equal(words.listed(['a', 'b', 'c']), 'a, b and c');
  assert.equal(words.listed(['a', 'b', 'c', 'd']), 'a, b and 2 more');
});

const projection = (name, status, lag, role = 'serving') => ({ name, status, lag, role, version: 'v1' });

test('the list of projections says the gravest thing first', () => {
  const said = (...items) => words.projectionsSentence(items);
  assert.equal(said().text, 'No projection is here yet.');
  assert.deepEqual(said(projection('a', 'caught up', 0), projection('b', 'caught up', 0)), { tone: 'good', text: 'All 2 projections have applied the whole log.' });
  assert.deepEqual(said(projection('a', 'running', 12), projection('b', 'faulted', 3)), { tone: 'bad', text: '1 projection is faulted: b; a is behind by 12 events.' });
  assert.equal(said(projection('a', 'running', null)).text, 'Nothing has failed; how far behind they are is unknown.');
  assert.equal(said(projection('a', 'caught up', 0), projection('a', 'stopped', 0, 'previous')).text, 'a has applied the whole log.');
  assert.equal(said(projection('a', 'stalled', 9)).tone, 'bad');
});

test('a projection with a fault says so, and names what is built beside it', () => {
  const versions = [projection('a', 'faulted', 3), { ...projection('a', 'rebuilding', 30, 'building'), version: 'v2' }];
  assert.deepEqual(words.projectionSentence('a', versions), { tone: 'bad', text: 'a stands still before an event that it cannot apply. v2 is being built beside it.' });
  assert.equal(words.projectionSentence('a', [projection('a', 'running', null)]).text, 'a is running; how far behind it is, is unknown.');
});

test('a lag is told as events and as time', () => {
  assert.equal(words.lag({ lag: 1204, lagMillis: 240_000 }), '1\u202f204 events, 4 min');
  assert.equal(words.lag({ lag: 0, lagMillis: 0 }), 'none');
  assert.equal(words.lag({ lag: null }), 'unknown');
});

test('a share of the log is the whole only where it is the whole', () => {
  assert.equal(words.permille('9999999', '10000000'), 999);
  assert.equal(words.permille('10', '10'), 1000);
  assert.equal(words.permille('18446744073709551614', '18446744073709551615'), 999);
  assert.equal(words.permille(null, '3'), null);
  assert.equal(words.percent(345), '34.5 %');
  assert.equal(words.percent(null), 'unknown');
});

test('a comparison names what differs, and an example marks the cells', () => {
  const table = { table: 't', same: 4, onlyOld: 1, onlyNew: 0, changed: 2, key: ['id'] };
  const same = { ...table, onlyOld: 0, changed: 0 };
  assert.equal(words.compareSentence({ old: 'v1', new: 'v2', tables: [table] }).text, 'v1 and v2 differ: 2 rows changed, 1 only in v1; 4 equal.');
  assert.deepEqual(words.compareSentence({ old: 'v1', new: 'v2', tables: [same] }), { tone: 'good', text: 'v1 and v2 have the same 4 rows.' });
  assert.equal(words.compareSentence({ old: 'v1', new: 'v2', tables: [{ ...same, otherColumns: 'x' }] }).tone, 'busy');
  const cells = words.exampleCells({ old: { id: 1, cents: 5, name: 'a' }, new: { id: 1, cents: '5', name: 'a' } }, ['id', 'cents', 'name'], ['id']);
  assert.deepEqual(cells.map((cell) => [cell.column, cell.key, cell.differs]), [['id', true, false], ['cents', false, true], ['name', false, false]]);
  assert.equal(words.promoteEffect({ old: 'v1', new: 'v2', tables: [table] }, { version: 'v2' }), 'v2 will serve in place of v1: readers will see 3 other rows. v1 is kept for a rollback.');
});

const group = (over) => ({ source: '$all', group: 'billing', status: 'live', why: null, parked: 0, consumers: 1, lag: 0, ...over });

test('a group that hands nothing out is stalled, whatever its flag says', () => {
  assert.deepEqual(words.groupStatus({ status: 'Live: no consumer is connected (waiting: 3)' }), { word: 'stalled', why: 'no consumer is connected (waiting: 3)' });
  assert.deepEqual(words.groupStatus({ status: 'live', why: 'no consumer is connected' }), { word: 'stalled', why: 'no consumer is connected' });
  assert.deepEqual(words.groupStatus({ status: 'Behind' }), { word: 'behind', why: null });
  assert.equal(words.groupsSentence([group({ parked: 3 }), group({ group: 'mail', status: 'behind', lag: 9 })]).text, '3 messages are parked in $all::billing; 1 group is behind.');
  assert.equal(words.groupsSentence([group({ parked: -1 })]).text, 'The one group keeps up.');
  assert.equal(words.groupSentence(group({ parked: 1 })).text, 'billing has read everything that there is. 1 message is parked.');
});

test('before a replay the effect is told in numbers', () => {
  assert.equal(words.replayEffect(37, 412, group({ consumers: 3 })), 'The oldest 37 of 412 parked messages will be sent again to group billing, which has 3 consumers. Its handlers must be idempotent.');
  assert.match(words.replayEffect(2, 2, group({ consumers: 0 })), /^All 2 parked messages will be sent again to group billing, which has no consumer now/);
});

const instance = (over) => ({ instance: 'transfer-17', stage: 'running', inputs: 2, updatedTime: '2026-11-22T11:58:00Z', nextTimer: null, ...over });

test('a process says why it waits', () => {
  const why = (over) => words.whyWaiting(instance(over), NOW).text;
  assert.equal(why({}), 'It waits for its next event; the last one came 2 min ago.');
  assert.equal(why({ outstandingSteps: [{ step: 'deposit', attempts: 1, parked: false }] }), 'It waits for the answer to step deposit.');
  assert.equal(why({ outstandingSteps: [{ step: 'deposit', attempts: 3, lastError: 'closed.', parked: false }] }), 'It waits for the answer to step deposit (attempt 3; the last error: closed).');
  assert.equal(why({ nextTimer: { name: 'deadline', due: '2026-11-22T12:05:00Z' } }), 'It waits for its next event, or for timer deadline, due in 5 min.');
  assert.match(why({ nextTimer: 'deadline 2026-11-22T11:00:00Z' }), /overdue by 1 h\. Is its runner running\?$/);
  assert.equal(why({ stage: 'quarantined', cause: 'cannot decode', since: '2026-11-22T11:00:00Z' }), 'It stands still for 1 h: cannot decode. Retry it once the cause is gone.');
  assert.match(why({ stage: 'completed' }), /is over: it was completed 2 min ago, after 2 inputs/);
  assert.equal(why({ pendingRequests: [{ actor: 'ada', action: 'retry' }] }), 'It waits for a runner to carry out what ada asked: retry.');
});

test('the list of processes names who needs a person, and timers that are overdue', () => {
  const items = [instance({ stage: 'quarantined' }), instance({ instance: 'transfer-18', nextTimer: 'deadline 2026-11-22T11:00:00Z' })];
  assert.equal(words.processesSentence(items, NOW).text, '1 process cannot go on without a person: transfer-17; 1 timer is overdue.');
  assert.equal(words.processesSentence([instance({})], NOW).tone, 'good');
});

test('a timeline runs from a command to its answer, and from a timer to its end', () => {
  const entries = [
    { type: '$processInput', data: { input: { kind: 'event', stream: 's', revision: 4 } } },
    { type: '$processStepIssued', data: { step: 'a', commandId: 'c1' } },
    { type: '$processTimerStarted', data: { name: 't' } },
    { type: '$processInput', data: { input: { kind: 'done', step: 'a', commandId: 'c1' } } },
    { type: '$processCompleted', data: {} },
  ];
  const rows = words.timelineRows(entries, false);
  assert.deepEqual(rows.map((row) => row.lane), ['in', 'out', 'timer', 'out', 'self']);
  assert.deepEqual([rows[1].below, rows[2].through, rows[3].above, rows[3].answers], [true, ['out'], true, 1]);
  const open = words.timelineRows(entries, true);
  assert.deepEqual([open[2].below, open[4].through], [true, ['timer']]);
  assert.deepEqual(words.inputPlace(entries[0]), { stream: 's', revision: 4 });
  assert.equal(words.inputPlace(entries[3]), null);
});

test('a subject: what we hold, what is erased, and what an erasure does not reach', () => {
  const found = { subject: 'c-17', keys: [{ state: 'opens' }], events: 34, streams: [{}, {}] };
  assert.equal(words.subjectSentence(found).text, 'We hold 34 events in 2 streams with data of c-17; 1 key opens it.');
  assert.match(words.subjectSentence({ ...found, keys: [{ state: 'destroyed by x' }] }).text, /^c-17 was erased: 34 events in 2 streams hold values that nobody can open any more/);
  assert.equal(words.subjectSentence({ subject: 'x', keys: [], events: 0, streams: [] }).text, 'Nothing is kept of x.');
  assert.match(words.subjectSentence({ ...found, holds: [{}] }).text, /must not be erased/);
  assert.equal(words.notReached({ sinks: ['crm', { name: 'mail', acknowledged: true }] })[0].what, 'crm');
  assert.ok(words.notReached(null).length >= 4);
  assert.equal(words.eraseEffect({ keys: 2, events: 34, streams: 3, readModels: 1 }), '2 keys will be destroyed for ever, 34 events in 3 streams can never be opened again, 1 read model will forget.');
});

test('fields are inferred from a sample, with how often each one is there', () => {
  const { sampled, fields, cut } = words.inferFields([{ data: { id: 1, lines: [{ sku: 'a' }, { sku: 'b', gift: true }] } }, { data: { id: 'x', note: null } }, { dataBase64: 'AA==' }]);
  assert.deepEqual([sampled, cut], [2, false]);
  const of = Object.fromEntries(fields.map((field) => [field.path, [field.events, field.permille, field.types.join('|')]]));
  assert.deepEqual(of.id, [2, 1000, 'integer|string']);
  assert.deepEqual(of['lines[].sku'], [1, 500, 'string']);
  assert.deepEqual(of.note, [1, 500, 'null']);
});

test('inference ends, however wide or deep the data is', () => {
  const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`f${at}`, at]));
  let deep = {};
  for (let at = 0; at < 5_000; at += 1) deep = { deep };
  const { fields, cut } = words.inferFields([{ data: wide }, { data: deep }]);
  assert.equal(fields.length, words.MOST_PATHS);
  assert.equal(cut, true);
});

test('a schema that points to itself ends too', () => {
  const schema = { type: 'object', required: ['id'], properties: { id: { type: 'string', format: 'uuid' }, next: { $ref: '#' }, kind: { enum: ['a', 'b'] } } };
  const fields = words.schemaFields(schema);
  assert.deepEqual([fields[0].type, fields[0].required], ['string (uuid)', true]);
  assert.ok(fields.length <= words.MOST_PATHS && fields.some((field) => field.path === 'kind' && field.type === '"a" or "b"'));
});

test('the machine: what a scavenge gives back, and what Prometheus needs', () => {
  assert.match(words.scavengeEffect({ segments: 9, rewritten: 2, events: 1204, bytes: 3 * 1024 ** 3 }), /^Removes 1\u202f204 hidden events and gives back 3\.2 GB in 2 of 9 sealed segments\./);
  assert.match(words.scavengeEffect({ events: 0 }), /^Nothing to give back/);
  assert.match(words.scrapeConfig('shop.example:2113', true), /scheme: https\n.*targets: \["shop.example:2113"\]/s);
});
