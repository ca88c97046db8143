// S2 and S3: which streams are there, and what is in one?
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, firstRender, orderEvents } from './harness.mjs';

const BIG = 20_000;
let server;
before(async () => {
  server = await startServer();
  for (let i = 0; i < 150; i++) await server.append(`cart-${String(i).padStart(3, '0')}`, [{ type: 'CartOpened', data: { i } }]);
  await server.append('order-8f31', orderEvents(42));
  await server.append('exact-1', '[{"type": "Measured", "data": {"big": 9223372036854775807, "price": 1.10, "tiny": 1e-7}}]');
  await server.append('binary-1', [{ type: 'Scanned', dataBase64: Buffer.from('hello\0world\x01').toString('base64'), contentType: 'application/octet-stream' }]);
  await server.append('huge-1', [{ type: 'Imported', data: { text: 'y'.repeat(600_000), list: Array.from({ length: 5_000 }, (_, i) => i) } }]);
  await server.append('gone-1', [{ type: 'Opened', data: {} }, { type: 'Closed', data: {} }]);
  await server.send('DELETE', '/v1/streams/gone-1');
  await server.append('cut-1', orderEvents(30));
  await server.send('PUT', '/v1/streams/cut-1/metadata', { $maxCount: 5 });
  for (let from = 0; from < BIG; from += 1000) await server.append('big-1', Array.from({ length: 1000 }, (_, i) => ({ type: ['Ticked', 'Tocked'][i % 2], data: { n: from + i } })));
});
after(async () => { await (await browser()).close(); await server?.stop(); });

test('streams are found by the beginning of their name and by a pattern', async t => {
  const page = await open(server, '/ui/streams');
  await page.waitForSelector('tr[data-row]');
  await page.fill('input[type=search]', 'order-');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length === 1);
  assert.match(page.url(), /q=order-/);
  await page.fill('input[type=search]', 'cart-14*');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length === 10);
  await page.fill('input[type=search]', 'nothing-at-all');
  await page.waitForSelector('text=No stream');
  await page.click('text=Clear the filter');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length > 20);
  await done(page, 'streams');
  t.diagnostic(`first render of the list: ${await firstRender(server, '/ui/streams', 'tr[data-row]')} ms`);
});

test('Back comes to the same place and question', async () => {
  const page = await open(server, '/ui/streams?q=cart-');
  await page.waitForSelector('tr[data-row]');
  // The list grows as one goes down.
  await page.waitForFunction(() => { scrollTo(0, document.documentElement.scrollHeight); return document.body.textContent.includes('cart-149'); });
  const y = await page.evaluate(() => { scrollTo(0, 2500); return scrollY; });
  await page.waitForFunction(() => [...document.querySelectorAll('tr[data-row]')].some(row => row.getBoundingClientRect().top > 100));
  await page.locator('tr[data-row] a.link').nth(20).click();
  await page.waitForURL(/streams\/cart-\d+$/);
  await page.goBack();
  await page.waitForURL('**/ui/streams?q=cart-');
  await page.waitForFunction(wanted => Math.abs(scrollY - wanted) < 80, y);
  await done(page, 'back', { pictures: false, modules: 7 });
});

test('a stream is read from its head, and further as one scrolls', async t => {
  const page = await open(server, '/ui/streams/big-1');
  await page.waitForSelector('tr[data-row]');
  assert.equal(await page.textContent('tr[data-row="0"] td:nth-child(2)'), String(BIG - 1));
  for (let i = 0; i < 6; i++) {
    const height = await page.evaluate(() => { scrollTo(0, document.documentElement.scrollHeight); return document.documentElement.scrollHeight; });
    await page.waitForFunction(before => document.documentElement.scrollHeight > before, height);
  }
  const drawn = await page.locator('tr[data-row]').count();
  assert.ok(drawn < 200, `${drawn} rows are drawn`);
  await page.click('button:has-text("Oldest")');
  await page.waitForFunction(() => document.querySelector('tr[data-row="0"] td:nth-child(2)')?.textContent === '0');
  assert.ok(await page.isDisabled('button:has-text("Older")'));
  await page.fill('.jump input', '777');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('tr[data-row="0"] td:nth-child(2)')?.textContent === '777');
  assert.match(page.url(), /from=777/);
  const at = await server.get('/v1/streams/big-1/events/5000');
  await page.fill('.jump input', at.time);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => location.search.includes('T'));
  await page.waitForFunction(() => Number(document.querySelector('tr[data-row="0"] td:nth-child(2)')?.textContent) > 1000);
  const first = await server.get(`/v1/streams/big-1/events/${await page.textContent('tr[data-row="0"] td:nth-child(2)')}`);
  // The address has milliseconds, the store more digits.
  assert.ok(first.time.slice(0, 23) >= at.time.slice(0, 23), `${first.time} >= ${at.time}`);
  await done(page, 'stream-big');
  t.diagnostic(`first render of a stream: ${await firstRender(server, '/ui/streams/big-1', 'tr[data-row]')} ms`);
});

