// How far are the projections, what do they stand still at, and may the new version serve?
import {
  html, useState, useEffect, useMemo, useRef, useApi, api, go, path, live, mayWrite, now, same, plural, numberText, queryString,
  listed, span, isAre, visited,
} from '../core.js';
import {
  Page, Section, Remote, Table, Tabs, Choice, Notice, Confirm, Facts, Empty, Status, Text, Time, Ago, Num, Type, Value, Payload, Menu,
  StreamLink, EventLink, CopyButton, Code, Sparkline, urls,
} from '../widgets.js';

// ---- What is said. Pure, so that it is tested without a page. ---------------------------------------------------------

const of = (items, ...statuses) => items.filter(one => statuses.includes(one.status));
const namesOf = items => listed(items.map(one => one.name));

/** The sentence that the list opens with, and how grave it is. */
export function listSentence(items) {
  const alive = items.filter(one => one.role !== 'previous');
  if (alive.length === 0) return { tone: 'idle', text: 'No projection is here yet.' };
  const said = [];
  for (const status of ['faulted', 'stalled']) {
    const those = of(alive, status);
    if (those.length > 0) said.push(`${plural(those.length, 'projection')} ${isAre(those.length)} ${status}: ${namesOf(those)}`);
  }
  const behind = of(alive, 'running', 'catching up').filter(one => Number(one.lag) > 0);
  if (behind.length > 0) {
    const furthest = behind.reduce((a, b) => (Number(b.lag) > Number(a.lag) ? b : a));
    const by = plural(furthest.lag, 'event');
    said.push(behind.length === 1 ? `${furthest.name} is behind by ${by}` : `${behind.length} are behind, the furthest by ${by}`);
  }
  const rebuilding = of(alive, 'rebuilding').filter(one => !isBuilt(one));
  if (rebuilding.length > 0) said.push(`${namesOf(rebuilding)} ${isAre(rebuilding.length)} being rebuilt`);
  const built = alive.filter(isBuilt);
  if (built.length > 0) said.push(`${namesOf(built)} ${built.length === 1 ? 'has a new version' : 'have new versions'} to compare and promote`);
  const stopped = of(alive, 'stopped');
  if (stopped.length > 0) said.push(`${plural(stopped.length, 'projection')} ${isAre(stopped.length)} stopped: ${namesOf(stopped)}`);
  if (said.length > 0) return { tone: of(alive, 'faulted', 'stalled').length > 0 ? 'bad' : 'busy', text: `${said.join('; ')}.` };
  if (alive.some(one => one.lag === null || one.lag === undefined)) return { tone: 'idle', text: 'Nothing has failed; how far behind they are is unknown.' };
  return { tone: 'good', text: alive.length === 1 ? `${alive[0].name} has applied the whole log.` : `All ${alive.length} projections have applied the whole log.` };
}

/** Whether a version in the making has come to the end of the log. */
const isBuilt = one => one.role === 'building' && String(one.lag) === '0' && one.status !== 'faulted';

/** How far behind: as events, and as time where that is known. */
export function lagText(item) {
  if (item.lag === null || item.lag === undefined) return 'unknown';
  if (String(item.lag) === '0') return 'nothing';
  const time = item.lagMillis === null || item.lagMillis === undefined ? '' : `, ${span(item.lagMillis)}`;
  return `${plural(item.lag, 'event')}${time}`;
}

/** The sentence of one projection. */
export function oneSentence(name, versions) {
  const serving = servingOf(versions);
  if (!serving) return { tone: 'idle', text: `${name} has no version.` };
  const building = versions.find(one => one.role === 'building');
  const beside = !building ? '' : isBuilt(building) ? ` ${building.version} is built beside it: compare the two, then promote it.` : ` ${building.version} is being built beside it.`;
  const by = lagText(serving);
  const whole = { tone: 'good', text: `${name} has applied the whole log.${beside}` };
  switch (serving.status) {
    case 'faulted': return { tone: 'bad', text: `${name} stands still before an event that it cannot apply.${beside}` };
    case 'stalled': return { tone: 'bad', text: `${name} makes no progress, although ${plural(serving.lag, 'event')} wait.${beside}` };
    case 'stopped': return { tone: 'busy', text: `${name} is stopped${serving.why ? `: ${serving.why}` : ''}.${beside}` };
    case 'caught up': return whole;
    default:
      if (by === 'nothing') return whole;
      return { tone: 'busy', text: by === 'unknown' ? `${name} is ${serving.status}; how far behind it is, is unknown.${beside}` : `${name} is behind by ${by}.${beside}` };
  }
}

