// The manual under /docs: readable in both themes and on a small screen, by keyboard, without a request to elsewhere.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done } from './harness.mjs';

let server;
before(async () => { server = await startServer(); });
after(async () => { await (await browser()).close(); await server.stop(); });

test('pages with code, with pictures and with wide tables', async () => {
  for (const path of ['', 'start/tour', 'guides/aggregate', 'reference/http', 'reference/format']) {
    const page = await open(server, `/docs/${path}`);
    assert.equal(await page.locator('h1').count(), 1, path);
    const broken = await page.evaluate(() => [...document.images].filter(one => one.complete && one.naturalWidth === 0).map(one => one.src));
    assert.deepEqual(broken, [], path);
    await done(page, `manual-${path.replace('/', '-') || 'start'}`);
  }
});

test('from the console to the manual, and on to the next page', async () => {
  const page = await open(server, '/ui/');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').waitFor();
  await page.keyboard.type('manual');
  await page.getByRole('option', { name: /Manual/ }).first().waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL('**/docs/');
  await page.locator('a[rel=next]').click();
  await page.getByRole('heading', { level: 1, name: '60 seconds' }).waitFor();
  await page.locator('nav a[aria-current=page]', { hasText: '60 seconds' }).waitFor();
  await done(page, 'manual-next', { pictures: false });
});
