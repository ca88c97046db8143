// What is in the log, and what comes into it now?
import {
  html, usePages, useSearch, useApi, useEffect, useMemo, useRef, useState, useKeys, follow, go, queryString, numberText, plural, compile, visibleText, now, isNarrow,
} from '../core.js';
import { Page, Remote, Table, Text, Type, Time, Line, Payload, StreamLink, EventLink, Status, Searched, ProblemNotice, Num, Choice, urls } from '../widgets.js';

const readFrom = text => (text === 'start' || text === 'end' || /^\d{1,20}$/.test(text) || !Number.isNaN(Date.parse(text)) ? text : undefined);
const QUERY = { from: { default: 'end', read: readFrom }, dir: { default: 'back', read: text => (text === 'back' || text === 'forward' ? text : undefined) }, since: null, type: [], category: [], stream: '', where: '', system: false, live: false };
/** Events of a page that is searched. */
const SEARCHED = 1000;
/** Rows that the tail keeps. */
const KEPT = 5000;

function Screen({ query, set }) {
  const filter = { type: query.type, category: query.category, stream: query.stream, system: query.system ? 'true' : null };
  const types = useApi('/v1/types');
  const categories = useApi('/v1/categories');
  const [all, setAll] = useState(false);
  const where = useMemo(() => {
    if (!query.where) return { run: null };
    try { return { run: compile(query.where) }; } catch (error) { return { run: null, error: error.message }; }
  }, [query.where]);
  const matches = event => { if (!where.run) return true; try { return Boolean(where.run(event)); } catch { return false; } };
  const toggleLive = () => set({ live: !query.live, from: 'end', dir: 'back', since: null }, { push: true });
  useKeys([
    { key: 'l', label: 'live on, off', run: toggleLive }, { key: 'e', label: 'expand all', run: () => setAll(true) }, { key: 'E', label: 'collapse all', run: () => setAll(false) },
  ]);
  const filters = html`<div class="filters">
    <${Pick} label="type" chosen=${query.type} options=${(types.data?.items ?? []).map(one => one.type)} onChange=${type => set({ type }, { push: true })} />
    <${Pick} label="category" chosen=${query.category} options=${(categories.data?.items ?? []).map(one => one.category)} onChange=${category => set({ category }, { push: true })} />
    <${Typed} label="Beginning of the stream's name" placeholder="stream: order-" value=${query.stream} onChange=${stream => set({ stream })} />
    <${Typed} mono label="Condition on the events" placeholder="data.total > 100" value=${query.where} error=${where.error} onChange=${text => set({ where: text })} />
    <label class="check"><input type="checkbox" checked=${query.system} onChange=${event => set({ system: event.target.checked }, { push: true })} /> system</label>
  </div>`;
  const actions = html`<button type="button" aria-pressed=${query.live ? 'true' : 'false'} title="Live (l)" onClick=${toggleLive}>${query.live ? '● ' : ''}Live</button><button type="button" aria-pressed=${all ? 'true' : 'false'} onClick=${() => setAll(!all)}>${all ? 'Collapse all' : 'Expand all'}</button>`;
  return html`<${Page} title=${query.live ? 'Live tail' : 'Events'} sentence=${query.live ? 'What comes into the log, as it comes.' : 'The whole log, in the order in which it was written.'} actions=${actions}>
    ${filters}
    ${query.live ? html`<${Tail} key=${JSON.stringify(filter)} filter=${filter} matches=${matches} all=${all} />` : html`<${Log} filter=${filter} query=${query} set=${set} where=${where} all=${all} />`}
  </${Page}>`;
}

