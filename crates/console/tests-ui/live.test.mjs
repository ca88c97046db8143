// The live feed: one for all tabs of a browser, there again after the server was away, and closed when nobody is left.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { startServer, browser, open, done, eventually } from './harness.mjs';

let server;
let between;
before(async () => { server = await startServer(); await server.append('order-0', [{ type: 'OrderSeen', data: {} }]); between = await standBetween(server); });
after(async () => { await (await browser()).close(); between.stop(); await server.stop(); });

/** Passes everything on to a server, and counts who follows the feed now and ever: `{url, feeds, ever, cut, stop}`. */
async function standBetween({ url }) {
  const target = new URL(url);
  const feeds = new Set();
  let ever = 0;
  const proxy = http.createServer((request, response) => {
    const passed = http.request({ host: target.hostname, port: target.port, path: request.url, method: request.method, headers: { ...request.headers, host: target.host } }, answer => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    if (request.url === '/v1/live') { ever += 1; feeds.add(response); }
    response.on('close', () => { feeds.delete(response); passed.destroy(); });
    request.pipe(passed);
  });
  await new Promise(ready => proxy.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${proxy.address().port}`, feeds: () => feeds.size, ever: () => ever,
    cut() { for (const one of feeds) one.destroy(); },
    stop() { proxy.closeAllConnections(); proxy.close(); },
  };
}
const isLive = page => page.waitForSelector('.status.good:has-text("live")');
const figures = page => page.waitForFunction(() => document.querySelector('.chart-line'));

test('all tabs share one feed, which comes again and ends with the last of them', async () => {
  const ever = between.ever();
  const first = await open(between, '/ui/', { allow: [/ERR_/] });
  await isLive(first);
  const second = await open(between, '/ui/', { allow: [/ERR_/] });
  await isLive(second);
  await figures(first);
  await figures(second);
  assert.equal(between.feeds(), 1);
  assert.equal(between.ever() - ever, 1);
  // What happens is seen in both.
  await server.append('order-1', [{ type: 'OrderPlaced', data: {} }]);
  for (const page of [first, second]) await page.getByText('OrderPlaced').first().waitFor();
  between.cut();
  await eventually(() => between.ever() - ever === 2, 'another feed');
  for (const page of [first, second]) await isLive(page);
  await done(first, 'live-first', { pictures: false });
  assert.equal(between.feeds(), 1, 'the other tab still watches');
  await done(second, 'live-second', { pictures: false });
  await eventually(() => between.feeds() === 0, 'the end of the feed');
});

test('a browser without shared workers has a feed for each tab', async () => {
  const { context } = await browser();
  const page = await context.newPage();
  await page.addInitScript(() => { delete globalThis.SharedWorker; });
  await page.goto(`${between.url}/ui/`);
  await isLive(page);
  await figures(page);
  assert.equal(between.feeds(), 1);
  between.cut();
  await eventually(() => between.feeds() === 1, 'another feed');
  await isLive(page);
  await page.close();
  await eventually(() => between.feeds() === 0, 'the end of the feed');
});
