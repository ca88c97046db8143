// How is the machine: what is on disk, is it whole, is it backed up, how is it set up, and who may enter?
import { html, useState, useApi, usePages, api, go, path, live, now, mayWrite, plural, numberText, bytesText, durationText, capital, isObject, printJson, originOf, span, listed, readTime, agoOf } from '../core.js';
import { Page, Section, Remote, Table, Tabs, Notice, Confirm, Facts, Empty, Status, Text, Time, Ago, Num, urls, Bytes, Sparkline, Command, CopyButton, Code, ProblemNotice, LiveState } from '../widgets.js';

// ---- What is said. Pure. ----------------------------------------------------------------------------------------------

/** What Prometheus needs to read the server's figures. */
export function scrapeConfig(origin) {
  const url = new URL(origin);
  return `scrape_configs:\n  - job_name: factum\n    metrics_path: /metrics\n${url.protocol === 'https:' ? '    scheme: https\n' : ''}    static_configs:\n      - targets: ["${url.host}"]\n`;
}

export function systemSentence(system) {
  const up = system.uptimeSeconds === undefined || system.uptimeSeconds === null ? '' : ` for ${span(Number(system.uptimeSeconds) * 1000)}`;
  return { tone: 'idle', text: `Factum ${system.version ?? 'of an unknown version'} has been serving${up}.${system.readOnly ? ' It is read-only: nothing can be changed from here.' : ''}` };
}

/** What a scavenge would do, from its estimate. */
export function scavengeEffect(estimate) {
  if (Number(estimate.events ?? 0) === 0) return 'There is nothing to give back: no hidden event takes up space in a sealed segment.';
  return `Removes ${plural(estimate.events, 'hidden event')} and gives back ${bytesText(estimate.bytes)}, in ${numberText(estimate.rewritten)} of ${plural(estimate.segments, 'sealed segment')}. What was given back cannot be brought back.`;
}

export function storageSentence(figures) {
  const log = figures.logBytes ?? figures.bytes;
  if (log === undefined || log === null) return { tone: 'idle', text: 'This store keeps its events in memory, or does not tell its size.' };
  return { tone: 'idle', text: `The log has ${bytesText(log)} in ${plural(figures.segments, 'segment')}.` };
}

/** What the last verification that came to an end says. */
export function verifySentence(last) {
  if (!last) return { tone: 'idle', text: 'It was never verified.' };
  if (last.outcome === 'failed') return { tone: 'bad', text: `The last verification could not be carried out: ${last.error ?? 'why is not known'}.` };
  if (Number(last.damaged) > 0) return { tone: 'bad', text: `The last verification found damage in ${plural(last.damaged, 'place')}.` };
  return { tone: 'good', text: `The last verification found every one of ${plural(last.events, 'event')} as it was written.` };
}

const DAY = 24 * 60 * 60 * 1000;
/** How old the last backup is, and whether that is too old. */
export function backupsSentence(items, at) {
  const last = items.find(one => one.complete && one.made);
  if (!last) return { tone: 'warn', text: 'There is no backup yet.' };
  const old = at - (readTime(last.made)?.millis ?? at) > DAY;
  return { tone: old ? 'warn' : 'good', text: `The last backup, ${last.name}, was made ${agoOf(last.made, at)}${last.verified ? ' and read to its end' : ', and was never read to its end'}.` };
}

/** A field's name as people say it: `indexMemoryBytes` is `Index memory`. */
const LABELS = { id: 'Store', end: 'End of the log', logBytes: 'Size of the log', diskBytes: 'Size of the disk', diskFreeBytes: 'Free on the disk', recovered: 'Cut off at the start' };
export const labelOf = name => LABELS[name] ?? capital(name.replace(/Bytes$/, '').replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase());

/** Settings that differ from their defaults first, then by name. */
export const byChange = list => [...list].sort((a, b) => Number(isDefault(a)) - Number(isDefault(b)) || (a.name < b.name ? -1 : 1));
export const isDefault = one => one.source === 'default';

