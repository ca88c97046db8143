// Time travel: what was this stream's state after any of its events, who set each part of it, what if not?
import {
  html, api, useApi, useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, useKeys, path, useArrivals, say, toast, copy, go, visited, zone,
  Cursor, PAGE, mergeStep, isMerged, compile, clone, same, leaves, diffValues, valueAt, splitPointer, pathText, printJson, timeText, readTime, durationText, numberText, plural, typeHue,
  visibleText, isNumber, queryString, comparing,
} from '../core.js';
import { Icon, Page, ProblemNotice, Notice, Empty, Loading, Text, Time, Type, Value, Payload, Facts, Diff, Dialog, Sparkline, Table, Kbd, Choice, Menu, StreamLink, EventLink, CorrelationLink, Num, urls } from '../widgets.js';

const readAt = text => (/^\d{1,15}$/.test(text) ? Number(text) : !Number.isNaN(Date.parse(text)) ? text : undefined);
const readRevision = text => (/^\d{1,15}$/.test(text) ? Number(text) : undefined);
const QUERY = {
  at: { default: null, read: readAt }, fold: '', a: { default: null, read: readRevision }, b: { default: null, read: readRevision },
  view: { default: 'state', read: text => (text === 'diff' || text === 'state' ? text : undefined) },
  by: { default: 'event', read: text => (text === 'event' || text === 'time' ? text : undefined) },
  off: { default: null, read: readRevision }, watch: '', field: '', pane: { default: 'state', read: text => (['events', 'state', 'event'].includes(text) ? text : undefined) },
};
/** Pages that are fetched by themselves, so that ticks and blame are whole; a longer stream is fetched where one looks. */
const EAGER_PAGES = 20;
/** Pages that are kept; the farthest goes. */
const KEPT_PAGES = 80;
/** Events after the one that is left out, in what-if. */
const WHAT_IF_LIMIT = 5000;
/** A slider that was not moved for so many milliseconds rests. */
const RESTS = 60;
/** Leaves beyond this are drawn only where they are seen. */
const ALL_LEAVES = 48;
const BINS = 400;
const ROW = 30;
const LEAF = 20;
const SPEEDS = [['1', '1×'], ['4', '4×'], ['16', '16×'], ['real', 'as it was']];

/** The page that is most likely wanted, asked for together with what the stream is. */
let ahead = null;
function askAhead(stream, query) {
  const fold = query.fold || 'default';
  const key = JSON.stringify([stream, fold]);
  if (ahead?.key === key || typeof query.at === 'string') return;
  const number = Math.floor((query.at ?? 0) / PAGE);
  ahead = { key, number, page: wholePage(stream, number * PAGE, (number + 1) * PAGE, fold) };
  ahead.page.catch(() => {});
}
const MERGE = { fold: 'merge', kind: 'merge', name: 'merge' };
/** An older server has no such list, and knows one fold. */
function foldsOf(answer) {
  if (answer.data) return answer.data;
  return answer.error ? { default: 'merge', items: [MERGE], note: null } : null;
}

function Screen({ params, query, set }) {
  const { stream } = params;
  useMemo(() => askAhead(stream, query), [stream]);
  useEffect(() => () => { ahead = null; }, [stream]);
  const info = useApi(path`/v1/streams/${stream}`);
  const folds = foldsOf(useApi(`/v1/folds${queryString({ stream })}`));
  useEffect(() => { visited(`${stream}, through time`, urls.state(stream)); }, [stream]);
  if (info.error && !info.data) {
    return html`<${Page} title=${html`<${Text} value=${stream} clip=${60} />`} kicker="State through time"><${ProblemNotice} error=${info.error} retry=${info.reload} /></${Page}>`;
  }
  if (!info.data) return html`<${Loading} on=${info.loading} slow=${info.slow} what="the stream" first />`;
  if (info.data.lastRevision === null || info.data.lastRevision === undefined) {
    return html`<${Page} title=${html`<${Text} value=${stream} clip=${60} />`} kicker="State through time"><${Empty} title="Nothing has happened in this stream">It has no events that can be seen.</${Empty}></${Page}>`;
  }
  const fold = query.fold || folds?.default;
  if (!fold) return html`<${Loading} on what="the folds" first />`;
  // Another fold is another history: nothing of the one before is kept.
  return html`<${Travel} key=${`${stream}\n${fold}`} stream=${stream} info=${info.data} fold=${fold} folds=${folds} query=${query} set=${set} />`;
}

