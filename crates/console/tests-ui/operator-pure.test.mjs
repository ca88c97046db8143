// Do the operator's screens say what is so? Pure: no browser, no server.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as pure from '../ui/pure.js';
import * as projections from '../ui/screens/projections.js';
import * as subscriptions from '../ui/screens/subscriptions.js';
import * as processes from '../ui/screens/processes.js';
import * as privacy from '../ui/screens/privacy.js';
import * as schemas from '../ui/screens/schemas.js';
import * as system from '../ui/screens/system.js';

const NOW = Date.parse('2026-11-22T12:00:00Z');

test('a span in a sentence has one unit', () => {
  assert.deepEqual([0.5, 999, 119_000, 7_100_000, 200_000_000].map(pure.span), ['500 µs', '999 ms', '1 min', '1 h', '2 d']);
  assert.equal(pure.span(null), 'an unknown time');
  assert.equal(pure.agoOf('2026-11-22T11:50:00.1234567Z', NOW), '9 min ago');
  assert.equal(pure.agoOf('2026-11-22T12:00:30Z', NOW), 'in 30 s');
  assert.equal(pure.agoOf('yesterday', NOW), 'at an unknown time');
});

test('names are listed up to a bound', () => {
  assert.equal(pure.listed(['a']), 'a');
  assert.equal(pure.listed(['a', 'b', 'c']), 'a, b and c');
  assert.equal(pure.listed(['a', 'b', 'c', 'd']), 'a, b and 2 more');
});

const projection = (name, status, lag, role = 'serving') => ({ name, status, lag, role, version: 'v1' });

test('the list of projections says the gravest thing first', () => {
  const said = (...items) => projections.listSentence(items);
  assert.equal(said().text, 'No projection is here yet.');
  assert.deepEqual(said(projection('a', 'caught up', 0), projection('b', 'caught up', 0)), { tone: 'good', text: 'All 2 projections have applied the whole log.' });
  assert.deepEqual(said(projection('a', 'running', 12), projection('b', 'faulted', 3)), { tone: 'bad', text: '1 projection is faulted: b; a is behind by 12 events.' });
  assert.equal(said(projection('a', 'running', null)).text, 'Nothing has failed; how far behind they are is unknown.');
  assert.equal(said(projection('a', 'caught up', 0), projection('a', 'stopped', 0, 'previous')).text, 'a has applied the whole log.');
  assert.equal(said(projection('a', 'stalled', 9)).tone, 'bad');
});

test('a projection with a fault says so, and names what is built beside it', () => {
  const versions = [projection('a', 'faulted', 3), { ...projection('a', 'rebuilding', 30, 'building'), version: 'v2' }];
  assert.deepEqual(projections.oneSentence('a', versions), { tone: 'bad', text: 'a stands still before an event that it cannot apply. v2 is being built beside it.' });
  assert.equal(projections.oneSentence('a', [projection('a', 'running', null)]).text, 'a is running; how far behind it is, is unknown.');
});

test('a lag is told as events and as time', () => {
  assert.equal(projections.lagText({ lag: 1204, lagMillis: 240_000 }), '1\u202f204 events, 4 min');
  assert.equal(projections.lagText({ lag: 0, lagMillis: 0 }), 'nothing');
  assert.equal(projections.lagText({ lag: null }), 'unknown');
});

test('a share of the log is the whole only where it is the whole', () => {
  assert.equal(projections.permille('9999999', '10000000'), 999);
  assert.equal(projections.permille('10', '10'), 1000);
  assert.equal(projections.permille('18446744073709551614', '18446744073709551615'), 999);
  assert.equal(projections.permille(null, '3'), null);
  assert.equal(projections.percent(345), '34.5 %');
  assert.equal(projections.percent(null), 'unknown');
});

test('how fast a rebuild is, and how long it takes, come from what was seen', () => {
  const samples = [{ at: 1_000, lag: 50_000 }, { at: 3_000, lag: 26_000 }];
  assert.equal(projections.paceText(samples), '12\u202f000 events a second, about 2.2 s left');
  assert.equal(projections.paceText([samples[0]]), null);
  assert.equal(projections.paceText([samples[1], { at: 9_000, lag: 26_000 }]), null);
});

