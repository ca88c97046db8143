// What does every screen stand on? The address, the API, the live feed, the keys and the settings. Screens import this
// and widgets.js, and nothing else. Only this file fetches.
import { signal, computed, effect, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback } from './vendor/preact.js';
import { parseJson, matchRoute, readQuery, writeQuery, queryString } from './pure.js';

export * from './vendor/preact.js';
export * from './pure.js';

// ---- What the server said in the page -------------------------------------------------------------------------------

const meta = globalThis.document?.querySelector('meta[name="factum-console"]')?.dataset ?? {};
export const config = {
  hash: meta.hash ?? '', readOnly: meta.readOnly === 'true', environment: meta.environment ?? '', production: meta.look === 'production',
};
/** Whether anything that writes may be offered at all. Appending is not offered in production either. */
export const mayWrite = !config.readOnly;
export const mayAppend = mayWrite && !config.production;

// ---- Settings, kept in this browser ---------------------------------------------------------------------------------

function kept(name, fallback) {
  let first = fallback;
  try { first = JSON.parse(localStorage.getItem(`factum.${name}`)) ?? fallback; } catch { /* no storage, or not ours */ }
  const setting = signal(first);
  effect(() => {
    const value = setting.value;
    try { localStorage.setItem(`factum.${name}`, JSON.stringify(value)); } catch { /* it lasts as long as the page */ }
  });
  return setting;
}
/** `system`, `light` or `dark`. */
export const theme = kept('theme', 'system');
/** `UTC` or a zone's IANA name. */
export const zone = kept('zone', 'UTC');
export const comfortable = kept('comfortable', false);
export const letterKeys = kept('letterKeys', true);
export const railOpen = kept('railOpen', true);
/** `[{label, url}]`, newest first. */
export const recent = kept('recent', []);
/** Streams chosen for S7. */
export const comparing = kept('compare', []);
export const browserZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'UTC';

/** The time, at most once a second, for ages. Read it in a component and it is drawn again. */
export const now = signal(Date.now());
if (globalThis.document) setInterval(() => { if (!document.hidden) now.value = Date.now(); }, 1000);

const narrowly = globalThis.matchMedia?.('(max-width: 760px)');
/** Whether the window is that of a telephone. */
export const isNarrow = signal(narrowly?.matches ?? false);
narrowly?.addEventListener('change', event => { isNarrow.value = event.matches; });

// ---- The address ----------------------------------------------------------------------------------------------------

const here = () => (globalThis.location ? { pathname: location.pathname, search: location.search, hash: location.hash } : { pathname: '/ui/', search: '', hash: '' });
export const place = signal(here());
globalThis.addEventListener?.('popstate', () => { place.value = here(); });

/** Goes to an address of the console. `replace` for scrubbing and typing: no step of the history. */
export function go(url, { replace = false } = {}) {
  const target = new URL(url, location.href);
  if (target.origin !== location.origin || !target.pathname.startsWith('/ui')) { location.assign(target); return; }
  if (target.href === location.href) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', target);
  place.value = here();
}

/**
 * The query of this page by what the screen knows of it (see {@link readQuery}): `[values, set, bad]`. `set(some)`
 * replaces the address; `set(some, {push: true})` makes a step of the history.
 */
export function useQuery(known) {
  const search = place.value.search;
  const { values, bad } = useMemo(() => readQuery(search, known), [search, known]);
  const set = useCallback((some, { push = false } = {}) => {
    const current = readQuery(location.search, known).values;
    go(location.pathname + writeQuery({ ...current, ...some }, known), { replace: !push });
  }, [known]);
  return [values, set, bad];
}

export const routeOf = (pathname, routes) => matchRoute(pathname, routes);

// ---- The API --------------------------------------------------------------------------------------------------------

/** What the server answered instead: RFC 9457, or what comes nearest to it. */
export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `The server answered ${status}`);
    this.status = status;
    this.slug = String(body.type ?? '').split('/').pop();
    this.title = body.title ?? 'The server refused';
    this.next = body.next ?? '';
    this.requestId = body.requestId ?? '';
    this.body = body;
  }
}

