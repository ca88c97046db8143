// Do the consumer groups keep up, and what is parked, why, and what happens if it is sent again?
import { html, isNarrow, useState, useEffect, useRef, useApi, api, go, path, mayWrite, copy, download, printJson, plural, numberText, durationText, capital, listed, isAre, visited, toast } from '../core.js';
import {
  Page, Remote, Table, Tabs, Notice, Confirm, Facts, Empty, Status, Text, Ago, Num, Type, Payload, StreamLink, EventLink, urls,
} from '../widgets.js';

// ---- What is said. Pure. ----------------------------------------------------------------------------------------------

/** The status as one word, and why; from `status` and `why`, or from a status that has its reason after a colon. */
export function statusOf(item) {
  const [word, ...rest] = String(item.status ?? 'unknown').split(':');
  const why = item.why ?? (rest.length > 0 ? rest.join(':').trim() : null);
  const lower = word.trim().toLowerCase();
  // A group that has its reason not to move is not live, whatever its flag says.
  return { word: why && (lower === 'live' || lower === 'behind') ? 'stalled' : lower, why: why || null };
}
export const parkedOf = item => Math.max(0, Number(item.parked ?? 0));
const nameOf = item => `${item.source}::${item.group}`;

export function listSentence(items) {
  if (items.length === 0) return { tone: 'idle', text: 'No group consumes anything here yet.' };
  const stalled = items.filter(one => statusOf(one).word === 'stalled');
  const behind = items.filter(one => statusOf(one).word === 'behind');
  const withParked = items.filter(one => parkedOf(one) > 0);
  const parked = withParked.reduce((all, one) => all + parkedOf(one), 0);
  const said = [];
  if (stalled.length > 0) said.push(`${plural(stalled.length, 'group')} ${isAre(stalled.length)} stalled: ${listed(stalled.map(nameOf))}`);
  if (parked > 0) said.push(`${plural(parked, 'message')} ${isAre(parked)} parked in ${listed(withParked.map(nameOf))}`);
  if (behind.length > 0) said.push(`${plural(behind.length, 'group')} ${isAre(behind.length)} behind`);
  if (said.length > 0) return { tone: stalled.length > 0 ? 'bad' : parked > 0 ? 'warn' : 'busy', text: `${said.join('; ')}.` };
  return { tone: 'good', text: items.length === 1 ? 'The one group keeps up.' : `All ${items.length} groups keep up.` };
}

export function groupSentence(item) {
  const { word, why } = statusOf(item);
  const parked = parkedOf(item);
  const tail = parked > 0 ? ` ${plural(parked, 'message')} ${isAre(parked)} parked.` : '';
  const tone = parked > 0 ? 'warn' : null;
  if (word === 'stalled') return { tone: 'bad', text: `${item.group} hands nothing out${why ? `: ${why}` : ''}.${tail}` };
  if (word === 'behind') return { tone: tone ?? 'busy', text: `${item.group} is behind${item.lag === null || item.lag === undefined ? '' : ` by ${plural(item.lag, 'event')}`}.${tail}` };
  if (word === 'live') return { tone: tone ?? 'good', text: `${item.group} has read everything that there is.${tail}` };
  return { tone: tone ?? 'busy', text: `${item.group} is ${word}${why ? `: ${why}` : ''}.${tail}` };
}

/** Which parked messages are meant: `{count}` of the oldest, `{upTo}` one, or these `{revisions}`. */
function meantText(meant, some, total) {
  const all = Number(some) === Number(total);
  if (all) return Number(total) === 1 ? 'The parked message' : `All ${numberText(total)} parked messages`;
  if (meant?.revisions) return Number(some) === 1 ? `The chosen one of ${numberText(total)} parked messages` : `The ${numberText(some)} chosen of ${numberText(total)} parked messages`;
  return `The oldest ${numberText(some)} of ${numberText(total)} parked messages`;
}

/** What is said before parked messages are sent again. */
export function replayEffect(some, total, item, meant = {}) {
  const consumers = Number(item.consumers ?? 0);
  const reach = consumers === 0 ? 'which has no consumer now: they wait until one comes' : `which has ${plural(consumers, 'consumer')}`;
  return `${meantText(meant, some, total)} will be sent again to group ${item.group}, ${reach}. Its handlers must be idempotent.`;
}

