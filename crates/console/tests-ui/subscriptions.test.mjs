// S9: groups, what is parked, and what happens when it is sent again.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { startServer, browser, open, done, eventually } from './harness.mjs';
import { answerWith } from './answers.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: ['--still'] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const said = page => page.locator('.sentence').innerText();
const groups = async () => (await server.get('/v1/subscriptions')).items;
const withParked = async () => (await groups()).find(one => one.parked > 0);
const at = one => `/ui/subscriptions/${encodeURIComponent(one.source)}/${encodeURIComponent(one.group)}`;

test('the list says where messages are parked', async () => {
  const page = await open(server, '/ui/subscriptions');
  const all = await groups();
  await page.locator('tbody tr[data-row]').first().waitFor();
  assert.equal(await page.locator('tbody tr[data-row]').count(), all.length);
  assert.match(await said(page), /parked in/);
  await done(page, 'subscriptions');
});

test('parked messages have their event, their reason, and are exported as they are', async () => {
  const one = await withParked();
  const page = await open(server, at(one));
  const { items } = await server.get(`/v1${at(one).slice(3)}/parked?limit=200`);
  await page.locator('tbody tr[data-row]').first().waitFor();
  assert.equal(await page.locator('tbody tr[data-row]').count(), items.length);
  const first = items[0];
  await page.getByRole('link', { name: `${first.event.stream} #${first.event.revision}` }).first().waitFor();
  await page.getByRole('button', { name: 'Expand' }).first().click();
  await page.locator('.parked').getByRole('tree').waitFor();
  await page.locator('.parked').getByRole('button', { name: 'Replay up to here (1)…' }).waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export NDJSON' }).click()]);
  const lines = readFileSync(await download.path(), 'utf8').trimEnd().split('\n').map(line => JSON.parse(line));
  assert.deepEqual(lines.map(line => line.event.id), items.map(item => item.event.id));
  await page.getByLabel(/^Filter by/).fill('nothing like this');
  await page.getByText('No parked message has').waitFor();
  await eventually(() => page.url().includes('q=nothing'), 'the filter in the address');
  await page.getByLabel(/^Filter by/).fill('');
  await done(page, 'parked');
});

test('nothing is replayed without the count in the dialog, and a receipt says what came of it', async () => {
  const one = await withParked();
  const page = await open(server, at(one));
  await page.getByRole('button', { name: 'Replay parked…' }).click();
  const dialog = page.locator('dialog');
  await dialog.getByText(new RegExp(`(All ${one.parked} parked messages|The parked message) will be sent again to group ${one.group}`)).waitFor();
  await dialog.getByText('Its handlers must be idempotent.').waitFor();
  const count = dialog.getByLabel('How many, the oldest first');
  await count.fill('0');
  await dialog.getByText(/^Between 1 and/).waitFor();
  await count.fill(String(one.parked + 1));
  await dialog.getByText(/^Between 1 and/).waitFor();
  await count.fill('1');
  await dialog.getByLabel('Reason, kept with the change').fill('the mail server is back');
  await dialog.getByRole('button', { name: 'Replay 1' }).click();
  await page.getByText(/^1 message (was|is being) sent again\.$/).waitFor();
  assert.ok((await groups()).every(other => other.parked >= 0), 'counts are never negative');
  await done(page, 'parked-replayed', { pictures: false });
});

test('chosen messages are skipped with a reason, and replayed by their numbers', async () => {
  const one = await withParked();
  const page = await open(server, at(one));
  await page.locator('tbody tr[data-row]').first().waitFor();
  const last = page.getByLabel(/^Choose message/).last();
  await last.check();
  await page.getByRole('button', { name: 'Skip chosen (1)…' }).click();
  const dialog = page.locator('dialog');
  await dialog.getByText(/will be dropped: no consumer gets it any more/).waitFor();
  assert.ok(await dialog.getByRole('button', { name: 'Skip 1' }).isDisabled(), 'a reason is needed');
  await dialog.getByLabel('Reason, kept with the change').fill('of a test customer');
  await dialog.getByRole('button', { name: 'Skip 1' }).click();
  await page.getByText('1 message was skipped.').waitFor();
  const now = async () => (await groups()).find(other => other.source === one.source && other.group === one.group).parked;
  assert.equal(await now(), one.parked - 1);
  const { items } = await server.get('/v1/system/operations');
  assert.ok(items.some(item => item.what === 'skip-parked' && item.reason === 'of a test customer'));
  await page.getByLabel('Choose all that are shown').check();
  await page.getByRole('button', { name: `Replay chosen (${one.parked - 1})…` }).click();
  await dialog.getByText(/will be sent again to group/).waitFor();
  await page.keyboard.press('Escape');
  await done(page, 'parked-chosen');
});

test('a replay says how far it is, and can be stopped', async () => {
  const run = { id: 'c3b1', state: 'running', started: '2026-11-28T01:00:00Z', ended: null, total: 37, waiting: 30, acked: 5, dropped: 0, parkedAgain: 2, gone: 0, left: 0, actor: 'ada', reason: 'the account is there' };
  let now = run;
  const item = { source: 's', group: 'g', status: 'live', why: null, consumers: 1, inFlight: 2, parked: 0, lag: 0, oldestUnackedMillis: null, strategy: 'RoundRobin', checkpoint: null, lastKnown: null };
  const given = await answerWith({
    'GET /v1/subscriptions/s/g': () => ({ ...item, connections: [], settings: {}, replays: [now] }),
    'GET /v1/subscriptions/s/g/parked': { items: [], page: { next: null, prev: null } },
    'DELETE /v1/subscriptions/s/g/parked/replays/c3b1': () => { now = { ...run, state: 'stopped', ended: new Date(Date.now() + 1000).toISOString(), waiting: 0, left: 28, acked: 7 }; return { ...run, state: 'stopping' }; },
  });
  const page = await open(server, '/ui/subscriptions/s/g');
  await page.getByText('37 messages are being sent again.').waitFor();
  await page.getByText(/^5 acknowledged, 2 parked again and 30 without an answer yet\. Asked for by ada: the account is there\.$/).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('The replay of 37 messages was stopped.').waitFor();
  await page.getByText(/7 acknowledged, 2 parked again and 28 left parked/).waitFor();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByText('The replay of 37 messages was stopped.').waitFor({ state: 'detached' });
  await given.stop();
  await done(page, 'replay-stopped', { pictures: false });
});

test('an empty set cannot be replayed; a group that hands nothing out is stalled', async () => {
  const item = { source: 's', group: 'g', status: 'live', why: 'no consumer is connected (waiting: 3, unanswered: 0)', consumers: 0, inFlight: 0, parked: 0, lag: 3, oldestUnackedMillis: null, strategy: 'RoundRobin', checkpoint: null, lastKnown: null };
  const given = await answerWith({ 'GET /v1/subscriptions/s/g': { ...item, connections: [], settings: { messageTimeoutMillis: 30000 } }, 'GET /v1/subscriptions/s/g/parked': { items: [], page: { next: null, prev: null } } });
  const page = await open(server, '/ui/subscriptions/s/g');
  await page.getByText('Nothing is parked').waitFor();
  assert.match(await said(page), /g hands nothing out: no consumer is connected/);
  assert.ok(await page.getByRole('button', { name: 'Replay parked…' }).isDisabled());
  await page.getByRole('tab', { name: /Consumers/ }).click();
  await page.getByRole('heading', { name: 'No consumer is connected' }).waitFor();
  await page.getByRole('tab', { name: 'Settings' }).click();
  await page.getByText('30 s').waitFor();
  await given.stop();
  await done(page, 'group-empty', { pictures: false });
});