/**
 * Who is signed in, where the server asks: the cookie is the browser's, and no script sees it. `wanted` is set when an answer was
 * "not signed in"; `asks` says whether the server asks at all; `turn` counts, so that what failed is asked for again.
 */
export const signIn = { wanted: signal(null), asks: signal(false), login: signal(''), turn: signal(0) };
const SESSION = '/v1/session';
/** Looks who is signed in, perhaps in another tab. */
export async function lookForSession() {
  try {
    const { security, login } = await api(SESSION);
    signIn.asks.value = security === 'signIn';
    if (login) entered(login); else if (signIn.login.peek()) signIn.wanted.value ??= new Problem({ title: 'You are not signed in', detail: 'The session has ended.' }, 401);
  } catch { /* whatever is asked next says what is wrong */ }
}
function entered(login) {
  const before = signIn.login.peek();
  // What is on the page was for somebody else's eyes.
  if (before && before !== login) { location.reload(); return; }
  signIn.login.value = login;
  if (!signIn.wanted.peek()) return;
  answers.clear();
  signIn.wanted.value = null;
  signIn.turn.value += 1;
}
/** Tries a name and a password; throws the Problem where they are wrong. */
export async function enter(login, password) {
  entered((await api(SESSION, { method: 'POST', body: { login, password } })).login);
}
/** Ends the session. One that cannot be ended now is still there, and says so. */
export async function leave() {
  try { await api(SESSION, { method: 'DELETE' }); } catch (error) { toast(`You are still signed in: ${error.message}`, 'error'); return; }
  location.reload();
}
/** A page of another origin cannot send this: it says that a write is ours. */
const GUARD = { 'x-factum-csrf': '1' };

/** Members whose text is kept as it was stored. */
const KEEP = ['data', 'metadata', 'state'];

/**
 * Asks the API: `await api(path`/v1/streams/${name}`)`. Objects in `body` are sent as JSON. Gives the parsed answer (see
 * {@link parseJson}), with `.etag` and `.position` not part of it: ask for `{whole: true}` to have `{value, headers}`.
 */
export async function api(url, { method = 'GET', body, headers = {}, signal: stop, query, whole = false, accept, asText = false } = {}) {
  const sent = { accept: accept ?? 'application/json', ...(method === 'GET' ? {} : GUARD), ...headers };
  if (body !== undefined && !sent['content-type']) sent['content-type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(url + (query ? queryString(query) : ''), {
      method, headers: sent, signal: stop, credentials: 'same-origin',
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem({ type: 'unreachable', title: 'The server cannot be reached', detail: 'No answer came. It may be stopped or restarting; the console tries again by itself.' }, 0);
  }
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get('content-type') ?? '');
  if (!answer.ok) {
    let problem = { title: `The server answered ${answer.status}`, detail: text.slice(0, 300) };
    if (isJson) try { problem = parseJson(text); } catch { /* the text has to do */ }
    const failure = new Problem({ requestId: answer.headers.get('x-request-id') ?? '', ...problem }, answer.status);
    if (answer.status === 401 && url !== SESSION) signIn.wanted.value ??= failure;
    throw failure;
  }
  const value = isJson && text && !asText ? parseJson(text, KEEP) : text;
  return whole ? { value, headers: answer.headers } : value;
}

/** The last answers, so that Back shows at once what was there while it is asked again. */
const answers = new Map();
const ANSWERS = 24;

/**
 * Keeps the answer to `url` (or nothing, for null): `{data, error, loading, slow, at, reload}`. What was there stays
 * while the next is fetched. `every` asks again after so many milliseconds, while the page is seen. `loading` becomes
 * true after 150 ms, `slow` after 5 s.
 */