/** What is said before parked messages are dropped. */
export const skipEffect = (some, total, item, meant = {}) =>
  `${meantText(meant, some, total)} of group ${item.group} will be dropped: no consumer gets ${Number(some) === 1 ? 'it' : 'them'} any more. The events themselves stay in their streams.`;

/** How a replay stands, as a title and a sentence. */
export function replaySentence(run) {
  const total = Number(run.total);
  const isOver = run.state === 'completed' || run.state === 'stopped';
  const be = total === 1 ? 'is' : 'are';
  const title = run.state === 'stopped' ? `The replay of ${plural(total, 'message')} was stopped.`
    : `${plural(total, 'message')} ${isOver ? (total === 1 ? 'was' : 'were') : `${be} being`} sent again.`;
  const parts = [['acked', 'acknowledged'], ['parkedAgain', 'parked again'], ['dropped', 'dropped by consumers'], ['gone', 'not there any more'], ['left', 'left parked'], ['waiting', 'without an answer yet']]
    .filter(([name]) => Number(run[name] ?? 0) > 0).map(([name, words]) => `${numberText(run[name])} ${words}`);
  return { isOver, tone: !isOver ? 'busy' : Number(run.parkedAgain) > 0 || run.state === 'stopped' ? 'warn' : 'good', title, text: parts.length > 0 ? `${capital(listed(parts, parts.length))}.` : 'No answer yet.' };
}

/** What was parked, one JSON object a line. */
export const parkedLines = items => items.map(one => printJson(one, 0)).join('\n') + (items.length > 0 ? '\n' : '');

// ---- Pieces -----------------------------------------------------------------------------------------------------------

const KINDS = { live: 'good', behind: 'busy', stalled: 'bad' };
const StatusOf = ({ item }) => { const { word } = statusOf(item); return html`<${Status} kind=${KINDS[word] ?? 'idle'}>${word}</${Status}>`; };
const Said = ({ of: { tone, text } }) => html`<span class=${`said ${tone}`}><${Text} value=${text} /></span>`;
const Parked = ({ item }) => (parkedOf(item) > 0 ? html`<${Status} kind="warn">${numberText(parkedOf(item))}</${Status}>` : html`<${Num} value=${item.parked} />`);
const Waiting = ({ millis }) => (millis === null || millis === undefined ? html`<span class="quiet">none</span>` : html`<span>${durationText(Number(millis))}</span>`);
/** Where a group reads: a stream has a page, `$all` is the log. */
const Source = ({ source }) => (source === '$all' ? html`<a class="link" href="/ui/events">$all, the log</a>` : html`<${StreamLink} stream=${source} />`);

// ---- The list ---------------------------------------------------------------------------------------------------------

function List() {
  const answer = useApi('/v1/subscriptions', { every: 3000 });
  const items = answer.data?.items;
  const open = one => go(urls.subscription(one.source, one.group));
  const columns = [
    { key: 'group', label: 'Group', cell: one => html`<a class="link" href=${urls.subscription(one.source, one.group)}><${Text} value=${one.group} clip=${40} /></a>` },
    { key: 'source', label: 'Reads', cell: one => html`<${Source} source=${one.source} />` },
    { key: 'status', label: 'Status', width: 96, cell: one => html`<${StatusOf} item=${one} />` },
    { key: 'parked', label: 'Parked', width: 76, align: 'end', cell: one => html`<${Parked} item=${one} />` },
    { key: 'lag', label: 'Behind by', width: 110, align: 'end', wide: true, cell: one => html`<${Num} value=${one.lag} />` },
    { key: 'inFlight', label: 'Unanswered', width: 100, align: 'end', wide: true, cell: one => html`<${Num} value=${one.inFlight} />` },
    { key: 'oldest', label: 'Oldest of them', width: 120, align: 'end', wide: true, cell: one => html`<${Waiting} millis=${one.oldestUnackedMillis} />` },
    { key: 'consumers', label: 'Consumers', width: 100, align: 'end', wide: true, cell: one => html`<${Num} value=${one.consumers} />` },
  ];
  return html`<${Page} title="Persistent subscriptions" sentence=${items && html`<${Said} of=${listSentence(items)} />`}>
    <${Remote} of=${answer} what="subscriptions">${() => (items.length === 0
    ? html`<${Empty} title="No groups">A group of consumers shares a stream: each event goes to one of them, again if it is not answered, and is parked when that does not help. Any client of KurrentDB makes one, or: <code>PUT /v1/subscriptions/orders/billing</code></${Empty}>`
    : html`<${Table} caption="Groups" rows=${items} keyOf=${nameOf} columns=${columns} onOpen=${open} />
      ${items.some(one => statusOf(one).why) && html`<ul class="whys">${items.filter(one => statusOf(one).why).map(one => html`<li><strong><${Text} value=${nameOf(one)} /></strong>: <${Text} value=${statusOf(one).why} /></li>`)}</ul>`}`)}</${Remote}>
  </${Page}>`;
}

