// S5: time travel.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, firstRender, orderEvents } from './harness.mjs';
import { shownState, flat, at } from './travel.mjs';

let server;
before(async () => {
  server = await startServer();
  await server.append('order-8f31', orderEvents(42));
  for (let from = 0; from < 2500; from += 500) {
    await server.append('long-1', Array.from({ length: 500 }, (_, i) => ({ type: ['Moved', 'Turned', 'Stopped'][(from + i) % 3], data: { [`f${(from + i) % 40}`]: { v: from + i, w: `x${from + i}` }, n: from + i } })));
  }
  await server.append('wide-1', Array.from({ length: 30 }, (_, i) => ({ type: 'Filled', data: Object.fromEntries(Array.from({ length: 40 }, (__, n) => [`k${i}_${n}`, i * n])) })));
  await server.append('exact-1', '[{"type": "A", "data": {"big": 9223372036854775807, "price": 1.10}}, {"type": "B", "data": {"price": 1.1}}]');
  await server.append('other-1', [{ type: 'Begun', data: { here: true } }]);
});
after(async () => { await (await browser()).close(); await server?.stop(); });


test('the state at any event is what the API says, in both directions', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=17');
  await page.waitForSelector('.tt-leaf');
  let seed = 5;
  for (let i = 0; i < 25; i++) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    const revision = seed % 42;
    await page.keyboard.type(String(revision));
    await page.keyboard.press('Enter');
    await at(page, revision);
    const { state } = await server.get(`/v1/streams/order-8f31/state?at=${revision}`);
    assert.deepEqual(await shownState(page), Object.fromEntries(flat(state)), `at ${revision}`);
  }
  await done(page, 'state', { pictures: false });
});

test('as in the picture', async t => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=17');
  await at(page, 17);
  await page.waitForSelector('.tt-event [role=tree]');
  assert.equal(await page.locator('.tt-leaf.changed, .tt-leaf.added').count() > 0, true);
  assert.equal(await page.getAttribute('input[type=range]', 'aria-valuetext').then(text => text.startsWith('event 17, ')), true);
  await done(page, 'time-travel');
  t.diagnostic(`first render of time travel: ${await firstRender(server, '/ui/streams/order-8f31/state?at=17', '.tt-leaf')} ms`);
});

test('with the keyboard only: step, same type, ends, marks, difference', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=17');
  await at(page, 17);
  await page.keyboard.press('ArrowRight');
  await at(page, 18);
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await at(page, 16);
  const type = (await server.get('/v1/streams/order-8f31/events/16')).type;
  await page.keyboard.press('Shift+ArrowRight');
  await page.waitForFunction(() => document.querySelector('.tt-now strong').textContent !== '#16');
  const next = Number((await page.textContent('.tt-now strong')).slice(1));
  assert.equal((await server.get(`/v1/streams/order-8f31/events/${next}`)).type, type);
  await page.keyboard.press('Home');
  await at(page, 0);
  await page.keyboard.press('m');
  await page.keyboard.press('End');
  await page.keyboard.press('d');
  await page.waitForSelector('.diff li');
  assert.match(await page.textContent('#tt-state'), /Difference from #0 to #41/);
  await page.waitForURL(/a=0.*view=diff|view=diff.*a=0/);
  const { items } = await server.get('/v1/streams/order-8f31/diff?a=0&b=41');
  // The API names an object that was added as a whole, the page its leaves.
  const leaves = items.reduce((sum, item) => { const value = item.after ?? item.before; return sum + (value !== null && typeof value === 'object' && !Array.isArray(value) ? flat(value).length : 1); }, 0);
  assert.equal(await page.locator('.diff li').count(), leaves);
  await page.keyboard.press('d');
  await at(page, 41);
  await page.waitForFunction(() => /^event 41, .*changed$/.test(document.querySelector('#spoken').textContent));
  await done(page, 'state-keyboard', { pictures: false });
});

test('an address brings everything back', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=20&a=9&b=17&view=diff&by=time&watch=total');
  await page.waitForSelector('.diff li');
  assert.match(await page.textContent('#tt-state'), /from #9 to #17/);
  await page.waitForSelector('.tt-watch .v-number');
  assert.equal(await page.getAttribute('button:has-text("By time")', 'aria-pressed'), 'true');
  await done(page, 'state-diff');
});

test('each field says who set it, and blame goes there', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=30');
  await at(page, 30);
  const { items } = await server.get('/v1/streams/order-8f31/blame?at=30');
  for (const item of items) {
    await page.keyboard.press('j');
    await page.waitForSelector('.tt-leaf.focused');
  }
  for (const item of items.slice(0, 6)) {
    const name = item.pointer.slice(1).replaceAll('/', '.');
    await page.locator('.tt-leaf', { has: page.locator(`.key bdi:text-is("${name}")`) }).click();
    await page.waitForFunction(wanted => document.querySelector('.tt-leaf.focused .key')?.textContent === wanted, name);
    assert.match(await page.textContent('.tt-leaf.focused .tt-setby'), new RegExp(`set by #${item.setBy.revision}$`), name);
  }
  const target = items[0];
  await page.locator('.tt-leaf', { has: page.locator(`.key bdi:text-is("${target.pointer.slice(1).replaceAll('/', '.')}")`) }).click();
  await page.keyboard.press('b');
  await at(page, target.setBy.revision);
  await done(page, 'state-blame', { pictures: false });
});