const columns = (mute) => [
  { label: 'Position', width: 96, align: 'end', wide: true, cell: event => html`<${Num} value=${event.position} />` },
  { label: 'Time', width: isNarrow.value ? 76 : 116, cell: event => html`<${Time} at=${event.time} show=${isNarrow.value ? 'second' : 'clock'} />` },
  { label: 'Type', width: '20%', cell: event => html`<${Type} type=${event.type} clip=${32} />` },
  { label: 'Event', width: '24%', cell: event => html`<${EventLink} stream=${event.stream} revision=${event.revision} />` },
  { label: 'Data', wide: true, cell: event => html`<${Line} event=${event} />` },
  ...(mute ? [{ label: html`<span class="offscreen">Mute</span>`, width: 64, wide: true, cell: event => html`<button type="button" class="more" title=${`Show no more of ${visibleText(event.type)}`} onClick=${() => mute(event.type)}>mute</button>` }] : []),
];
const rows = (list, all, more, none) => html`<${Table} rows=${list} keyOf=${event => event.id} caption="Events" allOpen=${all} onNearEnd=${more} onOpen=${event => go(urls.event(event.stream, event.revision))} detail=${event => html`<${Payload} event=${event} open=${2} />`} columns=${columns(null)} empty=${html`<p class="quiet pad">${none}</p>`} />`;