export function useApi(url, { every = 0 } = {}) {
  const [state, setState] = useState(() => ({ data: undefined, error: null, at: 0, url: null, ...answers.get(url) }));
  const [waiting, setWaiting] = useState({ loading: false, slow: false });
  const [turn, setTurn] = useState(0);
  // Asked before the browser draws: an effect would wait for a frame.
  useLayoutEffect(() => {
    if (!url) { setState({ data: undefined, error: null, at: 0, url: null }); return undefined; }
    if (answers.has(url)) setState(answers.get(url));
    const stop = new AbortController();
    const soon = setTimeout(() => setWaiting({ loading: true, slow: false }), 150);
    const late = setTimeout(() => setWaiting({ loading: true, slow: true }), 5000);
    let again = 0;
    const settle = next => {
      clearTimeout(soon); clearTimeout(late);
      if (stop.signal.aborted) return;
      setWaiting({ loading: false, slow: false });
      setState(next);
      if (every) again = setTimeout(function ask() { document.hidden ? again = setTimeout(ask, every) : setTurn(n => n + 1); }, every);
    };
    api(url, { signal: stop.signal }).then(
      data => {
        const next = { data, error: null, at: Date.now(), url };
        answers.delete(url);
        answers.set(url, next);
        if (answers.size > ANSWERS) answers.delete(answers.keys().next().value);
        settle(next);
      },
      error => { if (error.name !== 'AbortError') settle(before => ({ ...before, data: before.url === url ? before.data : undefined, error, url })); },
    );
    return () => { stop.abort(); clearTimeout(soon); clearTimeout(late); clearTimeout(again); setWaiting({ loading: false, slow: false }); };
  }, [url, turn, every, signIn.turn.value]);
  const reload = useCallback(() => setTurn(n => n + 1), []);
  return { data: state.data, error: state.url === url ? state.error : null, at: state.at, isOld: state.url !== url, ...waiting, reload };
}

/**
 * A list that comes in pages: `{items, error, loading, first, hasMore, more, reload, setItems}`. `first` is the first page's
 * answer, for what stands beside `items`. It begins anew when `url` changes.
 */
export function usePages(url) {
  const begin = useApi(url);
  const [more, setMore] = useState({ of: null, items: [], next: null, loading: false, error: null });
  const isOurs = more.of === begin.data && begin.data !== undefined;
  const next = isOurs ? more.next : begin.data?.page?.next ?? null;
  const items = useMemo(() => [...begin.data?.items ?? [], ...(isOurs ? more.items : [])], [begin.data, isOurs, more]);
  const busy = useRef(null);
  const load = useCallback(() => {
    if (!next || busy.current === next) return;
    busy.current = next;
    const of = begin.data;
    setMore(before => ({ ...(before.of === of ? before : { of, items: [], next }), of, loading: true, error: null }));
    api(next).then(
      page => { busy.current = null; setMore(before => (before.of === of ? { of, items: [...before.items, ...page.items], next: page.page?.next ?? null, loading: false, error: null } : before)); },
      error => { setMore(before => (before.of === of ? { ...before, loading: false, error } : before)); },
    );
  }, [next, begin.data]);
  const again = useCallback(() => { busy.current = null; begin.reload(); }, [begin.reload]);
  return { ...begin, items, first: begin.data, hasMore: next !== null, more: load, moreError: isOurs ? more.error : null, loadingMore: isOurs && more.loading, reload: again };
}

/** Events that a search looks at before it asks whether to go on, and those it finds before it waits for a reader. */
const LOOKED = 20_000;
const FOUND = 200;
/**
 * The events of a list for which `fits` is true, searched for page by page: `{items, looked, busy, isWhole, error, more, stop,
 * near}`. It looks at a bounded number and then rests: `more` goes on, and `near` does where it rests only because it has found
 * enough for now. It begins anew when `url` or `fits` change; null searches nothing.
 */
