// S12: types, what is registered, and what a sample of the events has.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, eventually } from './harness.mjs';
import { answerWith } from './answers.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: ['--still'] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const said = page => page.locator('.sentence').innerText();

test('the list has every type, and system types when asked for', async () => {
  const page = await open(server, '/ui/schemas');
  const { items } = await server.get('/v1/types?limit=1000');
  // A type may be registered before its first event.
  const registered = (await server.get('/v1/schemas')).items.map(one => one.type);
  const own = [...new Set([...items.map(one => one.type), ...registered])].sort().filter(type => !type.startsWith('$'));
  await page.locator('tbody tr[data-row]').first().waitFor();
  assert.equal(await page.locator('tbody tr[data-row]').count(), own.length);
  assert.match(await said(page), new RegExp(`^${own.length} event types?\\.`));
  await page.getByLabel('Filter event types').fill(own[0]);
  await eventually(() => page.url().includes(`q=${own[0]}`), 'the filter in the address');
  await page.getByLabel('Filter event types').fill('');
  await done(page, 'schemas');
});

test('fields are inferred from a sample of real events, and it is said to be one', async () => {
  const [event] = (await server.get('/v1/events?from=end&direction=backward&limit=1&type=FundsDeposited')).items;
  const page = await open(server, `/ui/schemas/${event.type}?tab=fields`, { allow: [/404/] });
  await page.getByText('Inferred from a sample').waitFor();
  for (const name of Object.keys(event.data)) await page.getByRole('cell', { name, exact: true }).waitFor();
  await page.getByText('not from all of them').waitFor();
  await done(page, 'schema-fields');
});

test('examples are stored events', async () => {
  const page = await open(server, '/ui/schemas/FundsDeposited?tab=examples', { allow: [/404/] });
  const link = page.locator('.section').getByRole('link').first();
  await link.waitFor();
  const [, stream, revision] = /^\/ui\/streams\/([^/]+)\/(\d+)$/.exec(await link.getAttribute('href'));
  assert.equal((await server.get(`/v1/streams/${stream}/events/${revision}`)).type, 'FundsDeposited');
  await done(page, 'schema-examples');
});

test('registered versions, what changed between them, and what upcasters make of an old event', async () => {
  const versions = [{ version: 1, schema: { type: 'object', required: ['sum'], properties: { sum: { type: 'number' } } } }, { version: 2, schema: { type: 'object', required: ['total'], properties: { total: { type: 'number', description: 'in euros' } } } }];
  const event = { id: '0191e2c4-5b1f-7c3e-9d2a-0f6c1b7e4a90', stream: 'order-1', revision: 0, position: '3', type: 'OrderPlaced', time: '2026-01-01T00:00:00Z', schemaVersion: 1, data: { sum: 12.5 }, upcasted: { type: 'OrderPlaced', schemaVersion: 2, data: { total: 12.5 }, steps: [{ from: 1, to: 2, does: ["'sum' is called 'total'"], data: { total: 12.5 } }] } };
  const given = await answerWith({ 'GET /v1/schemas/OrderPlaced': { type: 'OrderPlaced', versions, examples: [event] } });
  const page = await open(server, '/ui/schemas/OrderPlaced');
  await page.getByText('in euros').first().waitFor();
  await page.getByRole('heading', { name: 'What v2 changed in v1' }).waitFor();
  await page.getByRole('button', { name: 'v1', exact: true }).click();
  await eventually(() => page.url().includes('v=1'), 'the version in the address');
  await page.getByRole('tab', { name: 'Examples' }).click();
  await page.locator('.diff-removed', { hasText: 'sum' }).waitFor();
  await page.locator('.diff-added', { hasText: 'total' }).waitFor();
  await given.stop();
  await done(page, 'schema-upcast');
});
