// S11: what is held on a person, how it is forgotten, what is not reached, and whether the receipt is true.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { startServer, browser, open, done, eventually } from './harness.mjs';
import { answerWith } from './answers.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: ['--still'] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const said = page => page.locator('.sentence').innerText();

test('a person is found by id, and the page says what is held and what an erasure will not reach', async () => {
  const page = await open(server, '/ui/privacy');
  await page.getByLabel('Data subject').fill('c-1');
  await page.keyboard.press('Enter');
  await eventually(() => page.url().endsWith('/ui/privacy/c-1'), 'the person\'s page');
  const found = await server.get('/v1/privacy/c-1');
  await page.getByRole('heading', { name: 'What an erasure will not reach' }).waitFor();
  assert.match(await said(page), new RegExp(`We hold ${found.events} events? in ${found.streams.length} streams? with data of c-1, and ${found.keys.length} keys? that opens? it`));
  await page.getByRole('link', { name: found.streams[0].stream }).waitFor();
  await page.getByText('Copies of the key store').waitFor();
  await done(page, 'subject');
});

test('who was erased before is said to be erased, with the receipt', async () => {
  const page = await open(server, '/ui/privacy/c-2');
  await page.getByText('An erasure was asked for').waitFor();
  assert.match(await said(page), /^c-2 was erased: .* nobody can open any more/);
  assert.ok(await page.getByRole('button', { name: 'Erase…' }).isDisabled());
  await done(page, 'subject-erased');
});

test('an erasure: counted first, a reason, the name typed; then a receipt that verifies, and nothing opens', async () => {
  const page = await open(server, '/ui/privacy/c-3', { allow: [/422/] });
  await page.getByRole('button', { name: 'Erase…' }).click();
  const dialog = page.locator('dialog');
  await dialog.getByText(/\d+ keys? will be destroyed for ever\. What \d+ events? in \d+ streams?/).waitFor();
  const verb = dialog.getByRole('button', { name: 'Destroy the keys' });
  await dialog.getByLabel('Reason, kept with the change').fill('request 2026-118');
  await dialog.getByLabel(/This cannot be undone/).fill('c-33');
  assert.ok(await verb.isDisabled(), 'another name is not enough');
  assert.equal((await server.get('/v1/privacy/c-3')).erasures.length, 0, 'a dry run erases nothing');
  await dialog.getByLabel(/This cannot be undone/).fill('c-3');
  await verb.click();
  await eventually(() => /\/ui\/privacy\/receipts\/./.test(page.url()), 'the receipt');
  await page.getByRole('heading', { name: 'Not reached' }).waitFor();
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByText('This receipt is genuine, and still true.').waitFor();
  await page.getByText('request 2026-118').first().waitFor();
  await done(page, 'receipt');

  const after_ = await server.get('/v1/privacy/c-3');
  assert.ok(after_.keys.every(key => key.state.startsWith('destroyed')), 'every key is destroyed');
  const again = await open(server, '/ui/privacy/c-3');
  await again.getByText('What the erasure did not reach').waitFor();
  await done(again, 'subject-just-erased', { pictures: false });
  const rows = await server.get('/v1/projections/customers');
  assert.ok(rows.versions.every(version => version.status !== 'faulted'), 'a projection that meets the erasure does not fault');
});

test('receipts are listed, and a receipt that is not true is said not to be', async () => {
  const { items } = await server.get('/v1/privacy/receipts');
  const page = await open(server, '/ui/privacy/receipts');
  await page.locator('tbody tr[data-row]').first().waitFor();
  assert.equal(await page.locator('tbody tr[data-row]').count(), items.length);
  assert.match(await said(page), /all complete/);
  await done(page, 'receipts');
  const given = await answerWith({ [`GET /v1/privacy/receipts/${items[0].erasure}/verify`]: { valid: false, why: 'the receipt was changed after it was signed: its signature does not fit' } });
  const other = await open(server, `/ui/privacy/receipts/${items[0].erasure}`);
  await other.getByRole('button', { name: 'Verify' }).click();
  await other.getByText('This receipt is not to be believed.').waitFor();
  await other.getByText('its signature does not fit').waitFor();
  await given.stop();
  await done(other, 'receipt-untrue', { pictures: false });
});

test('a legal hold, an outside consumer, an erasure that is not complete', async () => {
  const key = { id: 'k1', purpose: null, state: 'opens', created: '2026-01-01T00:00:00Z' };
  const held = { subject: 'x', keys: [key], events: 3, streams: [{ stream: 'customer-x', events: 3 }], readModels: [], sinks: ['crm'], holds: [{ reason: 'lawsuit 12', actor: 'legal', since: '2026-02-01T00:00:00Z' }], erasures: [] };
  const given = await answerWith({
    'GET /v1/privacy/held': held, 'GET /v1/privacy/slow': { ...held, holds: [] },
    'POST /v1/privacy/slow/erase': asked => (asked.body.dryRun ? { dryRun: true, keys: 1, events: 3, streams: 1, readModels: [] } : { erasure: 'e-1', complete: false, missing: ['caches of another process: their lease ends in 30 s'] }),
  });
  const page = await open(server, '/ui/privacy/held');
  await page.getByText('A legal hold stands', { exact: true }).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Erase…' }).isDisabled());
  await page.locator('.not-reached .named').getByText('crm').waitFor();
  await done(page, 'subject-held');
  const slow = await open(server, '/ui/privacy/slow');
  await slow.getByRole('button', { name: 'Erase…' }).click();
  await slow.getByLabel('Reason, kept with the change').fill('r');
  await slow.getByLabel(/This cannot be undone/).fill('slow');
  await slow.locator('dialog').getByText('1 key will be destroyed').waitFor();
  await slow.getByRole('button', { name: 'Destroy the keys' }).click();
  await slow.getByText('Not everything is reached yet').waitFor();
  await slow.getByText('their lease ends in 30 s').waitFor();
  await given.stop();
  await done(slow, 'subject-incomplete', { pictures: false });
});

test('nobody is nobody', async () => {
  const page = await open(server, `/ui/privacy/${encodeURIComponent('<b>no/body</b> 😀')}`);
  await page.getByText('Nothing is kept of this subject').waitFor();
  await done(page, 'subject-nobody', { pictures: false });
});

test('an export has the person\'s values in clear, and says that it is a copy', async () => {
  const page = await open(server, '/ui/privacy/c-1');
  await page.getByRole('button', { name: 'Export…' }).click();
  await page.getByLabel('Reason, kept with the change').fill('asked for by the person');
  const [file] = await Promise.all([page.waitForEvent('download'), page.locator('dialog').getByRole('button', { name: 'Export', exact: true }).click()]);
  const exported = JSON.parse(readFileSync(await file.path(), 'utf8'));
  assert.equal(exported.subject, 'c-1');
  const values = exported.events.flatMap(event => event.values.map(one => one.pointer));
  assert.ok(values.includes('/name'), `opened: ${values}`);
  await page.getByText(/values? of \d+ events? are in the file/).waitFor();
  await done(page, 'subject-exported', { pictures: false });
});
