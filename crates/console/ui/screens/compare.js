// How do the stories of several streams run beside each other?
import { html, api, useEffect, useMemo, useState, path, queryString, comparing, comparePositions, plural, numberText, go, visibleText } from '../core.js';
import { Page, Table, Text, Type, timeColumn, StreamLink, Empty, ProblemNotice, Notice, Loading, urls } from '../widgets.js';

const QUERY = { s: [], from: { default: 'end', read: text => (text === 'start' || text === 'end' ? text : undefined) } };
/** Streams side by side. */
const MOST = 6;
/** Events of each. */
const EVENTS = 500;

function Screen({ query, set }) {
  const streams = (query.s.length ? [...new Set(query.s)] : comparing.value).slice(0, MOST);
  const [found, setFound] = useState({ of: '', lists: [], error: null });
  const key = JSON.stringify([streams, query.from]);
  useEffect(() => { if (query.s.length) comparing.value = streams; }, [key]);
  useEffect(() => {
    const stop = new AbortController();
    Promise.all(streams.map(stream => api(path`/v1/streams/${stream}/events` + queryString({ from: query.from, direction: query.from === 'end' ? 'backward' : 'forward', limit: EVENTS }), { signal: stop.signal })
      .then(page => ({ items: page.items, more: Boolean(page.page?.next) }), error => { if (error.name === 'AbortError') throw error; return { items: [], error }; })))
      .then(lists => setFound({ of: key, lists, error: null }), () => {});
    return () => stop.abort();
  }, [key]);
  const rows = useMemo(() => merge(found.lists.map(list => list.items), query.from === 'end'), [found]);
  const change = list => { comparing.value = list; set({ s: list }, { push: true }); };
  const narrow = streams.length > 2;
  return html`<${Page} title="Compare streams" sentence=${streams.length < 2 ? 'Several streams on one axis of time.' : `${plural(streams.length, 'stream')}, ${plural(rows.length, 'event')}, in the order of the log, ${query.from === 'end' ? 'newest' : 'oldest'} first.`}
    actions=${streams.length > 0 && html`<button type="button" onClick=${() => set({ from: query.from === 'end' ? 'start' : 'end' }, { push: true })}>${query.from === 'end' ? 'Oldest first' : 'Newest first'}</button><button type="button" onClick=${() => change([])}>Clear</button>`}>
    <${Add} streams=${streams} onAdd=${stream => change([...streams, stream].slice(0, MOST))} />
    ${found.lists.map((list, i) => list.error && html`<${ProblemNotice} error=${list.error} />`)}
    ${found.lists.some(list => list.more) && html`<${Notice}>Of each stream, the ${query.from === 'end' ? 'newest' : 'oldest'} ${numberText(EVENTS)} events are shown.</${Notice}>`}
    ${streams.length === 0 ? html`<${Empty} title="Nothing to compare yet"><p>Add streams above, or with "Compare" on a stream's page. They are kept in this browser.</p></${Empty}>`
    : found.of !== key && found.lists.length === 0 ? html`<${Loading} on what="the streams" />`
      : html`<div class="swim"><${Table} rows=${rows} keyOf=${row => row.id} caption="Events of the streams side by side" onOpen=${row => go(urls.event(row.stream, row.revision))} columns=${[
        timeColumn('Time', row => row.time),
        ...streams.map((stream, i) => ({
          label: html`<span class="swim-head"><${StreamLink} stream=${stream} clip=${28} /><button type="button" class="more" aria-label=${`Take ${visibleText(stream)} away`} onClick=${() => change(streams.filter(one => one !== stream))}>✕</button></span>`,
          cell: row => row.lane === i && html`<a class="link plain" href=${urls.event(row.stream, row.revision)}><span class="quiet">#${row.revision}</span> <${Type} type=${row.type} clip=${narrow ? 22 : 40} /></a>`,
        })),
      ]} /></div>`}
  </${Page}>`;
}

/** The events of several lists in the order of the log. */
export function merge(lists, backward) {
  const rows = lists.flatMap((items, lane) => items.map(event => ({ ...event, lane, id: `${lane}:${event.id}` })));
  return rows.sort((a, b) => (backward ? comparePositions(b.position, a.position) : comparePositions(a.position, b.position)) || a.lane - b.lane);
}

function Add({ streams, onAdd }) {
  const [text, setText] = useState('');
  const [found, setFound] = useState([]);
  useEffect(() => {
    if (!text.trim()) { setFound([]); return undefined; }
    const stop = new AbortController();
    const rest = setTimeout(() => api(`/v1/streams${queryString({ q: text.trim(), limit: 8 })}`, { signal: stop.signal }).then(answer => setFound(answer.items), () => {}), 120);
    return () => { clearTimeout(rest); stop.abort(); };
  }, [text]);
  const add = stream => { setText(''); if (!streams.includes(stream)) onAdd(stream); };
  return html`<form class="filters" onSubmit=${event => { event.preventDefault(); const first = found.find(one => one.stream === text.trim()) ?? found[0]; if (first) add(first.stream); }}>
    <input type="search" aria-label="Stream to add" placeholder=${streams.length >= MOST ? `At most ${MOST} streams` : 'Add a stream'} disabled=${streams.length >= MOST} value=${text} onInput=${event => setText(event.target.value)} />
    ${found.map(one => html`<button type="button" class="chip" onClick=${() => add(one.stream)}>+ <${Text} value=${one.stream} clip=${32} /></button>`)}
  </form>`;
}

export default { title: 'Compare streams', query: QUERY, Screen };
