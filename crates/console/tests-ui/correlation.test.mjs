// S6 and S7: what belongs together, and streams beside each other.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { startServer, browser, open, done, firstRender } from './harness.mjs';

let server;
before(async () => {
  server = await startServer();
  const ids = Array.from({ length: 6 }, () => randomUUID());
  const one = (type, i, cause, correlationId = 'corr-1') => ({ type, id: ids[i], data: {}, correlationId, ...(cause ? { causationId: cause } : {}) });
  await server.append('payment-77', [one('PaymentRequested', 0, randomUUID())]);
  await server.append('payment-77', [one('PaymentAuthorised', 1, ids[0])]);
  await server.append('shipping-77', [one('ShipOrder', 2, ids[1]), one('Shipped', 3, ids[2])]);
  await server.append('loop-1', [{ ...one('Chicken', 4, ids[5], 'loop') }, { ...one('Egg', 5, ids[4], 'loop') }]);
  let last = null;
  for (let from = 0; from < 500; from += 100) {
    const events = Array.from({ length: 100 }, () => { const id = randomUUID(); const event = { type: `Step${Math.floor(Math.random() * 6)}`, id, data: {}, correlationId: 'many', ...(last ? { causationId: last } : {}) }; last = id; return event; });
    await server.append(`many-${from % 4}`, events);
  }
});
after(async () => { await (await browser()).close(); await server?.stop(); });

test('lanes, tree and list of a correlation', async t => {
  const page = await open(server, '/ui/correlations/corr-1');
  await page.waitForSelector('.lane-node');
  assert.equal(await page.locator('.lane-node').count(), 4);
  assert.equal(await page.locator('.lane-arrow').count(), 3);
  assert.equal(await page.locator('.lane-missing').count(), 1);
  assert.match(await page.textContent('.sentence'), /4 events, 2 streams.*1 cause not found/);
  await done(page, 'correlation-lanes');
  const tree = await open(server, '/ui/correlations/corr-1?view=tree');
  await tree.waitForSelector('.cause-tree li');
  assert.equal(await tree.locator('.cause-tree li').count(), 4);
  await done(tree, 'correlation-tree');
  const list = await open(server, '/ui/correlations/corr-1?view=list');
  await list.waitForSelector('tr[data-row]');
  await done(list, 'correlation-list');
  t.diagnostic(`first render of a correlation: ${await firstRender(server, '/ui/correlations/corr-1', '.lane-node')} ms`);
});

test('a circle of causes does not hang', async () => {
  const page = await open(server, '/ui/correlations/loop');
  await page.waitForSelector('.notice:has-text("circle")');
  assert.equal(await page.locator('.lane-node').count(), 2);
  await done(page, 'correlation-loop', { pictures: false });
});

test('500 events are drawn', async t => {
  const page = await open(server, '/ui/correlations/many');
  await page.waitForFunction(() => document.querySelectorAll('.lane-node').length === 500);
  t.diagnostic(`first render of 500 events: ${await firstRender(server, '/ui/correlations/many', '.lane-node')} ms`);
  await done(page, 'correlation-many', { pictures: false });
});

test('a correlation that is none, and those that are new', async () => {
  const page = await open(server, '/ui/correlations/none-such', { allow: [/404/] });
  await page.waitForSelector('.empty, .notice');
  await done(page, 'correlation-none', { pictures: false });
  const list = await open(server, '/ui/correlations');
  await list.waitForSelector('tr[data-row]:has-text("many")');
  await done(list, 'correlations');
});

test('streams beside each other, in the order of the log', async () => {
  const page = await open(server, '/ui/compare?s=payment-77&s=shipping-77');
  await page.waitForSelector('tr[data-row]');
  assert.equal(await page.locator('tr[data-row]').count(), 4);
  assert.match(await page.textContent('tr[data-row="0"]'), /Shipped/);
  await page.click('button:has-text("Oldest first")');
  await page.waitForFunction(() => document.querySelector('tr[data-row="0"]').textContent.includes('PaymentRequested'));
  await page.fill('input[type=search]', 'loop');
  await page.click('.chip:has-text("loop-1")');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length === 6);
  await done(page, 'compare');
});