export const servingOf = versions => versions.find(one => one.role === 'serving') ?? versions[0];

/** The end of the log, where a version's place and what it lacks tell it. */
export function headOf(item) {
  if (item.head !== undefined && item.head !== null) return String(item.head);
  if (item.lag === null || item.lag === undefined || !/^\d+$/.test(String(item.applied))) return null;
  return String(BigInt(item.applied) + BigInt(String(item.lag)));
}

/** How much of the log is applied, in permille and rounded down: the whole is only said where it is the whole. */
export function permille(applied, head) {
  if (!/^\d+$/.test(String(applied)) || !/^\d+$/.test(String(head))) return null;
  const [done, all] = [BigInt(applied), BigInt(head)];
  if (all === 0n) return 1000;
  return Number((done > all ? all : done) * 1000n / all);
}
export const percent = value => (value === null ? 'unknown' : `${value % 10 === 0 ? value / 10 : (value / 10).toFixed(1)} %`);

/** How fast a version comes nearer to the end, and when it is there: from `[{at, lag}]`, oldest first. Null where nothing moved. */
export function paceText(samples) {
  const [first, last] = [samples[0], samples[samples.length - 1]];
  if (samples.length < 2 || last.at - first.at < 1000 || last.lag >= first.lag) return null;
  const perSecond = ((first.lag - last.lag) * 1000) / (last.at - first.at);
  return `${plural(Math.round(perSecond), 'event')} a second, about ${span((last.lag / perSecond) * 1000)} left`;
}

const sum = (comparison, field) => comparison.tables.reduce((all, table) => all + Number(table[field] ?? 0), 0);

/** What a comparison of two versions comes to. */
export function compareSentence(comparison) {
  const [equal, onlyOld, onlyNew, changed] = ['same', 'onlyOld', 'onlyNew', 'changed'].map(field => sum(comparison, field));
  const shaped = comparison.tables.filter(table => table.otherColumns).length;
  const both = `${comparison.old} and ${comparison.new}`;
  if (onlyOld + onlyNew + changed === 0 && shaped === 0) return { tone: 'good', text: `${both} have the same ${plural(equal, 'row')}.` };
  const parts = [];
  if (changed > 0) parts.push(`${plural(changed, 'row')} changed`);
  if (onlyOld > 0) parts.push(`${numberText(onlyOld)} only in ${comparison.old}`);
  if (onlyNew > 0) parts.push(`${numberText(onlyNew)} only in ${comparison.new}`);
  if (shaped > 0) parts.push(`${plural(shaped, 'table')} with other columns`);
  return { tone: 'warn', text: `${both} differ: ${parts.join(', ')}; ${numberText(equal)} equal.` };
}

/** An example of a comparison, cell by cell: `[{column, key, before, after, differs}]`. */
export function exampleCells(example, columns, key = []) {
  const [before, after] = [example.old ?? null, example.new ?? null];
  const names = columns?.length ? columns : [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.map(column => ({
    column, key: key.includes(column), before: before?.[column], after: after?.[column],
    differs: before !== null && after !== null && !same(before[column], after[column]),
  }));
}

/** What a person is told before another version serves. */
export function promoteEffect(comparison, version, serving) {
  if (!comparison) return `${version} will serve in place of ${serving}, in one step. ${serving} is kept for a rollback.`;
  const moved = sum(comparison, 'changed') + sum(comparison, 'onlyOld') + sum(comparison, 'onlyNew');
  return `${version} will serve in place of ${serving}, in one step: readers will see ${plural(moved, 'other row')}. ${serving} is kept for a rollback.`;
}

/** Lines that only one of two texts has: `[{sign: ' '|'-'|'+', text}]`. The longest common part stays. */
export function lineDiff(before, after) {
  const [a, b] = [before.split('\n'), after.split('\n')];
  if (a.length * b.length > 4_000_000) return [...a.map(text => ({ sign: '-', text })), ...b.map(text => ({ sign: '+', text }))];
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const out = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { out.push({ sign: ' ', text: a[i] }); i++; j++; }
    else if (i < a.length && (j === b.length || common[i + 1][j] >= common[i][j + 1])) out.push({ sign: '-', text: a[i++] });
    else out.push({ sign: '+', text: b[j++] });
  }
  return out;
}