function Travel({ stream, info, fold, folds, query, set }) {
  const first = Number(info.firstVisible ?? 0);
  const [head, setHead] = useState(Number(info.lastRevision));
  const headNow = useRef(Number(info.lastRevision));
  const [error, setError] = useState(null);
  const [loadedAt, bump] = useState(0);
  const cursor = useRef(null);
  cursor.current ??= new Cursor();
  const asked = useRef(new Map());

  // ---- Where we are. Scrubbing changes this at once, and the address when it rests.
  const isLive = query.at === null;
  const [at, setAt] = useState(typeof query.at === 'number' ? clamp(query.at, first, head) : head);
  const [ready, setReady] = useState(typeof query.at !== 'string');
  const written = useRef(query.at);
  const timer = useRef(0);
  const goto = useCallback((revision, { live = false } = {}) => {
    const next = clamp(revision, first, head);
    setAt(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const value = live ? null : next;
      written.current = value;
      set({ at: value });
    }, 120);
  }, [first, head, set]);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    // Back, a link or a hand in the address: not what we wrote ourselves.
    if (query.at === written.current && ready) return;
    written.current = query.at;
    if (typeof query.at === 'number') { setAt(clamp(query.at, first, head)); setReady(true); }
    else if (query.at === null) { setAt(head); setReady(true); }
    else {
      api(path`/v1/streams/${stream}/state` + queryString({ at: query.at, fold: ofFold(fold) })).then(
        answer => { setAt(answer.at?.revision ?? first); setReady(true); },
        problem => { setError(problem); setReady(true); },
      );
    }
  }, [query.at]);

  // ---- Pages of history.
  const load = useCallback((number, again = false) => {
    if (number < 0 || (asked.current.has(number) && !again)) return asked.current.get(number) ?? Promise.resolve();
    const early = !again && ahead?.number === number && [fold, ...(fold === folds?.default ? ['default'] : [])].some(one => ahead.key === JSON.stringify([stream, one])) ? ahead.page : null;
    const promise = (early ?? wholePage(stream, Math.max(number * PAGE, first), (number + 1) * PAGE, fold)).then(page => {
      cursor.current.add(number, page);
      if (cursor.current.pages.size > KEPT_PAGES) {
        const far = [...cursor.current.pages.keys()].reduce((worst, one) => (Math.abs(one - number) > Math.abs(worst - number) ? one : worst), number);
        cursor.current.drop(far);
        asked.current.delete(far);
      }
      if (page.head !== undefined && page.head !== null && Number(page.head) > headNow.current) { headNow.current = Number(page.head); setHead(headNow.current); }
      bump(n => n + 1);
    }, problem => { asked.current.delete(number); setError(problem); });
    asked.current.set(number, promise);
    return promise;
  }, [stream, first, fold]);
  const moved = useRef(-RESTS);
  useEffect(() => {
    // Who drags over a long stream does not want each page on the way: a jump is asked for at once, what follows it soon
    // only when it rests.
    const page = Math.floor(at / PAGE);
    const since = performance.now() - moved.current;
    moved.current = performance.now();
    const rest = setTimeout(() => load(page), since < RESTS ? RESTS : 0);
    return () => clearTimeout(rest);
  }, [at, load]);
  useEffect(() => { if (query.a !== null) load(Math.floor(query.a / PAGE)); if (query.b !== null) load(Math.floor(query.b / PAGE)); }, [query.a, query.b, load]);
  const lastPage = Math.floor(head / PAGE);
  const firstPage = Math.floor(first / PAGE);
  useEffect(() => {
    let ended = false;
    (async () => {
      await load(Math.floor(at / PAGE));
      if (lastPage - firstPage < EAGER_PAGES) for (let n = firstPage; n <= lastPage && !ended; n++) await load(n);
    })();
    return () => { ended = true; };
  }, [lastPage, load]);

  // ---- Live: the head grows under us. The page's one feed says when.
  const growing = useRef(false);
  useArrivals(stream, () => {
    if (growing.current) return;
    growing.current = true;
    const from = Math.floor(headNow.current / PAGE);
    load(from, true).then(async () => {
      // More than a page may have come.
      for (let n = from + 1; n <= Math.floor(headNow.current / PAGE) && n - from < EAGER_PAGES; n++) await load(n, true);
      growing.current = false;
    });
  });
  useEffect(() => { if (isLive) setAt(head); }, [isLive, head]);

  // ---- What if: the events from the one that is left out, merged anew in the browser, or folded anew by the server.
  const whatIf = useWhatIf(stream, fold, query.off, head, cursor.current, loadedAt, load);
  const shown = whatIf.cursor && at >= query.off ? whatIf.cursor : cursor.current;
  const isHere = shown.has(at) && ready;

  // ---- The state, its changes, who set what.
  const view = useMemo(() => {
    if (!isHere) return null;
    try {
      const step = shown.step(at);
      const changes = shown.changes(at);
      const state = shown.seek(at);
      const rows = stateRows(state, changes);
      const real = shown === cursor.current ? null : new Map(diffValues(cursor.current.seek(at) ?? {}, state).map(item => [item.pointer, item]));
      if (real) for (const [pointer, item] of real) if (item.change === 'removed' && !rows.some(row => row.pointer === pointer)) rows.push({ pointer, value: undefined, change: null });
      rows.sort(byPointer);
      return { step, changes, rows, real, size: rows.length };
    } catch (failure) { return { failure, rows: [], changes: [] }; }
  }, [at, isHere, shown, loadedAt]);
  const lastView = useRef(null);
  if (view) lastView.current = view;
  const visible = view ?? lastView.current;
  const step = shown.step(at) ?? cursor.current.step(at);
  useEffect(() => { if (step && view) say(`event ${at}, ${step.type}, ${step.error ? 'the fold failed' : `${plural(view.changes.length, 'field')} changed`}`); }, [at, view]);

  // ---- Watch.
  const watch = useMemo(() => {
    if (!query.watch) return null;
    try { return { run: compile(query.watch), values: new WeakMap() }; } catch (problem) { return { error: problem.message }; }
  }, [query.watch]);
  const watched = useMemo(() => {
    if (!watch?.run) return null;
    const values = new Map();
    for (const page of (whatIf.cursor ?? cursor.current).pages.values()) {
      // A page is evaluated once; it comes again as another one when it has grown.
      let own = watch.values.get(page.steps);
      if (!own) {
        const walker = new Cursor();
        walker.add(page.number, { base: { state: page.base }, steps: page.steps });
        own = page.steps.map(one => [one.revision, clone(watch.run(walker.seek(one.revision)))]);
        watch.values.set(page.steps, own);
      }
      for (const [revision, value] of own) values.set(revision, value);
    }
    return values;
  }, [watch, loadedAt, whatIf.cursor]);

  // ---- Moving.
  const order = useMemo(() => revisionsOf(cursor.current), [loadedAt]);
  const stepBy = n => {
    const i = order.length ? lastIn(order, at) + n : -1;
    goto(order[i] !== undefined && Math.abs(order[i] - at) < PAGE ? order[i] : at + n);
  };
  const sameType = useCallback(async direction => {
    const type = cursor.current.step(at)?.type;
    if (!type) return;
    for (let revision = at + direction, pages = 0; revision >= first && revision <= head; revision += direction) {
      if (!cursor.current.has(revision)) {
        if (++pages > 4) { toast(`No ${visibleText(type)} within ${numberText(PAGE * 4)} events`); return; }
        await load(Math.floor(revision / PAGE));
      }
      if (cursor.current.step(revision)?.type === type) { goto(revision); return; }
    }
    toast(direction > 0 ? `No later ${visibleText(type)}` : `No earlier ${visibleText(type)}`);
  }, [at, first, head, goto, load]);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState('4');
  useEffect(() => {
    if (!playing) return undefined;
    if (at >= head) { setPlaying(false); return undefined; }
    let wait = 1000 / Number(speed);
    if (speed === 'real') {
      const [from, to] = [cursor.current.step(at), cursor.current.step(at + 1)].map(one => readTime(one?.time)?.millis);
      wait = from !== undefined && to !== undefined ? Math.min(5000, Math.max(16, to - from)) : 1000;
    }
    const tick = setTimeout(() => stepBy(1), wait);
    return () => clearTimeout(tick);
  }, [playing, at, speed, head]);
  const [digits, setDigits] = useState('');
  const [field, setField] = useState(query.field);
  const [dialog, setDialog] = useState(query.field ? 'history' : null);
  const blame = async () => {
    if (!field) { toast('Choose a field first: j and k move among them'); return; }
    const found = shown.setBy(field, at);
    if (typeof found === 'number') { goto(found); return; }
    const answer = await api(path`/v1/streams/${stream}/blame` + queryString({ at: String(at), path: field, fold: ofFold(fold), without: query.off !== null && at >= query.off ? String(query.off) : null })).catch(problem => { setError(problem); return null; });
    const origin = answer?.items?.find(item => item.pointer === field)?.setBy ?? answer?.items?.[0]?.setBy;
    if (origin) goto(Number(origin.revision)); else if (answer) toast('No event is known to have set it');
  };
  const toggleOff = () => set({ off: query.off === at ? null : at }, { push: true });
  const rowsOf = () => visible?.rows ?? [];
  const moveField = n => {
    const rows = rowsOf();
    if (!rows.length) return;
    const i = rows.findIndex(row => row.pointer === field);
    const next = rows[clamp(i < 0 ? (n > 0 ? 0 : rows.length - 1) : i + n, 0, rows.length - 1)];
    setField(next.pointer);
  };
  const mark = name => { set({ [name]: at }); say(`mark ${name.toUpperCase()} at event ${at}`); };
  const toggleDiff = () => set(query.view === 'diff' ? { view: 'state' } : { view: 'diff', a: query.a ?? Math.max(first, at - 1) }, { push: true });
  const toLive = () => { clearTimeout(timer.current); if (isLive) goto(at); else { setAt(head); written.current = null; set({ at: null }, { push: true }); } };
  const play = () => { if (!playing && at >= head) goto(first); setPlaying(!playing); };
  useKeys([
    { key: 'ArrowLeft', label: 'event before', group: 'Time', run: () => stepBy(-1) }, { key: 'ArrowRight', label: 'event after', group: 'Time', run: () => stepBy(1) },
    { key: 'Shift+ArrowLeft', label: 'same type before', group: 'Time', run: () => { sameType(-1); } }, { key: 'Shift+ArrowRight', label: 'same type after', group: 'Time', run: () => { sameType(1); } },
    { key: '[', label: 'event before', run: () => stepBy(-1) }, { key: ']', label: 'event after', run: () => stepBy(1) },
    { key: 'Home', label: 'first event', group: 'Time', run: () => goto(first) }, { key: 'End', label: 'last event', group: 'Time', run: () => goto(head) },
    { key: 'Space', label: 'play, pause', group: 'Time', run: play }, { key: 'l', label: 'live on, off', group: 'Time', run: toLive },
    { key: 'm', label: 'mark A here', group: 'Compare', run: () => mark('a') }, { key: 'M', label: 'mark B here', group: 'Compare', run: () => mark('b') },
    { key: 'd', label: 'difference A to B', group: 'Compare', run: toggleDiff }, { key: 'x', label: 'what if this event had not happened', group: 'Compare', run: toggleOff },
    { key: 'j', label: 'next field', group: 'Fields', run: () => moveField(1) }, { key: 'k', label: 'field before', group: 'Fields', run: () => moveField(-1) },
    { key: 'b', label: 'to the event that set the field', group: 'Fields', run: () => { blame(); } },
    { key: 'h', label: 'history of the field', group: 'Fields', run: () => { if (field) { set({ field }); setDialog('history'); } else toast('Choose a field first: j and k move among them'); } },
    { key: 'w', label: 'watch an expression', group: 'Fields', run: () => setDialog('watch') },
    ...[...'0123456789'].map(digit => ({ key: digit, label: digit === '0' ? 'number, then Enter: to that event' : '', group: 'Time', run: () => setDigits(before => (before + digit).slice(-15)) })),
    { key: 'Enter', label: '', run: () => { if (!digits) return false; goto(Number(digits)); setDigits(''); return true; } },
    { key: 'Escape', label: '', run: () => { if (!digits) return false; setDigits(''); return true; } },
  ]);

  const total = head - first + 1;
  const category = info.category;
  const sideways = html`<${Fragmented}>
    <span class="tt-hints" aria-hidden="true"><${Kbd}>←</${Kbd}> <${Kbd}>→</${Kbd}> step <${Kbd}>Shift</${Kbd}> same type <${Kbd}>12</${Kbd}> <${Kbd}>Enter</${Kbd}> jump</span></${Fragmented}>`;
  return html`<div class="page full tt">
    <header class="tt-head">
      <h1><a class="link plain" href=${urls.stream(stream)}><${Text} value=${stream} clip=${48} /></a></h1>
      <p class="quiet tt-about">${category && html`category <a class="link" href=${urls.category(category)}><${Text} value=${category} clip=${24} /></a> · `}${plural(total, 'event')}</p>
      <label class="tt-fold">state by <${Folds} fold=${fold} folds=${folds} onChange=${wanted => set({ fold: wanted === folds?.default ? '' : wanted }, { push: true })} /></label>
      <span class="grow" />
      ${sideways}
      <button type="button" aria-pressed=${isLive ? 'true' : 'false'} onClick=${toLive} title="Follow the newest event (l)">${isLive ? '● ' : ''}Live</button>
    </header>
    <${Slider} cursor=${cursor.current} loadedAt=${loadedAt} first=${first} head=${head} at=${at} step=${step} by=${query.by} a=${query.a} b=${query.b} off=${query.off} goto=${goto} info=${info} digits=${digits} playing=${playing} />
    <div class="tt-tools" role="toolbar" aria-label="Time travel">
      <span class="tt-group">
        <button type="button" aria-label="First event" title="First (Home)" onClick=${() => goto(first)}><${Icon} name="first" /></button>
        <button type="button" aria-label="Same type before" title="Same type before (Shift ←)" onClick=${() => sameType(-1)}><${Icon} name="typeBefore" /></button>
        <button type="button" aria-label="Event before" title="Before (←)" onClick=${() => stepBy(-1)}><${Icon} name="before" /></button>
        <button type="button" onClick=${play} title="Play (Space)" class="tt-play">${playing ? 'Pause' : 'Play'}</button>
        <button type="button" aria-label="Event after" title="After (→)" onClick=${() => stepBy(1)}><${Icon} name="after" /></button>
        <button type="button" aria-label="Same type after" title="Same type after (Shift →)" onClick=${() => sameType(1)}><${Icon} name="typeAfter" /></button>
        <button type="button" aria-label="Last event" title="Last (End)" onClick=${() => goto(head)}><${Icon} name="last" /></button>
      </span>
      <select aria-label="Speed" value=${speed} onChange=${event => setSpeed(event.target.value)}>${SPEEDS.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select>
      <${Choice} label="Slider by" options=${[['event', 'By event'], ['time', 'By time']]} value=${query.by} onChange=${by => set({ by })} />
      <span class="grow" />
      <span class="tt-group">
        <button type="button" aria-pressed=${query.a !== null ? 'true' : 'false'} title="Mark A here (m)" onClick=${() => mark('a')}>Mark A${query.a !== null ? ` #${query.a}` : ''}</button>
        <button type="button" aria-pressed=${query.b !== null ? 'true' : 'false'} title="Mark B here (Shift M); else B is where you are" onClick=${() => (query.b === at ? set({ b: null }) : mark('b'))}>B${query.b !== null ? ` #${query.b}` : ''}</button>
        <button type="button" aria-pressed=${query.view === 'diff' ? 'true' : 'false'} title="Difference A to B (d)" onClick=${toggleDiff}>Diff</button>
      </span>
      <button type="button" aria-pressed=${query.off !== null ? 'true' : 'false'} title="What if this event had not happened (x)" onClick=${toggleOff}>What if…</button>
      <button type="button" aria-pressed=${query.watch ? 'true' : 'false'} title="Watch an expression (w)" onClick=${() => setDialog('watch')}>Watch</button>
      <${Menu} label="More" items=${[
    { label: 'The world at this moment…', run: () => setDialog('world') },
    { label: 'Copy this state', run: () => copy(printJson(shown.seek(at) ?? {}), 'State copied') },
    { label: 'Copy as curl', run: () => copy(`curl '${location.origin}${path`/v1/streams/${stream}/state`}${queryString({ at: String(at), fold: ofFold(fold) })}'`, 'curl copied') },
    ...(fold === 'merge' ? [{ label: 'Copy for the command line', run: () => copy(`factum state ${shellWord(stream)} --at ${at}`, 'Command copied') }] : []),
    { label: 'Add to compare', run: () => { comparing.value = [...new Set([...comparing.value, stream])]; go(`/ui/compare${queryString({ s: comparing.value })}`); } },
  ]} />
    </div>
    ${query.off !== null && html`<div class="tt-whatif" role="status"><strong>What if #${query.off}${cursor.current.step(query.off) ? ` ${visibleText(cursor.current.step(query.off).type)}` : ''} had not happened?</strong> ${
      whatIf.error ? html`<${Text} value=${whatIf.error} />` : whatIf.loading ? (fold === 'merge' ? 'Merging the later events anew…' : 'The server folds the later events anew…') : at < query.off ? 'You are before it: nothing is different yet.' : html`${fold === 'merge' ? 'Only in this browser.' : 'Folded without it for this page only: nothing is written.'} ${plural(visible?.real?.size ?? 0, 'field')} would be different after #${at}${whatIf.cut ? `; only the first ${numberText(WHAT_IF_LIMIT)} later events are taken` : ''}.`
    } <button type="button" onClick=${() => set({ off: null }, { push: true })}>It did happen</button></div>`}
    ${error && html`<${ProblemNotice} error=${error} retry=${() => { setError(null); load(Math.floor(at / PAGE), true); }} />`}
    <div class="tt-panes"><${Choice} label="Pane" options=${[['events', 'Events'], ['state', 'State'], ['event', 'Event']]} value=${query.pane} onChange=${pane => set({ pane })} /></div>
    <div class=${`tt-columns pane-${query.pane}`}>
      <section class="tt-column tt-events" aria-labelledby="tt-events"><h2 id="tt-events">Events${query.watch && html`<span class="tt-watchhead" title=${visibleText(query.watch)}><${Text} value=${query.watch} clip=${24} /></span>`}</h2>
        <${EventList} cursor=${cursor.current} loadedAt=${loadedAt} first=${first} head=${head} at=${at} goto=${goto} load=${load} watched=${watched} watchError=${watch?.error} a=${query.a} b=${query.b} off=${query.off} />
      </section>
      <section class="tt-column tt-state" aria-labelledby="tt-state">
        ${query.view === 'diff' ? html`<${DiffPane} cursor=${whatIf.cursor ?? cursor.current} base=${cursor.current} a=${query.a ?? first} b=${query.b ?? at} loadedAt=${loadedAt} goto=${goto} stream=${stream} close=${toggleDiff} />`
    : html`<${StatePane} view=${visible} at=${at} cursor=${shown} goto=${goto} stream=${stream} field=${field} setField=${setField} isOld=${!view} openHistory=${pointer => { setField(pointer); set({ field: pointer }); setDialog('history'); }} />`}
      </section>
      <section class="tt-column tt-event" aria-labelledby="tt-event"><${EventPane} stream=${stream} at=${at} step=${step} isOff=${query.off === at} /></section>
    </div>
    ${dialog === 'history' && field && html`<${FieldHistory} stream=${stream} fold=${fold} off=${query.off} pointer=${field} at=${at} goto=${goto} onClose=${() => { setDialog(null); set({ field: '' }); }} />`}
    ${dialog === 'watch' && html`<${WatchDialog} text=${query.watch || (field ? plainPath(field) : '')} onClose=${() => setDialog(null)} onSet=${text => { set({ watch: text }); setDialog(null); }} sample=${shown.seek(at)} />`}
    ${dialog === 'world' && html`<${WorldDialog} step=${step} stream=${stream} onClose=${() => setDialog(null)} />`}
  </div>`;
}
const Fragmented = ({ children }) => children;
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const byPointer = (a, b) => (a.pointer < b.pointer ? -1 : a.pointer > b.pointer ? 1 : 0);
const shellWord = text => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
const plainPath = pointer => { const text = pathText(pointer); return text.startsWith('(') ? '' : text; };
function revisionsOf(cursor) {
  const out = [];
  for (const number of [...cursor.pages.keys()].sort((a, b) => a - b)) for (const step of cursor.pages.get(number).steps) out.push(step.revision);
  return out;
}
function lastIn(list, value) {
  let low = 0;
  let high = list.length;
  while (low < high) { const mid = (low + high) >> 1; if (list[mid] <= value) low = mid + 1; else high = mid; }
  return low - 1;
}
/** The leaves of a state with what the event did to them, and those that it removed. */
function stateRows(state, changes) {
  const changed = new Map(changes.map(item => [item.pointer, item]));
  const rows = leaves(state).map(leaf => ({ ...leaf, change: changed.get(leaf.pointer) ?? null }));
  const there = new Set(rows.map(row => row.pointer));
  for (const item of changes) if (item.change === 'removed' && !there.has(item.pointer)) rows.push({ pointer: item.pointer, value: undefined, change: item });
  return rows;
}