// ---- Parts ------------------------------------------------------------------------------------------------------------

const PARTS = [['storage', 'Storage'], ['backups', 'Backups'], ['operations', 'Operations'], ['metrics', 'Metrics'], ['config', 'Configuration'], ['users', 'Users'], ['about', 'About']];
const Said = ({ of: { tone, text } }) => html`<span class=${`said ${tone}`}><${Text} value=${text} /></span>`;

function Frame({ part, title, sentence, actions, children }) {
  return html`<${Page} kicker="System" title=${title} sentence=${sentence && html`<${Said} of=${sentence} />`} actions=${actions}>
    <${Tabs} label="Parts of the system" tabs=${PARTS.map(([id, label]) => ({ id, label }))} current=${part} onChange=${id => go(`/ui/system/${id}`)} />${children}</${Page}>`;
}
const ReadOnly = () => html`<span class="quiet">Read only: nothing can be changed from here.</span>`;

/** A figure by what its name says it is. */
function Figure({ name, value }) {
  if (value === null || value === undefined) return html`<span class="quiet">unknown</span>`;
  if (/Bytes$/.test(name)) return html`<${Bytes} value=${value} />`;
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return html`<${Time} at=${value} />`;
  if (typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value))) return html`<${Num} value=${value} />`;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return html`<${Text} value=${typeof value === 'string' ? value : printJson(value, 0)} />`;
}
const Figures = ({ of }) => html`<${Facts} facts=${Object.entries(of).filter(([name, value]) => !isObject(value) && !Array.isArray(value) && !(value === null && /Failure$|^recovered$/.test(name))).map(([name, value]) => [labelOf(name), html`<${Figure} name=${name} value=${value} />`])} />`;

// ---- Storage ----------------------------------------------------------------------------------------------------------

function Storage() {
  const system = useApi('/v1/system');
  // A store in memory has no files that could be asked about.
  const inMemory = system.data?.durability === 'process';
  const figures = useApi(system.data && !inMemory ? '/v1/system/storage' : null, { every: 5000 });
  if (inMemory) {
    return html`<${Frame} part="storage" title="Storage" sentence=${{ tone: 'idle', text: 'This store is in memory: nothing of it is on a disk, and it is gone when the server ends.' }}>
      <div class="stack"><${Command} text="factum serve --data DIR" /></div></${Frame}>`;
  }
  return html`<${Frame} part="storage" title="Storage" sentence=${figures.data && storageSentence(figures.data)}>
    <${Remote} of=${system.error ? system : figures} what="the figures of the log">${data => html`<div class="columns even">
      <${Section} title="On disk"><${Figures} of=${data} />${(data.upkeepFailure || data.redactionFailure) && html`<${Notice} kind="bad" title="Upkeep failed"><${Text} value=${data.upkeepFailure ?? data.redactionFailure} /></${Notice}>`}</${Section}>
      <${Section} title="Is it whole?"><${Verify} size=${data.logBytes} /></${Section}></div>
      <${Scavenges} />`}</${Remote}>
  </${Frame}>`;
}

/** How far a job is: parts of a whole, or bytes. */
const progressText = (job, show) => (Number(job.total) > 0 ? `${show(job.done)} of ${show(job.total)}` : '');
const isRunning = job => job.state === 'running';

/** Asks for what a server may lack: 501 is an answer, and says what to run instead. */
function Absent({ error, children }) {
  return error.status === 501 ? html`<p class="under"><${Text} value=${`${error.message} ${error.next ?? ''}`} /></p>${children}` : html`<${ProblemNotice} error=${error} />`;
}