export function useSearch(url, fits) {
  const [state, setState] = useState(NO_SEARCH);
  const search = useRef(null);
  const run = useCallback(async () => {
    const own = search.current;
    if (!own || own.busy || !own.next) return;
    own.busy = true;
    own.stop = new AbortController();
    const [looked, found] = [own.looked + LOOKED, own.items.length + FOUND];
    const show = error => { if (search.current === own) setState({ items: own.items, looked: own.looked, busy: own.busy, isWhole: !own.next, error, hasEnough: !own.busy && !error && own.items.length >= found }); };
    try {
      while (own.next && own.looked < looked && own.items.length < found) {
        show(null);
        const page = await api(own.next, { signal: own.stop.signal });
        own.looked += page.items.length;
        own.items = [...own.items, ...page.items.filter(event => { try { return Boolean(fits(event)); } catch { return false; } })];
        own.next = page.page?.next ?? null;
      }
      own.busy = false;
      show(null);
    } catch (error) { own.busy = false; show(error.name === 'AbortError' ? null : error); }
  }, [fits]);
  useEffect(() => {
    search.current = url && fits ? { next: url, items: [], looked: 0, busy: false, stop: null } : null;
    setState(NO_SEARCH);
    run();
    return () => { search.current?.stop?.abort(); search.current = null; };
  }, [url, fits, run]);
  return { ...state, more: run, near: state.hasEnough ? run : undefined, stop: () => search.current?.stop?.abort() };
}
const NO_SEARCH = { items: [], looked: 0, busy: false, isWhole: false, error: null, hasEnough: false };

// ---- The live feed: one connection for all tabs of the browser, or one for the page --------------------------------------

/** `connecting`, `live`, `lost` or `paused` (the page is not seen). */
const liveState = signal('connecting');
export const live = {
  state: liveState,
  /** The last figures of /v1/live, the time of their arrival, and up to 15 minutes of them. */
  stats: signal(null), at: signal(0), series: signal([]),
  projections: signal(null),
  /** Heads of the newest events, newest first, at most 20. */
  events: signal([]), skipped: signal(0),
  tries: signal(0),
};
/** Counts what arrives: `{total, streams: Map}` grows with each batch of heads. */
export const arrivals = signal({ turn: 0, heads: [], skipped: 0 });
/** Runs when events may have come into a stream (or into any, for null): `run(heads of them, unknown)`. */
export function useArrivals(stream, run) {
  const latest = useRef(run);
  latest.current = run;
  const { turn } = arrivals.value;
  const seen = useRef(turn);
  useEffect(() => {
    if (seen.current === turn) return;
    seen.current = turn;
    const { heads, skipped } = arrivals.peek();
    const ours = stream === null ? heads : heads.filter(head => head.stream === stream);
    if (ours.length || skipped) latest.current(ours, skipped);
  }, [turn, stream]);
}
const SERIES = 900;
const HIDDEN_PATIENCE = 30_000;
/**
 * Server-sent events over fetch, which says why it ends: `on(event, data, id)`. Ends with `onEnd(why)`. Gives a function that
 * ends it.
 */
function listen(url, { on, onOpen, onEnd, lastId }) {
  const stop = new AbortController();
  (async () => {
    const answer = await fetch(url, { headers: { accept: 'text/event-stream', ...(lastId ? { 'last-event-id': lastId } : {}) }, signal: stop.signal, credentials: 'same-origin', cache: 'no-store' });
    if (answer.status === 401) signIn.wanted.value ??= new Problem({ title: 'You are not signed in', detail: 'The session has ended.' }, 401);
    if (!answer.ok) throw new Error(`${answer.status}`);
    onOpen();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    let [name, data, id] = ['message', [], ''];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === '') {
          if (data.length) on(name, data.join('\n'), id);
          [name, data] = ['message', []];
          continue;
        }
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'event') name = text; else if (field === 'data') data.push(text); else if (field === 'id') id = text;
      }
    }
    throw new Error('it ended');
  })().catch(error => { if (error.name !== 'AbortError') onEnd(error.message); });
  return () => stop.abort();
}
const pause = tries => Math.min(15_000, 500 * 2 ** Math.min(tries, 5));