// ---- One group --------------------------------------------------------------------------------------------------------

/** Parked messages that are shown. */
const PAGE = 200;
/** Replays that are shown at once. */
const SHOWN_RUNS = 3;

function One({ source, group, query, set }) {
  const url = path`/v1/subscriptions/${source}/${group}`;
  const answer = useApi(url, { every: 2000 });
  const item = answer.data;
  const [asked, ask] = useState(null);
  const [closed, close] = useState(() => new Set());
  const [begun, setBegun] = useState(null);
  const [skipped, setSkipped] = useState(null);
  const opened = useRef(Date.now());
  const parked = useApi(query.tab === 'parked' ? `${url}/parked?limit=${PAGE}` : null);
  useEffect(() => { if (item) visited(`group ${group} of ${source}`, urls.subscription(source, group)); }, [item === undefined]);
  const total = item ? parkedOf(item) : 0;
  const tabs = [{ id: 'parked', label: 'Parked', count: item ? total : undefined }, { id: 'consumers', label: 'Consumers', count: item?.consumers ?? undefined }, { id: 'settings', label: 'Settings' }];
  const tab = tabs.some(one => one.id === query.tab) ? query.tab : 'parked';
  const again = () => { ask(null); answer.reload(); parked.reload(); };
  const replay = async (meant, reason) => {
    setBegun(await api(`${url}/parked/replay`, { method: 'POST', body: { ...meant, reason } }));
    again();
  };
  const skip = async (meant, reason) => {
    setSkipped({ ...await api(`${url}/parked/skip`, { method: 'POST', body: { ...meant, reason } }), at: Date.now() });
    again();
  };
  const stop = async run => {
    try { setBegun(await api(`${url}/parked/replays/${run.id}`, { method: 'DELETE' })); } catch (error) { toast(error.message, 'error'); }
    again();
  };
  // What runs is shown to everybody, what is over to those who were here.
  const known = item?.replays ?? [];
  const runs = (begun && !known.some(run => run.id === begun.id) ? [begun, ...known] : known)
    .filter(run => !closed.has(run.id) && (run.ended === null || Date.parse(run.ended) >= opened.current));
  const running = runs.filter(run => run.ended === null).length;
  useEffect(() => { if (item) parked.reload(); }, [running, total]);
  return html`<${Page} kicker=${html`<a class="link" href="/ui/subscriptions">Persistent subscriptions</a>`} title=${html`<${Text} value=${group} />`} sentence=${item && html`<${Said} of=${groupSentence(item)} />`}
      actions=${mayWrite ? html`<button type="button" class="primary" disabled=${total === 0} onClick=${() => ask({ what: 'replay', meant: { count: total }, some: total })}>Replay parked…</button>` : html`<span class="quiet">Read only: nothing can be changed from here.</span>`}>
    ${runs.slice(0, SHOWN_RUNS).map(run => html`<${Run} key=${run.id} of=${run} onStop=${() => stop(run)} onClose=${() => close(new Set(closed).add(run.id))} />`)}
    ${skipped && html`<${Notice} kind="good" title=${`${plural(skipped.skipped, 'message')} ${Number(skipped.skipped) === 1 ? 'was' : 'were'} skipped.`} actions=${html`<button type="button" onClick=${() => setSkipped(null)}>Close</button>`}><p>${plural(total, 'message')} ${isAre(total)} parked now. Done <${Ago} at=${skipped.at} />.</p></${Notice}>`}
    <${Remote} of=${answer} what="the group" absent=${() => html`<${Empty} title="There is no such group">No group <strong><${Text} value=${group} /></strong> reads <strong><${Text} value=${source} /></strong>. <a class="link" href="/ui/subscriptions">All groups</a></${Empty}>`}>${data => html`
      <div class="facts-row"><${Facts} facts=${[
    ['Reads', html`<${Source} source=${source} />`], ['Status', html`<${StatusOf} item=${data} />`], ['Behind by', data.lag === null || data.lag === undefined ? html`<span class="quiet">unknown</span>` : plural(data.lag, 'event')],
    ['Unanswered', html`<${Num} value=${data.inFlight} />`], ['Oldest of them', html`<${Waiting} millis=${data.oldestUnackedMillis} />`], ['Strategy', data.strategy], ['Began at', data.start && html`<${Text} value=${String(data.start)} />`], ['Checkpoint', data.checkpoint === null || data.checkpoint === undefined ? 'none yet' : html`<${Text} value=${String(data.checkpoint)} />`],
  ]} /></div>
      <${Tabs} label="About this group" tabs=${tabs} current=${tab} onChange=${id => set({ tab: id }, { push: true })} />
      ${tab === 'parked' && html`<${ParkedTab} answer=${parked} total=${total} source=${source} group=${group} url=${url} query=${query} set=${set} ask=${ask} />`}
      ${tab === 'consumers' && html`<${Consumers} list=${data.connections ?? []} />`}
      ${tab === 'settings' && html`<${Settings} of=${data.settings ?? {}} />`}`}</${Remote}>
    ${asked && item && html`<${Ask} item=${item} total=${total} asked=${asked} onReplay=${replay} onSkip=${skip} onClose=${() => ask(null)} />`}
  </${Page}>`;
}