const ofFold = fold => (fold === 'merge' ? null : fold);
/** How the states are made: by name, the stream's usual one marked. */
function Folds({ fold, folds, onChange }) {
  const items = folds?.items ?? [];
  const named = items.some(one => one.fold === fold) ? items : [...items, { fold, kind: '', name: fold }];
  const groups = [['aggregate', 'Aggregates'], ['merge', 'Any JSON stream'], ['projection', 'Projections'], ['', 'Asked for']];
  return html`<select value=${fold} title=${folds?.note ? visibleText(folds.note) : undefined} onChange=${event => onChange(event.target.value)}>${groups.map(([kind, label]) => {
    const own = named.filter(one => one.kind === kind);
    return own.length > 0 && html`<optgroup label=${label}>${own.map(one => html`<option value=${one.fold}>${visibleText(one.name)}${one.fold === folds?.default ? ' (default)' : ''}</option>`)}</optgroup>`;
  })}</select>`;
}
/** The steps of a page. Where patches are big the server gives them in several answers. */
async function wholePage(stream, from, end, fold, without = null) {
  const ask = start => api(path`/v1/streams/${stream}/history` + queryString({ from: String(start), limit: end - start, fold: ofFold(fold), without: without === null ? null : String(without) }));
  const page = await ask(from);
  const steps = page.steps;
  let { next } = page;
  while (next !== null && next !== undefined && Number(next) < end) {
    const more = await ask(Number(next));
    steps.push(...more.steps);
    next = more.next;
  }
  return { ...page, steps: steps.filter(step => step.revision < end) };
}

