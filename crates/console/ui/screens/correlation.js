// What belongs together, what caused what, and where did the time go?
import { html, useApi, useMemo, useState, useRef, useEffect, go, path, readTime, durationText, plural, numberText, middle, visibleText, typeHue, typeBadge, queryString, recent, download, printJson, timeText, zone } from '../core.js';
import { Page, Remote, Table, Text, Type, Time, timeColumn, Choice, EventLink, StreamLink, Notice, Empty, Menu, urls } from '../widgets.js';

const VIEWS = ['lanes', 'tree', 'list'];
const QUERY = { view: { default: 'lanes', read: text => (VIEWS.includes(text) ? text : undefined) }, sel: '' };
const LANE = 64;
/** Pixels from event to event: fewer where there are many. */
const stepOf = count => (count <= 9 ? 120 : count <= 60 ? 96 : 44);
const LEFT = 16;

function Screen({ params, query, set }) {
  if (params.id === undefined) return html`<${Find} />`;
  return html`<${Correlation} id=${params.id} query=${query} set=${set} />`;
}

function Find() {
  const [text, setText] = useState('');
  const log = useApi('/v1/events?from=end&direction=backward&limit=200');
  const known = useMemo(() => {
    const out = new Map();
    for (const event of log.data?.items ?? []) if (event.correlationId) { const one = out.get(event.correlationId) ?? { id: event.correlationId, count: 0, last: event, streams: new Set() }; one.count++; one.streams.add(event.stream); out.set(event.correlationId, one); }
    return [...out.values()];
  }, [log.data]);
  return html`<${Page} title="Correlations" sentence="Events that belong together: one request, one order, one saga.">
    <form class="filters" onSubmit=${event => { event.preventDefault(); if (text.trim()) go(urls.correlation(text.trim())); else event.target.querySelector('input').focus(); }}><input type="search" aria-label="Correlation id" placeholder="Paste a correlation id" value=${text} onInput=${event => setText(event.target.value)} /><button type="submit">Open</button></form>
    <${Remote} of=${log} what="the newest correlations">${() => html`<${Table} rows=${known} keyOf=${row => row.id} caption="Newest correlations" onOpen=${row => go(urls.correlation(row.id))} empty=${html`<p class="quiet pad">None of the newest 200 events has a correlation id. Give one with each append: <code>correlationId</code> over HTTP, <code>$correlationId</code> in the metadata over gRPC.</p>`} columns=${[
    { label: 'Correlation', cell: row => html`<a class="link mono" href=${urls.correlation(row.id)}><${Text} value=${row.id} clip=${60} /></a>` },
    { label: 'Seen', width: 76, align: 'end', cell: row => numberText(row.count) },
    { label: 'Streams', width: 84, align: 'end', wide: true, cell: row => numberText(row.streams.size) },
    { label: 'Newest', width: '26%', wide: true, cell: row => html`<${Type} type=${row.last.type} clip=${30} />` },
    timeColumn('Time', row => row.last.time),
  ]} /><p class="quiet pad">Among the newest 200 events of the log.</p>`}</${Remote}></${Page}>`;
}

/**
 * How the events hang together. A root has no cause, or itself, or one outside the set; a loop, which only bad data has, is cut
 * at its earliest event. `missing` are causes that are named and not there.
 */
export function arrange(events) {
  const byId = new Map(events.map((event, i) => [event.id, i]));
  const parent = events.map(event => {
    const cause = event.causationId ?? event.causedBy;
    if (!cause || cause === event.id) return -1;
    return byId.get(cause) ?? -2;
  });
  // Follow causes upwards; who is met twice on one way is in a loop.
  const looped = new Set();
  const done = new Uint8Array(events.length);
  for (let i = 0; i < events.length; i++) {
    const way = [];
    let at = i;
    while (at >= 0 && done[at] === 0) { done[at] = 1; way.push(at); at = parent[at]; }
    if (at >= 0 && done[at] === 1) {
      const loop = way.slice(way.indexOf(at));
      const first = Math.min(...loop);
      looped.add(first);
      parent[first] = -3;
    }
    for (const one of way) done[one] = 2;
  }
  const children = events.map(() => []);
  const roots = [];
  parent.forEach((up, i) => (up >= 0 ? children[up].push(i) : roots.push(i)));
  const depth = new Array(events.length).fill(0);
  const order = [];
  const stack = roots.slice().reverse();
  while (stack.length) {
    const i = stack.pop();
    order.push(i);
    for (let n = children[i].length - 1; n >= 0; n--) { depth[children[i][n]] = depth[i] + 1; stack.push(children[i][n]); }
  }
  const missing = events.flatMap((event, i) => (parent[i] === -2 ? [i] : []));
  return { parent, children, roots, depth, order, missing, looped };
}