test('lines that changed are marked, and the rest stays', () => {
  const lines = projections.lineDiff('a\nb\nc', 'a\nx\nc');
  assert.deepEqual(lines.map(line => line.sign + line.text), [' a', '-b', '+x', ' c']);
});

test('a version in the making that has come to the end can be promoted', () => {
  const building = { ...projection('a', 'rebuilding', 0, 'building'), version: 'v2' };
  assert.equal(projections.listSentence([projection('a', 'caught up', 0), building]).text, 'a has a new version to compare and promote.');
  assert.match(projections.oneSentence('a', [projection('a', 'caught up', 0), building]).text, /v2 is built beside it: compare the two, then promote it\./);
});

test('values of a person that were opened are found, and others are not', () => {
  const found = privacy.openedValues({ name: { $personal: { v: 'Ada' } }, lines: [{ to: { $personal: { e: 'x' } } }, { 'a/b': { $personal: { v: 3 } } }], total: 1 });
  assert.deepEqual(found, [{ pointer: '/name', value: 'Ada' }, { pointer: '/lines/1/a~1b', value: 3 }]);
  const two = { mine: { $personal: { o: 'r1', v: 1 } }, other: { $personal: { o: 'r2', v: 2 } } };
  assert.deepEqual(privacy.openedValues(two, 'r1'), [{ pointer: '/mine', value: 1 }], 'what is another person\'s is left out');
});

test('settings in words, and an erasure\'s state', () => {
  assert.equal(subscriptions.settingText('messageTimeoutMillis', 30_000), '30 s');
  assert.equal(subscriptions.settingText('extraStatistics', false), 'false');
  assert.deepEqual(['complete', 'complete, new keys allowed', 'incomplete'].map(privacy.erasureTone), ['good', 'good', 'warn']);
  assert.equal(privacy.verdictOf({ valid: false, why: 'changed' }).tone, 'bad');
  assert.equal(privacy.verdictOf({ valid: true, valuesTried: 1, valuesOpened: 0 }).text, '1 value was tried, 0 opened.');
});

test('what a retry and a cancel do, in numbers', () => {
  assert.match(processes.actEffect('cancel', { doneSteps: [{ undone: false }, { undone: true }] }), /^The process fails\. 1 done step is undone/);
  assert.match(processes.actEffect('cancel', { pastPivot: true }), /past its point of no return/);
  assert.match(processes.actEffect('retry', { outstanding: 2, held: 1 }), /^2 commands that are out are sent again, and 1 held input taken\./);
});

test('types are joined with what is registered of them', () => {
  const all = schemas.joined([{ type: 'B', count: 2, schemaVersion: 1 }], [{ type: 'A', versions: [1, 2] }, { type: 'B', versions: [{ version: 3 }] }]);
  assert.deepEqual(all.map(one => [one.type, one.count, one.versions]), [['A', null, [1, 2]], ['B', 2, [3]]]);
  assert.equal(schemas.listSentence([]).text, 'No event has been appended, so there is no type yet.');
});

test('a comparison names what differs, and an example marks the cells', () => {
  const table = { table: 't', same: 4, onlyOld: 1, onlyNew: 0, changed: 2, key: ['id'] };
  const same = { ...table, onlyOld: 0, changed: 0 };
  assert.equal(projections.compareSentence({ old: 'v1', new: 'v2', tables: [table] }).text, 'v1 and v2 differ: 2 rows changed, 1 only in v1; 4 equal.');
  assert.deepEqual(projections.compareSentence({ old: 'v1', new: 'v2', tables: [same] }), { tone: 'good', text: 'v1 and v2 have the same 4 rows.' });
  assert.equal(projections.compareSentence({ old: 'v1', new: 'v2', tables: [{ ...same, otherColumns: 'x' }] }).tone, 'warn');
  const cells = projections.exampleCells({ old: { id: 1, cents: 5, name: 'a' }, new: { id: 1, cents: '5', name: 'a' } }, ['id', 'cents', 'name'], ['id']);
  assert.deepEqual(cells.map((cell) => [cell.column, cell.key, cell.differs]), [['id', true, false], ['cents', false, true], ['name', false, false]]);
  assert.equal(projections.promoteEffect({ old: 'v1', new: 'v2', tables: [table] }, 'v2', 'v1'), 'v2 will serve in place of v1, in one step: readers will see 3 other rows. v1 is kept for a rollback.');
  assert.equal(projections.promoteEffect(undefined, 'v2', 'v1'), 'v2 will serve in place of v1, in one step. v1 is kept for a rollback.');
});

