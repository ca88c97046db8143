// S5 and S12 with an application's types: the demo's bank, folded by its own code, and its oldest events as it reads them.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done } from './harness.mjs';
import { shownState, flat, at } from './travel.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: ['--still', '--commands', '400'] }); });
after(async () => { await (await browser()).close(); await server?.stop(); });

const FOLD = 'aggregate:Account';
const jump = async (page, revision) => { await page.keyboard.type(String(revision)); await page.keyboard.press('Enter'); await at(page, revision); };
const headOf = async stream => Number((await server.get(`/v1/streams/${stream}`)).lastRevision);

test('an account is folded by its aggregate: at 50 events in both directions as the API says', async () => {
  const head = await headOf('account-1');
  assert.ok(head > 40, `${head} events are too few to travel in`);
  const page = await open(server, '/ui/streams/account-1/state?at=17');
  await at(page, 17);
  assert.equal(await page.inputValue('.tt-fold select'), FOLD);
  let seed = 11;
  for (let i = 0; i < 50; i++) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    const revision = seed % (head + 1);
    await jump(page, revision);
    const { state, failed } = await server.get(`/v1/streams/account-1/state?at=${revision}&fold=${FOLD}`);
    assert.equal(failed, 0);
    assert.deepEqual(await shownState(page), Object.fromEntries(flat(state)), `at ${revision}`);
  }
  await done(page, 'folds-state', { pictures: false });
});

test('blame of every leaf names an event whose patch touches it', async () => {
  const head = await headOf('account-1');
  const { steps } = await server.get(`/v1/streams/account-1/history?fold=${FOLD}&limit=1000`);
  const { items } = await server.get(`/v1/streams/account-1/blame?fold=${FOLD}`);
  assert.ok(items.length >= 5, JSON.stringify(items));
  const page = await open(server, `/ui/streams/account-1/state?at=${head}`);
  await at(page, head);
  for (const item of items) {
    assert.ok(item.setBy, item.pointer);
    const touched = steps.find(step => step.revision === item.setBy.revision).patch.map(op => op.path);
    assert.ok(touched.some(path => path === item.pointer || item.pointer.startsWith(`${path}/`) || path.startsWith(`${item.pointer}/`)), `${item.pointer} by #${item.setBy.revision}: ${touched}`);
    const name = item.pointer.slice(1).replaceAll('/', '.');
    await page.locator('.tt-leaf', { has: page.locator(`.key bdi:text-is("${name}")`) }).click();
    await page.waitForFunction(wanted => document.querySelector('.tt-leaf.focused .key')?.textContent === wanted, name);
    assert.match(await page.textContent('.tt-leaf.focused .tt-setby'), new RegExp(`set by #${item.setBy.revision}$`), name);
  }
  await done(page, 'folds-blame', { pictures: false });
});

test('another fold is chosen by name, and is in the address', async () => {
  const page = await open(server, '/ui/streams/account-1/state?at=9');
  await at(page, 9);
  await page.selectOption('.tt-fold select', 'merge');
  await page.waitForURL(/fold=merge/);
  await at(page, 9);
  const { state } = await server.get('/v1/streams/account-1/state?at=9');
  await page.waitForFunction(() => document.querySelector('.tt-leaf .key')?.textContent === 'account');
  assert.deepEqual(await shownState(page), Object.fromEntries(flat(state)));
  await page.selectOption('.tt-fold select', FOLD);
  await page.waitForFunction(() => !location.search.includes('fold='));
  await page.waitForFunction(() => document.querySelector('.tt-leaf .key')?.textContent !== 'account');
  await done(page, 'folds-choice', { pictures: false });
});