// ---- Pieces -----------------------------------------------------------------------------------------------------------

const KINDS = { 'caught up': 'good', running: 'good', 'catching up': 'busy', rebuilding: 'busy', stalled: 'bad', faulted: 'bad', stopped: 'idle' };
const StatusOf = ({ item }) => {
  const behind = item.status === 'running' && Number(item.lag) > 0;
  return html`<${Status} kind=${behind ? 'busy' : KINDS[item.status] ?? 'idle'}>${item.status}</${Status}>`;
};
const Said = ({ of: { tone, text } }) => html`<span class=${`said ${tone}`}><${Text} value=${text} /></span>`;

/** On a narrow screen the number has to do. */
const Lag = ({ item }) => { const text = lagText(item); const [head, ...rest] = text.split(' '); return html`<span class=${text === 'unknown' || text === 'nothing' ? 'quiet' : ''} title=${text}>${head === 'nothing' ? '0' : head}<span class="wide-only"> ${rest.join(' ')}</span></span>`; };

/** How much of the log is applied, drawn. */
function Strip({ item }) {
  const head = headOf(item);
  const done = permille(item.applied, head);
  const words = done === null ? 'unknown' : `${percent(done)}, ${numberText(item.applied)} of ${numberText(head)} positions`;
  return html`<span class="strip-box" title=${words}><span class=${`strip ${KINDS[item.status] ?? 'idle'}`} role="img" aria-label=${`Applied: ${words}`}><span style=${{ width: `${(done ?? 0) / 10}%` }} /></span><span class="num quiet">${percent(done)}</span></span>`;
}

// How far behind each version was while this page is open.
const lags = new Map();
function noteLags(items) {
  for (const item of items) {
    if (item.lag === null || item.lag === undefined) continue;
    const key = `${item.name} ${item.version}`;
    const list = lags.get(key) ?? [];
    lags.set(key, [...list.slice(-59), Number(item.lag)]);
  }
}

// ---- The list ---------------------------------------------------------------------------------------------------------

function List() {
  const answer = useApi('/v1/projections');
  const items = live.projections.value ?? answer.data?.items;
  // One figure a second, whether or not anything changed: a level line is an answer too.
  useEffect(() => { if (items) noteLags(items); }, [now.value, items === undefined]);
  const columns = [
    { key: 'name', label: 'Projection', cell: one => html`<a class="link" href=${urls.projection(one.name)}><${Text} value=${one.name} clip=${48} /></a> <span class="quiet">${one.version}${one.role === 'serving' ? '' : `, ${one.role}`}</span>` },
    { key: 'status', label: 'Status', width: 108, cell: one => html`<${StatusOf} item=${one} />` },
    { key: 'lag', label: 'Behind', width: '16%', align: 'end', cell: one => html`<${Lag} item=${one} />` },
    { key: 'applied', label: 'Of the log', width: 200, wide: true, cell: one => html`<${Strip} item=${one} />` },
    { key: 'events', label: 'Events applied', width: 120, align: 'end', wide: true, cell: one => html`<${Num} value=${one.events} />` },
    { key: 'spark', label: 'Behind, last minute', width: 150, wide: true, cell: one => html`<${Sparkline} values=${lags.get(`${one.name} ${one.version}`) ?? []} label=${`How far ${one.name} was behind in the last minute`} height=${20} />` },
  ];
  return html`<${Page} title="Projections" sentence=${items && html`<${Said} of=${listSentence(items)} />`}>
    <${Remote} of=${answer} what="projections">${() => (items.length === 0
    ? html`<${Empty} title="No projections" commands=${['factum projections create balances.toml']}>A projection makes rows from the log, and SQL asks them. Write a declaration, and create it.</${Empty}>`
    : html`<${Table} caption="Projections" rows=${items} keyOf=${one => `${one.name} ${one.version}`} columns=${columns} onOpen=${one => go(urls.projection(one.name))} />
      ${items.some(one => one.why && one.role !== 'previous') && html`<ul class="whys">${items.filter(one => one.why && one.status !== 'caught up' && one.role !== 'previous').map(one => html`<li><strong><${Text} value=${one.name} /></strong> ${one.version}: <${Text} value=${one.why} /></li>`)}</ul>`}`)}</${Remote}>
  </${Page}>`;
}

// ---- One projection ---------------------------------------------------------------------------------------------------