/** Walks the log while it is in use; the last result stays known when the server is started again. */
function Verify({ size }) {
  const answer = useApi('/v1/system/verify', { every: 2000 });
  const [error, setError] = useState(null);
  const [asked, ask] = useState(false);
  if (answer.error && answer.data === undefined) return html`<${Absent} error=${answer.error}><div class="stack"><${Command} text="factum storage verify --data DIR" /></div></${Absent}>`;
  const items = answer.data?.items ?? [];
  const running = items.find(isRunning);
  const last = answer.data?.last;
  const start = async reason => { await api('/v1/system/verify', { method: 'POST', body: { reason } }); ask(false); answer.reload(); };
  const stop = async () => { try { await api(path`/v1/system/verify/${running.id}`, { method: 'DELETE' }); } catch (failure) { setError(failure); } answer.reload(); };
  return html`<${Remote} of=${answer} what="verifications">${() => html`
    <p><${Said} of=${verifySentence(last)} />${last && html` <span class="quiet"><${Ago} at=${last.time} /></span>`}</p>
    ${error && html`<${ProblemNotice} error=${error} />`}
    ${(last?.places ?? []).length > 0 && html`<ul class="plain">${last.places.map(one => html`<li><span class="mono"><${Text} value=${one.place} /></span>: <${Text} value=${one.what} /></li>`)}</ul>`}
    ${last?.root && html`<${Facts} facts=${[['Up to position', html`<${Num} value=${last.end} />`], ['Events', html`<${Num} value=${last.events} />`], ['Root of the proof', html`<span class="mono"><${Text} value=${last.root} clip=${20} /></span><${CopyButton} text=${last.root} label="Copy the root" />`]]} />`}
    <p class="under">Reads everything that is committed, while the store is in use, and names each damaged place. Equal roots, equal histories.</p>
    <div class="actions">${running ? html`<${Status} kind="busy">${progressText(running, bytesText) || 'begins'}</${Status}>${mayWrite && html`<button type="button" onClick=${stop}>Stop</button>`}`
    : mayWrite ? html`<button type="button" onClick=${() => ask(true)}>Verify now…</button>` : html`<${ReadOnly} />`}</div>
    ${asked && html`<${Confirm} title="Verify the log" verb="Verify" effect=${`Reads ${size ? bytesText(size) : 'all of the log'} from the disk, beside what else the server does. It can be stopped.`} onConfirm=${start} onClose=${() => ask(false)} />`}`}</${Remote}>`;
}

const SCAVENGE_KINDS = { running: 'busy', started: 'busy', success: 'good', completed: 'good', stopped: 'idle', failed: 'bad', errored: 'bad' };

