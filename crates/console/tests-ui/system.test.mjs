// S15: the machine. What is on disk, is it whole, what a scavenge gives back, how it is set up.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, eventually } from './harness.mjs';
import { answerWith } from './answers.mjs';

let server;
before(async () => { server = await startServer({ args: ['--data', '{folder}/store', '--insecure', '--backup-dir', '{folder}/backups'] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const said = page => page.locator('.sentence').innerText();

test('storage: figures of the log, and what checks it', async () => {
  const page = await open(server, '/ui/system/storage');
  await page.getByRole('heading', { name: 'On disk' }).waitFor();
  assert.match(await said(page), /^The log has /);
  await page.getByRole('button', { name: 'Verify now…' }).waitFor();
  await page.getByText('Free on the disk').waitFor();
  await page.getByRole('button', { name: 'Estimate' }).click();
  await page.getByText(/^There is nothing to give back/).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Start…' }).isDisabled());
  await done(page, 'storage');
});

test('storage: a store in memory has none, and nothing is asked in vain', async () => {
  const memory = await startServer({ args: ['--memory', '--insecure'] });
  try {
    const page = await open(memory, '/ui/system/storage');
    await page.getByText(/^This store is in memory/).waitFor();
    await done(page, 'storage-in-memory');
  } finally {
    await memory.stop();
  }
});

test('a scavenge is estimated first, and started with a reason and a word', async () => {
  let runs = [];
  const given = await answerWith({
    'GET /v1/system/scavenges': () => ({ items: runs, page: { next: null, prev: null } }),
    'POST /v1/system/scavenges': asked => {
      if (asked.body.dryRun) return { segments: 9, rewritten: 2, events: 1204, bytes: 3_100_000_000 };
      runs = [{ id: 's-1', started: '2026-11-22T10:00:00Z', state: 'running', done: 1, total: 9, reason: asked.body.reason, actor: 'ops' }];
      return runs[0];
    },
    'DELETE /v1/system/scavenges/*': () => { runs = [{ ...runs[0], state: 'stopped' }]; return {}; },
  });
  const page = await open(server, '/ui/system/storage');
  const start = page.getByRole('button', { name: 'Start…' });
  await start.waitFor();
  assert.ok(await start.isDisabled(), 'no start without an estimate');
  await page.getByRole('button', { name: 'Estimate' }).click();
  await page.getByText(/Removes 1.204 hidden events and gives back 3\.1 GB/).waitFor();
  await start.click();
  await page.getByLabel('Reason, kept with the change').fill('weekly');
  await page.getByLabel(/This cannot be undone/).fill('scavenge');
  await page.locator('dialog').getByRole('button', { name: 'Scavenge', exact: true }).click();
  await page.getByText('1 of 9').waitFor();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByText('stopped').waitFor();
  assert.deepEqual(given.asked.filter(one => one.method === 'POST').map(one => one.body), [{ dryRun: true }, { reason: 'weekly' }]);
  await given.stop();
  await done(page, 'storage-scavenge');
});

test('configuration: what was changed comes first, with where it comes from', async () => {
  const page = await open(server, '/ui/system/config');
  const { config } = await server.get('/v1/system');
  await page.locator('tbody tr[data-row]').first().waitFor();
  assert.equal(await page.locator('tbody tr[data-row]').count(), config.length);
  const changed = config.filter(one => one.source !== 'default').length;
  assert.match(await said(page), new RegExp(`${config.length} settings, ${changed === 0 ? 'all as they come' : `${changed} changed`}`));
  await page.getByLabel('Filter settings').fill('nothing like this');
  await page.getByText('No setting fits.').waitFor();
  await page.getByLabel('Filter settings').fill('');
  await done(page, 'config');
});

test('metrics: figures now, and what Prometheus needs', async () => {
  const page = await open(server, '/ui/system/metrics');
  await page.getByText(server.url.replace('http://', '')).waitFor();
  await eventually(async () => !(await page.locator('.figure').first().innerText()).includes('unknown'), 'a figure');
  await done(page, 'metrics');
});

const confirm = async (page, title, reason, verb) => {
  const dialog = page.locator('dialog');
  await dialog.getByRole('heading', { name: title }).waitFor();
  await dialog.getByLabel('Reason, kept with the change').fill(reason);
  await dialog.getByRole('button', { name: verb, exact: true }).click();
};

test('a verification is started with a reason, and its result stays', async () => {
  await server.append('order-1', [{ type: 'OrderPlaced', data: { total: 12 } }]);
  const page = await open(server, '/ui/system/storage');
  await page.getByRole('button', { name: 'Verify now…' }).click();
  await confirm(page, 'Verify the log', 'after the move', 'Verify');
  await page.getByText(/^The last verification found every one of \d+ events? as it was written\.$/).waitFor();
  const { last, items } = await server.get('/v1/system/verify');
  assert.equal(items[0].reason, 'after the move');
  await page.getByText(`${last.root.slice(0, 4)}`).first().waitFor();
  await done(page, 'storage-verified');
});

test('a verification that finds damage names the places, and one that runs can be stopped', async () => {
  const run = { id: 'v-1', state: 'running', started: '2026-11-22T10:00:00Z', ended: null, done: 1_000_000, total: 4_000_000, actor: 'ops', reason: 'x', error: null, result: null };
  const given = await answerWith({
    'GET /v1/system/verify': () => ({ items: [run], last: { time: '2026-11-21T10:00:00Z', outcome: 'done', end: '9', events: 9, root: 'ab'.repeat(32), damaged: 1, places: [{ place: 'log/0.seg at byte 70', what: 'a frame does not follow the one before it' }], error: null } }),
    'DELETE /v1/system/verify/*': () => run,
  });
  const page = await open(server, '/ui/system/storage');
  await page.getByText('The last verification found damage in 1 place.').waitFor();
  await page.getByText('log/0.seg at byte 70').waitFor();
  await page.getByText('1.0 MB of 4.0 MB').waitFor();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await eventually(() => given.asked.some(one => one.method === 'DELETE' && one.path === '/v1/system/verify/v-1'), 'the stop');
  await given.stop();
  await done(page, 'storage-damaged');
});

test('a backup is made under a name, read to its end, and has its command', async () => {
  const page = await open(server, '/ui/system/backups');
  await page.getByText('There is no backup yet.').waitFor();
  await page.getByRole('button', { name: 'Back up now…' }).click();
  await page.locator('dialog').getByLabel('Name, or nothing for the time').fill('monday');
  await confirm(page, 'Back up the log', 'before the upgrade', 'Back up');
  await page.locator('tbody .status.good').getByText('verified').waitFor();
  await page.getByText(/^The last backup, monday, was made .* and read to its end\.$/).waitFor();
  const { items } = await server.get('/v1/system/backups');
  assert.deepEqual(items.map(one => [one.name, one.complete]), [['monday', true]]);
  await page.getByText(items[0].restore).waitFor();
  await page.getByRole('button', { name: 'Copy the command that restores monday' }).waitFor();
  await page.getByText('Read models: they are made again from the log.').waitFor();
  await done(page, 'backups');
});

test('operations: what was done here is told, with who and why', async () => {
  await server.send('DELETE', '/v1/streams/order-1?reason=asked%20for%20it');
  const page = await open(server, '/ui/system/operations');
  await page.getByText('asked for it').waitFor();
  await page.getByText('before the upgrade').waitFor();
  const { items } = await server.get('/v1/system/operations');
  assert.equal(await page.locator('tbody tr[data-row]').count(), items.filter(one => !one.of).length);
  await done(page, 'operations');
});

test('users, about, backups', async () => {
  await done(await open(server, '/ui/system/users', { allow: [/501/] }), 'users');
  const about = await open(server, '/ui/system/about');
  await about.getByText(/has been serving/).waitFor();
  await done(about, 'about');
  const without = await startServer({ args: ['--data', '{folder}/store', '--insecure'] });
  try {
    const backups = await open(without, '/ui/system/backups', { allow: [/501/] });
    await backups.getByText('factum serve --data DIR --backup-dir BACKUPS').waitFor();
    await backups.getByText('factum backup restore BACKUP --data OTHER').waitFor();
    await done(backups, 'backups-without-directory');
  } finally { await without.stop(); }
});

test('read-only: nothing that writes is offered', async () => {
  const quiet = await startServer({ args: ['--data', '{folder}/store', '--insecure', '--console', 'read-only'] });
  try {
    const page = await open(quiet, '/ui/system/storage', { allow: [/501/] });
    await page.getByText('Read only: nothing can be changed from here.').first().waitFor();
    await page.getByRole('button', { name: 'Estimate' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Start…' }).count(), 0);
    await done(page, 'storage-read-only', { pictures: false });
  } finally { await quiet.stop(); }
});