const VERBS = {
  stop: { title: 'Stop', verb: 'Stop', effect: (name, v) => `${name} ${v.version} will apply nothing more until it is started. Its rows stay readable, and grow old.` },
  start: { title: 'Start', verb: 'Start', effect: (name, v) => `${name} ${v.version} goes on where it was${v.lag ? `, ${plural(v.lag, 'event')} behind` : ''}.` },
  retry: { title: 'Retry', verb: 'Retry', effect: (name, v, fault) => `${name} ${v.version} tries the event at position ${fault?.position ?? '?'} once more. Do this when the cause is gone.` },
  discard: { title: 'Discard', verb: 'Discard', danger: true, effect: (name, v) => `${v.version} and its rows are removed. ${v.role === 'previous' ? 'There is nothing to roll back to any more.' : 'What serves goes on to serve.'}` },
};

function One({ name, query, set }) {
  const url = path`/v1/projections/${name}`;
  const answer = useApi(url);
  const [asked, ask] = useState(null);
  const [told, tell] = useState(null);
  const fresh = live.projections.value?.filter(one => one.name === name);
  const versions = useMemo(() => (answer.data?.versions ?? []).map(one => ({ ...one, ...fresh?.find(other => other.version === one.version) })), [answer.data, live.projections.value]);
  // Faults, skips and roles are only in the whole answer: it is asked again when something moved that is more than a place.
  const shape = JSON.stringify(fresh?.map(one => [one.version, one.role, one.status]) ?? null);
  const first = useRef(shape);
  useEffect(() => { if (shape !== first.current) { first.current = shape; answer.reload(); } }, [shape]);
  useEffect(() => { if (answer.data) visited(`projection ${name}`, urls.projection(name)); }, [answer.data === undefined]);
  const serving = servingOf(versions);
  const building = versions.find(one => one.role === 'building');
  const previous = versions.find(one => one.role === 'previous');
  const act = async (verb, body, words) => {
    await api(`${url}/${verb}`, { method: 'POST', body });
    ask(null);
    tell(words);
    answer.reload();
  };
  const other = building ?? previous;
  const pace = useRef([]);
  if (building && Number(building.lag) > 0) {
    const list = pace.current;
    if (list.length === 0 || list[list.length - 1].lag !== Number(building.lag)) pace.current = [...list.slice(-29), { at: Date.now(), lag: Number(building.lag) }];
  } else pace.current = [];
  const tabs = [
    { id: 'rows', label: 'Rows' },
    ...(other ? [{ id: 'compare', label: `Compare ${building ? `with ${building.version}` : `with ${previous.version}`}` }] : []),
    { id: 'source', label: 'Declaration' },
    { id: 'history', label: 'History' },
  ];
  const tab = tabs.some(one => one.id === query.tab) ? query.tab : 'rows';
  const actions = serving && html`${mayWrite ? html`
    ${building && tab !== 'compare' && html`<button type="button" onClick=${() => ask({ verb: 'promote', version: building })}>Promote ${building.version}</button>`}
    ${!building && html`<button type="button" onClick=${() => ask({ verb: 'rebuild', version: serving })}>Rebuild…</button>`}
    <${Menu} label="More" items=${[
      serving.status === 'stopped' ? { label: `Start ${serving.version}`, run: () => ask({ verb: 'start', version: serving }) } : { label: `Stop ${serving.version}`, run: () => ask({ verb: 'stop', version: serving }) },
      ...(previous ? [{ label: `Roll back to ${previous.version}`, run: () => ask({ verb: 'rollback', version: previous }) }] : []),
      ...(other ? [{ label: `Discard ${other.version}`, run: () => ask({ verb: 'discard', version: other }) }] : []),
    ]} />` : html`<span class="quiet">Read only: nothing can be changed from here.</span>`}`;
  return html`<${Page} kicker=${html`<a class="link" href="/ui/projections">Projections</a>`} title=${html`<${Text} value=${name} />`}
      sentence=${answer.data && html`<${Said} of=${oneSentence(name, versions)} />`} actions=${actions}>
    ${told && html`<${Notice} kind="good" title=${told} actions=${html`<button type="button" onClick=${() => tell(null)}>Close</button>`} />`}
    <${Remote} of=${answer} what="the projection" absent=${() => html`<${Empty} title="There is no such projection">Nothing is called <strong><${Text} value=${name} /></strong>. <a class="link" href="/ui/projections">All projections</a></${Empty}>`}>${data => html`
      <${Table} keys=${false} caption="Versions" rows=${versions} keyOf=${one => one.version} columns=${VERSION_COLUMNS} />
      ${building && Number(building.lag) > 0 && html`<p class="quiet under">${building.version}: ${paceText(pace.current) ?? `${plural(building.lag, 'event')} to go`}.</p>`}
      ${versions.filter(one => one.role !== 'previous').flatMap(version => (version.faults ?? []).map(fault => html`<${Fault} key=${`${version.version} ${fault.position}`} version=${version} fault=${fault} ask=${ask} />`))}
      ${versions.filter(one => one.status === 'stalled' || (one.status === 'stopped' && one.role !== 'previous')).map(one => one.why && html`<div class="after"><${Notice} kind="warn" title=${`${one.version} is ${one.status}`}><${Text} value=${one.why} /></${Notice}></div>`)}
      <div class="tabs-after"><${Tabs} label="About this projection" tabs=${tabs} current=${tab} onChange=${id => set({ tab: id, table: null, kind: null }, { push: true })} /></div>
      ${tab === 'rows' && html`<${Rows} name=${name} versions=${versions} query=${query} set=${set} />`}
      ${tab === 'compare' && html`<${Compare} url=${url} query=${query} set=${set} building=${building} ask=${ask} />`}
      ${tab === 'source' && html`<${Source} versions=${versions} />`}
      ${tab === 'history' && html`<${History} items=${data.history ?? []} versions=${versions} />`}`}</${Remote}>
    ${asked && html`<${Ask} name=${name} asked=${asked} serving=${serving} url=${url} act=${act} onClose=${() => ask(null)} />`}
  </${Page}>`;
}