const group = (over) => ({ source: '$all', group: 'billing', status: 'live', why: null, parked: 0, consumers: 1, lag: 0, ...over });

test('a group that hands nothing out is stalled, whatever its flag says', () => {
  assert.deepEqual(subscriptions.statusOf({ status: 'Live: no consumer is connected (waiting: 3)' }), { word: 'stalled', why: 'no consumer is connected (waiting: 3)' });
  assert.deepEqual(subscriptions.statusOf({ status: 'live', why: 'no consumer is connected' }), { word: 'stalled', why: 'no consumer is connected' });
  assert.deepEqual(subscriptions.statusOf({ status: 'Behind' }), { word: 'behind', why: null });
  assert.equal(subscriptions.listSentence([group({ parked: 3 }), group({ group: 'mail', status: 'behind', lag: 9 })]).text, '3 messages are parked in $all::billing; 1 group is behind.');
  assert.equal(subscriptions.listSentence([group({ parked: -1 })]).text, 'The one group keeps up.');
  assert.equal(subscriptions.groupSentence(group({ parked: 1 })).text, 'billing has read everything that there is. 1 message is parked.');
});

test('before a replay the effect is told in numbers', () => {
  assert.equal(subscriptions.replayEffect(37, 412, group({ consumers: 3 })), 'The oldest 37 of 412 parked messages will be sent again to group billing, which has 3 consumers. Its handlers must be idempotent.');
  assert.match(subscriptions.replayEffect(3, 412, group({ consumers: 3 }), { revisions: [1, 4, 9] }), /^The 3 chosen of 412 parked messages will be sent again/);
  assert.equal(subscriptions.skipEffect(1, 412, group({}), { revisions: [4] }), 'The chosen one of 412 parked messages of group billing will be dropped: no consumer gets it any more. The events themselves stay in their streams.');
  const run = { state: 'completed', total: 37, acked: 35, parkedAgain: 2, dropped: 0, gone: 0, left: 0, waiting: 0 };
  assert.deepEqual(subscriptions.replaySentence(run), { isOver: true, tone: 'warn', title: '37 messages were sent again.', text: '35 acknowledged and 2 parked again.' });
  assert.equal(subscriptions.replaySentence({ ...run, state: 'running', total: 1, acked: 0, parkedAgain: 0, waiting: 1 }).title, '1 message is being sent again.');
  assert.match(subscriptions.replaySentence({ ...run, state: 'stopped', acked: 5, parkedAgain: 0, left: 32 }).text, /^5 acknowledged and 32 left parked\.$/);
  assert.match(subscriptions.replayEffect(2, 2, group({ consumers: 0 })), /^All 2 parked messages will be sent again to group billing, which has no consumer now/);
});

const instance = (over) => ({ instance: 'transfer-17', stage: 'running', inputs: 2, updatedTime: '2026-11-22T11:58:00Z', nextTimer: null, ...over });