test('a field has a history, with a line for numbers', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=30');
  await at(page, 30);
  await page.locator('.tt-leaf', { has: page.locator('.key bdi:text-is("total")') }).click();
  await page.keyboard.press('h');
  await page.waitForSelector('dialog .spark');
  const { items } = await server.get('/v1/streams/order-8f31/history?path=/total');
  assert.equal(await page.locator('dialog tr[data-row]').count(), items.length);
  await page.waitForURL(/field=/);
  await done(page, 'state-history');
});

test('what if an event had not happened', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=10');
  await at(page, 10);
  const events = (await server.get('/v1/streams/order-8f31/events?from=start&limit=100')).items;
  const off = events.findIndex((event, i) => i > 3 && event.type === 'LineAdded');
  await page.keyboard.type(String(off));
  await page.keyboard.press('Enter');
  await at(page, off);
  await page.keyboard.press('x');
  await page.waitForSelector('.tt-whatif:has-text("would be different")');
  await page.keyboard.type(String(off + 1));
  await page.keyboard.press('Enter');
  await at(page, off + 1);
  const merge = (into, from) => { for (const [key, value] of Object.entries(from)) { if (value === null) delete into[key]; else if (typeof value === 'object' && !Array.isArray(value)) merge(into[key] = typeof into[key] === 'object' ? into[key] : {}, value); else into[key] = value; } return into; };
  const wanted = events.slice(0, off + 2).filter((_, i) => i !== off).reduce((state, event) => merge(state, event.data), {});
  const seen = await shownState(page);
  for (const [name, value] of flat(wanted)) assert.equal(seen[name], value, name);
  await page.waitForURL(new RegExp(`off=${off}`));
  await done(page, 'state-what-if');
});

test('an expression is watched, and a bad one is told', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=20');
  await at(page, 20);
  await page.keyboard.press('w');
  await page.fill('dialog input', 'total -');
  await page.waitForSelector('dialog .v-gone');
  await page.fill('dialog input', 'total - 100');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.tt-row .tt-watch .v-number');
  const { state } = await server.get('/v1/streams/order-8f31/state?at=20');
  assert.equal(await page.textContent('.tt-row.now .tt-watch'), String(state.total - 100));
  await done(page, 'state-watch', { pictures: false });
});

test('it plays to the end, and follows when live', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=36');
  await at(page, 36);
  await page.selectOption('select[aria-label=Speed]', '16');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('Space');
  await at(page, 41);
  await page.waitForSelector('.tt-play:has-text("Play")');
  await page.keyboard.press('l');
  await page.waitForFunction(() => !location.search.includes('at='));
  await server.append('order-8f31', [{ type: 'NoteAdded', data: { note0: 'while live' } }]);
  await at(page, 42);
  await page.waitForSelector('.tt-leaf.changed:has-text("while live"), .tt-leaf.added:has-text("while live")');
  await done(page, 'state-live', { pictures: false });
});

test('other streams at the same moment', async () => {
  const page = await open(server, '/ui/streams/order-8f31/state?at=41');
  await at(page, 41);
  await page.click('.tt-tools summary:has-text("More")');
  await page.click('text=The world at this moment');
  await page.fill('dialog input', 'long-');
  await page.click('dialog a:has-text("long-1")');
  await page.waitForURL(/streams\/long-1\/state\?at=/);
  await page.waitForSelector('.tt-row, .notice');
  await done(page, 'state-world', { pictures: false });
});

test('numbers are exact, and 1.10 to 1.1 is a change', async () => {
  const page = await open(server, '/ui/streams/exact-1/state');
  await at(page, 1);
  assert.match(await page.textContent('.tt-state'), /big 9223372036854775807/);
  assert.match(await page.textContent('.tt-leaf.changed'), /1\.10 → 1\.1/);
  await done(page, 'state-exact', { pictures: false });
});

test('a long stream is scrubbed quickly', async t => {
  const page = await open(server, '/ui/streams/long-1/state?at=1200');
  await at(page, 1200);
  const figures = await page.evaluate(async () => {
    const out = [];
    for (let i = 0; i < 60; i++) {
      const begun = performance.now();
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true, cancelable: true }));
      await new Promise(seen => requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = seen; channel.port2.postMessage(0); }));
      out.push(performance.now() - begun);
    }
    return out.sort((a, b) => a - b);
  });
  t.diagnostic(`a step of scrubbing, key to frame: p50 ${figures[30].toFixed(1)} ms, p95 ${figures[57].toFixed(1)} ms, 81 leaves of 2,500 events`);
  await at(page, 1260);
  assert.ok(await page.locator('.tt-row').count() < 80);
  await done(page, 'state-long');
});

test('a wide state is drawn in part and says what changed', async () => {
  const page = await open(server, '/ui/streams/wide-1/state?at=20');
  await at(page, 20);
  assert.ok(await page.locator('.tt-leaf').count() < 120);
  await page.waitForSelector('.tt-leaf.added');
  await page.fill('.tt-filter', 'k3_7');
  await page.waitForFunction(() => document.querySelectorAll('.tt-leaf').length === 1);
  await page.fill('.tt-filter', '');
  await done(page, 'state-wide');
});