/** Gaps between events, and which are beyond the 95th percentile. */
export function gaps(events) {
  const times = events.map(event => readTime(event.time)?.millis ?? 0);
  const all = times.slice(1).map((time, i) => time - times[i]);
  const sorted = all.slice().sort((a, b) => a - b);
  const limit = sorted[Math.floor(sorted.length * 0.95)] ?? Infinity;
  let slowest = -1;
  all.forEach((gap, i) => { if (slowest < 0 || gap > all[slowest]) slowest = i; });
  return { times, all, limit, slowest };
}

/** Where each event stands: time goes to the right in equal steps, each stream has a lane. */
export function layout(events) {
  const lanes = [...new Set(events.map(event => event.stream))];
  const step = stepOf(events.length);
  return { lanes, step, at: events.map((event, i) => ({ x: LEFT + 48 + i * step, y: 34 + lanes.indexOf(event.stream) * LANE })), width: LEFT * 2 + 16 + events.length * step, height: lanes.length * LANE + 24 };
}

function Correlation({ id, query, set }) {
  const answer = useApi(path`/v1/correlations/${id}`);
  const title = html`<span class="mono"><${Text} value=${id} clip=${60} /></span>`;
  const absent = () => html`<${Empty} title="No event has this correlation id"><p>It may have been deleted, or the id was cut off when it was copied.</p></${Empty}>`;
  const events = answer.data?.events ?? [];
  const shape = useMemo(() => arrange(events), [answer.data]);
  const time = useMemo(() => gaps(events), [answer.data]);
  const svg = useRef();
  const exportSvg = () => {
    const copyOf = svg.current.cloneNode(true);
    copyOf.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    for (const [from, to] of [[svg.current, copyOf]]) paint(from, to);
    download(`correlation-${id.slice(0, 40)}.svg`, new XMLSerializer().serializeToString(copyOf), 'image/svg+xml');
  };
  return html`<${Page} title=${title} kicker="Correlation" sentence=${answer.data && html`<${Sentence} events=${events} time=${time} shape=${shape} streams=${answer.data.streams} />`} actions=${answer.data && html`
      <${Choice} label="View" options=${[['lanes', 'Lanes'], ['tree', 'Tree'], ['list', 'List']]} value=${query.view} onChange=${view => set({ view })} />
      <${Menu} label="Export" items=${[{ label: 'JSON', run: () => download(`correlation-${id.slice(0, 40)}.json`, printJson(answer.data)) }, { label: 'SVG', disabled: query.view !== 'lanes', run: exportSvg }]} />`}>
    <${Remote} of=${answer} what="the correlation" absent=${absent}>${data => (events.length === 0 ? absent() : html`
      ${data.truncated && html`<${Notice} kind="warn" title="Not everything is shown">Only the first ${numberText(events.length)} events are drawn.</${Notice}>`}
      ${shape.looped.size > 0 && html`<${Notice} kind="warn" title="Causes in a circle">${plural(shape.looped.size, 'circle')} of events that name each other as their cause. Each is cut at its earliest event.</${Notice}>`}
      ${query.view === 'lanes' && html`<${Lanes} events=${events} shape=${shape} time=${time} svg=${svg} />`}
      ${query.view === 'tree' && html`<${TreeView} events=${events} shape=${shape} time=${time} />`}
      ${query.view === 'list' && html`<${ListView} events=${events} time=${time} />`}`)}</${Remote}>
  </${Page}>`;
}

function Sentence({ events, time, shape, streams }) {
  if (!events.length) return null;
  const span = time.times[time.times.length - 1] - time.times[0];
  const slow = time.slowest >= 0 && time.all[time.slowest] > 0;
  return html`${plural(events.length, 'event')}, ${plural(streams?.length ?? new Set(events.map(event => event.stream)).size, 'stream')}, ${durationText(span)}${slow && html`; slowest gap ${durationText(time.all[time.slowest])} between <${Text} value=${events[time.slowest].type} clip=${32} /> and <${Text} value=${events[time.slowest + 1].type} clip=${32} />`}${shape.missing.length > 0 && `; ${plural(shape.missing.length, 'cause')} not found`}.`;
}

