// The cards beside links: after a rest of the pointer or the focus, hoverable, ended by Escape, one request each.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, axe, orderEvents } from './harness.mjs';

let server;
before(async () => {
  server = await startServer({ command: 'demo', args: ['--still'] });
  await server.append('order-8f31', orderEvents(12));
  await server.append('odd-1', '[{"type": "Odd", "data": {"<b>key</b>": "<img src=x>\\u202E", "big": 9223372036854775807, "price": 1.10}}]');
});
after(async () => { await (await browser()).close(); await server?.stop(); });

const card = page => page.waitForSelector('.hover-card:popover-open');
const gone = page => page.waitForSelector('.hover-card:popover-open', { state: 'detached' });

test('each kind of link has a card, and axe finds nothing in it', async () => {
  const group = (await server.get('/v1/subscriptions')).items[0];
  for (const [address, link, says] of [
    ['/ui/streams', 'a[href="/ui/streams/account-15"]', /^account-15\d+ events, head at #\d+ · category account/],
    ['/ui/streams/order-8f31', 'a[href="/ui/streams/order-8f31/0"]', /order-8f31 #0 · .*orderId: "8f31"/s],
    ['/ui/streams/order-8f31/0', 'a[href="/ui/correlations/c0ffee"]', /c0ffee12 events in 1 stream/],
    ['/ui/streams/order-8f31/0', '.facts a[href*="type=OrderPlaced"]', /1 event ever appended, schema version 1/],
    ['/ui/streams/order-8f31', 'a[href="/ui/streams?category=order"]', /1 stream/],
    ['/ui/projections', 'a[href="/ui/projections/lost_cards"]', /lost_cards.*faulted/],
    ['/ui/subscriptions', `a[href="/ui/subscriptions/${encodeURIComponent(group.source)}/${encodeURIComponent(group.group)}"]`, /consumers?, \d+ in flight/],
    ['/ui/schemas', 'a[href="/ui/schemas/AccountOpened"], a[href^="/ui/schemas/"]', /ever appended/],
  ]) {
    const page = await open(server, address);
    const target = page.locator(link).first();
    await target.hover();
    await card(page);
    assert.match(await page.textContent('.hover-card'), says, `${link} of ${address}`);
    assert.equal(await target.getAttribute('aria-describedby'), 'hover-card');
    await axe(page, `light, card of ${link}`);
    await done(page, 'card', { pictures: false });
  }
});

test('a card is hoverable, goes when it is left, and its answer is kept', async () => {
  const page = await open(server, '/ui/streams/odd-1');
  const link = page.locator('tbody a[href="/ui/streams/odd-1/0"]');
  await link.hover();
  await card(page);
  // Text of strangers is text, and numbers are exact.
  assert.match(await page.textContent('.hover-card'), /<b>key<\/b>: "<img src=x>‹202E›"/);
  assert.match(await page.textContent('.hover-card'), /big: 9223372036854775807.*price: 1\.10/s);
  assert.equal(await page.locator('.hover-card img, .hover-card b').count(), 0);
  await page.hover('.hover-card pre');
  // It stays for as long as the pointer is on it: longer than the way to it may take.
  await page.evaluate(() => new Promise(end => setTimeout(end, 600)));
  assert.equal(await page.locator('.hover-card:popover-open').count(), 1);
  await page.hover('h1');
  await gone(page);
  assert.equal(await link.getAttribute('aria-describedby'), null);
  const before = page.requests.length;
  await link.hover();
  await card(page);
  assert.deepEqual(page.requests.slice(before), []);
  await page.keyboard.press('Escape');
  await gone(page);
  await done(page, 'card-hover', { pictures: false });
});

test('with keys: focus shows it, Escape ends it and nothing else, another link has its own', async () => {
  const page = await open(server, '/ui/streams/order-8f31/3');
  const link = page.locator('.facts a[href="/ui/correlations/c0ffee"]');
  await page.keyboard.press('Tab');
  await link.focus();
  await card(page);
  await page.keyboard.press('Escape');
  await gone(page);
  assert.ok(await link.evaluate(element => element === document.activeElement));
  await page.keyboard.press('Shift+Tab');
  await card(page);
  assert.doesNotMatch(await page.textContent('.hover-card'), /c0ffee12 events/);
  await page.keyboard.press('Enter');
  await gone(page);
  await done(page, 'card-keys', { pictures: false, modules: 8 });
});

test('what is not there is said', async () => {
  await server.append('orphan-1', [{ type: 'Orphan', data: {}, causationId: '0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90' }]);
  const page = await open(server, '/ui/streams/orphan-1/0', { allow: [/404/] });
  await page.locator('.facts a[href^="/ui/events/0191e2c4"]').hover();
  await card(page);
  assert.match(await page.textContent('.hover-card'), /It is not there/);
  await done(page, 'card-missing', { pictures: false });
});