/** A replay: how far it is, and what came of it. */
function Run({ of, onStop, onClose }) {
  const { isOver, tone, title, text } = replaySentence(of);
  return html`<${Notice} kind=${tone === 'busy' ? 'note' : tone} title=${title} actions=${isOver ? html`<button type="button" onClick=${onClose}>Close</button>`
    : mayWrite && html`<button type="button" disabled=${of.state === 'stopping'} onClick=${onStop}>${of.state === 'stopping' ? 'Stopping…' : 'Stop'}</button>`}>
    <p>${text} Asked for by <${Text} value=${of.actor} />${of.reason && html`: <${Text} value=${of.reason} clip=${160} />`}.</p></${Notice}>`;
}

/** Asks before parked messages are sent again or dropped: never without their number. */
function Ask({ item, total, asked, onReplay, onSkip, onClose }) {
  const isFree = asked.meant.count !== undefined;
  const [count, setCount] = useState(asked.some);
  const some = isFree ? count : asked.some;
  const fits = Number.isInteger(some) && some >= 1 && some <= total;
  const isReplay = asked.what === 'replay';
  const verb = isReplay ? 'Replay' : 'Skip';
  const bounds = `Between 1 and ${numberText(total)} can be ${isReplay ? 'sent again' : 'skipped'}.`;
  const meant = isFree ? (count === total ? {} : { count }) : asked.meant;
  return html`<${Confirm} title=${`${verb} parked messages`} verb=${fits ? `${verb} ${numberText(some)}` : verb} danger=${!isReplay} onClose=${onClose}
      effect=${total === 0 ? 'Nothing is parked any more.' : fits ? (isReplay ? replayEffect : skipEffect)(some, total, item, asked.meant) : bounds}
      onConfirm=${async reason => { if (!fits) throw new Error(bounds); await (isReplay ? onReplay : onSkip)(meant, reason); }}>
    ${isFree && html`<label>How many, the oldest first<input type="number" min="1" max=${total} value=${count} onInput=${event => setCount(event.target.valueAsNumber)} /></label>`}
  </${Confirm}>`;
}