/** A cursor over history without one event, made in the browser; of the application's folds, asked of the server. */
function useWhatIf(stream, fold, off, head, cursor, loadedAt, load) {
  const [made, setMade] = useState({ off: null, cursor: null, error: null, cut: false });
  const isHere = off !== null && cursor.has(off);
  useEffect(() => { if (off !== null) load(Math.floor(off / PAGE)); }, [off]);
  useEffect(() => {
    if (off === null) { setMade({ off: null, cursor: null, error: null, cut: false }); return undefined; }
    if (!isHere || made.off === off) return undefined;
    let ended = false;
    (async () => {
      try {
        if (fold !== 'merge') {
          const folded = await foldedWithout(stream, fold, off, head, cursor);
          if (!ended) setMade({ off, error: null, ...folded });
          return;
        }
        const events = [];
        let from = off + 1;
        while (from <= head && events.length < WHAT_IF_LIMIT) {
          const page = await api(path`/v1/streams/${stream}/events` + queryString({ from: String(from), direction: 'forward', limit: 1000, resolveLinks: 'false' }));
          if (!page.items.length) break;
          events.push(...page.items);
          from = Number(page.items[page.items.length - 1].revision) + 1;
        }
        if (ended) return;
        const begun = off > 0 ? cursor.seek(off - 1) ?? cursor.seekBefore(off) : {};
        let state = clone(begun);
        const steps = [{ ...cursor.step(off), patch: [], inverse: [], isOff: true }];
        for (const event of events) {
          const { data, metadata, ...about } = event;
          if (!isMerged(event)) { steps.push({ ...about, revision: Number(event.revision), patch: [], inverse: [] }); continue; }
          const merged = mergeStep(state, data);
          state = merged.state;
          steps.push({ ...about, revision: Number(event.revision), patch: merged.patch, inverse: clone(merged.inverse) });
        }
        const other = new Cursor();
        // Earlier pages are as they were; the one of the event is cut in two at it.
        for (const [number, page] of cursor.pages) if (number < Math.floor(off / PAGE)) other.add(number, { base: { state: page.base }, steps: page.steps });
        const page = cursor.pages.get(Math.floor(off / PAGE));
        const all = [...page.steps.filter(step => step.revision < off), ...steps];
        let base = clone(page.base);
        const walker = new Cursor();
        for (let number = Math.floor(off / PAGE); number * PAGE <= all[all.length - 1].revision; number++) {
          const own = all.filter(step => step.revision >= number * PAGE && step.revision < (number + 1) * PAGE);
          other.add(number, { base: { state: base }, steps: own });
          walker.add(number, { base: { state: base }, steps: own });
          base = clone(own.length ? walker.seek(own[own.length - 1].revision) : base);
        }
        setMade({ off, cursor: other, error: null, cut: events.length >= WHAT_IF_LIMIT });
      } catch (problem) { if (!ended) setMade({ off, cursor: null, error: problem.message, cut: false }); }
    })();
    return () => { ended = true; };
  }, [off, isHere, made.off]);
  return { ...made, cursor: made.off === off ? made.cursor : null, loading: off !== null && made.off !== off };
}

