// The pages that the manual's tour shows, as a newcomer finds them after `factum demo`. With CONSOLE_TOUR, their pictures go there.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startServer, browser, open, done, eventually } from './harness.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: [] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

/** Wide enough for every column, and small enough for a page of the manual. */
const PICTURE = { width: 1200, height: 720 };

async function show(name, address, ready, { scheme = 'light', act } = {}) {
  const page = await open(server, address, { scheme });
  await page.setViewportSize(PICTURE);
  await page.locator(ready).first().waitFor();
  if (act) await act(page);
  await page.locator('.topbar .status.good').waitFor();
  assert.ok((await page.locator('h1').innerText()).length > 0);
  if (process.env.CONSOLE_TOUR) {
    mkdirSync(process.env.CONSOLE_TOUR, { recursive: true });
    await page.screenshot({ path: join(process.env.CONSOLE_TOUR, `${name}.png`) });
  }
  await done(page, `tour-${name}`, { pictures: false });
}

test('streams, a stream, and its state at a moment', async () => {
  await show('streams', '/ui/streams', 'tbody tr[data-row]');
  await show('stream', '/ui/streams/account-1', 'tbody tr[data-row]');
  const { items } = await server.get('/v1/streams/account-15/events?from=start&limit=1000');
  assert.ok(items.length > 3);
  await show('time-travel', `/ui/streams/account-15/state?at=${items.length - 2}`, 'input[type=range]');
  await show('time-travel-dark', `/ui/streams/account-15/state?at=${items.length - 2}`, 'input[type=range]', { scheme: 'dark' });
  await show('event', `/ui/streams/account-15/${items.length - 1}`, '[role=tree]');
});

test('a projection that stands still, and the new version compared with the old one', async () => {
  await show('fault', '/ui/projections/lost_cards', '.fault');
  const { versions } = await server.get('/v1/projections/lost_cards');
  const definition = versions[0].definition.replace(':occurred_at)"', ':occurred_at) on conflict (account) do nothing"');
  await server.send('POST', '/v1/projections/lost_cards/rebuild', { reason: 'a card may be lost twice', definition });
  await eventually(() => server.get('/v1/projections/lost_cards').then(one => one.versions.some(version => version.version === 'v2' && version.lag === 0)), 'v2 at the end of the log');
  await show('compare', '/ui/projections/lost_cards?tab=compare', '.table-box');
});

test('a process, a person, a receipt', async () => {
  const { items } = await server.get('/v1/processes?all=true&stage=failed');
  await show('process', `/ui/processes/${items[0].process}/${encodeURIComponent(items[0].id)}`, '.timeline li');
  await show('person', '/ui/privacy/c-1', '.not-reached');
  const [receipt] = (await server.get('/v1/privacy/receipts')).items;
  await show('receipt', `/ui/privacy/receipts/${receipt.erasure}`, '.receipt', { act: async page => { await page.getByRole('button', { name: 'Verify' }).click(); await page.getByText('genuine, and still true').waitFor(); } });
});

test('parked messages', async () => {
  const group = (await server.get('/v1/subscriptions')).items.find(one => one.parked > 0);
  await show('parked', `/ui/subscriptions/${encodeURIComponent(group.source)}/${encodeURIComponent(group.group)}`, 'tbody tr[data-row]', { act: page => page.getByRole('button', { name: 'Expand' }).first().click() });
});

test('the overview', async () => {
  await show('overview', '/ui/', 'h1', { act: page => page.getByText(/ in ([89]|\d\d+) s$/).first().waitFor() });
});