const told = {
  stats(stats) {
    live.stats.value = stats;
    live.at.value = Date.now();
    live.series.value = [...live.series.value.slice(1 - SERIES), stats];
  },
  projections(list) { live.projections.value = list.items ?? list; },
  events(list) {
    const heads = list.items ?? list.events ?? list;
    if (list.skipped) live.skipped.value += Number(list.skipped);
    arrivals.value = { turn: arrivals.peek().turn + 1, heads, skipped: Number(list.skipped ?? 0) };
    live.events.value = [...[...heads].reverse(), ...live.events.value].slice(0, 20);
  },
};
function hear(name, data) {
  try { told[name]?.(parseJson(data)); } catch (error) { console.warn('the live feed sent what is not understood', name, error.message); }
}
function become(state, tries) {
  // The feed may have ended because the session has.
  if (state === 'lost' && liveState.peek() !== 'lost' && signIn.login.peek()) lookForSession();
  liveState.value = state;
  live.tries.value = tries;
}

/** How often a tab says that it is still there, in milliseconds. */
const BEAT = 25_000;
/** The feed that all tabs of this browser share; nothing where the browser knows no such thing. Gives a function that leaves it. */
function shareLive() {
  let worker;
  try { worker = new SharedWorker(new URL('./live-worker.js', import.meta.url), { name: 'factum-live' }); } catch { return null; }
  const watch = () => worker.port.postMessage('watch');
  worker.port.onmessage = ({ data }) => (data.state ? become(data.state, data.tries) : hear(data.name, data.data));
  watch();
  const beat = setInterval(watch, BEAT);
  return () => { clearInterval(beat); worker.port.onmessage = null; worker.port.postMessage('rest'); };
}
/** A feed of this tab alone. Gives a function that ends it. */
function ownLive() {
  let tries = 0;
  let timer = 0;
  let end = null;
  const open = () => {
    end = listen('/v1/live', {
      onOpen() { tries = 0; become('live', 0); },
      on: hear,
      onEnd() { become('lost', ++tries); timer = setTimeout(open, pause(tries)); },
    });
  };
  open();
  return () => { end(); clearTimeout(timer); };
}

let leaveLive = null;
let hiding = 0;
function openLive() { leaveLive ??= shareLive() ?? ownLive(); }
function closeLive() { leaveLive?.(); leaveLive = null; }
/** Begins the feed; the shell does. It rests while nobody looks. */
export function startLive() {
  openLive();
  addEventListener('pagehide', closeLive);
  addEventListener('pageshow', event => { if (event.persisted) openLive(); });
  // Whoever has signed in is not made to wait for the next try.
  effect(() => { if (signIn.turn.value > 0) { closeLive(); openLive(); } });
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiding);
    if (!document.hidden) { openLive(); return; }
    hiding = setTimeout(() => { closeLive(); liveState.value = 'paused'; }, HIDDEN_PATIENCE);
  });
}

/**
 * Follows events of a URL: `onEvents(list)` at most 10 times a second, `onState('live'|'lost'|'caughtUp')`. Resumes by itself
 * after the last event seen. Gives a function that ends it.
 */
export function follow(url, { onEvents, onState = () => {} }) {
  let close = null;
  let lastId = '';
  let tries = 0;
  let timer = 0;
  let batch = [];
  let flush = 0;
  let ended = false;
  const give = () => { flush = 0; const out = batch; batch = []; if (!ended && out.length) onEvents(out); };
  const open = () => {
    close = listen(url, {
      lastId,
      onOpen() { tries = 0; onState('live'); },
      on(name, data, id) {
        if (id) lastId = id;
        if (name === 'event') {
          try { batch.push(parseJson(data, KEEP)); } catch { return; }
          flush ||= setTimeout(give, 100);
        } else if (name === 'caughtUp' || name === 'fellBehind') onState(name);
        else if (name === 'end') { ended = true; close?.(); }
      },
      onEnd() {
        if (ended) return;
        onState('lost');
        timer = setTimeout(open, pause(++tries));
      },
    });
  };
  open();
  return () => { ended = true; close?.(); clearTimeout(timer); clearTimeout(flush); };
}

