// What happened in this stream?
import {
  html, api, useApi, usePages, useSearch, useArrivals, useEffect, useMemo, useRef, useState, useKeys, path, go, queryString, numberText, plural, compile, comparing, visited, copy, mayAppend, mayWrite, visibleText, printJson, toast, isContainer,
} from '../core.js';
import { Page, Remote, Table, Text, Type, Time, timeColumn, Line, Payload, Status, Notice, ProblemNotice, Menu, Dialog, Confirm, Facts, Num, Bytes, Value, Tree, EventLink, Searched, size, Empty, urls } from '../widgets.js';

const readFrom = text => (text === 'start' || text === 'end' || /^\d{1,15}$/.test(text) || !Number.isNaN(Date.parse(text)) ? text : undefined);
const QUERY = { from: { default: 'end', read: readFrom }, dir: { default: 'back', read: text => (text === 'back' || text === 'forward' ? text : undefined) }, type: [], where: '', live: false };
const PAGE = 100;
/** Events of a page that is searched. */
const SEARCHED = 1000;

function Screen({ params, query, set }) {
  const { stream } = params;
  const info = useApi(path`/v1/streams/${stream}`);
  const forward = query.dir === 'forward';
  const urlOf = limit => path`/v1/streams/${stream}/events` + queryString({ from: query.from, direction: forward ? 'forward' : 'backward', limit, type: query.type });
  const url = urlOf(PAGE);
  // Of a stream that is deleted nothing can be read. Most are not: the events are asked for together with what it is.
  const isThere = info.data !== undefined && info.data.state === 'active';
  const pages = usePages(isThere || (!info.data && !info.error) ? url : null);
  const [fresh, setFresh] = useState([]);
  const [waiting, setWaiting] = useState(0);
  const [all, setAll] = useState(false);
  const [dialog, setDialog] = useState(null);
  const [selected, setSelected] = useState(null);
  useEffect(() => { visited(stream, urls.stream(stream)); }, [stream]);
  useEffect(() => { setFresh([]); setWaiting(0); }, [url]);

  const atHead = query.from === 'end' && !forward;
  const isLive = query.live && atHead;
  const newest = fresh[0]?.revision ?? pages.items[0]?.revision ?? info.data?.lastRevision ?? -1;
  const fetching = useRef(false);
  const catchUp = async () => {
    if (fetching.current) return;
    fetching.current = true;
    try {
      const page = await api(path`/v1/streams/${stream}/events` + queryString({ from: String(Number(newest) + 1), direction: 'forward', limit: 1000, type: query.type }));
      if (page.items.length) setFresh(before => [...page.items.filter(one => !before.some(other => other.id === one.id)).reverse(), ...before].slice(0, 5000));
      setWaiting(0);
    } catch { /* the banner says that the feed is away */ }
    fetching.current = false;
  };
  useArrivals(stream, (heads, unknown) => { if (isLive) catchUp(); else if (heads.length) setWaiting(before => before + heads.length); else if (unknown) info.reload(); });
  useEffect(() => { if (isLive && pages.first) catchUp(); }, [isLive, pages.first]);

  const where = useMemo(() => {
    if (!query.where) return { run: null };
    try { return { run: compile(query.where) }; } catch (error) { return { run: null, error: error.message }; }
  }, [query.where]);
  const loaded = useMemo(() => [...fresh, ...pages.items], [fresh, pages.items]);
  // A condition is looked for beyond what is loaded, in bigger pages.
  const search = useSearch(isThere && where.run ? urlOf(SEARCHED) : null, where.run);
  const rows = useMemo(() => (where.run ? [...fresh.filter(event => { try { return Boolean(where.run(event)); } catch { return false; } }), ...search.items.filter(event => !fresh.some(one => one.id === event.id))] : loaded), [loaded, where, search.items]);
  const head = Math.max(Number(info.data?.lastRevision ?? -1), Number(newest));
  const first = Number(info.data?.firstVisible ?? 0);
  const revisions = loaded.map(event => Number(event.revision));
  const low = revisions.length ? Math.min(...revisions) : null;
  const high = revisions.length ? Math.max(...revisions) : null;
  const seek = some => { set({ live: false, ...some }, { push: true }); scrollTo(0, 0); };
  const oldest = () => seek({ from: 'start', dir: 'forward' });
  const toNewest = () => seek({ from: 'end', dir: 'back', live: query.live });
  const older = () => seek({ from: String(low - 1), dir: 'back' });
  const newer = () => seek({ from: String(high + 1), dir: 'forward' });
  const toggleLive = () => set(isLive ? { live: false } : { from: 'end', dir: 'back', live: true }, { push: true });
  const canOlder = low !== null && low > first;
  const canNewer = high !== null && high < head;
  useKeys([
    { key: 'e', label: 'expand all', run: () => setAll(true) }, { key: 'E', label: 'collapse all', run: () => setAll(false) },
    { key: 'l', label: 'live on, off', run: toggleLive }, { key: 's', label: 'state through time', run: () => go(urls.state(stream)) },
  ]);
  const state = info.data?.state;
  const title = html`<${Text} value=${stream} clip=${80} />`;
  if (info.error && !info.data) {
    return html`<${Page} title=${title} kicker="Stream"><${ProblemNotice} error=${info.error} retry=${info.reload} /><p><a class="link" href="/ui/streams">All streams</a></p></${Page}>`;
  }
  const metadata = info.data?.metadata;
  const actions = info.data && html`
    <a class="button" href=${urls.state(stream)} title="State through time (s)">State</a>
    <button type="button" aria-pressed=${isLive ? 'true' : 'false'} title="Live (l)" onClick=${toggleLive}>${isLive ? '● ' : ''}Live</button>
    <button type="button" onClick=${() => { comparing.value = [...new Set([...comparing.value, stream])]; go(`/ui/compare${queryString({ s: comparing.value })}`); }}>Compare</button>
    ${mayAppend && html`<button type="button" onClick=${() => setDialog('append')}>Append</button>`}
    <${Menu} label="More" items=${[
    { label: 'Copy the name', run: () => copy(stream, 'Name copied') },
    { label: 'Copy as curl', run: () => copy(`curl '${location.origin}${url}'`, 'curl copied') },
    { label: 'Copy for the command line', run: () => copy(`factum read '${stream.replaceAll("'", `'\\''`)}'`, 'Command copied') },
    { label: 'Metadata', run: () => setDialog('metadata') },
    ...(mayWrite && state === 'active' ? [{ label: 'Delete…', run: () => setDialog('delete') }, { label: 'Tombstone…', run: () => setDialog('tombstone') }] : []),
  ]} />`;
  return html`<${Page} title=${title} kicker=${info.data?.category ? html`Stream in <a class="link" href=${urls.category(info.data.category)}><${Text} value=${info.data.category} clip=${40} /></a>` : 'Stream'} sentence=${info.data && html`<${Sentence} info=${info.data} head=${head} first=${first} />`} actions=${actions}>
    ${state === 'tombstoned' && html`<${Notice} kind="warn" title="This stream is tombstoned">It can never be appended to again. Its events are gone.</${Notice}>`}
    ${state === 'deleted' && html`<${Notice} kind="warn" title="This stream is deleted">Its events are hidden. An append begins it again after #${numberText(info.data.lastRevision)}.</${Notice}>`}
    ${metadata && Object.keys(metadata).length > 0 && html`<${Rules} metadata=${metadata} />`}
    ${isThere && html`<div class="filters seek">
      <span class="choice" role="group" aria-label="Pages">
        <button type="button" disabled=${query.from === 'start' && forward} onClick=${oldest}>Oldest</button><button type="button" disabled=${!canOlder} onClick=${older}>Older</button>
        <button type="button" disabled=${!canNewer} onClick=${newer}>Newer</button><button type="button" disabled=${atHead} onClick=${toNewest}>Newest</button></span>
      <${Jump} onJump=${to => seek(/^\d+$/.test(to) ? { from: to, dir: query.dir } : { from: to, dir: 'forward' })} head=${head} />
      <${TypeFilter} types=${query.type} loaded=${loaded} onChange=${type => set({ type }, { push: true })} />
      <${Where} text=${query.where} error=${where.error} onChange=${text => set({ where: text })} />
      <span class="grow" /><button type="button" aria-pressed=${all ? 'true' : 'false'} title="Expand all (e), collapse (Shift e)" onClick=${() => setAll(!all)}>${all ? 'Collapse all' : 'Expand all'}</button>
    </div>`}
    ${waiting > 0 && html`<button type="button" class="pill" onClick=${atHead ? catchUp : toNewest}>${plural(waiting, 'new event')} ↑</button>`}
    ${first > 0 && html`<p class="band">Revisions 0 to ${numberText(first - 1)} were removed${metadata?.$maxCount !== undefined ? ' by $maxCount' : metadata?.$tb !== undefined ? ' by $tb' : metadata?.$maxAge !== undefined ? ' by $maxAge' : ''}.</p>`}
    ${where.run && isThere && html`<${Searched} of=${search} what="of this stream from here" />`}
    ${info.data && !isThere && state === 'metadataOnly' && html`<${Empty} title="Nothing has happened in this stream">It has metadata, and no events yet.</${Empty}>`}
    ${isThere && html`<${Remote} of=${pages} what="the events">${() => html`<${Table} rows=${rows} keyOf=${event => event.id} caption="Events" allOpen=${all} onNearEnd=${where.run ? search.near : pages.more} onOpen=${event => go(urls.event(event.link?.stream ?? event.stream, event.link?.revision ?? event.revision))}
      detail=${event => html`<${Payload} event=${event} open=${2} />`}
      empty=${html`<${Nothing} query=${query} set=${set} state=${state} searching=${search} />`}
      columns=${[
    { label: 'Rev', width: 72, align: 'end', cell: event => html`<a class="link" href=${urls.event(stream, event.link?.revision ?? event.revision)}>${event.link?.revision ?? event.revision}</a>` },
    { label: 'Type', width: '22%', cell: event => html`<${Type} type=${event.type} clip=${34} />` },
    { label: 'Data', wide: true, cell: event => html`${event.link && event.link.stream !== event.stream && html`<span class="quiet">→ <${EventLink} stream=${event.stream} revision=${event.revision} /> </span>`}<${Line} event=${event} />` },
    { label: 'Size', width: 74, align: 'end', wide: true, cell: event => (event.redacted ? html`<span class="quiet">none</span>` : html`<${Bytes} value=${size(event)} />`) },
    timeColumn('Time', event => event.time),
  ]} />${pages.moreError && html`<${ProblemNotice} error=${pages.moreError} />`}${pages.loadingMore && html`<p class="quiet pad">Loading more…</p>`}`}</${Remote}>`}
    ${dialog === 'metadata' && html`<${Dialog} title="Metadata of the stream" onClose=${() => setDialog(null)}>${metadata && Object.keys(metadata).length ? html`<${Tree} value=${metadata} label="Metadata" />` : html`<p class="quiet">It has none.</p>`}</${Dialog}>`}
    ${dialog === 'append' && html`<${Append} stream=${stream} head=${head} onClose=${() => setDialog(null)} onDone=${() => { setDialog(null); info.reload(); pages.reload(); }} />`}
    ${(dialog === 'delete' || dialog === 'tombstone') && html`<${Confirm} title=${dialog === 'delete' ? 'Delete this stream' : 'Tombstone this stream'} danger verb=${dialog === 'delete' ? 'Delete' : 'Tombstone'} typed=${dialog === 'tombstone' ? stream : undefined}
      effect=${dialog === 'delete' ? `${plural(head - first + 1, 'event')} will be hidden. An append begins the stream again.` : `${plural(head - first + 1, 'event')} will be hidden, and nothing can ever be appended to it again.`} onClose=${() => setDialog(null)}
      onConfirm=${async reason => { const done = await api(path`/v1/streams/${stream}` + queryString({ tombstone: dialog === 'tombstone' ? 'true' : null, reason }), { method: 'DELETE' }); setDialog(null); toast(`${plural(done?.hidden ?? 0, 'event')} hidden`); info.reload(); pages.reload(); }} />`}
  </${Page}>`;
}

function Sentence({ info, head, first }) {
  if (info.lastRevision === null || info.lastRevision === undefined) return 'It has no events.';
  if (info.state !== 'active') return html`No events can be seen. The last was #${numberText(info.lastRevision)}, at <${Time} at=${info.lastTime} show="short" />.`;
  return html`${plural(head - first + 1, 'event')}, head at #${numberText(head)}, last <${Text} value=${info.lastType ?? 'unknown'} clip=${40} /> at <${Time} at=${info.lastTime} show="short" />.`;
}
function Rules({ metadata }) {
  const own = Object.keys(metadata).filter(key => key.startsWith('$'));
  if (!own.length) return null;
  return html`<p class="quiet rules">${own.map(key => html`<span><code><${Text} value=${key} clip=${24} /></code> <span class="mono"><${Value} value=${metadata[key]} clip=${40} /></span></span>`)}</p>`;
}
function Nothing({ query, set, state, searching }) {
  if (query.type.length) return html`<div class="pad"><p>No ${query.type.map((one, i) => html`${i ? ', ' : ''}<strong><${Text} value=${one} clip=${40} /></strong>`)} here.</p><p><button type="button" onClick=${() => set({ type: [] })}>Clear the type filter</button></p></div>`;
  if (query.where) return html`<div class="pad"><p>${searching.busy ? 'None yet.' : searching.isWhole ? 'No event matches.' : 'None of those looked at matches.'}</p><p><button type="button" onClick=${() => set({ where: '' })}>Clear the condition</button></p></div>`;
  if (query.from !== 'end') return html`<div class="pad"><p>Nothing from here.</p><p><button type="button" onClick=${() => set({ from: 'end', dir: 'back' })}>Newest</button></p></div>`;
  return html`<div class="pad"><p>${state === 'active' ? 'No events.' : 'No events can be seen.'}</p></div>`;
}
function Jump({ onJump, head }) {
  const [text, setText] = useState('');
  const [bad, setBad] = useState(false);
  const submit = event => {
    event.preventDefault();
    const want = text.trim();
    if (!want) { event.target.querySelector('input').focus(); return; }
    const revision = /^#?(\d{1,15})$/.exec(want);
    const time = revision ? null : new Date(/[zZ]|[+-]\d\d:\d\d$/.test(want) ? want : `${want.replace(' ', 'T')}${/T| /.test(want) ? '' : 'T00:00:00'}Z`);
    if (revision) onJump(revision[1]);
    else if (!Number.isNaN(time.getTime())) onJump(/\.\d{4,9}Z$/.test(want) ? want : time.toISOString()); // A browser's time has milliseconds, the store's may have more.
    else { setBad(true); return; }
    setBad(false);
  };
  return html`<form class="jump" onSubmit=${submit}><input type="text" aria-label="Go to a revision or a time in UTC" aria-invalid=${bad ? 'true' : undefined} placeholder="17 or 2026-11-22 09:10" title=${bad ? 'Neither a revision nor a time' : `A revision up to ${head}, or a time in UTC`} value=${text} onInput=${event => setText(event.target.value)} /><button type="submit">Go</button></form>`;
}
function TypeFilter({ types, loaded, onChange }) {
  const names = [...new Set([...types, ...loaded.map(event => event.type)])].slice(0, 60);
  return html`<label>type <select value=${types[0] ?? ''} onChange=${event => onChange(event.target.value ? [event.target.value] : [])}><option value="">all</option>${names.map(name => html`<option value=${name}>${visibleText(name).slice(0, 60)}</option>`)}</select></label>`;
}
function Where({ text, error, onChange }) {
  const [draft, setDraft] = useState(text);
  useEffect(() => setDraft(text), [text]);
  return html`<input type="text" class="mono where" spellcheck="false" aria-label="Condition on the events" aria-invalid=${error ? 'true' : undefined} title=${error ?? 'A condition on the events: data.total > 100'} placeholder="data.total > 100" value=${draft} onInput=${event => setDraft(event.target.value)} onChange=${event => onChange(event.target.value.trim())} />`;
}
function Append({ stream, head, onClose, onDone }) {
  const [type, setType] = useState('');
  const [data, setData] = useState('{\n  \n}');
  const [strict, setStrict] = useState(true);
  const [error, setError] = useState(null);
  const submit = async event => {
    event.preventDefault();
    try { JSON.parse(data); } catch (problem) { setError({ title: 'The data is not JSON', message: problem.message }); return; }
    try {
      // The text goes as it was typed: 1.10 stays 1.10.
      await api(path`/v1/streams/${stream}/events`, { method: 'POST', headers: strict ? (head >= 0 ? { 'if-match': `"${head}"` } : { 'if-none-match': '*' }) : {}, body: `{"type": ${JSON.stringify(type)}, "data": ${data}}` });
      toast('Appended');
      onDone();
    } catch (problem) { setError(problem); }
  };
  return html`<${Dialog} title=${html`Append to <${Text} value=${stream} clip=${40} />`} onClose=${onClose}><form class="form" onSubmit=${submit}>
    <label>Type<input type="text" required autofocus autocomplete="off" value=${type} onInput=${event => setType(event.target.value)} /></label>
    <label>Data<textarea spellcheck="false" rows="8" value=${data} onInput=${event => setData(event.target.value)} /></label>
    <label class="check"><input type="checkbox" checked=${strict} onChange=${event => setStrict(event.target.checked)} /> Only if the stream is still at #${head}</label>
    ${error && html`<${ProblemNotice} error=${error} />`}
    <div class="actions end"><button type="button" onClick=${onClose}>Cancel</button><button type="submit" class="primary" disabled=${!type}>Append</button></div></form></${Dialog}>`;
}

export default { title: ({ params }) => params.stream, query: QUERY, Screen };