function ParkedTab({ answer, total, source, group, url, query, set, ask }) {
  const all = answer.data?.items ?? [];
  const text = query.q.trim().toLowerCase();
  const shown = text ? all.filter(one => `${one.event?.type ?? ''} ${one.event?.stream ?? ''} ${one.reason ?? ''}`.toLowerCase().includes(text)) : all;
  const [picked, pick] = useState(() => new Set());
  const chosen = all.filter(one => picked.has(one.revision)).map(one => one.revision);
  const flip = revision => pick(before => { const next = new Set(before); next.has(revision) ? next.delete(revision) : next.add(revision); return next; });
  const every = shown.length > 0 && shown.every(one => picked.has(one.revision));
  const flipAll = () => pick(before => { const next = new Set(before); for (const one of shown) every ? next.delete(one.revision) : next.add(one.revision); return next; });
  const these = (what, revisions) => ask({ what, meant: { revisions }, some: revisions.length });
  const columns = [
    ...(mayWrite ? [{ key: 'pick', label: html`<input type="checkbox" aria-label="Choose all that are shown" checked=${every} onChange=${flipAll} />`, width: 42, cell: one => html`<input type="checkbox" aria-label=${`Choose message ${one.revision}`} checked=${picked.has(one.revision)} onChange=${() => flip(one.revision)} />` }] : []),
    { key: 'type', label: 'Event', width: isNarrow.value ? '44%' : '20%', cell: one => (one.event ? html`<${Type} type=${one.event.type} clip=${28} />` : html`<span class="quiet">not there any more</span>`) },
    { key: 'of', label: 'Of', width: '24%', wide: true, cell: one => (one.event ? html`<${EventLink} stream=${one.event.stream} revision=${one.event.revision} />` : one.link ? html`<${EventLink} stream=${one.link.stream} revision=${one.link.revision} />` : '') },
    { key: 'reason', label: 'Why it is parked', cell: one => html`<${Text} value=${one.reason || 'no reason was given'} clip=${90} />` },
    ...(all.some(one => one.attempts !== undefined && one.attempts !== null) ? [{ key: 'attempts', label: 'Attempts', width: 84, align: 'end', wide: true, cell: one => html`<${Num} value=${one.attempts} />` }] : []),
    { key: 'time', label: 'Parked', width: 130, align: 'end', wide: true, cell: one => html`<${Ago} at=${one.time} />` },
  ];
  const exportAll = async () => {
    const list = [];
    for (let next = `${url}/parked?limit=1000`; next && list.length < 100_000;) {
      const page = await api(next);
      list.push(...page.items);
      next = page.page?.next ?? null;
    }
    download(`parked-${group}.ndjson`, parkedLines(list), 'application/x-ndjson');
  };
  return html`<${Remote} of=${answer} what="parked messages">${() => (all.length === 0
    ? html`<${Empty} title="Nothing is parked">A message is parked when its consumers refuse it, or do not answer, more often than the group allows.</${Empty}>`
    : html`<div class="filters"><input type="search" aria-label="Filter by event type, stream or reason" placeholder="Filter by type, stream or reason" value=${query.q} onInput=${event => set({ q: event.target.value })} />
        <span class="quiet">${text ? `${numberText(shown.length)} of ${plural(all.length, 'message')}` : plural(Math.max(total, all.length), 'message')}${all.length < total ? `, the oldest ${numberText(all.length)} are shown` : ''}</span>
        <span class="grow" />
        ${mayWrite && chosen.length > 0 && html`<button type="button" onClick=${() => these('replay', chosen)}>Replay chosen (${numberText(chosen.length)})…</button>
          <button type="button" onClick=${() => these('skip', chosen)}>Skip chosen (${numberText(chosen.length)})…</button>`}
        <button type="button" onClick=${exportAll}>Export NDJSON</button></div>
      <${Table} caption="Parked messages" rows=${shown} keyOf=${one => one.revision} columns=${columns} empty=${html`<p class="quiet pad">No parked message has <strong>${query.q}</strong> in its type, stream or reason. <button type="button" class="more" onClick=${() => set({ q: '' })}>Clear the filter</button></p>`}
        detail=${one => html`<div class="parked">
          <p><strong>Why</strong> <${Text} value=${one.reason || 'no reason was given'} />${one.event && html` <span class="narrow-only">(<${EventLink} stream=${one.event.stream} revision=${one.event.revision} />)</span>`}</p>
          ${one.event && html`<${Payload} event=${one.event} />`}
          <div class="actions">
            ${mayWrite && html`<button type="button" onClick=${() => these('replay', [one.revision])}>Replay this one…</button>
              <button type="button" onClick=${() => ask({ what: 'replay', meant: { upTo: one.revision }, some: all.indexOf(one) + 1 })}>Replay up to here (${numberText(all.indexOf(one) + 1)})…</button>
              <button type="button" onClick=${() => these('skip', [one.revision])}>Skip…</button>`}
            ${one.event && html`<a class="button" href=${urls.state(one.event.stream, one.event.revision)}>State of its stream here</a>`}
            <button type="button" onClick=${() => copy(printJson(one), 'Message copied as JSON')}>Copy as JSON</button>
            ${one.event && html`<button type="button" onClick=${() => import('../fixture.js').then(({ rustFixture }) => copy(rustFixture([one.event], { missing: Number(one.event.revision) }), 'Fixture copied'))}>Copy as Rust fixture</button>`}
          </div></div>`} />`)}</${Remote}>`;
}

