// S10: what each process waits for, and what happened to it.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done, eventually } from './harness.mjs';
import { answerWith } from './answers.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: ['--still'] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const said = page => page.locator('.sentence').innerText();
const some = async query => (await server.get(`/v1/processes?${query}`)).items;

test('the list has those under way, filters are addresses, and those that are over come when asked for', async () => {
  const page = await open(server, '/ui/processes');
  const running = await some('limit=200');
  await page.locator('tbody tr[data-row]').first().waitFor();
  assert.equal(await page.locator('tbody tr[data-row]').count(), running.length);
  assert.match(await said(page), /under way, and none is stuck/);
  await page.getByLabel('Also those that are over').check();
  await eventually(() => page.url().endsWith('?all=1'), 'the choice in the address');
  const all = await some('all=true&limit=200');
  assert.ok(all.length > running.length);
  await eventually(async () => (await page.locator('tbody tr[data-row]').count()) === all.length, 'all of them');
  await page.getByLabel('Stage').selectOption('failed');
  await eventually(async () => (await page.locator('tbody tr[data-row]').count()) === all.filter(one => one.stage === 'failed').length, 'those that failed');
  await page.goBack();
  await eventually(() => page.url().endsWith('?all=1'), 'the former choice');
  await done(page, 'processes');
});

test('one that waits says for what, and draws what is open', async () => {
  const [waiting] = await some('stage=running');
  const page = await open(server, `/ui/processes/${waiting.process}/${encodeURIComponent(waiting.id)}`);
  await page.locator('.timeline li').first().waitFor();
  assert.match(await said(page), /It waits for its next event, or for timer deadline, due in/);
  const { timeline } = await server.get(`/v1/processes/${waiting.process}/${encodeURIComponent(waiting.id)}`);
  assert.equal(await page.locator('.timeline li').count(), timeline.length);
  const input = timeline.find(entry => entry.data?.input?.kind === 'event').data.input;
  assert.equal(await page.locator('.timeline').getByRole('link', { name: `${input.stream} #${input.revision}` }).getAttribute('href'), `/ui/streams/${input.stream}/${input.revision}`);
  // The timer still runs: its line goes on in the last row.
  assert.equal(await page.locator('.timeline li').last().locator('line.lane-timer').count(), 1);
  await page.locator('.timeline').getByRole('button', { name: 'Show the record of began' }).click();
  await page.locator('.moment-data').getByRole('tree').waitFor();
  await done(page, 'process');
});

test('one that failed shows what was undone, and only the trouble where that is asked for', async () => {
  const [failed] = await some('stage=failed&all=true');
  const page = await open(server, `/ui/processes/${failed.process}/${encodeURIComponent(failed.id)}`);
  await page.locator('.timeline li').first().waitFor();
  assert.match(await said(page), /It is over: it failed .* and what it had done is undone\./);
  assert.equal(await page.getByRole('button', { name: 'Cancel…' }).count(), 0, 'what is over cannot be cancelled');
  const whole = await page.locator('.timeline li').count();
  await page.getByLabel('Only trouble').check();
  await eventually(async () => (await page.locator('.timeline li').count()) < whole, 'only the trouble');
  assert.ok(await page.locator('.timeline li.bad').count() > 0);
  await done(page, 'process-failed');
});

test('cancel says what is undone, needs a reason and the name, and is recorded', async () => {
  const [waiting] = await some('stage=running');
  const at = `/v1/processes/${waiting.process}/${encodeURIComponent(waiting.id)}`;
  const page = await open(server, at.replace('/v1', '/ui'));
  await page.getByRole('button', { name: 'Cancel…' }).click();
  const dialog = page.locator('dialog');
  await dialog.getByText(/The process fails\. \d+ done steps? (is|are) undone, the last one first\./).waitFor();
  const verb = dialog.getByRole('button', { name: 'Cancel the process' });
  await dialog.getByLabel('Reason, kept with the change').fill('the order was a mistake');
  assert.ok(await verb.isDisabled());
  await dialog.getByLabel(/This cannot be undone/).fill(waiting.instance);
  await verb.click();
  await page.getByText('Asked to cancel.').waitFor();
  await eventually(async () => {
    const shown = await server.get(at);
    return shown.pendingRequests?.some(one => one.reason === 'the order was a mistake') || shown.timeline.some(entry => entry.data?.input?.reason === 'the order was a mistake');
  }, 'the request in the instance\'s record');
  await done(page, 'process-cancelled', { pictures: false });
});

test('an overdue timer is flagged, in the list and on its page', async () => {
  const item = { instance: 'order-7', process: 'order', id: '7', stage: 'running', step: 'pay', startedTime: '2026-01-01T00:00:00Z', updatedTime: '2026-01-01T00:00:00Z', inputs: 1, outstanding: 0, held: 0, nextTimer: 'deadline 2026-01-01T00:05:00Z', lastError: null };
  const given = await answerWith({ 'GET /v1/processes': { items: [item], page: { next: null, prev: null } }, 'GET /v1/processes/order/7': { ...item, timers: [{ name: 'deadline', due: '2026-01-01T00:05:00Z' }], timeline: [] } });
  const page = await open(server, '/ui/processes');
  await page.getByText('overdue by').first().waitFor();
  assert.match(await said(page), /1 timer is overdue/);
  await page.getByRole('link', { name: '7', exact: true }).click();
  await page.getByText('Is its runner running?').waitFor();
  await given.stop();
  await done(page, 'process-overdue', { pictures: false });
});