test('live shows what comes, and away from the head it is counted', async () => {
  const page = await open(server, '/ui/streams/order-8f31?live=1');
  await page.waitForSelector('tr[data-row]');
  await server.append('order-8f31', [{ type: 'NoteAdded', data: { note: 'live' } }]);
  await page.waitForSelector('tr[data-row]:has-text("live")');
  await page.click('button:has-text("Oldest")');
  await page.waitForFunction(() => document.querySelector('tr[data-row="0"] td:nth-child(2)')?.textContent === '0');
  await server.append('order-8f31', [{ type: 'NoteAdded', data: { note: 'later' } }]);
  await page.click('.pill');
  await page.waitForSelector('tr[data-row]:has-text("later")');
  await done(page, 'stream-live', { pictures: false });
});

test('rows are filtered by type and by a condition, opened and walked by keys', async () => {
  const page = await open(server, '/ui/streams/order-8f31');
  await page.waitForSelector('tr[data-row]');
  await page.selectOption('label:has-text("type") select', 'Shipped');
  await page.waitForFunction(() => [...document.querySelectorAll('tr[data-row]')].every(row => row.textContent.includes('Shipped')));
  await page.selectOption('label:has-text("type") select', '');
  await page.waitForFunction(() => document.querySelectorAll('tr[data-row]').length > 30);
  await page.fill('input.where', 'data.total > 140');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=/Looked at all \\d+ events of this stream from here: \\d+ match/');
  await page.fill('input.where', 'data.total >');
  await page.keyboard.press('Enter');
  await page.waitForSelector('input.where[aria-invalid=true]');
  await page.fill('input.where', '');
  await page.keyboard.press('Enter');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Space');
  await page.waitForSelector('tr.detail [role=tree]');
  await page.keyboard.press('e');
  await page.waitForFunction(() => document.querySelectorAll('tr.detail').length > 5);
  await page.keyboard.press('Shift+E');
  await page.keyboard.press('Enter');
  await page.waitForURL(/order-8f31\/\d+$/);
  await done(page, 'stream-keys', { pictures: false, modules: 7 });
});

test('numbers are exact', async () => {
  const page = await open(server, '/ui/streams/exact-1');
  await page.waitForSelector('tr[data-row]');
  assert.match(await page.textContent('tr[data-row="0"]'), /9223372036854775807.*1\.10.*1e-7/);
  await done(page, 'stream-exact', { pictures: false });
});

test('binary, huge, cut and deleted streams say what they are', async () => {
  let page = await open(server, '/ui/streams/binary-1');
  await page.waitForSelector('tr[data-row]:has-text("of binary")');
  await page.click('text=Expand all');
  await page.waitForSelector('pre.hex:has-text("hello.world.")');
  await done(page, 'stream-binary');
  page = await open(server, '/ui/streams/huge-1');
  await page.waitForSelector('tr[data-row]');
  await page.click('text=Expand all');
  await page.waitForSelector('button.more:has-text("show")');
  assert.ok((await page.textContent('main')).length < 40_000);
  await done(page, 'stream-huge');
  page = await open(server, '/ui/streams/cut-1');
  await page.waitForSelector('.band:has-text("0 to 24")');
  await done(page, 'stream-cut');
  page = await open(server, '/ui/streams/gone-1', { allow: [/410/, /404/] });
  await page.waitForSelector('.notice:has-text("deleted")');
  await done(page, 'stream-deleted');
  page = await open(server, '/ui/streams/never-was', { allow: [/404/] });
  await page.waitForSelector('.notice');
  await done(page, 'stream-never');
});

test('an append is refused where the stream has moved, and done where it has not', async () => {
  const page = await open(server, '/ui/streams/order-8f31', { allow: [/412/] });
  await page.waitForSelector('tr[data-row]');
  await page.click('button:has-text("Append")');
  await page.fill('dialog input[type=text]', 'PriceSet');
  await page.fill('dialog textarea', '{"price": 1.10, "n": 9223372036854775807}');
  await server.append('order-8f31', [{ type: 'NoteAdded', data: {} }]);
  await page.click('dialog button.primary');
  await page.waitForSelector('dialog .notice.bad');
  await page.click('dialog .check input');
  await page.click('dialog button.primary');
  await page.waitForSelector('tr[data-row]:has-text("PriceSet")');
  assert.match(await page.textContent('tr[data-row]:has-text("PriceSet")'), /1\.10.*9223372036854775807/);
  await done(page, 'stream-append', { pictures: false });
});

test('a condition is looked for beyond what is loaded, in bounds, and says how far it looked', async () => {
  for (let from = 0; from < 23_000; from += 1000) await server.append('rare-1', Array.from({ length: 1000 }, (_, i) => ({ type: 'Counted', data: { n: from + i } })));
  const page = await open(server, '/ui/streams/rare-1?where=data.n%20%3C%203');
  await page.waitForSelector('.searched:has-text("Looked at 20\u202f000 events, 0 match. Go on")');
  assert.match(await page.textContent('.table-box'), /None of those looked at matches/);
  await page.click('.searched button:has-text("Go on")');
  await page.waitForSelector('.searched:has-text("Looked at all 23\u202f000 events of this stream from here: 3 match")');
  assert.equal(await page.locator('tr[data-row]').count(), 3);
  await page.goto(`${server.url}/ui/events?where=data.n%20%3D%3D%2022990&type=Counted&from=start&dir=forward`);
  await page.waitForSelector('.searched:has-text("Go on")');
  await page.click('.searched button:has-text("Go on")');
  await page.waitForSelector('tr[data-row]:has-text("22990")');
  await done(page, 'searched', { modules: 7 });
});