function Scavenges() {
  const history = useApi('/v1/system/scavenges', { every: 2000 });
  const [estimate, setEstimate] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const [asked, ask] = useState(false);
  const count = async () => {
    setBusy(true);
    setError(null);
    try { setEstimate(await api('/v1/system/scavenges', { method: 'POST', body: { dryRun: true } })); } catch (failure) { setError(failure); }
    setBusy(false);
  };
  const items = history.data?.items ?? [];
  const running = items.find(one => ['running', 'started'].includes(String(one.state ?? one.status).toLowerCase()));
  const start = async reason => {
    await api('/v1/system/scavenges', { method: 'POST', body: { reason } });
    ask(false);
    setEstimate(null);
    history.reload();
  };
  const stop = async one => { try { await api(path`/v1/system/scavenges/${one.id ?? one.scavenge}`, { method: 'DELETE' }); } catch (failure) { setError(failure); } history.reload(); };
  const known = estimate && estimate.events !== undefined;
  return html`<${Section} title="Scavenge" actions=${html`<button type="button" disabled=${busy} onClick=${count}>${busy ? 'Counting…' : 'Estimate'}</button>${mayWrite ? html`<button type="button" disabled=${!known || Number(estimate.events) === 0 || running} onClick=${() => ask(true)}>Start…</button>` : html`<${ReadOnly} />`}`}>
    <p class="under">Gives back the bytes of events that deletes and truncation have hidden. Positions and revisions stay as they are. Estimate first.</p>
    ${error && html`<${ProblemNotice} error=${error} />`}
    ${known && html`<${Notice} kind="note" title=${scavengeEffect(estimate)} />`}
    <${Remote} of=${history} what="former scavenges">${() => (items.length === 0 ? html`<p class="quiet">None has been run.</p>` : html`<${Table} caption="Scavenges" rows=${items} keyOf=${one => one.id ?? one.scavenge} columns=${[
    { key: 'started', label: 'Began', width: 176, cell: one => html`<${Time} at=${one.started ?? one.startedTime} show="short" />` },
    { key: 'state', label: 'State', width: 120, cell: one => html`<${Status} kind=${SCAVENGE_KINDS[String(one.state ?? one.status).toLowerCase()] ?? 'idle'}><${Text} value=${one.state ?? one.status} /></${Status}>` },
    { key: 'done', label: 'Progress', cell: one => (one.total ? `${numberText(one.done)} of ${numberText(one.total)}` : one.events !== undefined && one.events !== null ? `${plural(one.events, 'event')}, ${bytesText(one.bytes)}` : html`<${Text} value=${one.why ?? one.error ?? ''} />`) },
    { key: 'actor', label: 'By', width: 120, wide: true, cell: one => html`<${Text} value=${one.actor ?? ''} />` },
    { key: 'reason', label: 'Reason', wide: true, cell: one => html`<${Text} value=${one.reason ?? ''} />` },
    { key: 'stop', label: html`<span class="offscreen">Stop</span>`, width: 80, align: 'end', cell: one => (one === running && mayWrite ? html`<button type="button" onClick=${() => stop(one)}>Stop</button>` : '') },
  ]} />`)}</${Remote}>
    ${asked && html`<${Confirm} title="Scavenge the log" verb="Scavenge" danger typed="scavenge" effect=${scavengeEffect(estimate)} onConfirm=${start} onClose=${() => ask(false)} />`}
  </${Section}>`;
}

// ---- Backups ----------------------------------------------------------------------------------------------------------

function Backups() {
  const answer = useApi('/v1/system/backups', { every: 2000 });
  if (answer.error && answer.data === undefined) return html`<${Frame} part="backups" title="Backups" sentence=${{ tone: 'idle', text: answer.error.status === 501 ? 'This server was not told where backups may be made.' : '' }}><${NoBackups} error=${answer.error} /></${Frame}>`;
  return html`<${Frame} part="backups" title="Backups" sentence=${answer.data && backupsSentence(answer.data.items, now.value)}>
    <${Remote} of=${answer} what="backups">${data => html`<${BackupList} of=${data} reload=${answer.reload} />`}</${Remote}>
  </${Frame}>`;
}

/** Without a directory for them, backups are made on the server's machine. */
function NoBackups({ error }) {
  return html`<${Section} title="Make them from here"><${Absent} error=${error}><div class="stack"><${Command} text="factum serve --data DIR --backup-dir BACKUPS" /></div></${Absent}></${Section}>
    <${Section} title="Or make one, and try it"><p class="under">This command needs the directory for itself: stop the server first.</p>
      <div class="stack"><${Command} text="factum backup create BACKUP --data DIR" /><${Command} text="factum backup verify BACKUP" /><${Command} text="factum backup restore BACKUP --data OTHER" /></div>
      <p class="under">A backup that was never restored is a hope: try it in another directory.</p></${Section}>`;
}

