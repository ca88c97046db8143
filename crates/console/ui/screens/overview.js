// Is it healthy, and what happens now?
import { html, signal, useApi, useEffect, useMemo, useRef, useState, live, now, timeText, readTime, numberText, durationText, plural, zone, visibleText, go, mayAppend, toast } from '../core.js';
import { Page, Section, ProblemNotice, Empty, Remote, Facts, Text, Time, Ago, Num, Bytes, Type, StreamLink, EventLink, Status, Stale, Table, urls } from '../widgets.js';

/** The point under the pointer, shared by the charts: how many seconds before the newest. */
const cross = signal(null);
const WINDOW = 900;

function Screen() {
  const overview = useApi('/v1/overview', { every: 0 });
  const system = useApi('/v1/system');
  const recent = useApi('/v1/events?from=end&direction=backward&limit=20');
  // The server's own events are in every log: empty is what nobody has appended to.
  const isEmpty = recent.data?.items.length === 0 && live.events.value.length === 0;
  const stats = live.stats.value ?? overview.data;
  // The feed has no problems in it: they are asked again when projections change, and each half minute.
  const changes = live.projections.value;
  const beat = Math.floor(now.value / 30_000);
  const seen = useRef({ changes, beat });
  useEffect(() => {
    const before = seen.current;
    seen.current = { changes, beat };
    // What the feed tells of first is no change.
    if (before.beat !== beat || (before.changes && before.changes !== changes)) overview.reload();
  }, [changes, beat]);
  const problems = overview.data?.problems ?? [];
  return html`<${Page} title="Overview" sentence=${html`<${Sentence} overview=${overview} problems=${problems} isEmpty=${isEmpty} />`}>
    <${Remote} of=${overview} what="the overview">${() => (isEmpty ? html`<${Beginning} mayLoad=${mayAppend && system.data?.caller?.mayWrite === true} onLoaded=${() => { recent.reload(); overview.reload(); }} />` : html`
      ${problems.length > 0 && html`<${Section} title=${plural(problems.length, 'problem')}><ul class="problems">${problems.map(one => html`<li><${Status} kind="warn"><a class="link" href=${one.url}><${Text} value=${one.what} /></a></${Status}>${one.since && html`<span class="quiet">for <${Lasting} at=${one.since} /></span>`}</li>`)}</ul></${Section}>`}
      <div class="charts" onPointerLeave=${() => { cross.value = null; }}>
        <${Chart} field="appendsPerSecond" label="Appends" unit="/s" /><${Chart} field="readsPerSecond" label="Reads" unit="/s" />
        <${Chart} field="deliveriesPerSecond" label="Deliveries" unit="/s" /><${Chart} field="appendP99Millis" label="Append, p99" unit=" ms" />
      </div>
      <div class="columns">
        <${Section} title="Newest events" actions=${html`<a class="button" href="/ui/events?live=1">Follow the log</a>`}><${Ticker} recent=${recent} /></${Section}>
        <div><${Section} title="The store"><${Figures} stats=${stats} system=${system.data} /></${Section}><${Busy} /></div>
      </div>`)}</${Remote}>
  </${Page}>`;
}

function Lasting({ at }) {
  const time = readTime(at);
  return time ? html`<span title=${timeText(at, zone.value, 'exact')}>${durationText(now.value - time.millis)}</span>` : 'an unknown time';
}

function Sentence({ overview, problems, isEmpty }) {
  if (!overview.data) return 'Asking the server…';
  const state = live.state.value;
  if (state === 'lost' && now.value - live.at.value > 4000) return html`No news for ${durationText(now.value - (live.at.value || overview.at))}: the server cannot be heard. What is shown is from then.`;
  if (problems.length) return html`${problems.length === 1 ? 'One thing needs' : `${problems.length} things need`} somebody: <${Text} value=${problems[0].what.split(': ')[0]} clip=${120} />.`;
  const lagging = (live.projections.value ?? []).filter(one => Number(one.lag) > 0).length;
  if (lagging) return `${plural(lagging, 'projection')} ${lagging === 1 ? 'is' : 'are'} catching up; nothing is wrong.`;
  return isEmpty ? 'The store is empty and ready.' : 'Everything is keeping up.';
}

function Beginning({ mayLoad, onLoaded }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const load = async () => {
    setBusy(true);
    setError(null);
    try {
      const { loadSample } = await import('../sample.js');
      toast(`Appended to ${(await loadSample()).join(', ')}`);
      onLoaded();
    } catch (problem) { setError(problem); setBusy(false); }
  };
  return html`<${Empty} title="No events yet" commands=${[
    `factum append order-1 OrderPlaced '{"total": 12}' --url ${location.origin.replace('http', 'kurrentdb').replace('kurrentdbs', 'kurrentdb')}${location.protocol === 'http:' ? '?tls=false' : ''}`,
    `curl ${location.origin}/v1/streams/order-1/events -H 'content-type: application/json' -d '{"type": "OrderPlaced", "data": {"total": 12}}'`,
    'factum demo',
  ]}><p>Append the first one with one of these, and it appears here. The last one starts a server of its own with a small bank in it, to look around.</p>
    ${mayLoad && html`<p>Or take a few events of a shop into this store: an order, its payment and its parcel.${' '}<button type="button" disabled=${busy} onClick=${load}>Load sample events</button></p>`}
    ${error && html`<${ProblemNotice} error=${error} />`}</${Empty}>`;
}