test('what if an event had not happened is folded by the server, and is striped', async () => {
  const head = await headOf('account-1');
  const { items } = await server.get(`/v1/streams/account-1/history?fold=${FOLD}&path=/balance/minor`);
  const off = items[3].revision;
  const page = await open(server, `/ui/streams/account-1/state?at=${head}&off=${off}`);
  await page.getByText('Folded without it').waitFor();
  const { state } = await server.get(`/v1/streams/account-1/state?fold=${FOLD}&without=${off}`);
  await page.waitForFunction(wanted => [...document.querySelectorAll('.tt-leaf')].some(leaf => leaf.querySelector('.key').textContent === 'balance.minor' && leaf.textContent.includes(wanted)), String(state.balance.minor));
  assert.deepEqual(await shownState(page), Object.fromEntries(flat(state)));
  assert.equal(await page.locator('.tt-leaf.unreal').count() > 0, true);
  await page.getByRole('button', { name: 'It did happen' }).click();
  const real = await server.get(`/v1/streams/account-1/state?fold=${FOLD}`);
  await page.waitForFunction(wanted => [...document.querySelectorAll('.tt-leaf')].some(leaf => leaf.querySelector('.key').textContent === 'balance.minor' && leaf.textContent.includes(wanted)), String(real.state.balance.minor));
  await done(page, 'folds-what-if');
});

test('an event that the fold fails at is red, says why, and stepping goes on', async () => {
  // The projection thinks that a card is lost once; this one was lost twice.
  const page = await open(server, '/ui/streams/account-holiday/state?fold=projection:lost_cards');
  await page.waitForSelector('.tt-row.failed');
  const { steps } = await server.get('/v1/streams/account-holiday/history?fold=projection:lost_cards');
  const failed = steps.find(step => step.error);
  await jump(page, failed.revision);
  await page.getByText('The fold failed at this event').waitFor();
  const before = await server.get(`/v1/streams/account-holiday/state?fold=projection:lost_cards&at=${failed.revision - 1}`);
  assert.ok(before.state.lost_cards.holiday, JSON.stringify(before.state));
  assert.deepEqual(await shownState(page), Object.fromEntries(flat(before.state)));
  await page.keyboard.press('ArrowLeft');
  await at(page, failed.revision - 1);
  await page.keyboard.press('ArrowRight');
  await at(page, failed.revision);
  await done(page, 'folds-failed');
});

test('a faulted projection leads to its fault, folded by itself', async () => {
  const page = await open(server, '/ui/projections/lost_cards');
  const href = await page.getByRole('link', { name: 'Step through here' }).getAttribute('href');
  await done(page, 'folds-from-fault', { pictures: false });
  const there = await open(server, href);
  await there.getByText('The fold failed at this event').waitFor();
  assert.equal(await there.inputValue('.tt-fold select'), 'projection:lost_cards');
  await done(there, 'folds-at-fault', { pictures: false });
});

test('a customer is folded with every personal value sealed', async () => {
  const { state } = await server.get('/v1/streams/customer-c-1/state?fold=aggregate:Customer');
  assert.ok(state.name.$pii && state.email.$pii && state.address.$pii, JSON.stringify(state));
  const page = await open(server, '/ui/streams/customer-c-1/state');
  await page.waitForSelector('.tt-leaf');
  assert.equal(await page.inputValue('.tt-fold select'), 'aggregate:Customer');
  await done(page, 'folds-customer');
});

test('an old event is shown as stored and after upcasting', async () => {
  const page = await open(server, '/ui/streams/account-museum/0');
  await page.getByRole('tab', { name: 'As stored' }).waitFor();
  await page.getByRole('tab', { name: 'After upcasting' }).click();
  await page.getByText('v1 → v2').waitFor();
  await page.getByText('v2 → v3').waitFor();
  await page.locator('.diff-added', { hasText: 'currency' }).waitFor();
  await page.locator('.diff-removed', { hasText: 'owner' }).waitFor();
  await page.getByText("'owner' is called 'holder'").waitFor();
  await done(page, 'folds-event');
});

test('a type shows its upcasters with a stored event, and how many events are of each version', async () => {
  const page = await open(server, '/ui/schemas/FundsDeposited');
  await page.getByRole('tab', { name: 'Upcasters' }).waitFor();
  await page.getByRole('heading', { name: 'v1 → v2' }).waitFor();
  await page.locator('.diff-removed', { hasText: 'cents' }).waitFor();
  await page.locator('.diff-added', { hasText: 'amount.minor' }).waitFor();
  const { items: [of] } = await server.get('/v1/types?q=FundsDeposited');
  assert.equal(of.versions.find(one => one.version === 1).events, 2);
  const row = page.getByRole('row', { name: /^v1\b/ });
  assert.match(await row.textContent(), /2/);
  await done(page, 'folds-schema');
});