const VERSION_COLUMNS = [
  { key: 'version', label: 'Version', width: 84, cell: one => html`<strong>${one.version}</strong>` },
  { key: 'role', label: 'Role', width: 88 },
  { key: 'status', label: 'Status', width: 112, cell: one => html`<${StatusOf} item=${one} />` },
  { key: 'applied', label: 'Of the log', wide: true, cell: one => html`<${Strip} item=${one} />` },
  { key: 'lag', label: 'Behind', width: '18%', align: 'end', cell: one => html`<${Lag} item=${one} />` },
  { key: 'events', label: 'Events applied', width: 120, align: 'end', wide: true, cell: one => html`<${Num} value=${one.events} />` },
  { key: 'created', label: 'Made', width: 176, align: 'end', wide: true, cell: one => html`<${Time} at=${one.created} show="short" />` },
];

/** The event that it stands still before, why, and the ways out. */
function Fault({ version, fault, ask }) {
  const event = useApi(fault.event ? path`/v1/events/${fault.event}` : null);
  const last = fault.attempts?.at(-1);
  const at = event.data?.revision ?? fault.revision;
  // What is declared, and serves, the server folds for this one stream: the error is seen with the rows before it.
  const fold = version.role === 'serving' && version.declared && version.personal === 'none' ? `&fold=${encodeURIComponent(`projection:${version.name}`)}` : '';
  return html`<section class="fault" aria-label="Fault"><${Notice} kind="bad" title=${html`${version.version} stands still before position ${numberText(fault.position)}`}
      actions=${html`${at !== undefined && html`<a class="button" href=${urls.state(fault.stream, at) + fold}>Step through here</a>`}${mayWrite && html`
        <button type="button" onClick=${() => ask({ verb: 'skip', version, fault })}>Skip…</button>
        <button type="button" class="primary" onClick=${() => ask({ verb: 'retry', version, fault })}>Retry</button>`}`}>
    <p><${Type} type=${fault.type} /> in ${at !== undefined ? html`<${EventLink} stream=${fault.stream} revision=${at} />` : html`<${StreamLink} stream=${fault.stream} />`}</p>
    ${last && html`<p><code><${Text} value=${last.error} /></code></p><p class="quiet">${plural(fault.attempts.length, 'attempt')}, the last <${Ago} at=${last.at} /></p>`}
    <details><summary>Its data${fault.attempts?.length > 1 && ' and every attempt'}</summary>
      ${event.data ? html`<${Payload} event=${event.data} />` : event.error ? html`<p class="quiet"><${Text} value=${event.error.message} /></p>` : html`<p class="quiet">Loading…</p>`}
      ${fault.attempts?.length > 1 && html`<ul class="attempts">${fault.attempts.map(one => html`<li><${Time} at=${one.at} /> <code><${Text} value=${one.error} /></code></li>`)}</ul>`}
    </details></${Notice}></section>`;
}

