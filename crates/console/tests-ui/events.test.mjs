// S14: the log, and its tail.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, firstRender, orderEvents } from './harness.mjs';

let server;
before(async () => {
  server = await startServer();
  await server.append('order-8f31', orderEvents(42));
  await server.append('cart-1', [{ type: 'CartOpened', data: { total: 5 } }]);
});
after(async () => { await (await browser()).close(); await server?.stop(); });

test('the log is filtered by type, category, stream and condition', async t => {
  const page = await open(server, '/ui/events');
  await page.waitForSelector('tr[data-row]');
  await page.selectOption('label:has-text("category") select', 'cart');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length === 1);
  assert.match(page.url(), /category=cart/);
  await page.click('.chip');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length > 20);
  await page.fill('input[aria-label^="Beginning"]', 'cart-');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length === 1);
  await page.fill('input[aria-label^="Beginning"]', '');
  await page.fill('input[aria-label^="Condition"]', 'data.total > 140');
  await page.waitForSelector('text=match');
  await done(page, 'events');
  t.diagnostic(`first render of the log: ${await firstRender(server, '/ui/events', 'tr[data-row]')} ms`);
});

test('the tail shows what comes, holds while paused, and mutes', async () => {
  const page = await open(server, '/ui/events?live=1');
  await page.waitForSelector('.status:has-text("following")');
  await server.append('cart-2', [{ type: 'CartOpened', data: { n: 1 } }]);
  await page.waitForSelector('tr[data-row]:has-text("cart-2")');
  await page.keyboard.press('p');
  await server.append('cart-3', [{ type: 'CartOpened', data: { n: 2 } }]);
  await page.waitForSelector('button:has-text("Go on (+1)")');
  assert.equal(await page.locator('tr[data-row]').count(), 1);
  await page.keyboard.press('p');
  await page.waitForSelector('tr[data-row]:has-text("cart-3")');
  await done(page, 'tail');
});
