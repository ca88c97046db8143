// How big is a screen, and how fast? Reported, never asserted but for the size: a machine under load is slow, not wrong.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { startServer, browser, firstRender } from './harness.mjs';

/** Bytes on the wire that the page, its shell and one screen may be, packed. Two screens are programs of their own. */
const BUDGET = 60 * 1024;
const BUDGET_OF = { state: 68_000, projections: 63_000 };
const SCREENS = [
  ['overview', '/ui/', '.charts'], ['streams', '/ui/streams', 'tr[data-row]'], ['stream', '/ui/streams/long-10000', 'tr[data-row]'], ['event', '/ui/streams/long-10000/7', '[role=tree]'],
  ['state', '/ui/streams/long-10000/state?at=7', '.tt-leaf'], ['events', '/ui/events', 'tr[data-row]'], ['correlation', '/ui/correlations/c1', '.page h1'], ['compare', '/ui/compare?s=long-10000', '.page h1'],
  ['projections', '/ui/projections', '.page h1'], ['subscriptions', '/ui/subscriptions', '.page h1'], ['processes', '/ui/processes', '.page h1'], ['schemas', '/ui/schemas', 'tr[data-row]'],
  ['privacy', '/ui/privacy', '.page h1'], ['system', '/ui/system/storage', '.page h1'],
];
/** All rounds where figures are wanted (CONSOLE_FIGURES); a few where it is only looked whether they can be taken. */
const ROUNDS = process.env.CONSOLE_FIGURES ? { renders: 7, steps: 50, jumps: 40 } : { renders: 1, steps: 8, jumps: 5 };
let server;
before(async () => {
  server = await startServer();
  const put = async (stream, count) => {
    for (let from = 0; from < count; from += 1000) {
      await server.append(stream, Array.from({ length: Math.min(1000, count - from) }, (_, i) => ({ type: ['Moved', 'Turned', 'Stopped', 'Painted'][i % 4], data: { [`f${i % 40}`]: { v: from + i, w: `x${from + i}` }, n: from + i } })));
    }
  };
  await put('long-17', 17);
  await put('long-10000', 10_000);
  await put('long-100000', 100_000);
});
after(async () => { await (await browser()).close(); await server?.stop(); });

const part = (list, share) => { const sorted = [...list].sort((a, b) => a - b); return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] * 10) / 10; };

test('a screen and what it stands on are small', async t => {
  const index = await fetch(`${server.url}/ui/`).then(answer => answer.text());
  const base = `${server.url}${/src="(.*)app\.js"/.exec(index)[1]}`;
  const sizes = new Map();
  const size = async file => {
    if (!sizes.has(file)) sizes.set(file, gzipSync(Buffer.from(await fetch(base + file).then(answer => { assert.ok(answer.ok, file); return answer.arrayBuffer(); })), { level: 9 }).length);
    return sizes.get(file);
  };
  let shell = gzipSync(index).length;
  for (const file of ['style.css', 'app.js', 'core.js', 'pure.js', 'widgets.js', 'vendor/preact.js']) shell += await size(file);
  t.diagnostic(`shell: ${shell} bytes (${[...sizes].map(([file, bytes]) => `${file} ${bytes}`).join(', ')})`);
  for (const [name] of SCREENS) {
    const own = await size(`screens/${name}.js`);
    t.diagnostic(`${name}: ${own} bytes, with the shell ${shell + own}`);
    assert.ok(shell + own <= (BUDGET_OF[name] ?? BUDGET), `${name} with the shell is ${shell + own} bytes packed`);
  }
});

test('first sight of each screen', async t => {
  for (const [name, url, ready] of SCREENS) t.diagnostic(`first render of ${name}: ${await firstRender(server, url, ready, ROUNDS.renders)} ms`);
});

test('a step in time', async t => {
  const { context } = await browser();
  for (const count of [17, 10_000, 100_000]) {
    const page = await context.newPage();
    const middle = Math.floor(count / 2);
    await page.goto(`${server.url}/ui/streams/long-${count}/state?at=${middle}`);
    await page.waitForSelector('.tt-leaf');
    const run = spots => page.evaluate(async list => {
      const input = document.querySelector('input[type=range]');
      const turn = () => new Promise(next => { const channel = new MessageChannel(); channel.port1.onmessage = next; channel.port2.postMessage(0); });
      const figures = [];
      for (const spot of list) {
        const begun = performance.now();
        input.value = spot;
        input.dispatchEvent(new Event('input', { bubbles: true }));
        const isShown = () => { const text = document.querySelector('#tt-state').textContent; return text.startsWith(`State after #${spot} · `) && !text.includes('loading'); };
        while (!isShown() && performance.now() - begun < 10_000) await turn();
        // In the frame that shows it, after it is drawn.
        await new Promise(requestAnimationFrame);
        await turn();
        figures.push(performance.now() - begun);
      }
      return figures;
    }, spots);
    let seed = 3;
    const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
    const steps = await run(Array.from({ length: ROUNDS.steps }, (_, i) => (count > 60 ? middle + i + 1 : (i + 1) % count)));
    const jumps = await run(Array.from({ length: ROUNDS.jumps }, () => Math.floor(random() * count)));
    t.diagnostic(`of ${count} events: a step p50 ${part(steps, 0.5)} ms, p95 ${part(steps, 0.95)} ms; anywhere p50 ${part(jumps, 0.5)} ms, p95 ${part(jumps, 0.95)} ms`);
    await page.close();
  }
});

test('a stream of 100,000 events: scrolled, and gone to a date', async t => {
  const { context } = await browser();
  const page = await context.newPage();
  await page.goto(`${server.url}/ui/streams/long-100000`);
  await page.waitForSelector('tr[data-row]');
  const frames = await page.evaluate(async () => {
    const out = [];
    for (let i = 0, last = performance.now(); i < 120; i++) {
      scrollBy(0, 600);
      await new Promise(requestAnimationFrame);
      out.push(performance.now() - last);
      last = performance.now();
    }
    return out;
  });
  t.diagnostic(`scrolling: a frame p50 ${part(frames, 0.5)} ms, p95 ${part(frames, 0.95)} ms`);
  const jumps = [];
  for (const revision of [20_000, 50_000, 90_000]) {
    const { time } = await server.get(`/v1/streams/long-100000/events/${revision}`);
    // Events of one append have one time: the first of them is meant.
    const { items } = await server.get(`/v1/streams/long-100000/events?from=${time}&direction=forward&limit=1`);
    await page.evaluate(() => scrollTo(0, 0));
    await page.fill('.jump input', time);
    jumps.push(await page.evaluate(async wanted => {
      const begun = performance.now();
      document.querySelector('.jump').requestSubmit();
      while (document.querySelector('tr[data-row="0"] a')?.textContent !== wanted && performance.now() - begun < 10_000) await new Promise(requestAnimationFrame);
      return performance.now() - begun;
    }, String(items[0].revision)));
    assert.equal(await page.textContent('tr[data-row="0"] a'), String(items[0].revision), `after a jump to ${time}`);
  }
  t.diagnostic(`to a date: ${jumps.map(Math.round).join(', ')} ms`);
  await page.close();
});