function Ask({ name, asked, serving, url, act, onClose }) {
  const { verb, version, fault } = asked;
  const known = VERBS[verb];
  const [definition, setDefinition] = useState(serving?.definition ?? '');
  if (verb === 'skip') {
    return html`<${Confirm} title="Skip an event" verb="Skip" danger onClose=${onClose} effect=${html`1 event is passed over: <${Type} type=${fault.type} /> at position ${numberText(fault.position)}, in <${StreamLink} stream=${fault.stream} />. ${name} ${version.version} will never have it in its rows; a rebuild meets it again. Who decided it stays on record.`}
      onConfirm=${reason => act('skip', { reason, position: String(fault.position), version: version.version }, `Position ${numberText(fault.position)} is skipped.`)} />`;
  }
  if (verb === 'promote' || verb === 'rollback') return html`<${Swap} name=${name} verb=${verb} version=${version} serving=${serving} url=${url} act=${act} onClose=${onClose} />`;
  if (verb === 'rebuild') {
    const declared = Boolean(serving?.definition);
    return html`<${Confirm} title=${`Rebuild ${name}`} verb="Build beside" onClose=${onClose}
        effect=${html`A new version is built from the beginning of the log${headOf(serving) ? `, ${plural(headOf(serving), 'position')}` : ''}, in tables of its own. ${serving.version} goes on to serve until you promote the new one.`}
        onConfirm=${reason => act('rebuild', declared && definition !== serving.definition ? { reason, definition } : { reason }, 'The new version is being built. Compare it before you promote it.')}>
      ${declared ? html`<label>Declaration: change it where the logic changed, leave it to build the same rows anew<textarea rows="14" spellcheck="false" value=${definition} onInput=${event => setDefinition(event.target.value)} /></label>`
    : html`<p class="quiet">It is written in Rust: its program has to know the new logic.</p>`}
    </${Confirm}>`;
  }
  return html`<${Confirm} title=${`${known.title} ${name} ${version.version}`} verb=${known.verb} danger=${known.danger} onClose=${onClose} typed=${verb === 'discard' ? name : undefined}
    effect=${known.effect(name, version, fault)} onConfirm=${reason => act(verb, { reason, version: version.version }, `${known.title}: done.`)} />`;
}

/** Before another version serves, the difference is counted. */
function Swap({ name, verb, version, serving, url, act, onClose }) {
  const compared = useApi(`${url}/compare`);
  const rollback = verb === 'rollback';
  const late = version.role === 'building' && Number(version.lag) > 0 ? ` ${version.version} is ${plural(version.lag, 'event')} behind now; it is brought to the end first.` : '';
  return html`<${Confirm} title=${rollback ? `Roll back ${name} to ${version.version}` : `Promote ${name} ${version.version}`} verb=${rollback ? 'Roll back' : 'Promote'} onClose=${onClose}
      effect=${promoteEffect(compared.data, version.version, serving.version) + late}
      onConfirm=${reason => act(verb, { reason }, `${version.version} serves now. ${serving.version} is kept.`)}>
    ${compared.loading && html`<p class="quiet">Counting the rows that differ…</p>`}
    ${compared.error && html`<p class="quiet">The rows could not be compared: <${Text} value=${compared.error.message} /></p>`}
  </${Confirm}>`;
}

// ---- Tabs -------------------------------------------------------------------------------------------------------------

const ROWS = 100;

