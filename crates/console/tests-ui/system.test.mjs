// S15: the machine. What is on disk, is it whole, what a scavenge gives back, how it is set up.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, eventually } from './harness.mjs';
import { answerWith } from './answers.mjs';

let server;
before(async () => { server = await startServer({ args: ['--data', '{folder}/store', '--insecure'] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const said = page => page.locator('.sentence').innerText();

test('storage: figures of the log, and what checks it', async () => {
  const page = await open(server, '/ui/system/storage');
  await page.getByRole('heading', { name: 'On disk' }).waitFor();
  assert.match(await said(page), /^The log has /);
  await page.getByText('factum storage verify --data DIR').waitFor();
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

test('users, about, backups', async () => {
  await done(await open(server, '/ui/system/users', { allow: [/501/] }), 'users');
  const about = await open(server, '/ui/system/about');
  await about.getByText(/has been serving/).waitFor();
  await done(about, 'about');
  const backups = await open(server, '/ui/system/backups');
  await backups.getByText('factum backup restore BACKUP --data OTHER').waitFor();
  await done(backups, 'backups');
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