function BackupList({ of: { directory, items, runs, leftOut }, reload }) {
  const [asked, ask] = useState(false);
  const [name, setName] = useState('');
  const [error, setError] = useState(null);
  const running = runs.find(isRunning);
  const failed = runs[0]?.state === 'failed' ? runs[0] : null;
  const start = async reason => { await api('/v1/system/backups', { method: 'POST', body: { reason, ...(name.trim() ? { name: name.trim() } : {}) } }); ask(false); setName(''); reload(); };
  const stop = async () => { try { await api(path`/v1/system/backups/${running.id}`, { method: 'DELETE' }); } catch (failure) { setError(failure); } reload(); };
  const newest = items.find(one => one.complete);
  return html`<${Section} title="Backups" actions=${running ? html`<${Status} kind="busy"><${Text} value=${running.name} /> ${progressText(running, bytesText)}</${Status}>${mayWrite && html`<button type="button" onClick=${stop}>Stop</button>`}`
    : mayWrite ? html`<button type="button" onClick=${() => ask(true)}>Back up now…</button>` : html`<${ReadOnly} />`}>
    <p class="under">In <span class="mono"><${Text} value=${directory} /></span>, on the server's machine. Each is read to its end after it was made.</p>
    ${error && html`<${ProblemNotice} error=${error} />`}
    ${failed && html`<${Notice} kind="bad" title=${`The backup ${failed.name} was not made`}><${Text} value=${failed.error ?? ''} /></${Notice}>`}
    ${items.length === 0 ? html`<p class="quiet">There is none yet.</p>` : html`<${Table} caption="Backups" rows=${items} keyOf=${one => one.name} columns=${[
    { key: 'name', label: 'Name', cell: one => html`<strong><${Text} value=${one.name} clip=${40} /></strong>` },
    { key: 'made', label: 'Made', width: 176, cell: one => html`<${Time} at=${one.made} show="short" />` },
    { key: 'state', label: 'State', width: 150, cell: one => html`<${Status} kind=${!one.complete ? 'bad' : one.verified ? 'good' : 'warn'}>${!one.complete ? 'not complete' : one.verified ? 'verified' : 'not verified'}</${Status}>` },
    { key: 'bytes', label: 'Size', width: 90, align: 'end', cell: one => html`<${Bytes} value=${one.bytes} />` },
    { key: 'position', label: 'Up to', width: 110, align: 'end', wide: true, cell: one => html`<${Num} value=${one.position} />` },
    { key: 'why', label: 'Restore', width: 110, cell: one => (one.complete ? html`<${CopyButton} text=${one.restore} label=${`Copy the command that restores ${one.name}`} />` : html`<${Text} value=${one.why ?? ''} clip=${60} />`) },
  ]} />`}
    ${asked && html`<${Confirm} title="Back up the log" verb="Back up" effect="Copies everything that is committed, beside what else the server does, and reads the copy to its end. It can be stopped: then nothing is left of it." onConfirm=${start} onClose=${() => ask(false)}>
      <label>Name, or nothing for the time<input type="text" autocomplete="off" pattern=${'[A-Za-z0-9][A-Za-z0-9._\\-]*'} value=${name} onInput=${event => setName(event.target.value)} /></label></${Confirm}>`}
  </${Section}>
  ${newest && html`<${Section} title="Restore the last one"><p class="under">Into a directory that is empty or not there yet. The restored store begins a new epoch. A backup that was never restored is a hope: try it.</p><div class="stack"><${Command} text=${newest.restore} /></div></${Section}>`}
  <${Section} title="What is not in a backup"><ul class="plain">${leftOut.map(one => html`<li><${Text} value=${one} /></li>`)}</ul></${Section}>`;
}

// ---- What operators did -----------------------------------------------------------------------------------------------

const OUTCOMES = { 'under way': 'busy', done: 'good', stopped: 'idle', failed: 'bad' };
/** Jobs tell how they end; whatever else was asked for and is not said to have failed was done. */
const JOBS = ['scavenge', 'verify', 'backup'];

/** One line for each operation: what was asked for, and how it ended. The end is newer, so it is always known before. */
export function operationLines(items) {
  const ends = new Map(items.filter(one => one.of).map(one => [one.of, one]));
  return items.filter(one => !one.of).map(one => {
    const end = ends.get(one.id);
    return { ...one, outcome: end?.outcome ?? (JOBS.includes(one.what) ? 'under way' : 'done'), details: { ...one.details, ...end?.details } };
  });
}