function Rows({ name, versions, query, set }) {
  const version = versions.find(one => one.version === query.version) ?? servingOf(versions);
  const tables = (version?.tables ?? []).map(one => (typeof one === 'string' ? { table: one, key: [] } : one));
  const chosen = tables.find(one => one.table === query.table) ?? tables[0];
  const [limit, setLimit] = useState(ROWS);
  const answer = useApi(chosen ? path`/v1/projections/${name}/tables/${chosen.table}` + queryString({ version: version.version, limit }) : null);
  if (!version || tables.length === 0) return html`<p class="quiet">This version has no tables.</p>`;
  return html`<div class="filters">
      ${tables.length > 1 && html`<${Choice} label="Table" options=${tables.map(one => [one.table, one.table])} value=${chosen.table} onChange=${table => set({ table }, { push: true })} />`}
      ${versions.length > 1 && html`<${Choice} label="Version" options=${versions.map(one => [one.version, one.version])} value=${version.version} onChange=${one => set({ version: one }, { push: true })} />`}
    </div>
    <${Remote} of=${answer} what="rows">${data => {
    const columns = (data.columns ?? []).map(one => (typeof one === 'string' ? one : one.name));
    const cell = (row, i) => (Array.isArray(row) ? row[i] : row[columns[i]]);
    const rows = data.rows ?? data.items ?? [];
    return html`<${Table} caption=${`Rows of ${chosen.table}`} rows=${rows} keyOf=${row => rows.indexOf(row)}
        columns=${columns.map((column, i) => ({ key: column, label: chosen.key?.includes(column) ? html`<${Text} value=${column} /> <span class="key-mark">key</span>` : column, cell: row => html`<span class="mono"><${Cell} value=${cell(row, i)} /></span>` }))}
        empty=${html`<p class="quiet pad">The table <strong><${Text} value=${chosen.table} /></strong> has no rows.</p>`} />
      <p class="quiet under">${rows.length >= limit ? html`The first ${numberText(rows.length)} rows. ${limit < 1000 && html`<button type="button" class="more" onClick=${() => setLimit(1000)}>Show up to 1 000</button>`}` : plural(rows.length, 'row')}. SQL over all of them: <code><${Text} value=${`factum sql 'select * from ${name}.${chosen.table}'`} /></code></p>`;
  }}</${Remote}>`;
}
const Cell = ({ value }) => (typeof value === 'string' ? html`<${Text} value=${value} clip=${80} />` : html`<${Value} value=${value} />`);

const SIDES = [['changed', 'changed'], ['onlyOld', 'only in the old'], ['onlyNew', 'only in the new']];

function Compare({ url, query, set, building, ask }) {
  const answer = useApi(`${url}/compare?examples=50`);
  return html`<${Remote} of=${answer} what="the comparison">${data => {
    const sentence = compareSentence(data);
    const late = data.oldApplied !== undefined && data.newApplied !== undefined && data.oldApplied !== data.newApplied;
    return html`<${Notice} kind=${sentence.tone} title=${sentence.text} actions=${html`<button type="button" onClick=${answer.reload}>Compare again</button>${mayWrite && building && html`<button type="button" class="primary" onClick=${() => ask({ verb: 'promote', version: building })}>Promote ${building.version}</button>`}`}>
        ${late && html`${data.old} stands at position ${numberText(data.oldApplied)}, ${data.new} at ${numberText(data.newApplied)}: part of the difference may be that.`}</${Notice}>
      ${data.tables.map(table => html`<${Compared} key=${table.table} table=${table} comparison=${data} kind=${query.kind} onKind=${kind => set({ kind: kind === query.kind ? null : kind }, { push: true })} />`)}`;
  }}</${Remote}>`;
}

function Compared({ table, comparison, kind, onKind }) {
  const examples = table.examples ?? [];
  const shown = kind ? examples.filter(one => one.kind === kind) : examples;
  const columns = table.columns?.length ? table.columns : [...new Set(examples.flatMap(one => [...Object.keys(one.old ?? {}), ...Object.keys(one.new ?? {})]))];
  const differ = Number(table.changed) + Number(table.onlyOld) + Number(table.onlyNew);
  const rows = shown.map((example, i) => ({ id: i, example, cells: exampleCells(example, columns, table.key) }));
  const signs = { changed: '~', onlyOld: '−', onlyNew: '+' };
  const words = { changed: 'changed', onlyOld: `only in ${comparison.old}`, onlyNew: `only in ${comparison.new}` };
  const cell = (row, i) => {
    const { before, after, differs } = row.cells[i];
    if (row.example.kind === 'onlyOld') return html`<del class="mono"><${Cell} value=${before} /></del>`;
    if (row.example.kind === 'onlyNew') return html`<ins class="mono"><${Cell} value=${after} /></ins>`;
    return differs ? html`<span class="mono cell-diff"><del><${Cell} value=${before} /></del> → <ins><${Cell} value=${after} /></ins></span>` : html`<span class="mono quiet"><${Cell} value=${before} /></span>`;
  };
  return html`<${Section} title=${`Table ${table.table}`} actions=${html`<div class="choice" role="group" aria-label="Rows of which kind">
      ${SIDES.map(([id]) => html`<button type="button" aria-pressed=${kind === id ? 'true' : 'false'} disabled=${Number(table[id]) === 0} onClick=${() => onKind(id)}><span aria-hidden="true">${signs[id]}</span> ${numberText(table[id])} ${words[id]}</button>`)}
      </div><span class="quiet">${numberText(table.same)} equal</span>`}>
    ${table.otherColumns && html`<${Notice} kind="warn" title="Other columns"><${Text} value=${table.otherColumns} /></${Notice}>`}
    ${differ === 0 ? html`<p class="quiet">No row differs.</p>` : html`<${Table} keys=${false} caption=${`Differing rows of ${table.table}`} rows=${rows} keyOf=${row => row.id}
      rowClass=${row => ({ changed: 'row-changed', onlyOld: 'row-removed', onlyNew: 'row-added' })[row.example.kind]}
      columns=${[{ key: 'sign', label: html`<span class="offscreen">Difference</span>`, width: 34, cell: row => html`<span title=${words[row.example.kind]}><span aria-hidden="true">${signs[row.example.kind]}</span><span class="offscreen">${words[row.example.kind]}</span></span>` },
      ...columns.map((column, i) => ({ key: column, label: column, cell: row => cell(row, i) }))]} />
    ${differ > examples.length && html`<p class="quiet under">${plural(examples.length, 'example')} of ${numberText(differ)} rows that differ.</p>`}`}
  </${Section}>`;
}