test('a process says why it waits', () => {
  const why = (over) => processes.whyWaiting(instance(over), NOW).text;
  assert.equal(why({}), 'It waits for its next event; the last one came 2 min ago.');
  assert.equal(why({ outstandingSteps: [{ step: 'deposit', attempts: 1, parked: false }] }), 'It waits for the answer to step deposit.');
  assert.equal(why({ outstandingSteps: [{ step: 'deposit', attempts: 3, lastError: 'closed.', parked: false }] }), 'It waits for the answer to step deposit (attempt 3; the last error: closed).');
  assert.equal(why({ nextTimer: { name: 'deadline', due: '2026-11-22T12:05:00Z' } }), 'It waits for its next event, or for timer deadline, due in 5 min.');
  assert.match(why({ nextTimer: 'deadline 2026-11-22T11:00:00Z' }), /overdue by 1 h\. Is its runner running\?$/);
  assert.equal(why({ stage: 'quarantined', cause: 'cannot decode', since: '2026-11-22T11:00:00Z' }), 'It has stood still for 1 h: cannot decode. Retry it once the cause is gone.');
  assert.match(why({ stage: 'completed' }), /is over: completed 2 min ago, after 2 inputs/);
  assert.equal(why({ pendingRequests: [{ actor: 'ada', action: 'retry' }] }), 'It waits for a runner to carry out what ada asked: retry.');
});

test('the list of processes names who needs a person, and timers that are overdue', () => {
  const items = [instance({ stage: 'quarantined' }), instance({ instance: 'transfer-18', nextTimer: 'deadline 2026-11-22T11:00:00Z' })];
  assert.equal(processes.listSentence(items, NOW).text, '1 process cannot go on without a person: transfer-17; 1 timer is overdue.');
  assert.equal(processes.listSentence([instance({})], NOW).tone, 'good');
});

test('a timeline runs from a command to its answer, and from a timer to its end', () => {
  const entries = [
    { type: '$processInput', data: { input: { kind: 'event', stream: 's', revision: 4, eventType: 'Paid' } } },
    { type: '$processStepIssued', data: { step: 'a', commandId: 'c1' } },
    { type: '$processTimerStarted', data: { name: 't' } },
    { type: '$processInput', data: { input: { kind: 'done', step: 'a', commandId: 'c1' } } },
    { type: '$processCompleted', data: {} },
  ];
  const rows = processes.timelineRows(entries, false);
  assert.deepEqual(rows.map((row) => row.lane), ['in', 'out', 'timer', 'out', 'self']);
  assert.deepEqual([rows[1].below, rows[2].through, rows[3].above, rows[3].answers], [true, ['out'], true, 1]);
  const open = processes.timelineRows(entries, true);
  assert.deepEqual([open[2].below, open[4].through], [true, ['timer']]);
  assert.deepEqual(processes.inputOf(entries[0]), { stream: 's', revision: 4, type: 'Paid' });
  assert.equal(processes.inputOf(entries[3]), null);
});

test('a subject: what we hold, what is erased, and what an erasure does not reach', () => {
  const found = { subject: 'c-17', keys: [{ state: 'opens' }], events: 34, streams: [{}, {}] };
  assert.equal(privacy.subjectSentence(found).text, 'We hold 34 events in 2 streams with data of c-17, and 1 key that opens it.');
  assert.match(privacy.subjectSentence({ ...found, keys: [{ state: 'destroyed by x' }] }).text, /^c-17 was erased: 34 events in 2 streams hold values that nobody can open any more/);
  assert.equal(privacy.subjectSentence({ subject: 'x', keys: [], events: 0, streams: [] }).text, 'Nothing is kept of x.');
  assert.match(privacy.subjectSentence({ ...found, holds: [{}] }).text, /must not be erased/);
  assert.equal(privacy.notReached({ sinks: ['crm', { name: 'mail', acknowledged: true }] })[0].what, 'crm');
  assert.ok(privacy.notReached(null).length >= 4);
  assert.equal(privacy.eraseEffect({ keys: 2, events: 34, streams: 3, readModels: 1 }), '2 keys will be destroyed for ever. What 34 events in 3 streams hold sealed of this person can never be opened again. 1 read model will forget.');
});

test('fields are inferred from a sample, with how often each one is there', () => {
  const { sampled, fields, cut } = schemas.inferFields([{ data: { id: 1, lines: [{ sku: 'a' }, { sku: 'b', gift: true }] } }, { data: { id: 'x', note: null } }, { dataBase64: 'AA==' }]);
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
  const { fields, cut } = schemas.inferFields([{ data: wide }, { data: deep }]);
  assert.equal(fields.length, schemas.MOST_PATHS);
  assert.equal(cut, true);
});

