// How the console looks where one may not write, where it is production, where one must sign in, and where the server goes away.
import { test, after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, browser, open, done, axe } from './harness.mjs';

after(async () => { await (await browser()).close(); });

test('read only and production are said, and nothing that writes is offered', async () => {
  // Where nothing may be written, the events are there from before.
  const data = mkdtempSync(join(tmpdir(), 'factum-kept-'));
  const before = await startServer({ args: ['--data', data, '--insecure'] });
  await before.append('order-1', [{ type: 'OrderPlaced', data: {} }]);
  await before.stop();
  const server = await startServer({ args: ['--data', data, '--insecure', '--console', 'read-only', '--environment', '<b>Payments</b> EU', '--production'] });
  const page = await open(server, '/ui/streams/order-1');
  await page.waitForSelector('tr[data-row]');
  assert.equal(await page.textContent('.environment'), '<b>Payments</b> EU (read only)');
  assert.equal(await page.locator('button:has-text("Append")').count(), 0);
  await page.click('summary:has-text("More")');
  assert.equal(await page.locator('button:has-text("Delete")').count(), 0);
  await page.keyboard.press('Escape');
  await done(page, 'production');
  await server.stop();
  rmSync(data, { recursive: true });
});

test('the console can be off', async () => {
  const server = await startServer({ args: ['--memory', '--insecure', '--console', 'off'] });
  assert.equal((await fetch(`${server.url}/ui/`)).status, 404);
  await server.stop();
});

test('where users are asked for, the console asks, and keeps nothing', async () => {
  const server = await startServer({ args: ['--memory'], env: { FACTUM_ADMIN_PASSWORD: 'correct horse 1', FACTUM_OPS_PASSWORD: 'correct horse 2' } });
  const page = await open(server, '/ui/streams', { allow: [/401/] });
  await page.waitForSelector('.sign-in');
  await axe(page, 'light, sign-in');
  await page.fill('input[name=login]', 'admin');
  await page.fill('input[name=password]', 'wrong');
  await page.click('button.primary');
  await page.waitForSelector('.sign-in [role=alert]');
  await page.fill('input[name=password]', 'correct horse 1');
  await page.click('button.primary');
  await page.waitForSelector('h1:has-text("Streams")');
  await page.waitForSelector('.status.good:has-text("live")');
  await page.reload();
  await page.waitForSelector('h1:has-text("Streams")');
  const seen = await page.evaluate(() => [document.cookie, JSON.stringify({ ...sessionStorage }), JSON.stringify({ ...localStorage })].join(' '));
  assert.doesNotMatch(seen, /factum_session|horse|Basic|admin/);
  await page.click('button:has-text("Sign out")');
  await page.waitForSelector('.sign-in');
  await done(page, 'sign-in');
  await server.stop();
});

test('a session that ends is begun again, and the page stays as it was', async () => {
  const server = await startServer({ args: ['--memory'], env: { FACTUM_ADMIN_PASSWORD: 'correct horse 1', FACTUM_OPS_PASSWORD: 'correct horse 2' } });
  const page = await open(server, '/ui/streams', { allow: [/401|403/] });
  const signIn = async (name, password) => {
    await page.fill('input[name=login]', name);
    await page.fill('input[name=password]', password);
    await page.click('button.primary:has-text("Sign in")');
  };
  await page.waitForSelector('.sign-in');
  await signIn('admin', 'correct horse 1');
  await page.waitForSelector('.status.good:has-text("live")');
  await page.fill('input[type=search]', 'orde');
  // Another tab ends it.
  await page.evaluate(() => fetch('/v1/session', { method: 'DELETE', headers: { 'x-factum-csrf': '1' } }));
  await page.waitForSelector('dialog[open].sign-in-again');
  await axe(page, 'light, sign-in again');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('dialog[open].sign-in-again').count(), 1);
  assert.equal(await page.inputValue('input[name=login]'), 'admin');
  assert.equal(await page.inputValue('input[type=search]'), 'orde');
  await signIn('admin', 'wrong');
  await page.waitForSelector('.sign-in-again [role=alert]');
  await signIn('admin', 'correct horse 1');
  await page.waitForSelector('.sign-in-again', { state: 'detached' });
  await page.waitForSelector('.status.good:has-text("live")');
  assert.equal(await page.inputValue('input[type=search]'), 'orde');
  // Somebody else does not see what was on the page.
  await page.evaluate(() => { globalThis.isOld = true; return fetch('/v1/session', { method: 'DELETE', headers: { 'x-factum-csrf': '1' } }); });
  await page.waitForSelector('dialog[open].sign-in-again');
  await signIn('ops', 'correct horse 2');
  await page.waitForFunction(() => globalThis.isOld === undefined);
  await page.waitForSelector('button[title="Signed in as ops"]');
  await done(page, 'sign-in-again', { pictures: false });
  await server.stop();
});

test('a server that goes away is told, and what was shown stays', async () => {
  const server = await startServer();
  await server.append('order-1', [{ type: 'OrderPlaced', data: {} }]);
  const page = await open(server, '/ui/streams/order-1', { allow: [/ERR_/, /Failed to load/] });
  await page.waitForSelector('.status.good:has-text("live")');
  await page.waitForSelector('tr[data-row]');
  await server.stop();
  await page.waitForSelector('.notice:has-text("Reconnecting")');
  assert.equal(await page.locator('tr[data-row]').count(), 1);
  await done(page, 'away');
});
