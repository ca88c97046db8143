// S1: is it healthy, and what happens now?
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, firstRender } from './harness.mjs';

let server;
before(async () => { server = await startServer(); });
after(async () => { await (await browser()).close(); await server?.stop(); });

test('an empty store teaches', async () => {
  const page = await open(server, '/ui/');
  await page.waitForSelector('.empty');
  assert.equal(await page.locator('.empty .command').count(), 3);
  await done(page, 'overview-empty');
});

test('sample events are loaded where there are none, once, and drawn as a whole', async () => {
  const own = await startServer();
  const page = await open(own, '/ui/');
  await page.click('.empty button:has-text("Load sample events")');
  await page.waitForSelector('tr[data-row]:has-text("OrderCompleted")');
  const { events, streams } = await own.get('/v1/correlations/order-1001');
  assert.equal(events.length, 12);
  assert.deepEqual([...streams].sort(), ['order-1001', 'parcel-88', 'payment-501']);
  assert.equal((await own.get('/v1/streams/order-1001/state')).state.status, 'completed');
  await page.reload();
  await page.waitForSelector('.charts');
  assert.equal(await page.locator('button:has-text("Load sample")').count(), 0);
  await done(page, 'overview-sample', { pictures: false });
  await own.stop();
  const quiet = await startServer({ args: ['--memory', '--insecure', '--console', 'read-only'] });
  const reader = await open(quiet, '/ui/');
  await reader.waitForSelector('.empty .command');
  assert.equal(await reader.locator('button:has-text("Load sample")').count(), 0);
  await done(reader, 'overview-read-only', { pictures: false });
  await quiet.stop();
});

test('what is appended moves the figures and the list', async t => {
  await server.append('order-1', [{ type: 'OrderPlaced', data: { total: 1 } }]);
  const page = await open(server, '/ui/');
  await page.waitForSelector('.charts');
  for (let i = 0; i < 10; i++) await server.append('order-2', Array.from({ length: 100 }, (_, n) => ({ type: 'LineAdded', data: { n } })));
  const begun = Date.now();
  await page.waitForFunction(() => [...document.querySelectorAll('.facts > div')].some(fact => fact.querySelector('dt').textContent === 'events' && /^1\D?0\d\d/.test(fact.querySelector('dd').textContent)));
  t.diagnostic(`the total moved after ${Date.now() - begun} ms`);
  await page.waitForSelector('tr[data-row]:has-text("order-2")');
  await page.waitForFunction(() => /keeping up|catching up|need/.test(document.querySelector('.sentence').textContent));
  await done(page, 'overview');
  t.diagnostic(`first render of the overview: ${await firstRender(server, '/ui/', '.charts')} ms`);
});
