// Names and texts of others are text: markup is not run, what moves or hides characters is shown, long ones stay in their place.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { startServer, browser, open, done } from './harness.mjs';
import { answerWith } from './answers.mjs';

let server;
before(async () => { server = await startServer({ command: 'demo', args: ['--still'] }); });
after(async () => { await (await browser()).close(); await server.stop(); });

const EVIL = '<img src=x onerror="globalThis.hacked = 1"><script>globalThis.hacked = 1</script>';
const MOVED = 'a\u202egnp.exe\u0007/ $ \ud83d\ude00';
const LONG = 'x'.repeat(5_000);
const NAMES = [EVIL, MOVED, LONG];
const T = '2026-01-01T00:00:00Z';
const enc = encodeURIComponent;
const list = items => ({ items, page: { next: null, prev: null } });
const version = name => ({ name, version: 'v1', role: 'serving', status: 'faulted', applied: '1', lag: 3, events: 1, why: name, lagMillis: 1 });
const one = name => ({ ...version(name), definition: `${name}\n${name}`, tables: [{ table: name, key: [name] }], skips: [], faults: [{ position: '2', event: 'e', stream: name, type: name, attempts: [{ at: T, error: name }] }] });
const group = name => ({ source: name, group: name, status: 'live', why: name, consumers: 1, inFlight: 1, parked: 1, lag: 1, oldestUnackedMillis: 1, strategy: name, checkpoint: name, lastKnown: name });
const event = name => ({ id: 'e', stream: name, revision: 0, position: '1', type: name, time: T, data: { [name]: name } });
const process = name => ({ instance: `p-${name}`, process: 'p', id: name, stage: 'quarantined', step: name, startedTime: T, updatedTime: T, inputs: 1, outstanding: 1, held: 0, nextTimer: `${name} ${T}`, lastError: name, cause: name });
const detail = name => ({ ...process(name), outstandingSteps: [{ step: name, commandId: name, attempts: 1, lastError: name, parked: true }], doneSteps: [], timeline: [{ revision: 0, position: '1', time: T, what: name, detail: name, type: '$processStepIssued', data: { step: name, commandId: name } }, { revision: 1, position: '2', time: T, what: name, detail: name, type: '$processInput', data: { input: { kind: 'event', stream: name, revision: 3, eventType: name } } }] });
const subject = name => ({ subject: name, keys: [{ id: name, purpose: name, state: 'opens', created: T }], events: 1, streams: [{ stream: name, events: 1 }], readModels: [{ name, version: 'v1', personal: name }], sinks: [name], holds: [{ reason: name, actor: name, since: T }], erasures: [{ erasure: name, requested: T, state: name, reason: name }] });

test('hostile names on every page of an operator', async () => {
  const answers = {
    'GET /v1/projections': list(NAMES.map(version)), 'GET /v1/subscriptions': list(NAMES.map(group)), 'GET /v1/processes': list(NAMES.map(process)),
    'GET /v1/privacy/receipts': list(NAMES.map(name => ({ erasure: name, subject: name, purpose: name, requested: T, state: name, keys: 1, unacknowledged: [name], actor: name, reason: name }))),
    'GET /v1/types': list(NAMES.map(type => ({ type, count: 1, schemaVersion: 1 }))), 'GET /v1/schemas': list([]),
    'GET /v1/system/users': list(NAMES.map(name => ({ login: name, name, groups: [name], disabled: false }))),
    'GET /v1/system': { version: EVIL, uptimeSeconds: 1, caller: { name: EVIL }, capabilities: [EVIL], store: { id: EVIL }, config: NAMES.map(name => ({ name, value: name, default: { [name]: name }, source: name })) },
  };
  const pages = ['/ui/projections', '/ui/subscriptions', '/ui/processes', '/ui/privacy/receipts', '/ui/schemas', '/ui/system/users', '/ui/system/config', '/ui/system/about'];
  for (const name of NAMES.slice(0, 2)) {
    Object.assign(answers, {
      [`GET /v1/projections/${enc(name)}`]: { name, versions: [one(name)], history: [{ at: T, what: name, version: name, actor: name, reason: name }] },
      [`GET /v1/projections/${enc(name)}/tables/${enc(name)}`]: { columns: [name], rows: [[name]] },
      'GET /v1/events/e': event(name),
      [`GET /v1/subscriptions/${enc(name)}/${enc(name)}`]: { ...group(name), connections: [{ from: name, user: name, name, slots: 1, inFlight: 1, perSecond: 1, total: 1 }], settings: { [name]: name } },
      [`GET /v1/subscriptions/${enc(name)}/${enc(name)}/parked`]: { ...list([{ revision: 0, event: event(name), reason: name, time: T }]), total: 1 },
      [`GET /v1/processes/p/${enc(name)}`]: detail(name),
      [`GET /v1/privacy/${enc(name)}`]: subject(name),
      [`GET /v1/schemas/${enc(name)}`]: { type: name, versions: [{ version: 1, schema: { type: 'object', properties: { [name]: { type: name, description: name } } } }], examples: [event(name)] },
    });
    pages.push(`/ui/projections/${enc(name)}`, `/ui/projections/${enc(name)}?tab=source`, `/ui/projections/${enc(name)}?tab=history`, `/ui/subscriptions/${enc(name)}/${enc(name)}`, `/ui/subscriptions/${enc(name)}/${enc(name)}?tab=consumers`,
      `/ui/processes/p/${enc(name)}`, `/ui/privacy/${enc(name)}`, `/ui/schemas/${enc(name)}`, `/ui/schemas/${enc(name)}?tab=examples`);
  }
  answers['GET /v1/events'] = list(NAMES.map(event));
  answers['GET /v1/live'] = {};
  const given = await answerWith(answers);
  for (const address of pages) {
    const page = await open(server, address, { allow: [/EventSource|MIME/], width: 400, ownFeed: true });
    await page.waitForFunction(() => document.querySelector('.table td, .facts dd, .timeline li, .code, .section') !== null);
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined, `markup was run at ${address}`);
    assert.equal(await page.locator('main img, main script').count(), 0, `markup became elements at ${address}`);
    const moved = await page.evaluate(() => [...document.querySelectorAll('main *')].filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.includes('\u202e'))).map(element => element.outerHTML.slice(0, 200)));
    assert.deepEqual(moved, [], `a character that moves others is shown as itself at ${address}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${address} is ${over} px too wide`);
    await done(page, address, { pictures: false });
  }
  await given.stop();
});
