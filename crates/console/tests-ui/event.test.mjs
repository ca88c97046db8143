// S4: one event.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, firstRender, orderEvents, eventually } from './harness.mjs';

let server;
before(async () => {
  server = await startServer();
  await server.append('order-8f31', orderEvents(20));
  await server.append('exact-1', '[{"type": "Measured", "data": {"big": 9223372036854775807,  "price": 1.10}, "metadata": {"by": "ada"}}]');
});
after(async () => { await (await browser()).close(); await server?.stop(); });

test('an event is shown with its facts, and by its id', async t => {
  const event = await server.get('/v1/streams/order-8f31/events/7');
  const page = await open(server, `/ui/events/${event.id}`);
  await page.waitForURL('**/ui/streams/order-8f31/7');
  await page.waitForSelector('[role=tree]');
  assert.match(await page.textContent('.facts'), new RegExp(event.id));
  await page.waitForSelector('text=What it changed');
  await page.waitForSelector('.diff li, .section .quiet');
  await done(page, 'event');
  t.diagnostic(`first render of an event: ${await firstRender(server, '/ui/streams/order-8f31/7', '[role=tree]')} ms`);
});

test('brackets go to the events around it, and no further than there are', async () => {
  const page = await open(server, '/ui/streams/order-8f31/18');
  await page.waitForSelector('[role=tree]');
  await page.keyboard.press(']');
  await page.waitForURL('**/order-8f31/19');
  await page.waitForSelector('[role=tree]');
  await page.keyboard.press(']');
  await page.waitForSelector('.toast:has-text("Nothing after")');
  await page.keyboard.press('[');
  await page.waitForURL('**/order-8f31/18');
  await page.waitForSelector('[role=tree]');
  await page.selectOption('.stepper select', 'log');
  await page.keyboard.press('[');
  await page.waitForURL('**/order-8f31/17?scope=log');
  await done(page, 'event-steps', { pictures: false });
});

test('numbers are shown and copied exactly, the stored text to the letter', async () => {
  const { context } = await browser();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: server.url });
  const page = await open(server, '/ui/streams/exact-1/0');
  await page.waitForSelector('[role=tree]');
  const shown = await page.textContent('[role=tree]');
  assert.match(shown, /9223372036854775807/);
  assert.match(shown, /1\.10/);
  await page.keyboard.press('c');
  await page.keyboard.press('e');
  await page.waitForSelector('.toast');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), '{"big": 9223372036854775807,  "price": 1.10}');
  await page.click('[role=tab]:has-text("Raw")');
  await page.waitForSelector('pre');
  assert.equal(await page.textContent('pre >> nth=0'), '{"big": 9223372036854775807,  "price": 1.10}');
  await page.click('[role=tab]:has-text("CloudEvent")');
  await page.waitForSelector('pre:has-text("specversion")');
  assert.match(await page.textContent('pre'), /9223372036854775807/);
  await done(page, 'event-exact');
});

test('the tree is walked by keys', async () => {
  const page = await open(server, '/ui/streams/order-8f31/0');
  await page.waitForSelector('[role=treeitem]');
  await page.focus('[role=treeitem]');
  const focused = () => page.evaluate(() => document.activeElement.dataset.at);
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), '/orderId');
  await page.keyboard.press('End');
  const last = await focused();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await page.getAttribute('[role=treeitem]', 'aria-expanded'), 'false');
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getAttribute('[role=treeitem]', 'aria-expanded'), 'true');
  assert.ok(last.length > 1);
  await done(page, 'event-tree', { pictures: false });
});

test('an event that is not there is told', async () => {
  const page = await open(server, '/ui/streams/order-8f31/4711', { allow: [/404/] });
  await page.waitForSelector('.notice');
  await done(page, 'event-absent');
});

test('an event is copied in each form, and numbers keep their digits', async () => {
  const { context } = await browser();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: server.url });
  const page = await open(server, '/ui/streams/order-8f31/3');
  await page.waitForSelector('[role=tree]');
  const copied = async label => {
    await page.evaluate(() => navigator.clipboard.writeText(''));
    await page.click('summary:has-text("Copy as")');
    await page.click(`.menu-list button:text-matches("^${label}")`);
    // What is made before it is copied comes later.
    return eventually(() => page.evaluate(() => navigator.clipboard.readText()), `the copy of ${label}`);
  };
  assert.equal(await copied('Link'), page.url());
  assert.match(await copied('Data'), /^\{"/);
  assert.equal(await copied('curl'), `curl '${server.url}/v1/streams/order-8f31/events/3'`);
  assert.equal(await copied('Command line'), 'factum event order-8f31@3');
  assert.equal(JSON.parse(await copied('CloudEvent')).specversion, '1.0');
  assert.equal(JSON.parse(await copied('NDJSON line')).type, orderEvents(4)[3].type);
  assert.match(await copied('Rust fixture, #0'), /order-8f31 up to #3, as it is stored\. .*given_stored\(.*#0\n.*#1\n.*#2\n.*#3\n/s);
  await done(page, 'event-copied', { pictures: false });
  const exact = await open(server, '/ui/streams/exact-1/0');
  await exact.waitForSelector('[role=tree]');
  await exact.keyboard.press('c');
  await exact.keyboard.press('r');
  await exact.waitForSelector('.toast:has-text("Fixture of 1 event copied")');
  assert.match(await exact.evaluate(() => navigator.clipboard.readText()), /\("Measured", 1, serde_json::from_str\(r#"\{"big": 9223372036854775807, {2}"price": 1\.10\}"#\)/);
  await done(exact, 'event-fixture', { pictures: false });
});