/** Pages from the one of the event on, as the server folds them without it. Earlier ones are as they were. */
async function foldedWithout(stream, fold, off, head, cursor) {
  const other = new Cursor();
  const own = Math.floor(off / PAGE);
  for (const [number, page] of cursor.pages) if (number < own) other.add(number, { base: { state: page.base }, steps: page.steps });
  const last = Math.min(Math.floor(head / PAGE), own + Math.ceil(WHAT_IF_LIMIT / PAGE) - 1);
  for (let number = own; number <= last; number++) {
    const page = await wholePage(stream, number * PAGE, (number + 1) * PAGE, fold, off);
    other.add(number, { ...page, steps: page.steps.map(step => (step.without ? { ...step, isOff: true } : step)) });
  }
  return { cursor: other, cut: Math.floor(head / PAGE) > last };
}

// ---- The slider and its ticks ---------------------------------------------------------------------------------------

function Slider({ cursor, loadedAt, first, head, at, step, by, a, b, off, goto, info, digits, playing }) {
  const count = head - first + 1;
  const start = readTime(info.firstTime)?.millis;
  const lastStep = cursor.step(head);
  const end = readTime(lastStep?.time ?? info.lastTime)?.millis;
  const timed = by === 'time' && start !== undefined && end !== undefined && end > start;
  // Places are fractions of the width: of events, each has its part; of time, each its moment.
  const times = useMemo(() => {
    if (!timed) return null;
    const out = [];
    for (const revision of revisionsOf(cursor)) out.push([revision, (readTime(cursor.step(revision).time).millis - start) / (end - start)]);
    return out;
  }, [timed, loadedAt, head, start, end]);
  const placeOf = revision => {
    if (!timed) return (revision - first + 0.5) / count;
    const time = readTime(cursor.step(revision)?.time)?.millis;
    return time === undefined ? 0 : (time - start) / (end - start);
  };
  const revisionAt = part => {
    if (!timed) return first + Math.floor(clamp(part, 0, 0.999999) * count);
    let found = first;
    for (const [revision, place] of times) { if (place > part + 1e-9) break; found = revision; }
    return found;
  };
  const bars = useMemo(() => tickBars(cursor, first, head, times), [loadedAt, first, head, times]);
  const here = timed ? placeOf(at) : (at - first + 1) / count;
  const words = step ? `event ${at}, ${visibleText(step.type)}, ${timeText(step.time, zone.value, 'short')}` : `event ${at}`;
  const box = useRef();
  const drag = event => {
    if (event.buttons !== 1 && event.type !== 'pointerdown') return;
    const rect = box.current.getBoundingClientRect();
    goto(revisionAt((event.clientX - rect.left) / rect.width));
  };
  const flag = (revision, name) => revision !== null && revision >= first && revision <= head && html`<span class=${`tt-flag ${name}`} style=${{ left: `${(placeOf(revision) * 100).toFixed(3)}%` }}>${name === 'off' ? '×' : name.toUpperCase()}</span>`;
  return html`<div class="tt-slider">
    <div class="tt-ticks" ref=${box} onPointerDown=${drag} onPointerMove=${drag}>
      <${Ticks} bars=${bars} here=${here} />
      ${flag(a, 'a')}${flag(b, 'b')}${flag(off, 'off')}
    </div>
    ${timed
    ? html`<input type="range" aria-label="Time" min="0" max="2000" step="1" value=${Math.round(placeOf(at) * 2000)} aria-valuetext=${words} onInput=${event => goto(revisionAt(Number(event.target.value) / 2000))} onKeyDown=${keepArrows} />`
    : html`<input type="range" aria-label="Event" min=${first} max=${head} step="1" value=${at} aria-valuetext=${words} onInput=${event => goto(Number(event.target.value))} onKeyDown=${keepArrows} />`}
    <div class="tt-labels"><span class="tt-edge">${timed ? html`<${Time} at=${info.firstTime} show="short" />` : `#${first}`}</span>
      <span class="tt-now">${digits ? html`jump to <strong>#${digits}</strong>, then Enter` : html`event <strong>#${at}</strong> of ${numberText(head)}${step && html` · <${Time} at=${step.time} />`}${playing ? ' · playing' : ''}`}</span>
      <span class="tt-edge">${timed ? html`<${Time} at=${lastStep?.time ?? info.lastTime} show="short" />` : `#${head} (head)`}</span></div>
  </div>`;
}
/** Arrows on the slider are those of the page: one meaning, whatever has the focus. */
const keepArrows = event => { if (/^(Arrow|Home|End|Page)/.test(event.key)) event.currentTarget.blur(); };

/** Bars of the ticks: `[{x, w, h, hue}]` in parts of 1000 by 22; hue -1 where nothing is known yet. */
function tickBars(cursor, first, head, times) {
  const count = head - first + 1;
  const out = [];
  const bins = Math.min(count, BINS);
  const sums = Array.from({ length: bins }, () => ({ n: 0, known: 0, failed: false, hues: new Map() }));
  const take = (bin, step) => {
    const one = sums[bin];
    one.known++;
    if (step.error) one.failed = true;
    one.n = Math.max(one.n, new Set(step.patch.map(op => op.path)).size);
    const hue = typeHue(step.type);
    one.hues.set(hue, (one.hues.get(hue) ?? 0) + 1);
  };
  if (times) {
    // By time, a bar is as wide as a bin of the width, and events of one bin share it.
    const width = 400;
    const slots = new Map();
    for (const [revision, place] of times) {
      const slot = Math.min(width - 1, Math.floor(place * width));
      if (!slots.has(slot)) slots.set(slot, { n: 0, known: 0, failed: false, hues: new Map() });
      sums[0] = slots.get(slot);
      take(0, cursor.step(revision));
    }
    for (const [slot, one] of slots) out.push({ x: slot * 1000 / width, w: 1000 / width, one });
  } else {
    for (const page of cursor.pages.values()) for (const step of page.steps) if (step.revision >= first && step.revision <= head) take(Math.min(bins - 1, Math.floor((step.revision - first) * bins / count)), step);
    sums.forEach((one, i) => out.push({ x: i * 1000 / bins, w: 1000 / bins, one }));
  }
  const most = Math.max(1, ...out.map(bar => bar.one.n));
  const gap = out.length > 200 || times ? 0.3 : 1.2;
  return out.map(({ x, w, one }) => ({ x, w: Math.max(0.8, w - gap), h: one.failed ? 22 : one.known ? 6 + 16 * Math.sqrt(one.n / most) : 2, hue: one.failed ? FAILED : one.known ? [...one.hues].sort((p, q) => q[1] - p[1])[0][0] : -1 }));
}
/** Stands for the hue of a bar with an event that the fold fails at. */
const FAILED = -2;
function Ticks({ bars, here }) {
  // One path per hue, drawn twice: full up to here, pale after it. Scrubbing moves two clips and nothing else.
  const paths = useMemo(() => {
    const byHue = new Map();
    for (const bar of bars) {
      const d = `M${bar.x.toFixed(2)} 22v${(-bar.h).toFixed(1)}h${bar.w.toFixed(2)}v${bar.h.toFixed(1)}z`;
      byHue.set(bar.hue, (byHue.get(bar.hue) ?? '') + d);
    }
    return [...byHue].map(([hue, d]) => html`<path key=${hue} class=${hue === FAILED ? 'tt-failed' : hue < 0 ? 'tt-unknown' : `tt-bar hue-${hue}`} d=${d} />`);
  }, [bars]);
  const x = here * 1000;
  return html`<svg viewBox="0 0 1000 22" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <clipPath id="tt-past"><rect x="0" y="0" width=${x} height="22" /></clipPath><clipPath id="tt-future"><rect x=${x} y="0" width=${1000 - x} height="22" /></clipPath>
    <g clip-path="url(#tt-past)">${paths}</g><g clip-path="url(#tt-future)" class="tt-pale">${paths}</g></svg>`;
}

// ---- The three columns ----------------------------------------------------------------------------------------------

/** Which of `count` rows of a height are seen in a box that scrolls: `[ref, from, to, reveal]`. */
function useWindow(count, height, all) {
  const ref = useRef();
  const [range, setRange] = useState([0, 60]);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box || all) return undefined;
    const measure = () => {
      const from = Math.max(0, Math.floor(box.scrollTop / height) - 10);
      const to = Math.min(count, Math.ceil((box.scrollTop + box.clientHeight) / height) + 10);
      setRange(before => (before[0] === from && before[1] === to ? before : [from, to]));
    };
    measure();
    box.addEventListener('scroll', measure, { passive: true });
    const seen = new ResizeObserver(measure);
    seen.observe(box);
    return () => { box.removeEventListener('scroll', measure); seen.disconnect(); };
  }, [count, height, all]);
  const reveal = (i, where = 'nearest') => {
    const box = ref.current;
    if (!box) return;
    const top = i * height;
    if (top < box.scrollTop + height || top + height * 2 > box.scrollTop + box.clientHeight) {
      box.scrollTop = where === 'nearest' && top < box.scrollTop + height ? top - height : where === 'nearest' ? top + height * 3 - box.clientHeight : top - box.clientHeight / 2;
    }
  };
  return [ref, all ? 0 : Math.min(range[0], count), all ? count : Math.min(range[1], count), reveal];
}

/** Rows whose inputs are the same are the same to the renderer too, which then leaves them alone: most are, at each step. */
function useReuse() {
  const last = useRef(new Map());
  const next = new Map();
  useLayoutEffect(() => { last.current = next; });
  return (key, inputs, make) => {
    const was = last.current.get(key);
    const row = was && was.inputs.length === inputs.length && was.inputs.every((one, i) => Object.is(one, inputs[i])) ? was.row : make();
    next.set(key, { inputs, row });
    return row;
  };
}

function EventList({ cursor, loadedAt, first, head, at, goto, load, watched, watchError, a, b, off }) {
  const count = head - first + 1;
  const [ref, from, to, reveal] = useWindow(count, ROW, false);
  useLayoutEffect(() => { reveal(at - first); }, [at, first]);
  useEffect(() => {
    // What is looked at is fetched, when the scrolling rests.
    const rest = setTimeout(() => { for (let n = Math.floor((first + from) / PAGE); n <= Math.floor((first + Math.max(from, to - 1)) / PAGE); n++) load(n); }, 80);
    return () => clearTimeout(rest);
  }, [from, to, first, load]);
  const reuse = useReuse();
  const rows = [];
  for (let i = from; i < to; i++) {
    const revision = first + i;
    const step = cursor.step(revision);
    const isKnown = cursor.has(revision);
    const seen = watched?.get(revision);
    rows.push(reuse(revision, [step, isKnown, i, revision === at, revision > at, revision === off, revision === a, revision === b, watched !== null, seen, goto], () => html`<li key=${revision} class=${`tt-row${revision === at ? ' now' : ''}${revision > at ? ' later' : ''}${revision === off ? ' off' : ''}${step?.error ? ' failed' : ''}`} aria-current=${revision === at ? 'true' : undefined} style=${{ top: `${i * ROW}px` }} onClick=${() => goto(revision)}>
      <button type="button" tabindex=${revision === at ? 0 : -1} class="tt-rev" aria-label=${`Event ${revision}${step ? ` ${visibleText(step.type)}` : ''}`}>${revision}</button>
      ${step ? html`<span class=${`tt-dot hue-${typeHue(step.type)}`} aria-hidden="true" /><span class="tt-type"><${Text} value=${step.type} clip=${36} /></span>` : html`<span class="tt-dot" /><span class="tt-type quiet">${isKnown ? 'not there any more' : '…'}</span>`}
      ${revision === a && html`<span class="tt-mark">A</span>`}${revision === b && html`<span class="tt-mark">B</span>`}${step?.skipped && html`<span class="tt-mark warn" title=${`skipped: ${visibleText(String(step.skipped))}`}>skipped</span>`}${step?.error && html`<span class="tt-mark bad" title=${visibleText(String(step.error))}>failed</span>`}
      ${watched ? html`<span class="tt-watch">${watched.has(revision) && html`<${Value} value=${watched.get(revision)} clip=${18} />`}</span>` : step && html`<${Time} at=${step.time} show="second" />`}
    </li>`));
  }
  return html`${watchError && html`<p class="notice bad">The watch is not understood: ${watchError}</p>`}<div class="tt-scroll" ref=${ref} tabindex="0" role="group" aria-label="Events of the stream"><ul class="tt-rows" style=${{ height: `${count * ROW}px` }}>${rows}</ul></div>`;
}

function StatePane({ view, at, cursor, goto, stream, field, setField, isOld, openHistory }) {
  const [filter, setFilter] = useState('');
  const rows = useMemo(() => {
    if (!view) return [];
    const want = filter.trim().toLowerCase();
    return want ? view.rows.filter(row => pathText(row.pointer).toLowerCase().includes(want)) : view.rows;
  }, [view, filter]);
  const all = rows.length <= ALL_LEAVES;
  const [ref, from, to, reveal] = useWindow(rows.length, LEAF, all);
  useLayoutEffect(() => {
    // A long state shows what has just changed.
    if (!view || all) return;
    const i = rows.findIndex(row => row.change);
    if (i >= 0 && !rows.slice(from, to).some(row => row.change)) reveal(i, 'middle');
  }, [view]);
  useLayoutEffect(() => {
    const i = rows.findIndex(row => row.pointer === field);
    if (i < 0) return;
    if (!all) reveal(i);
    requestAnimationFrame(() => { const element = ref.current?.querySelector('.tt-leaf.focused'); if (element) { element.focus({ preventScroll: !all }); if (all) element.scrollIntoView({ block: 'nearest' }); } });
  }, [field]);
  const reuse = useReuse();
  const step = view?.step;
  const changed = view?.changes.length ?? 0;
  return html`<div class="tt-panehead"><h2 id="tt-state">State after #${at} · ${isOld ? 'loading…' : `${numberText(changed)} changed`}</h2>
      ${(rows.length > 12 || filter) && html`<input type="search" class="tt-filter" aria-label="Filter fields" placeholder="Filter fields" value=${filter} onInput=${event => setFilter(event.target.value)} />`}</div>
    ${view?.failure && html`<${Notice} kind="bad" title="The state cannot be shown"><${Text} value=${view.failure.message} /></${Notice}>`}
    ${step?.error && html`<${Notice} kind="bad" title="The fold failed at this event"><${Text} value=${String(step.error)} />. The state is the one before it.</${Notice}>`}
    ${step?.skipped && html`<p class="tt-skipped">This event did not change the state: ${SKIPPED[step.skipped] ?? visibleText(String(step.skipped))}.</p>`}
    <div class=${`tt-scroll${isOld ? ' is-old' : ''}`} ref=${ref} tabindex="0" role="group" aria-label="State">
      ${rows.length === 0 && view && html`<p class="quiet pad">${filter ? 'No field is called that.' : 'The state is empty: {}'}</p>`}
      <ul class=${all ? 'tt-leaves' : 'tt-leaves many'} style=${all ? undefined : { height: `${rows.length * LEAF}px` }}>${rows.slice(from, to).map((row, n) => {
    const top = all ? null : (from + n) * LEAF;
    const setBy = row.value === undefined && !row.change ? undefined : cursor.setBy(row.pointer, at);
    const focused = row.pointer === field;
    const isFirst = n === 0 && !field;
    const real = view.real?.get(row.pointer);
    return reuse(row.pointer, [row.value, row.change, top, setBy, focused, isFirst, real, goto, stream], () => html`<${Leaf} key=${row.pointer} row=${row} top=${top} setBy=${setBy} goto=${goto} stream=${stream} focused=${focused} isFirst=${isFirst} setField=${setField} openHistory=${openHistory} real=${real} />`);
  })}</ul>
    </div>`;
}
const SKIPPED = { binary: 'its data is binary', notJson: 'its data is not JSON', tooDeep: 'its data is nested too deeply', system: 'it is one of the store\'s own', redacted: 'its data was taken out of the log' };

function Leaf({ row, top, setBy, goto, stream, focused, isFirst, setField, openHistory, real }) {
  const { change } = row;
  const kind = change?.change;
  const signs = { added: '+', removed: '−', changed: '~' };
  const jump = event => { event.preventDefault(); event.stopPropagation(); goto(setBy); };
  return html`<li class=${`tt-leaf${kind ? ` ${kind}` : ''}${focused ? ' focused' : ''}${real ? ' unreal' : ''}`} tabindex=${focused || isFirst ? 0 : -1} style=${top === null ? undefined : { top: `${top}px` }} onFocus=${() => setField(row.pointer)} onClick=${() => setField(row.pointer)} onDblClick=${() => openHistory(row.pointer)}>
    <span class="sign" aria-hidden="true">${signs[kind] ?? ''}</span><span class="tt-text"><span class="key"><${Text} value=${pathText(row.pointer)} clip=${60} /></span>${' '}${kind === 'changed' && html`<del><${Value} value=${change.before} clip=${60} /></del><span aria-hidden="true"> → </span>`}${
      kind === 'removed' ? html`<del><${Value} value=${change.before} /></del>` : kind ? html`<ins><${Value} value=${row.value} /></ins>` : html`<${Value} value=${row.value} />`}${
      real && html`<span class="tt-real"> in truth ${real.before === undefined ? 'absent' : html`<${Value} value=${real.before} clip=${60} />`}</span>`}</span>
    <span class="tt-setby">${focused && html`<button type="button" class="more" onClick=${event => { event.stopPropagation(); openHistory(row.pointer); }}>history</button>`}${typeof setBy === 'number' && (kind || focused) && html`set by <a href=${`${urls.state(stream, setBy)}`} onClick=${jump}>#${setBy}</a>`}${setBy === null && focused && html`<span>set earlier (b)</span>`}</span>
  </li>`;
}

function DiffPane({ cursor, base, a, b, loadedAt, goto, stream, close }) {
  const items = useMemo(() => {
    if (!base.has(a) || !cursor.has(b)) return null;
    const before = clone(base.seek(a));
    return diffValues(before, cursor.seek(b));
  }, [cursor, a, b, loadedAt]);
  return html`<div class="tt-panehead"><h2 id="tt-state">Difference from #${a} to #${b}${items && ` · ${plural(items.length, 'field')}`}</h2><button type="button" onClick=${close}>Back to the state</button></div>
    <div class="tt-scroll" tabindex="0" role="group" aria-label="Difference">${items ? html`<${Diff} items=${items} empty=${a === b ? 'A and B are the same event. Move, or mark another A.' : 'Nothing is different.'} setBy=${item => {
    const found = cursor.setBy(item.pointer, b);
    return typeof found === 'number' && html`<span class="tt-setby">set by <a href=${urls.state(stream, found)} onClick=${event => { event.preventDefault(); goto(found); }}>#${found}</a></span>`;
  }} />` : html`<${Loading} on what="the states" />`}</div>`;
}