const FIGURES = [['events', value => plural(value, 'event')], ['bytes', bytesText], ['damage', value => (Number(value) === 0 ? 'no damage' : plural(value, 'damaged place'))], ['millis', value => durationText(Number(value))], ['error', String]];
/** What stands beside an operation: its numbers. */
export const detailsOf = details => FIGURES.filter(([name]) => details[name] !== undefined && details[name] !== null).map(([name, words]) => words(details[name])).join(', ');

function Operations() {
  const pages = usePages('/v1/system/operations?limit=100');
  const rows = operationLines(pages.items);
  const sentence = pages.first && { tone: 'idle', text: rows.length === 0 ? 'Nobody has done anything yet that is kept with a reason.' : 'Each was in the log before it was done, written by the server alone.' };
  return html`<${Frame} part="operations" title="What operators did" sentence=${sentence}>
    <${Remote} of=${pages} what="operations">${() => (rows.length === 0 ? html`<p class="quiet">Deletes and metadata with a reason, replays of parked messages, scavenges, verifications and backups are told of here.</p>` : html`<${Table} caption="Operations" rows=${rows} keyOf=${one => one.id} onNearEnd=${pages.hasMore ? pages.more : undefined} onOpen=${one => go(urls.event('$operations', one.revision))} columns=${[
    { key: 'time', label: 'When', width: 176, cell: one => html`<${Time} at=${one.time} show="short" />` },
    { key: 'what', label: 'What', width: 140, cell: one => html`<${Text} value=${capital(one.what.replaceAll('-', ' '))} />` },
    { key: 'target', label: 'To what', cell: one => (one.target ? html`<${Text} value=${one.target} clip=${40} />` : html`<span class="quiet">the log</span>`) },
    { key: 'outcome', label: 'Outcome', width: 110, cell: one => html`<${Status} kind=${OUTCOMES[one.outcome] ?? 'idle'}><${Text} value=${one.outcome} /></${Status}>` },
    { key: 'actor', label: 'By', width: 110, wide: true, cell: one => html`<${Text} value=${one.actor ?? ''} clip=${20} />` },
    { key: 'reason', label: 'Reason', wide: true, cell: one => html`<${Text} value=${one.reason ?? ''} clip=${60} />` },
    { key: 'details', label: 'What came of it', wide: true, cell: one => html`<span class="quiet"><${Text} value=${detailsOf(one.details)} clip=${60} /></span>` },
  ]} />`)}</${Remote}>
  </${Frame}>`;
}

// ---- Metrics ----------------------------------------------------------------------------------------------------------

const SERIES = [['appendsPerSecond', 'Appends a second'], ['readsPerSecond', 'Reads a second'], ['deliveriesPerSecond', 'Deliveries a second'], ['appendP99Millis', 'Append, 99th percentile, ms']];

function Metrics() {
  const series = live.series.value;
  const stats = live.stats.value;
  const config = scrapeConfig(originOf());
  return html`<${Frame} part="metrics" title="Metrics" sentence=${{ tone: 'idle', text: 'Every figure of the server is at /metrics, for Prometheus and what reads its format.' }} actions=${html`<a class="button" href="/metrics" target="_blank" rel="noopener">Open /metrics</a>`}>
    <${Section} title="Now" actions=${html`<${LiveState} />`}>
      <div class="figures">${SERIES.map(([name, label]) => html`<div class="figure"><h3>${label}</h3><p class="big"><${Num} value=${stats?.[name]} /></p>${series.length > 1 && html`<${Sparkline} values=${series.map(one => one[name])} label=${`${label}, since this page was opened`} width=${150} height=${32} />`}</div>`)}</div>
      ${stats && html`<${Facts} facts=${[['Events', html`<${Num} value=${stats.events} />`], ['Streams', stats.streams === null || stats.streams === undefined ? null : html`<${Num} value=${stats.streams} />`], ['Position', html`<${Num} value=${stats.position} />`], ['Subscriptions', html`<${Num} value=${stats.subscriptions} />`], ['Connections', html`<${Num} value=${stats.connections} />`]]} />`}</${Section}>
    <${Section} title="For Prometheus" actions=${html`<${CopyButton} text=${config} label="Copy the configuration" />`}><${Code} text=${config} label="Scrape configuration" /></${Section}>
  </${Frame}>`;
}

