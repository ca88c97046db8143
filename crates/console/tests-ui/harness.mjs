// How do the browser tests get a server with events in it, and a page that must not misbehave?
//
//   FACTUM_BIN             the binary to test
//   CONSOLE_TEST_MODULES   a folder in which `npm ci` was run with this folder's package.json and package-lock.json
//   CONSOLE_DIR            optional: serve the console's files from here instead of out of the binary
//   CONSOLE_SHOTS          optional: pictures of every screen go there
//   CHROMIUM               optional: the browser; /usr/bin/chromium unless given
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { path } from '../ui/pure.js';

const require = createRequire(join(process.env.CONSOLE_TEST_MODULES ?? '.', 'package.json'));
const { chromium } = require('playwright-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PATIENCE = 20_000;

/** Waits until `check` gives something true, and gives it. */
export async function eventually(check, what = 'a condition') {
  const until = Date.now() + PATIENCE;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > until) throw new Error(`${what} did not come in ${PATIENCE} ms`);
    await new Promise(done => setTimeout(done, 50));
  }
}

/** A server on a free port with a store of its own: `{url, post, get, stop}`. `args` come after `serve`. */
export async function startServer({ args = ['--memory', '--insecure'], command = 'serve', env = {} } = {}) {
  const binary = process.env.FACTUM_BIN ?? process.env.FACTUM_BINARY;
  assert.ok(binary, 'FACTUM_BIN names the binary to test');
  const folder = mkdtempSync(join(tmpdir(), 'factum-console-'));
  const more = process.env.CONSOLE_DIR ? ['--console-dir', process.env.CONSOLE_DIR] : [];
  process.setMaxListeners(100);
  const process_ = spawn(binary, [command, '--listen', '127.0.0.1:0', ...args.map(one => one.replace('{folder}', folder)), ...more], { cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  // A test that fails must not leave a server behind, nor wait for it.
  process_.unref();
  process.once('exit', () => process_.kill('SIGKILL'));
  let said = '';
  const ended = new Promise(done => process_.on('exit', done));
  for (const pipe of [process_.stdout, process_.stderr]) { pipe.on('data', bytes => { said += bytes; }); pipe.unref(); }
  const address = await eventually(() => {
    if (process_.exitCode !== null) throw new Error(`the server ended: ${said}`);
    return /(127\.0\.0\.1:\d+)/.exec(said)?.[1];
  }, 'the address of the server');
  const url = `http://${address}`;
  await eventually(() => fetch(`${url}/health/ready`).then(answer => answer.ok, () => false), 'the server\'s readiness');
  const ask = async (method, path, body, headers = {}) => {
    const answer = await fetch(url + path, { method, headers: { 'content-type': 'application/json', ...headers }, body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  };
  return {
    url, folder,
    get: path => ask('GET', path),
    send: ask,
    /** Appends events (objects, or one JSON text sent as it is) to a stream. */
    append: (stream, events, headers) => ask('POST', path`/v1/streams/${stream}/events`, events, headers),
    said: () => said,
    async stop() {
      process_.ref();
      process_.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** An order's life, as the pictures of the console show it: `count` events, the first at revision 0. */
export function orderEvents(count, correlation = 'c0ffee') {
  const types = ['OrderPlaced', 'PaymentAuthorised', 'PaymentFailed', 'Shipped', 'NoteAdded', 'LineAdded', 'AddressChanged'];
  const out = [];
  for (let i = 0; i < count; i++) {
    const type = i === 0 ? types[0] : types[1 + (i * 5 + (i >> 2)) % 6];
    const data = {
      OrderPlaced: { orderId: '8f31', status: 'placed', total: 120.5, customer: { id: 'c-77', tier: 'gold' }, address: { city: 'Paris', zip: '75011' } },
      PaymentAuthorised: { status: 'paid', payment: { no: `PA${i}` } }, PaymentFailed: { status: 'payment_failed' },
      Shipped: { status: 'shipped', parcel: { no: `PX${i}` } }, NoteAdded: { [`note${i % 5}`]: `n${i}` },
      LineAdded: { total: 120.5 + i, [`f${i % 8}`]: { v: i, w: `x${i}` } }, AddressChanged: { address: { city: i % 2 ? 'Lyon' : 'Nice', zip: String(1000 + i) } },
    }[type];
    out.push({ type, data, correlationId: correlation, metadata: { actor: i % 3 ? 'ada' : 'brian' } });
  }
  return out;
}

let shared = null;
/** The browser, started once for a test file. Close it in `after`. */
export async function browser() {
  if (!shared) {
    const folder = mkdtempSync(join(tmpdir(), 'factum-browser-'));
    const context = await chromium.launchPersistentContext(folder, { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, viewport: { width: 1360, height: 800 }, bypassCSP: false });
    shared = { context, async close() { shared = null; await context.close(); rmSync(folder, { recursive: true, force: true }); } };
  }
  return shared;
}

/**
 * Opens an address of the console in a page that counts its faults. `page.faults` are console errors, policy violations,
 * exceptions and requests to elsewhere; {@link done} fails on any. `allow` are patterns of console errors that a test makes
 * on purpose (a 404 is logged by the browser). `ownFeed`: the page has a feed of its own, which a test may answer; nobody can
 * answer what a worker asks.
 */
export async function open(server, path, { allow = [], scheme = 'light', width = 1360, ownFeed = false } = {}) {
  const { context } = await browser();
  const page = await context.newPage();
  page.faults = [];
  page.modules = new Set();
  page.requests = [];
  const fault = text => { if (!allow.some(pattern => pattern.test(text))) page.faults.push(text); };
  page.on('console', message => { if (message.type() === 'error' || message.type() === 'warning') fault(`console: ${message.text()} ${message.location()?.url ?? ''}`); });
  page.on('pageerror', error => fault(`exception: ${error.message}`));
  page.on('request', request => {
    const url = request.url();
    if (!url.startsWith(server.url) && !url.startsWith('data:') && !url.startsWith('blob:')) fault(`a request to elsewhere: ${url}`);
    // What opens over a page is fetched when the page stands; the feed's worker is no module of the page.
    if (request.resourceType() === 'script' && !/\/(palette|cards|fixture|sample|live-worker)\.js$/.test(url)) page.modules.add(url);
    page.requests.push(url.slice(server.url.length));
  });
  await page.addInitScript(() => { addEventListener('securitypolicyviolation', event => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)); });
  if (ownFeed) await page.addInitScript(() => { delete globalThis.SharedWorker; });
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize({ width, height: 800 });
  await page.goto(server.url + path);
  await page.waitForFunction(() => document.querySelector('h1') !== null);
  return page;
}

/** axe on what is seen now. */
export async function axe(page, scheme) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return result.violations.map(one => `${one.id}: ${one.nodes.slice(0, 3).map(node => `${node.target} ${node.failureSummary}`).join('; ')}`);
  });
  assert.deepEqual(found, [], `axe in ${scheme}`);
}

/**
 * The end of a test of a screen: pictures and axe in both schemes and both widths, nothing wider than the window, at most six
 * modules, no fault. Closes the page.
 */
export async function done(page, name, { pictures = true, modules = 6 } = {}) {
  if (pictures) {
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme });
      for (const width of [1360, 400]) {
        await page.setViewportSize({ width, height: 800 });
        await page.evaluate(() => new Promise(seen => requestAnimationFrame(() => requestAnimationFrame(seen))));
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${name} is ${over} px wider than a window of ${width}`);
        if (process.env.CONSOLE_SHOTS) {
          mkdirSync(process.env.CONSOLE_SHOTS, { recursive: true });
          await page.screenshot({ path: join(process.env.CONSOLE_SHOTS, `${name}-${scheme}-${width}.png`) });
        }
        // Contrast does not depend on the width, the rest not on the scheme.
        if (width > 400 || scheme === 'light') await axe(page, `${scheme}, ${width} px`);
      }
    }
  }
  assert.ok(page.modules.size <= modules, `${name} loads ${page.modules.size} modules: ${[...page.modules]}`);
  const faults = page.faults;
  await page.close();
  assert.deepEqual(faults, [], `${name}: faults`);
}

/**
 * Milliseconds from navigation to the first frame in which `selector` is there, by the page's own clock, so that the time of
 * the test is not in it. Reported, never asserted.
 */
export async function firstRender(server, path, selector, times = 5) {
  const { context } = await browser();
  const page = await context.newPage();
  await page.addInitScript(wanted => {
    const seen = new MutationObserver(() => {
      if (!document.querySelector(wanted)) return;
      seen.disconnect();
      requestAnimationFrame(() => performance.mark('test:seen'));
    });
    seen.observe(document, { childList: true, subtree: true });
  }, selector);
  const figures = [];
  for (let i = 0; i < times; i++) {
    await page.goto('about:blank');
    await page.goto(server.url + path, { waitUntil: 'commit' });
    await page.waitForFunction(() => performance.getEntriesByName('test:seen').length > 0);
    figures.push(await page.evaluate(() => performance.getEntriesByName('test:seen')[0].startTime));
  }
  await page.close();
  return Math.round(figures.sort((a, b) => a - b)[Math.floor(times / 2)]);
}