function Lanes({ events, shape, time, svg }) {
  const { lanes, step, at, width, height } = useMemo(() => layout(events), [events]);
  const move = (event, i) => {
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: events.length - 1 }[event.key];
    if (to === undefined || to < 0 || to >= events.length) return;
    event.preventDefault();
    event.stopPropagation();
    svg.current.querySelector(`[data-i="${to}"]`)?.focus();
  };
  return html`<div class="lanes"><ul class="lane-names" style=${{ height: `${height}px` }}>${lanes.map((stream, n) => html`<li style=${{ top: `${n * LANE + 2}px` }}><${StreamLink} stream=${stream} clip=${24} /></li>`)}</ul>
    <div class="lane-scroll" tabindex="0" role="group" aria-label="Lanes: time goes to the right"><svg ref=${svg} width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="group" aria-label=${`${events.length} events in ${lanes.length} streams`}>
      <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="lane-tip" d="M0 0L8 4L0 8z" /></marker></defs>
      ${lanes.map((_, n) => html`<path class="lane-line" d=${`M${LEFT} ${34 + n * LANE}H${width - LEFT}`} />`)}
      ${events.map((event, i) => (i > 0 && time.all[i - 1] > time.limit * 0.999 && time.all[i - 1] > 0 && (time.all[i - 1] > time.limit || i - 1 === time.slowest) ? html`<g class="lane-gap"><path d=${`M${at[i].x - step / 2} 4V${height - 14}`} /><text x=${at[i].x - step / 2} y=${height - 2} text-anchor="middle">${durationText(time.all[i - 1])}</text></g>` : null))}
      ${events.map((event, i) => {
    const up = shape.parent[i];
    if (up >= 0) {
      const [a, b] = [at[up], at[i]];
      const bend = a.y === b.y ? `Q${(a.x + b.x) / 2} ${a.y - 18 - Math.min(10, (i - up) * 2)} ${b.x - 3} ${b.y - 12}` : `C${a.x + step / 2} ${a.y} ${b.x - step / 2} ${b.y} ${b.x - 15} ${b.y}`;
      return html`<path class="lane-arrow" d=${`M${a.x + (a.y === b.y ? 4 : 12)} ${a.y - (a.y === b.y ? 12 : 0)}${bend}`} marker-end="url(#tip)" />`;
    }
    if (up === -2) return html`<g class="lane-missing"><title>cause not found: external or deleted</title><path d=${`M${at[i].x - 38} ${at[i].y - 20}L${at[i].x - 12} ${at[i].y - 6}`} marker-end="url(#tip)" /><circle cx=${at[i].x - 42} cy=${at[i].y - 22} r="4" /></g>`;
    return null;
  })}
      ${events.map((event, i) => html`<a href=${urls.event(event.stream, event.revision)} data-i=${i} tabindex=${i === 0 ? 0 : -1} onKeyDown=${key => move(key, i)}>
        <title>${visibleText(event.type)}, ${visibleText(middle(event.stream, 60))} #${event.revision}, ${timeText(event.time, zone.value, 'exact')}</title>
        <circle class=${`lane-node hue-${typeHue(event.type)}`} cx=${at[i].x} cy=${at[i].y} r="11" /><text class="lane-badge" x=${at[i].x} y=${at[i].y + 3.5} text-anchor="middle" aria-hidden="true">${visibleText(typeBadge(event.type))}</text>
        <text class="lane-label" aria-hidden="true" x=${at[i].x} y=${at[i].y + 25} text-anchor="middle">${step < 60 ? '' : visibleText(middle(event.type, step < 120 ? 14 : 17))}</text></a>`)}
    </svg></div></div>`;
}
/** Writes the colours into a copy of the picture, so that it looks the same elsewhere. */
function paint(from, to) {
  const style = getComputedStyle(from);
  for (const name of ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'font-size', 'font-family', 'font-weight']) to.setAttribute(name, style.getPropertyValue(name));
  [...from.children].forEach((child, i) => paint(child, to.children[i]));
}

function TreeView({ events, shape, time }) {
  const begin = time.times[0];
  return html`<ol class="cause-tree">${shape.order.map(i => {
    const event = events[i];
    const up = shape.parent[i];
    return html`<li style=${{ paddingLeft: `${Math.min(shape.depth[i], 12) * 22}px` }}>${up >= 0 ? html`<span class="elbow" aria-hidden="true">└</span>` : ''}<${Type} type=${event.type} clip=${40} /> <${EventLink} stream=${event.stream} revision=${event.revision} />
      <span class="quiet">+${durationText(time.times[i] - begin)}${up >= 0 && time.times[i] - time.times[up] > time.limit && time.all.length > 2 ? html`, <strong>${durationText(time.times[i] - time.times[up])} after its cause</strong>` : ''}</span>
      ${up === -2 && html`<span class="v-gone"> cause not found: external or deleted</span>`}${up === -3 && html`<span class="v-gone"> causes in a circle, cut here</span>`}<span class="offscreen"> level ${shape.depth[i] + 1}</span></li>`;
  })}</ol>`;
}

function ListView({ events, time }) {
  return html`<${Table} rows=${events.map((event, i) => ({ event, i }))} keyOf=${row => row.event.id} caption="Events" onOpen=${row => go(urls.event(row.event.stream, row.event.revision))} columns=${[
    { label: 'Time', width: 106, cell: row => html`<${Time} at=${row.event.time} show="clock" />` },
    { label: 'After', width: 92, align: 'end', cell: row => (row.i ? html`<span class=${time.all[row.i - 1] > time.limit ? 'slow' : 'quiet'}>+${durationText(time.all[row.i - 1])}</span>` : '') },
    { label: 'Type', cell: row => html`<${Type} type=${row.event.type} clip=${40} />` },
    { label: 'Event', cell: row => html`<${EventLink} stream=${row.event.stream} revision=${row.event.revision} />` },
  ]} />`;
}

export default { title: ({ params }) => (params.id === undefined ? 'Correlations' : `Correlation ${params.id}`), query: QUERY, Screen };