function Log({ filter, query, set, where, all }) {
  const forward = query.dir === 'forward' || query.since !== null;
  const url = limit => `/v1/events${queryString({ from: query.since ?? query.from, direction: forward ? 'forward' : 'backward', limit, ...filter })}`;
  const pages = usePages(url(100));
  // A condition is looked for beyond what is loaded, in bigger pages.
  const search = useSearch(where.run ? url(SEARCHED) : null, where.run);
  const list = where.run ? search.items : pages.items;
  const isFiltered = Object.values(filter).some(one => one && one.length !== 0);
  const [jump, setJump] = useState('');
  const submit = event => {
    event.preventDefault();
    const text = jump.trim();
    if (!text) event.target.querySelector('input').focus();
    if (/^\d{1,20}$/.test(text)) set({ from: text, since: null }, { push: true });
    else if (text && !Number.isNaN(Date.parse(text))) set({ since: new Date(/[zZ]|[+-]\d\d:\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}${/T| /.test(text) ? '' : 'T00:00:00'}Z`).toISOString(), from: 'end' }, { push: true });
  };
  return html`<div class="filters seek"><span class="choice" role="group" aria-label="Pages">
      <button type="button" disabled=${forward && query.from === 'start'} onClick=${() => set({ from: 'start', dir: 'forward', since: null }, { push: true })}>Oldest</button>
      <button type="button" disabled=${!forward && query.from === 'end'} onClick=${() => set({ from: 'end', dir: 'back', since: null }, { push: true })}>Newest</button></span>
      <form class="jump" onSubmit=${submit}><input type="text" aria-label="Go to a position or a time in UTC" placeholder="4711 or 2026-11-22 09:10" value=${jump} onInput=${event => setJump(event.target.value)} /><button type="submit">Go</button></form></div>
    ${where.run && html`<${Searched} of=${search} what="from here" />`}
    <${Remote} of=${pages} what="the log">${() => html`${rows(list, all, where.run ? search.near : pages.more, where.run ? (search.busy ? 'None yet.' : search.isWhole ? 'No event matches.' : 'None of those looked at matches.') : isFiltered ? 'No event matches.' : 'No events from here.')}${pages.moreError && html`<${ProblemNotice} error=${pages.moreError} />`}${!where.run && pages.loadingMore && html`<p class="quiet pad">Loading more…</p>`}`}</${Remote}>`;
}

function Tail({ filter, matches, all }) {
  const [list, setList] = useState([]);
  const [state, setState] = useState('connecting');
  const [paused, setPaused] = useState(false);
  const [held, setHeld] = useState(0);
  const [muted, setMuted] = useState([]);
  const [dropped, setDropped] = useState(0);
  const recent = useRef([]);
  const latest = useRef({});
  latest.current = { paused, muted, matches };
  const waiting = useRef([]);
  useEffect(() => follow(`/v1/events${queryString({ from: 'end', ...filter })}`, {
    onState: setState,
    onEvents: events => {
      const { paused: isPaused, muted: mutedNow, matches: wanted } = latest.current;
      const at = Date.now();
      recent.current = [...recent.current.filter(([time]) => at - time < 10_000), [at, events.length]];
      const fit = events.filter(event => !mutedNow.includes(event.type) && wanted(event)).reverse();
      if (!fit.length) return;
      if (isPaused) {
        waiting.current = [...fit, ...waiting.current].slice(0, KEPT);
        setHeld(before => before + fit.length);
        return;
      }
      setList(before => { const next = [...fit, ...before]; if (next.length > KEPT) setDropped(n => n + next.length - KEPT); return next.slice(0, KEPT); });
    },
  }), []);
  const go_on = () => {
    setList(before => [...waiting.current, ...before].slice(0, KEPT));
    if (held > waiting.current.length) setDropped(n => n + held - waiting.current.length);
    waiting.current = [];
    setHeld(0);
    setPaused(false);
  };
  useKeys([{ key: 'p', label: 'pause, go on', run: () => (paused ? go_on() : setPaused(true)) }], [paused]);
  const rate = recent.current.filter(([time]) => now.value - time < 10_000).reduce((sum, [, n]) => sum + n, 0) / 10;
  const shown = muted.length ? list.filter(event => !muted.includes(event.type)) : list;
  return html`<div class="filters seek">
      <button type="button" aria-pressed=${paused ? 'true' : 'false'} title="Pause (p)" onClick=${() => (paused ? go_on() : setPaused(true))}>${paused ? `Go on${held ? ` (+${numberText(held)})` : ''}` : 'Pause'}</button>
      <button type="button" disabled=${list.length === 0} onClick=${() => { setList([]); setDropped(0); }}>Clear</button>
      <${Status} kind=${state === 'lost' ? 'warn' : state === 'connecting' ? 'busy' : paused ? 'idle' : 'good'}>${state === 'lost' ? 'reconnecting' : paused ? 'paused' : state === 'connecting' ? 'connecting' : 'following'}</${Status}>
      <span class="quiet">${numberText(Math.round(rate * 10) / 10)} events/s, ${numberText(shown.length)} shown${dropped ? `, +${numberText(dropped)} not kept` : ''}</span>
      ${muted.map(type => html`<button type="button" class="chip" title="Show again" onClick=${() => setMuted(muted.filter(one => one !== type))}>muted: <${Text} value=${type} clip=${24} /> ✕</button>`)}
    </div>
    <${Table} rows=${shown} keyOf=${event => event.id} caption="Newest events" allOpen=${all} onOpen=${event => go(urls.event(event.stream, event.revision))} detail=${event => html`<${Payload} event=${event} open=${2} />`} columns=${columns(type => setMuted([...muted, type]))}
      empty=${html`<p class="quiet pad">Nothing has come since you opened this. It appears here when it does.</p>`} />`;
}

/** One or several of many: a select that adds, chips that take away. */
function Pick({ label, chosen, options, onChange }) {
  const left = options.filter(one => !chosen.includes(one));
  return html`<label>${label} <select value="" onChange=${event => { const one = event.target.value; event.target.value = ''; if (one) onChange([...chosen, one]); }}><option value="">${chosen.length ? 'and…' : 'all'}</option>${left.slice(0, 500).map(one => html`<option value=${one}>${visibleText(one).slice(0, 60)}</option>`)}</select></label>
    ${chosen.map(one => html`<button type="button" class="chip" title=${`Take ${label} away`} onClick=${() => onChange(chosen.filter(other => other !== one))}><${Text} value=${one} clip=${24} /> ✕</button>`)}`;
}
function Typed({ label, placeholder, value, onChange, mono, error }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const rest = setTimeout(() => onChange(text), 250);
    return () => clearTimeout(rest);
  }, [text]);
  return html`<input type="text" class=${mono ? 'mono where' : 'where'} spellcheck="false" aria-label=${label} aria-invalid=${error ? 'true' : undefined} title=${error ?? label} placeholder=${placeholder} value=${text} onInput=${event => setText(event.target.value)} />`;
}

export default { title: ({ query }) => (query.live ? 'Live tail' : 'Events'), query: QUERY, Screen };
