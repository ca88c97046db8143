// Which streams are there?
import { html, useApi, usePages, useEffect, useState, useRef, go, numberText, queryString, useKeys, visibleText } from '../core.js';
import { Page, Remote, Table, Text, StreamLink, Type, timeColumn, Status, ProblemNotice, urls } from '../widgets.js';

const SORTS = { name: 1, created: 1, '-created': 1, '-updated': 1 };
const QUERY = { q: '', category: null, sort: { default: 'name', read: text => (SORTS[text] ? text : undefined) }, system: false };

function Screen({ query, set }) {
  const pages = usePages(`/v1/streams${queryString({ q: query.q, category: query.category, sort: query.sort === 'name' ? null : query.sort, system: query.system ? 'true' : null, limit: 100 })}`);
  const categories = useApi('/v1/categories');
  const [text, setText] = useState(query.q);
  const typed = useRef(query.q);
  const input = useRef();
  useEffect(() => { if (query.q !== typed.current) { typed.current = query.q; setText(query.q); } }, [query.q]);
  useEffect(() => {
    if (text === query.q) return undefined;
    const rest = setTimeout(() => { typed.current = text; set({ q: text }); }, 120);
    return () => clearTimeout(rest);
  }, [text]);
  useKeys([{ key: 'f', label: 'filter', run: () => { input.current.focus(); } }, { key: '/', label: 'filter', run: () => { input.current.focus(); } }]);
  const list = (categories.data?.items ?? []).slice().sort((a, b) => Number(b.streams) - Number(a.streams));
  const filtered = query.q || query.category !== null;
  return html`<${Page} title="Streams" sentence=${sentence(pages, query)}>
    <div class="filters">
      <input type="search" ref=${input} aria-label="Filter by name" placeholder="Beginning of a name, or a pattern: order-8*" value=${text} onInput=${event => setText(event.target.value)} />
      <label>category <select value=${query.category ?? ''} onChange=${event => set({ category: event.target.value || null }, { push: true })}><option value="">all</option>
        ${query.category !== null && !list.some(one => one.category === query.category) && html`<option value=${query.category}>${visibleText(query.category)}</option>`}
        ${list.slice(0, 200).map(one => html`<option value=${one.category}>${visibleText(one.category).slice(0, 60)} (${numberText(one.streams)})</option>`)}</select></label>
      <label>sort <select value=${query.sort} onChange=${event => set({ sort: event.target.value }, { push: true })}><option value="name">by name</option><option value="-updated">last updated first</option><option value="-created">newest first</option><option value="created">oldest first</option></select></label>
      <label class="check"><input type="checkbox" checked=${query.system} onChange=${event => set({ system: event.target.checked }, { push: true })} /> system streams</label>
    </div>
    <${Remote} of=${pages} what="the streams">${() => html`<${Table} rows=${pages.items} keyOf=${row => row.stream} caption="Streams" onNearEnd=${pages.more} onOpen=${row => go(urls.stream(row.stream))}
      rowClass=${row => (row.state && row.state !== 'active' ? 'gone-row' : '')}
      empty=${filtered ? html`<div class="pad"><p>No stream ${query.q && html`is called <strong><${Text} value=${query.q} /></strong>`}${query.category !== null && html` in category <strong><${Text} value=${query.category} /></strong>`}.</p><p><button type="button" onClick=${() => { setText(''); set({ q: '', category: null }); }}>Clear the filter</button></p></div>` : html`<div class="pad"><p>There are no streams yet. The first event makes the first one.</p></div>`}
      columns=${[
    { label: 'Stream', cell: row => html`<${StreamLink} stream=${row.stream} clip=${72} />${row.state && row.state !== 'active' ? html` <${Status} kind="idle">${row.state}</${Status}>` : ''}` },
    { label: 'Events', width: 84, align: 'end', cell: row => (row.lastRevision === null || row.lastRevision === undefined ? html`<span class="quiet">none</span>` : html`<span title="the highest revision and one; fewer may be left">${numberText(Number(row.lastRevision) + 1)}</span>`) },
    { label: 'Last type', wide: true, width: '24%', cell: row => row.lastType && html`<${Type} type=${row.lastType} clip=${30} />` },
    timeColumn('Created', row => row.createdTime, { wide: true }), timeColumn('Updated', row => row.updatedTime),
  ]} />${pages.moreError && html`<${ProblemNotice} error=${pages.moreError} retry=${pages.reload} />`}${pages.loadingMore && html`<p class="quiet pad">Loading more…</p>`}`}</${Remote}>
  </${Page}>`;
}
function sentence(pages, query) {
  if (!pages.first) return 'Asking the server…';
  const shown = `${numberText(pages.items.length)}${pages.hasMore ? ' and more' : ''} ${pages.items.length === 1 ? 'stream' : 'streams'}`;
  return query.q || query.category !== null ? `${shown} found.` : `${shown}.`;
}

export default { title: 'Streams', query: QUERY, Screen };