// ---- Configuration, users, about --------------------------------------------------------------------------------------

function Config({ query, set }) {
  const answer = useApi('/v1/system');
  const list = answer.data?.config;
  const changed = list?.filter(one => !isDefault(one)).length;
  const text = query.q.trim().toLowerCase();
  const rows = list && byChange(list).filter(one => `${one.name} ${printJson(one.value, 0)}`.toLowerCase().includes(text));
  return html`<${Frame} part="config" title="Configuration" sentence=${list && { tone: 'idle', text: list.length === 0 ? 'Settings are shown to those who operate the server.' : `${plural(list.length, 'setting')}, ${changed === 0 ? 'all as they come' : `${numberText(changed)} changed`}.` }}>
    <div class="filters"><input type="search" aria-label="Filter settings" placeholder="Filter settings" value=${query.q} onInput=${event => set({ q: event.target.value })} /></div>
    <${Remote} of=${answer} what="the configuration">${() => (list ? html`<${Table} caption="Settings" rows=${rows} keyOf=${one => one.name} empty=${html`<p class="quiet pad">No setting fits.</p>`} columns=${[
    { key: 'name', label: 'Setting', width: '34%', className: 'wraps', cell: one => html`<span class="mono"><${Text} value=${one.name} clip=${48} /></span>` },
    { key: 'value', label: 'Value', cell: one => html`<span class=${isDefault(one) ? 'mono quiet' : 'mono'}><${Setting} value=${one.value} /></span>` },
    { key: 'source', label: 'From', width: 110, cell: one => html`<${Status} kind=${isDefault(one) ? 'idle' : 'busy'}><${Text} value=${one.source ?? 'unknown'} /></${Status}>` },
    { key: 'default', label: 'As it comes', wide: true, cell: one => html`<span class="mono quiet"><${Setting} value=${one.default} /></span>` },
  ]} />` : html`<p class="quiet">The server does not tell its configuration.</p>`)}</${Remote}>
  </${Frame}>`;
}
const Setting = ({ value }) => (value === null || value === undefined ? html`<span class="quiet">not set</span>` : html`<${Text} value=${typeof value === 'string' ? value : printJson(value, 0)} clip=${70} />`);

