// How does a test show a state that no server is in by itself? Some answers of the API are given by the test.
import { browser } from './harness.mjs';

/**
 * Answers these paths in the test's stead: `{'GET /v1/projections': body | (request) => body | {status, body}}`. A pattern may end with
 * `*`. Gives what was asked, and `stop`.
 */
export async function answerWith(answers) {
  const { context } = await browser();
  const asked = [];
  const find = (method, pathname) => Object.keys(answers).find(key => {
    const [wanted, pattern] = key.split(' ');
    return wanted === method && (pattern.endsWith('*') ? pathname.startsWith(pattern.slice(0, -1)) : pathname === pattern);
  });
  const handler = async route => {
    const request = route.request();
    const url = new URL(request.url());
    const key = find(request.method(), url.pathname);
    if (key === undefined) { await route.fallback(); return; }
    const body = request.postData();
    asked.push({ method: request.method(), path: url.pathname + url.search, body: body ? JSON.parse(body) : null });
    const given = typeof answers[key] === 'function' ? answers[key](asked.at(-1)) : answers[key];
    const isProblem = given?.status !== undefined && given.body !== undefined;
    await route.fulfill({ status: isProblem ? given.status : 200, contentType: isProblem ? 'application/problem+json' : 'application/json', body: JSON.stringify(isProblem ? given.body : given) });
  };
  await context.route('**/v1/**', handler);
  return { asked, stop: () => context.unroute('**/v1/**', handler) };
}

/** A problem as the API writes it. */
export const problem = (status, slug, title, more = {}) => ({ status, body: { type: `/problems/${slug}`, title, status, detail: title, next: '', requestId: 'test', ...more } });
