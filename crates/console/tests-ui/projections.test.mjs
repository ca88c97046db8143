// S8: how far projections are, what they stand still at, and the new version beside the old one.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, eventually } from './harness.mjs';
import { answerWith, problem } from './answers.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: [] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const said = page => page.locator('.sentence').innerText();
const confirm = async (page, reason, verb) => {
  await page.getByLabel('Reason, kept with the change').fill(reason);
  await page.locator('dialog').getByRole('button', { name: verb, exact: true }).click();
};

test('the list says first what is wrong, and each row leads to its projection', async () => {
  const page = await open(server, '/ui/projections');
  await page.getByRole('link', { name: 'lost_cards' }).waitFor();
  assert.match(await said(page), /1 projection is faulted: lost_cards/);
  const items = (await server.get('/v1/projections')).items;
  assert.equal(await page.locator('tbody tr[data-row]').count(), items.length);
  await page.keyboard.press('j');
  await page.locator('tr[data-row="0"]:focus').waitFor();
  await page.keyboard.press('Enter');
  await eventually(() => page.url().endsWith(`/ui/projections/${items[0].name}`), 'the first projection');
  await page.goBack();
  await page.getByRole('link', { name: 'lost_cards' }).waitFor();
  await done(page, 'projections');
});

test('a faulted one shows the event, its data, the error, and leads to the event', async () => {
  const page = await open(server, '/ui/projections/lost_cards');
  const fault = page.locator('.fault');
  await fault.getByText('UNIQUE constraint failed').first().waitFor();
  assert.match(await said(page), /stands still before an event that it cannot apply/);
  const { versions } = await server.get('/v1/projections/lost_cards');
  const event = await server.get(`/v1/events/${versions[0].faults[0].event}`);
  const step = fault.getByRole('link', { name: 'Step through here' });
  await step.waitFor();
  assert.ok((await step.getAttribute('href')).startsWith(`/ui/streams/${encodeURIComponent(event.stream)}/state`));
  assert.equal(await fault.getByRole('link', { name: `${event.stream} #${event.revision}` }).getAttribute('href'), `/ui/streams/${event.stream}/${event.revision}`);
  await fault.getByText('Its data').click();
  await fault.getByRole('tree').waitFor();
  await done(page, 'projection-faulted');
});

test('rows of a table are those of the API, and tabs are addresses', async () => {
  const page = await open(server, '/ui/projections/balances');
  await page.getByRole('columnheader', { name: /account/ }).waitFor();
  const { tables } = (await server.get('/v1/projections/balances')).versions[0];
  const { rows } = await server.get(`/v1/projections/balances/tables/${tables[0].table}?limit=1000`);
  assert.ok(rows.length > 0);
  await page.getByText(new RegExp(`^${rows.length} rows\\.|^The first 100 rows`)).waitFor();
  await page.getByRole('tab', { name: 'History' }).click();
  await eventually(() => page.url().endsWith('?tab=history'), 'the tab in the address');
  await page.reload();
  await page.getByRole('tab', { name: 'History', selected: true }).waitFor();
  await done(page, 'projection-history');
});

test('a rebuild with other logic: built beside, compared row by row, promoted in one step, the former one discarded', async () => {
  const page = await open(server, '/ui/projections/lost_cards', { allow: [/409|422/] });
  await page.getByRole('button', { name: 'Rebuild…' }).click();
  const definition = page.getByLabel(/^Declaration/);
  const text = await definition.inputValue();
  // The mended declaration takes a card that is reported twice, and says so in the reason.
  const mended = text.replace('insert into lost_cards (account, reason, since) values (:data.account, :data.reason, :occurred_at)', "insert into lost_cards (account, reason, since) values (:data.account, 'lost: ' || :data.reason, :occurred_at) on conflict (account) do nothing");
  assert.notEqual(mended, text);
  await definition.fill(mended);
  await confirm(page, 'a card may be lost twice', 'Build beside');
  await page.getByText('The new version is being built').waitFor();
  await page.getByRole('tab', { name: 'Compare with v2' }).click();
  const caughtUp = () => server.get('/v1/projections/lost_cards').then(one => one.versions.some(version => version.version === 'v2' && version.lag === 0));
  await eventually(caughtUp, 'v2 at the end of the log');
  await page.getByRole('button', { name: 'Compare again' }).click();
  const compared = await server.get('/v1/projections/lost_cards/compare');
  const [table] = compared.tables;
  assert.ok(table.changed > 0 && table.onlyNew > 0, 'the new logic makes other rows');
  await page.getByText(new RegExp(`v1 and v2 differ: ${table.changed} rows? changed`)).waitFor();
  await page.locator('tr.row-changed del').first().waitFor();
  await page.getByRole('button', { name: /only in v2/ }).click();
  await eventually(() => page.url().includes('kind=onlyNew'), 'the choice in the address');
  assert.equal(await page.locator('tr.row-changed').count(), 0);
  await page.locator('tr.row-added ins').first().waitFor();
  await done(await open(server, '/ui/projections/lost_cards?tab=compare'), 'projection-compare');
  await done(await open(server, '/ui/projections/lost_cards?tab=source'), 'projection-declaration');

  await page.getByRole('button', { name: 'Promote v2' }).first().click();
  await page.locator('dialog').getByText(/v2 will serve in place of v1, in one step: readers will see \d+ other rows?/).waitFor();
  const promote = page.locator('dialog').getByRole('button', { name: 'Promote', exact: true });
  assert.ok(await promote.isDisabled(), 'nothing is promoted without a reason');
  await confirm(page, 'mended', 'Promote');
  await page.getByText('v2 serves now. v1 is kept.').waitFor();
  const roleOf = async version => (await server.get('/v1/projections/lost_cards')).versions.find(one => one.version === version)?.role;
  assert.equal(await roleOf('v2'), 'serving');

  await page.getByText('More', { exact: true }).click();
  await page.getByRole('button', { name: 'Roll back to v1' }).click();
  await confirm(page, 'not yet decided', 'Roll back');
  // The former version stands still where it stood: the server refuses, and the dialog says why.
  await page.locator('dialog').getByText('wait until it has caught up').first().waitFor();
  await page.locator('dialog').getByRole('button', { name: 'Cancel' }).click();

  await page.getByText('More', { exact: true }).click();
  await page.getByRole('button', { name: /^Discard/ }).click();
  const discard = page.locator('dialog').getByRole('button', { name: 'Discard', exact: true });
  await page.getByLabel('Reason, kept with the change').fill('tidy');
  assert.ok(await discard.isDisabled(), 'what cannot be undone needs the name');
  await page.getByLabel(/This cannot be undone/).fill('lost_cards');
  await discard.click();
  await page.getByText('Discard: done.').waitFor();
  assert.equal(await roleOf('v1'), undefined);
  await page.getByRole('tab', { name: 'History' }).click();
  await page.getByText('a card may be lost twice').waitFor();
  await done(page, 'projection-after', { pictures: false });
});

