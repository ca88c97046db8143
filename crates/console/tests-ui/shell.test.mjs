// What stands around every screen: addresses, keys, the omnibox, settings, strangers' text.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, axe, orderEvents, eventually } from './harness.mjs';
import { path } from '../ui/pure.js';

/** Names that a program may give and a page must not believe. */
const HOSTILE = ['<img src=x onerror=alert(1)>', 'a/b c', '$odd', '\u{1F600}-emoji', 'rtl-\u202Egnp.exe', 'quote"\'`', 'percent%2Fslash', '.', '..', '~..', `long-${'x'.repeat(180)}`];
let server;
before(async () => {
  server = await startServer();
  await server.append('order-8f31', orderEvents(42));
  for (const name of HOSTILE.filter(one => !one.startsWith('$'))) await server.append(name, [{ type: '<script>alert(2)</script>', data: { '<b>key</b>': '<img src=x onerror=alert(3)>\u202E\u0000' } }]);
});
after(async () => { await (await browser()).close(); await server?.stop(); });

test('an address that is none says so', async () => {
  const page = await open(server, '/ui/no/such/page');
  assert.equal(await page.textContent('h1'), 'No such page');
  await done(page, 'nowhere', { pictures: false });
});

test('a bad part of an address is named, and the default used', async () => {
  const page = await open(server, '/ui/streams?sort=sideways&unknown=1');
  await page.waitForSelector('.notice:has-text("not understood")');
  assert.match(await page.textContent('.notice'), /sort/);
  assert.doesNotMatch(await page.textContent('.notice'), /unknown/);
  await done(page, 'bad-address', { pictures: false });
});

test('the omnibox finds streams, and Enter goes there', async () => {
  const page = await open(server, '/ui/streams');
  await page.keyboard.press('Control+k');
  await page.waitForSelector('dialog[open] input');
  await page.keyboard.type('order-8f');
  await page.waitForSelector('[role=option]:has-text("order-8f31")');
  await axe(page, 'light, omnibox');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/ui/streams/order-8f31');
  await page.goBack();
  await page.waitForURL('**/ui/streams');
  await done(page, 'omnibox', { pictures: false, modules: 7 });
});

test('keys go to pages and are listed, unless somebody types', async () => {
  const page = await open(server, '/ui/');
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await page.waitForURL('**/ui/streams');
  await page.waitForSelector('input[type=search]');
  await page.focus('input[type=search]');
  await page.keyboard.type('ge?');
  assert.ok(page.url().includes('/ui/streams'));
  assert.equal(await page.locator('dialog').count(), 0);
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open] .keys');
  await axe(page, 'light, help');
  await page.uncheck('dialog .check input >> nth=0');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.keyboard.press('t');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), undefined);
  await page.evaluate(() => localStorage.clear());
  await done(page, 'keys', { pictures: false, modules: 7 });
});

test('theme and zone are kept', async () => {
  const page = await open(server, '/ui/streams/order-8f31');
  await page.keyboard.press('t');
  await page.keyboard.press('t');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await page.reload();
  await page.waitForSelector('h1');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await page.evaluate(() => localStorage.clear());
  await done(page, 'settings', { pictures: false });
});

test('strangers\' names and payloads are text', async () => {
  for (const name of HOSTILE.filter(one => !one.startsWith('$'))) {
    const page = await open(server, path`/ui/streams/${name}`);
    await page.waitForSelector('tr[data-row]');
    const heading = await page.textContent('h1');
    if (name.includes('\u202E')) assert.match(heading, /‹202E›/);
    else if (name.length < 80) assert.equal(heading, name);
    await page.click('text=Expand all');
    await page.waitForSelector('[role=tree]');
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.match(await page.textContent('[role=tree]'), /<img src=x onerror=alert\(3\)>‹202E›/);
    await page.click('tr[data-row] a.link');
    await page.waitForURL(`**${path`/ui/streams/${name}/0`}`);
    await page.waitForSelector('[role=tree]');
    await page.click('a.button:has-text("State here")');
    await page.waitForSelector('.tt-leaf');
    assert.match(await page.textContent('.tt-leaf'), /<b>key<\/b>/);
    await done(page, `hostile-${HOSTILE.indexOf(name)}`, { pictures: name.startsWith('long') || name.startsWith('<img'), modules: 8 });
  }
});

test('nothing but the feed is asked while nobody does anything', async () => {
  const page = await open(server, '/ui/');
  await page.waitForSelector('.charts');
  await page.waitForFunction(() => document.querySelector('.chart-line'));
  await eventually(() => page.requests.some(one => one.endsWith('/palette.js')), 'what opens over a page');
  // Beats of the feed, counted in what it draws: one for what the page itself asked for, three in which it asks for nothing.
  const beats = () => page.evaluate(() => (document.querySelector('.chart-line')?.getAttribute('d').match(/[ML]/g) ?? []).length);
  const more = async count => { const first = await beats(); await eventually(async () => await beats() >= first + count, `${count} beats`); };
  await more(1);
  const before = page.requests.length;
  await more(3);
  const asked = page.requests.slice(before);
  // Problems are asked for each half minute, which may be now.
  assert.ok(asked.length <= 1 && asked.every(one => one === '/v1/overview'), String(asked));
  await done(page, 'steady', { pictures: false });
});