const kept = new Map();
function useEvent(stream, at) {
  const [event, setEvent] = useState(null);
  useEffect(() => {
    const key = path`/v1/streams/${stream}/events/` + at;
    if (kept.has(key)) { setEvent({ at, ...kept.get(key) }); return undefined; }
    const stop = new AbortController();
    const rest = setTimeout(() => {
      const keep = value => { kept.set(key, value); if (kept.size > 60) kept.delete(kept.keys().next().value); setEvent({ at, ...value }); };
      api(key, { signal: stop.signal }).then(found => keep({ event: found }), error => { if (error.name !== 'AbortError') setEvent({ at, error }); });
    }, 60);
    return () => { clearTimeout(rest); stop.abort(); };
  }, [stream, at]);
  return event;
}
function EventPane({ stream, at, step, isOff }) {
  const found = useEvent(stream, at);
  const isCurrent = found?.at === at;
  const event = isCurrent ? found.event : null;
  return html`<div class="tt-panehead"><h2 id="tt-event">Event #${at}: ${step ? html`<${Text} value=${step.type} clip=${40} />` : ''}</h2><a class="link" href=${urls.event(stream, at)}>open</a></div>
    <div class="tt-scroll" tabindex="0" role="group" aria-label="Event">${isOff && html`<p class="tt-skipped">Left out, as if it had not happened.</p>`}
    ${isCurrent && found.error && html`<${ProblemNotice} error=${found.error} />`}
    ${event && html`<${Payload} event=${event} key=${at} /><h3>Metadata</h3><${Payload} event=${event} member="metadata" key=${`m${at}`} />
      <h3>Facts</h3><${Facts} facts=${[
    ['id', html`<code>${visibleText(event.id)}</code>`], ['position', html`<${Num} value=${event.position} />`], ['recorded', html`<${Time} at=${event.time} show="short" />`],
    event.occurredTime && ['occurred', html`<${Time} at=${event.occurredTime} show="short" />`], event.correlationId && ['correlation', html`<${CorrelationLink} id=${event.correlationId} />`],
    event.causationId && ['cause', html`<a class="link mono" href=${urls.eventId(event.causationId)}><${Text} value=${event.causationId} clip=${36} /></a>`],
  ]} />`}</div>`;
}