// ---- Keys -----------------------------------------------------------------------------------------------------------

/** What keys do now, for `?`: the shell's and the page's. Each: `{key, label, run, group}`. */
export const bindings = signal([]);

const isTyping = target => target instanceof HTMLElement
  && (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName)
    || (target.tagName === 'INPUT' && !/^(range|checkbox|radio|button)$/.test(target.type)));
/** A native control that has its own use for the key. */
const isTaken = (event, name) => {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('dialog') && event.key !== 'Escape') return true;
  if ((name === 'Space' || name === 'Enter') && target.closest('button, a, summary, input, [role=treeitem], [role=tab]')) return true;
  return false;
};
let prefix = '';
let prefixTimer = 0;
const nameOf = event => (event.key === ' ' ? 'Space' : event.key.length === 1 || !event.shiftKey ? event.key : `Shift+${event.key}`);

export function onKey(event) {
  if (event.defaultPrevented || event.isComposing) return;
  const isCommand = event.ctrlKey || event.metaKey;
  const name = isCommand ? `Ctrl+${event.key.toLowerCase()}` : nameOf(event);
  if (event.altKey) return;
  const typing = isTyping(event.target);
  if (typing && !isCommand && event.key !== 'Escape') return;
  if (event.key !== 'Escape' && !isCommand && isTaken(event, name)) return;
  const isLetter = !isCommand && event.key.length === 1;
  if (isLetter && !letterKeys.value) return;
  const wanted = prefix ? `${prefix} ${name}` : name;
  // What was bound last wins: the page before the shell, a dialog before the page.
  const found = bindings.value.findLast(one => one.key === wanted || one.also?.includes(wanted));
  prefix = '';
  clearTimeout(prefixTimer);
  if (found) {
    if (found.run(event) !== false) event.preventDefault();
    return;
  }
  if (isLetter && bindings.value.some(one => one.key.startsWith(`${wanted} `))) {
    prefix = wanted;
    prefixTimer = setTimeout(() => { prefix = ''; }, 1500);
    event.preventDefault();
  }
}

/** Binds keys while the component lives: `useKeys([{key: 'm', label: 'mark A', run}], [what run uses])`. */
export function useKeys(list, inputs) {
  const latest = useRef(list);
  latest.current = list;
  useEffect(() => {
    const bound = latest.current.map((one, i) => ({ ...one, run: event => latest.current[i]?.run(event) }));
    bindings.value = [...bindings.value, ...bound];
    return () => { bindings.value = bindings.value.filter(one => !bound.includes(one)); };
  }, inputs ?? []);
}

// ---- Telling and copying --------------------------------------------------------------------------------------------

export const toasts = signal([]);
let toastNumber = 0;
/** Says something for six seconds. Never the only place where it is said. */
export function toast(text, kind = 'note') {
  const id = ++toastNumber;
  toasts.value = [...toasts.value.slice(-2), { id, text, kind }];
  setTimeout(() => { toasts.value = toasts.value.filter(one => one.id !== id); }, 6000);
}

/** What a screen reader hears, at most every so often. */
export const spoken = signal('');
let speaking = 0;
export function say(text, soon = 250) {
  clearTimeout(speaking);
  speaking = setTimeout(() => { spoken.value = text; }, soon);
}

export async function copy(text, what = 'Copied') {
  try {
    await navigator.clipboard.writeText(text);
    toast(what);
  } catch {
    // Without permission, or not over HTTPS: the old way.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'offscreen';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    toast(done ? what : 'The browser did not let the console copy', done ? 'note' : 'error');
  }
}

export function download(name, text, type = 'application/json') {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Notes that a thing was looked at, for the omnibox. */
export function visited(label, url) {
  const list = recent.peek();
  if (list[0]?.url === url) return;
  recent.value = [{ label, url }, ...list.filter(one => one.url !== url)].slice(0, 8);
}

/** Text for a shell, in single quotes. */
export const shellQuote = text => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
export const originOf = () => location.origin;
export { computed as derived };