/** One figure over the last 15 minutes, a point a second. */
function Chart({ field, label, unit }) {
  const box = useRef();
  const series = live.series.value;
  const width = 300;
  const height = 64;
  const values = series.map(one => { const value = one[field]; return value === null || value === undefined ? null : Number(value); });
  const known = values.filter(value => value !== null);
  const high = Math.max(1, ...known);
  const span = Math.max(60, Math.min(WINDOW, values.length));
  const x = i => width - ((values.length - 1 - i) * width) / (span - 1);
  const y = value => height - 2 - (value / high) * (height - 8);
  let line = '';
  values.forEach((value, i) => { if (value !== null) line += `${line && values[i - 1] !== null ? 'L' : 'M'}${x(i).toFixed(1)} ${y(value).toFixed(1)}`; });
  const back = cross.value;
  const i = back === null ? values.length - 1 : Math.max(0, values.length - 1 - back);
  const shown = values[i];
  const move = event => {
    const rect = box.current.getBoundingClientRect();
    cross.value = Math.round((1 - (event.clientX - rect.left) / rect.width) * (span - 1));
  };
  return html`<figure class="chart" onPointerMove=${move}>
    <figcaption><span>${label}</span><strong>${shown === null || shown === undefined ? 'unknown' : `${numberText(Math.round(shown * 100) / 100)}${unit}`}</strong></figcaption>
    <svg ref=${box} viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label=${`${label}: ${shown ?? 'unknown'}${unit}, at most ${high}`}>
      <path class="chart-base" d=${`M0 ${height - 1}H${width}`} />${line && html`<path class="chart-area" d=${`${line}L${width} ${height}L${x(values.findIndex(value => value !== null)).toFixed(1)} ${height}Z`} /><path class="chart-line" d=${line} />`}
      ${back !== null && back < span && html`<path class="chart-cross" d=${`M${x(i).toFixed(1)} 0V${height}`} />`}</svg>
    <p class="quiet">${back !== null && series[i]?.time ? html`<${Time} at=${series[i].time} show="second" />` : known.length === 0 ? 'nothing to measure yet' : `at most ${numberText(Math.round(high * 100) / 100)}${unit} in ${durationText(Math.max(1, Math.min(values.length, span)) * 1000)}`}</p>
  </figure>`;
}

/** The store's own events are not what somebody comes to see. */
const isTold = head => !head.type.startsWith('$');

function Ticker({ recent }) {
  const heads = live.events.value;
  const rows = useMemo(() => {
    const seen = new Set();
    return [...heads.filter(isTold), ...recent.data?.items ?? []].filter(one => !seen.has(one.id) && seen.add(one.id)).slice(0, 20);
  }, [heads, recent.data]);
  return html`<${Table} keys rows=${rows} keyOf=${row => row.id} caption="Newest events" onOpen=${row => go(urls.event(row.stream, row.revision))} columns=${[
    { label: 'Time', width: 92, cell: row => html`<${Time} at=${row.time} show="second" />` },
    { label: 'Type', cell: row => html`<${Type} type=${row.type} clip=${32} />` },
    { label: 'Event', cell: row => html`<${EventLink} stream=${row.stream} revision=${row.revision} />` },
  ]} empty=${html`<p class="quiet pad">None yet.</p>`} />`;
}

/** What is busiest among the heads that this page has seen: it asks nothing of the server. */
function Busy() {
  const counts = useRef(new Map());
  const last = useRef(null);
  const heads = live.events.value;
  const newest = heads[0]?.id;
  if (newest !== last.current) {
    for (const one of heads) { if (one.id === last.current) break; if (isTold(one)) counts.current.set(one.type, (counts.current.get(one.type) ?? 0) + 1); }
    last.current = newest;
  }
  const top = [...counts.current].sort((a, b) => b[1] - a[1]).slice(0, 6);
  if (!top.length) return null;
  return html`<${Section} title="Busiest types since you came"><ul class="busy">${top.map(([type, count]) => html`<li><${Type} type=${type} clip=${28} link /><span class="num">${numberText(count)}</span></li>`)}</ul></${Section}>`;
}

function Figures({ stats, system }) {
  return html`<${Facts} facts=${[
    ['events', html`<${Num} value=${stats?.events} />`], ['streams', html`<${Num} value=${stats?.streams} />`], ['position', html`<${Num} value=${stats?.position} />`],
    system?.store?.bytes !== undefined && ['bytes', html`<${Bytes} value=${system.store.bytes} />`],
    ['subscriptions', html`<${Num} value=${stats?.subscriptions} />`], ['connections', html`<${Num} value=${stats?.connections} />`],
    system && ['version', visibleText(String(system.version))], system?.started && ['running for', html`<${Running} started=${system.started} />`],
    system?.durability && ['durability', html`<${Text} value=${typeof system.durability === 'string' ? system.durability : JSON.stringify(system.durability)} clip=${60} />`],
    system?.store?.path && ['data', html`<code><${Text} value=${system.store.path} clip=${60} /></code>`],
  ]} />`;
}
function Running({ started }) {
  const time = readTime(started);
  return time ? html`<span title=${timeText(started, zone.value, 'exact')}>${durationText(now.value - time.millis)}</span>` : 'unknown';
}

export default { title: 'Overview', Screen };