// ---- Dialogs --------------------------------------------------------------------------------------------------------

function FieldHistory({ stream, fold, off, pointer, at, goto, onClose }) {
  const answer = useApi(path`/v1/streams/${stream}/history` + queryString({ path: pointer, fold: ofFold(fold), without: off === null ? null : String(off) }));
  const items = answer.data?.items ?? [];
  const valueOf = item => (item.absent ? undefined : item.value);
  const numbers = items.filter(item => isNumber(valueOf(item)));
  const upTo = items.reduce((found, item, i) => (Number(item.revision) <= at ? i : found), -1);
  return html`<${Dialog} title=${html`History of <${Text} value=${pathText(pointer)} clip=${50} />`} onClose=${onClose} className="wide">
    ${answer.error ? html`<${ProblemNotice} error=${answer.error} />` : !answer.data ? html`<${Loading} on what="the history" />` : html`
      <p class="quiet">${plural(items.length, 'value')}${upTo >= 0 && html`; after #${at} it is <span class="mono"><${Value} value=${valueOf(items[upTo])} /></span>`}</p>
      ${numbers.length > 1 && html`<div class="tt-spark"><${Sparkline} values=${items.map(item => (isNumber(valueOf(item)) ? Number(valueOf(item)) : null))} width=${480} height=${56} mark=${upTo >= 0 ? upTo : undefined} label=${`from ${valueOf(numbers[0])} to ${valueOf(numbers[numbers.length - 1])}`} /><span class="quiet">lowest ${numberText(Math.min(...numbers.map(item => Number(valueOf(item)))))}, highest ${numberText(Math.max(...numbers.map(item => Number(valueOf(item)))))}</span></div>`}
      <${Table} keys=${false} height rows=${[...items].reverse()} keyOf=${item => item.revision} current=${upTo >= 0 ? items[upTo].revision : undefined} caption="Values" columns=${[
    { label: 'Event', width: 84, cell: item => html`<a class="link" href=${urls.state(stream, item.revision)} onClick=${event => { event.preventDefault(); onClose(); goto(Number(item.revision)); }}>#${item.revision}</a>` },
    { label: 'Value', cell: item => html`<span class="mono"><${Value} value=${valueOf(item)} clip=${60} /></span>` },
    { label: 'Type', wide: true, cell: item => html`<${Type} type=${item.type} clip=${28} />` },
    { label: 'Time', width: 176, cell: item => html`<${Time} at=${item.time} show="short" />` },
  ]} />`}
  </${Dialog}>`;
}
function WatchDialog({ text: begun, onClose, onSet, sample }) {
  const [text, setText] = useState(begun);
  let outcome;
  try { outcome = text.trim() ? html`now: <span class="mono"><${Value} value=${compile(text)(sample ?? {})} /></span>` : 'A column is added to the events, with its value after each.'; } catch (error) { outcome = html`<span class="v-gone">${error.message}</span>`; }
  return html`<${Dialog} title="Watch an expression" onClose=${onClose}><form class="form" onSubmit=${event => { event.preventDefault(); try { if (text.trim()) compile(text); onSet(text.trim()); } catch { /* it is said below */ } }}>
    <label>Expression<input type="text" class="mono" autocomplete="off" spellcheck="false" autofocus placeholder="total - paid.amount" value=${text} onInput=${event => setText(event.target.value)} /></label>
    <p class="quiet" role="status">${outcome}</p><p class="quiet">Paths like <code>customer.tier</code> or <code>lines[0].qty</code>, numbers, "text", <code>+ - * /</code>, comparisons, <code>&&</code>, <code>||</code>, <code>len(…)</code>.</p>
    <div class="actions end">${begun && html`<button type="button" onClick=${() => onSet('')}>Stop watching</button>`}<button type="submit" class="primary">Watch</button></div></form></${Dialog}>`;
}
function WorldDialog({ step, stream, onClose }) {
  const [text, setText] = useState('');
  const [found, setFound] = useState([]);
  useEffect(() => {
    const stop = new AbortController();
    const rest = setTimeout(() => api(`/v1/streams${queryString({ q: text, limit: 12 })}`, { signal: stop.signal }).then(answer => setFound(answer.items.filter(item => item.stream !== stream)), () => {}), 100);
    return () => { clearTimeout(rest); stop.abort(); };
  }, [text]);
  return html`<${Dialog} title="The world at this moment" onClose=${onClose}>
    <p class="quiet">Another stream as it was at <${Time} at=${step?.time} show="exact" />.</p>
    <input type="search" aria-label="Stream" placeholder="Beginning of a stream's name" autofocus value=${text} onInput=${event => setText(event.target.value)} />
    <ul class="tt-world">${found.map(item => html`<li><a class="link" href=${path`/ui/streams/${item.stream}/state` + queryString({ at: step?.time })}><${Text} value=${item.stream} clip=${60} /></a></li>`)}</ul></${Dialog}>`;
}

export default { title: ({ params }) => `${params.stream}, through time`, query: QUERY, Screen };