test('the same rows are told to be the same, and a promotion is taken back', async () => {
  const page = await open(server, '/ui/projections/balances');
  await page.getByRole('button', { name: 'Rebuild…' }).click();
  await confirm(page, 'to be sure', 'Build beside');
  await page.getByText('The new version is being built').waitFor();
  await eventually(() => server.get('/v1/projections/balances').then(one => one.versions.some(version => version.version === 'v2' && version.lag === 0)), 'v2 at the end of the log');
  await page.getByRole('button', { name: 'Promote v2' }).first().click();
  await page.locator('dialog').getByText('readers will see 0 other rows').waitFor();
  await confirm(page, 'the same', 'Promote');
  await page.getByText('v2 serves now. v1 is kept.').waitFor();
  await page.getByText('More', { exact: true }).click();
  await page.getByRole('button', { name: 'Roll back to v1' }).click();
  await confirm(page, 'taken back', 'Roll back');
  await page.getByText('v1 serves now. v2 is kept.').waitFor();
  assert.equal((await server.get('/v1/projections/balances')).versions.find(one => one.version === 'v1').role, 'serving');
  await done(page, 'projection-rolled-back', { pictures: false });
});

test('skip says what is lost, takes a reason, and the projection goes on', async () => {
  // The shared bank's projection was mended above.
  const other = await startServer({ command: 'demo', args: ['--still'] });
  const page = await open(other, '/ui/projections/lost_cards');
  const before_ = (await other.get('/v1/projections/lost_cards')).versions[0].faults[0].position;
  await page.getByRole('button', { name: 'Skip…' }).click();
  await page.locator('dialog').getByText('1 event is passed over').waitFor();
  await confirm(page, 'reported twice by the branch', 'Skip');
  await page.getByText(/^Position .* is skipped\.$/).waitFor();
  await eventually(async () => (await other.get('/v1/projections/lost_cards')).versions[0].faults?.[0]?.position !== before_, 'another place');
  const { skips } = (await other.get('/v1/projections/lost_cards')).versions[0];
  assert.ok(skips.some(skip => skip.position === before_ && skip.reason === 'reported twice by the branch'));
  await done(page, 'projection-skipped', { pictures: false });
  await other.stop();
});

test('what stalls is called stalled, what is unknown is called unknown', async () => {
  const item = { name: 'slow', version: 'v1', role: 'serving', status: 'stalled', applied: '10', lag: 5, events: 10, why: 'no progress for 42 s although events exist', lagMillis: 42_000 };
  const given = await answerWith({ 'GET /v1/projections': { items: [item, { ...item, name: 'dark', status: 'running', lag: null, lagMillis: null, why: null }] }, 'GET /v1/live': { items: [] } });
  const page = await open(server, '/ui/projections', { allow: [/EventSource|MIME/], ownFeed: true });
  await page.getByRole('link', { name: 'slow' }).waitFor();
  assert.match(await said(page), /1 projection is stalled: slow/);
  assert.match(await page.locator('tr', { hasText: 'dark' }).innerText(), /unknown/);
  await given.stop();
  await done(page, 'projections-stalled', { pictures: false });
});

test('a projection that is not there is said not to be there', async () => {
  const page = await open(server, '/ui/projections/nothing', { allow: [/404/] });
  await page.getByText('There is no such projection').waitFor();
  await done(page, 'projection-absent', { pictures: false });
});

test('a refusal is shown in the dialog, and what was typed stays', async () => {
  const given = await answerWith({ 'POST /v1/projections/balances/stop': problem(409, 'conflict', 'It is being promoted') });
  const page = await open(server, '/ui/projections/balances', { allow: [/409/] });
  await page.getByText('More', { exact: true }).click();
  await page.getByRole('button', { name: 'Stop v1' }).click();
  await confirm(page, 'night work', 'Stop');
  await page.locator('dialog').getByText('It is being promoted').first().waitFor();
  assert.equal(await page.getByLabel('Reason, kept with the change').inputValue(), 'night work');
  await given.stop();
  await done(page, 'projection-refused', { pictures: false });
});