function Source({ versions }) {
  const declared = versions.filter(one => one.definition);
  if (declared.length === 0) return html`<${Empty} title="No declaration">This projection is written in Rust: its code is in the program that applies it.</${Empty}>`;
  const serving = servingOf(versions);
  const other = declared.find(one => one.version !== serving.version);
  const [before, after] = other?.role === 'previous' ? [other, serving] : [serving, other];
  const differs = other && serving.definition && before.definition !== after.definition;
  return html`${differs && html`<${Section} title=${`${before.version} → ${after.version}`}><pre class="code line-diff" tabindex="0" role="group" aria-label="Changes of the declaration">${lineDiff(before.definition, after.definition).map(line => html`<span class=${line.sign === '+' ? 'diff-added' : line.sign === '-' ? 'diff-removed' : ''}>${line.sign} ${line.text && html`<${Text} value=${line.text} />`}${'\n'}</span>`)}</pre></${Section}>`}
    ${declared.map(one => html`<${Section} key=${one.version} title=${`${one.version}, ${one.role}`} actions=${html`<${CopyButton} text=${one.definition} label="Copy the declaration" />`}>
      <${Code} text=${one.definition} label=${`Declaration of ${one.version}`} />
      <${Facts} facts=${[['Fingerprint', one.fingerprint && html`<code><${Text} value=${one.fingerprint} clip=${24} /></code>`], ['Partitions', one.partitions && numberText(one.partitions)]]} /></${Section}>`)}`;
}

function History({ items, versions }) {
  const skips = versions.flatMap(one => (one.skips ?? []).map(skip => ({ at: skip.at, what: `skipped position ${numberText(skip.position)}`, version: one.version, actor: skip.actor, reason: skip.reason })));
  const known = items.map(one => ({ at: one.at ?? one.time, what: one.what ?? one.action, version: one.version, actor: one.actor, reason: one.reason }));
  const all = [...known, ...skips.filter(skip => !known.some(one => one.at === skip.at))].sort((a, b) => ((a.at ?? '') < (b.at ?? '') ? 1 : -1));
  if (all.length === 0) return html`<p class="quiet">Nobody has changed anything yet.</p>`;
  return html`<${Table} caption="What was done" rows=${all} keyOf=${one => all.indexOf(one)} columns=${[
    { key: 'at', label: 'When', width: 176, cell: one => html`<${Time} at=${one.at} show="short" />` },
    { key: 'what', label: 'What', width: '24%', className: 'wraps', cell: one => html`<${Text} value=${one.what} />` },
    { key: 'version', label: 'Version', width: 80, wide: true },
    { key: 'actor', label: 'By', width: 130, wide: true, cell: one => html`<${Text} value=${one.actor ?? ''} />` },
    { key: 'reason', label: 'Reason', className: 'wraps', cell: one => html`<${Text} value=${one.reason ?? ''} />` },
  ]} />`;
}

const QUERY = { tab: 'rows', table: null, version: null, kind: null };
function Screen({ params, query, set }) {
  return params.name === undefined ? html`<${List} />` : html`<${One} key=${params.name} name=${params.name} query=${query} set=${set} />`;
}
export default { title: ({ params }) => params.name ?? 'Projections', query: QUERY, Screen };