function Users() {
  const answer = useApi('/v1/system/users');
  const items = answer.data?.items;
  const sentence = items && { tone: 'idle', text: items.length === 0 ? 'No user is known: this server asks nobody who they are, or has not had one yet.' : `${plural(items.length, 'user')}${items.some(one => one.disabled) ? `, ${numberText(items.filter(one => one.disabled).length)} disabled` : ''}.` };
  return html`<${Frame} part="users" title="Users" sentence=${sentence}>
    <${Remote} of=${answer} what="users">${() => (items.length === 0 ? html`<${Empty} title="No users" commands=${['factum users add ada --group accounting']}>Users are added on the server's machine, or by a client of KurrentDB.</${Empty}>`
    : html`<${Table} caption="Users" rows=${items} keyOf=${one => one.login} columns=${[
      { key: 'login', label: 'Login', cell: one => html`<strong><${Text} value=${one.login} /></strong>` },
      { key: 'name', label: 'Name', cell: one => html`<${Text} value=${one.name ?? ''} />` },
      { key: 'groups', label: 'Groups', cell: one => html`<${Text} value=${(one.groups ?? []).join(', ')} />` },
      { key: 'state', label: 'State', width: 110, cell: one => (one.disabled ? html`<${Status} kind="idle">disabled</${Status}>` : html`<${Status} kind="good">may enter</${Status}>`) },
    ]} />`)}</${Remote}>
  </${Frame}>`;
}

const WORDS = {
  insecure: 'nobody is asked who they are', signIn: 'callers sign in', process: 'in memory: gone when the server ends', disk: 'an append is on disk before it is acknowledged', replicated: 'an append is on several machines before it is acknowledged',
};
const RIGHTS = [['mayReadAll', 'read the log'], ['mayWrite', 'append'], ['mayOperate', 'operate'], ['mayManageGroups', 'manage groups'], ['mayManageUsers', 'manage users']];
/** What the caller may do, in words. */
export function rightsOf(caller) {
  const may = RIGHTS.filter(([name]) => caller[name]).map(([, words]) => words);
  return may.length === RIGHTS.length ? 'do everything' : may.length > 0 ? listed(may, RIGHTS.length) : 'look at what is shown';
}

function About() {
  const answer = useApi('/v1/system');
  return html`<${Frame} part="about" title="About" sentence=${answer.data && systemSentence(answer.data)}>
    <${Remote} of=${answer} what="the server">${data => html`<div class="columns even">
      <${Section} title="Server"><${Facts} facts=${[
    ['Version', html`<${Text} value=${data.version ?? 'unknown'} />`], ['Protocol', data.protocol && html`<${Text} value=${isObject(data.protocol) ? printJson(data.protocol, 0) : String(data.protocol)} />`], ['Started', data.started && html`<${Time} at=${data.started} />`],
    ['Up for', data.uptimeSeconds !== undefined && durationText(Number(data.uptimeSeconds) * 1000)], ['Durability', data.durability && (WORDS[data.durability] ?? html`<${Text} value=${isObject(data.durability) ? printJson(data.durability, 0) : String(data.durability)} />`)],
    ['Security', data.security !== undefined && (WORDS[data.security] ?? html`<${Text} value=${isObject(data.security) ? printJson(data.security, 0) : String(data.security)} />`)], ['You are', data.caller && html`<${Text} value=${isObject(data.caller) ? data.caller.login ?? data.caller.name ?? printJson(data.caller, 0) : String(data.caller)} />`],
    ['You may', isObject(data.caller) && rightsOf(data.caller)], ['Writes', data.readOnly || !mayWrite ? 'are refused from here' : 'are allowed'],
  ]} /></${Section}>
      <${Section} title="Store">${isObject(data.store) ? html`<${Figures} of=${data.store} />` : html`<${Text} value=${String(data.store ?? 'unknown')} />`}</${Section}></div>
      ${data.capabilities && html`<${Section} title="What the store can"><ul class="plain columns-list">${(Array.isArray(data.capabilities) ? data.capabilities.map(one => [one, true]) : Object.entries(data.capabilities)).map(([name, value]) => html`<li>${typeof value === 'boolean' ? html`<${Status} kind=${value ? 'good' : 'idle'}><${Text} value=${labelOf(name)} clip=${28} />${value ? '' : ': no'}</${Status}>` : html`<span class="quiet"><${Text} value=${labelOf(name)} clip=${28} /></span> <${Figure} name=${name} value=${value} />`}</li>`)}</ul></${Section}>`}
      <p class="quiet under">The API that this console is made of: <a class="link" href="/docs/api">its reference</a>.</p>`}</${Remote}>
  </${Frame}>`;
}

const SCREENS = { storage: Storage, backups: Backups, operations: Operations, metrics: Metrics, config: Config, users: Users, about: About };
const QUERY = { q: '' };
function Screen({ params, query, set }) {
  const part = params.part ?? 'storage';
  const screen = SCREENS[part] ?? (part === 'scavenges' ? Storage : null);
  if (!screen) return html`<${Frame} part="" title="No such part" sentence=${{ tone: 'idle', text: 'The system has no page of this name.' }} />`;
  return html`<${screen} query=${query} set=${set} />`;
}
export default { title: ({ params }) => (PARTS.find(([id]) => id === params.part) ?? ['', 'System'])[1], query: QUERY, Screen };