test('a schema that points to itself ends too', () => {
  const schema = { type: 'object', required: ['id'], properties: { id: { type: 'string', format: 'uuid' }, next: { $ref: '#' }, kind: { enum: ['a', 'b'] } } };
  const fields = schemas.schemaFields(schema);
  assert.deepEqual([fields[0].type, fields[0].required], ['string (uuid)', true]);
  assert.ok(fields.length <= schemas.MOST_PATHS && fields.some((field) => field.path === 'kind' && field.type === '"a" or "b"'));
});

test('of each version the newest event is the example', () => {
  const events = [{ id: 1, schemaVersion: 2 }, { id: 2, schemaVersion: 1 }, { id: 3, schemaVersion: 2 }, { id: 4 }];
  assert.deepEqual(schemas.newestOfEach(events).map(event => event.id), [1, 2]);
});

test('what a caller may do', () => {
  assert.equal(system.rightsOf({ mayReadAll: true, mayWrite: true, mayOperate: true, mayManageGroups: true, mayManageUsers: true }), 'do everything');
  assert.equal(system.rightsOf({ mayReadAll: true, mayWrite: true }), 'read the log and append');
  assert.equal(system.rightsOf({}), 'look at what is shown');
});

test('the machine: what a scavenge gives back, and what Prometheus needs', () => {
  assert.match(system.scavengeEffect({ segments: 9, rewritten: 2, events: 1204, bytes: 3 * 1024 ** 3 }), /^Removes 1\u202f204 hidden events and gives back 3\.2 GB, in 2 of 9 sealed segments\./);
  assert.match(system.scavengeEffect({ events: 0 }), /^There is nothing to give back/);
  assert.match(system.scrapeConfig('https://shop.example:2113'), /scheme: https\n.*targets: \["shop.example:2113"\]/s);
});

test('a verification and backups are told of in a sentence', () => {
  assert.equal(system.verifySentence(null).tone, 'idle');
  assert.deepEqual(system.verifySentence({ outcome: 'done', damaged: 0, events: 3 }), { tone: 'good', text: 'The last verification found every one of 3 events as it was written.' });
  assert.equal(system.verifySentence({ outcome: 'done', damaged: 2, events: 3 }).text, 'The last verification found damage in 2 places.');
  assert.equal(system.verifySentence({ outcome: 'failed', error: 'no' }).tone, 'bad');
  const at = Date.parse('2026-11-22T12:00:00Z');
  const backup = (made, more = {}) => ({ name: 'b', made, complete: true, verified: null, ...more });
  assert.equal(system.backupsSentence([], at).text, 'There is no backup yet.');
  assert.equal(system.backupsSentence([backup('2026-11-22T11:00:00Z', { complete: false })], at).text, 'There is no backup yet.');
  assert.deepEqual(system.backupsSentence([backup('2026-11-22T11:00:00Z')], at), { tone: 'good', text: 'The last backup, b, was made 1 h ago, and was never read to its end.' });
  assert.equal(system.backupsSentence([backup('2026-11-20T11:00:00Z')], at).tone, 'warn');
  assert.equal(system.detailsOf({ job: 'x', events: 3, bytes: 1000, damage: 0, millis: 40, root: 'ab', places: [] }), '3 events, 1.0 KB, no damage, 40 ms');
  const lines = system.operationLines([
    { id: '4', what: 'verify', outcome: 'asked', of: null, details: {} },
    { id: '3', what: 'verify', outcome: 'stopped', of: '2', details: { millis: 7 } },
    { id: '2', what: 'verify', outcome: 'asked', of: null, details: { job: 'x' } },
    { id: '1', what: 'delete-stream', outcome: 'asked', of: null, details: { events: 1 } },
  ]);
  assert.deepEqual(lines.map(one => [one.id, one.outcome]), [['4', 'under way'], ['2', 'stopped'], ['1', 'done']]);
  assert.equal(lines[1].details.millis, 7);
});