function Consumers({ list }) {
  if (list.length === 0) return html`<${Empty} title="No consumer is connected">Events wait until one comes. Nothing is lost meanwhile.</${Empty}>`;
  return html`<${Table} caption="Consumers" rows=${list} keyOf=${one => list.indexOf(one)} columns=${[
    { key: 'from', label: 'From', cell: one => html`<${Text} value=${one.from || 'unknown'} clip=${48} />` },
    { key: 'name', label: 'Connection', wide: true, cell: one => html`<${Text} value=${one.name ?? ''} clip=${40} />` },
    { key: 'user', label: 'User', width: 130, wide: true, cell: one => html`<${Text} value=${one.user ?? ''} clip=${24} />` },
    { key: 'inFlight', label: 'Unanswered', width: 104, align: 'end', cell: one => html`<${Num} value=${one.inFlight} />` },
    { key: 'slots', label: 'Takes at once', width: 120, align: 'end', wide: true, cell: one => html`<${Num} value=${one.slots} />` },
    { key: 'rate', label: 'A second', width: 90, align: 'end', wide: true, cell: one => html`<${Num} value=${one.perSecond} />` },
    { key: 'total', label: 'Delivered', width: 104, align: 'end', cell: one => html`<${Num} value=${one.total} />` },
  ]} />`;
}

/** `messageTimeoutMillis: 30000` is a message timeout of 30 s. */
export function settingText(name, value) {
  if (value === null || value === undefined) return 'none';
  if (/Millis$/.test(name) && Number.isFinite(Number(value))) return durationText(Number(value));
  return typeof value === 'object' ? printJson(value, 0) : String(value);
}
const words = name => name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
function Settings({ of }) {
  const entries = Object.entries(of);
  if (entries.length === 0) return html`<p class="quiet">The server does not tell them.</p>`;
  return html`<div class="settings"><${Facts} facts=${entries.map(([name, value]) => [capital(words(name.replace(/Millis$/, ''))), html`<code><${Text} value=${settingText(name, value)} /></code>`])} /></div>`;
}

const QUERY = { tab: 'parked', q: '' };
function Screen({ params, query, set }) {
  return params.group === undefined ? html`<${List} />` : html`<${One} key=${`${params.source} ${params.group}`} source=${params.source} group=${params.group} query=${query} set=${set} />`;
}
export default { title: ({ params }) => (params.group === undefined ? 'Persistent subscriptions' : params.group), query: QUERY, Screen };
