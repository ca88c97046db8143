// Which processes are under way, what does each wait for, and what happened to it?
import { html, useState, useEffect, useApi, api, go, path, mayWrite, now, plural, numberText, queryString, readTime, isObject, capital, listed, isAre, span, agoOf, visited } from '../core.js';
import { Page, Section, Remote, Table, Notice, Confirm, Facts, Empty, Status, Text, Time, Ago, Num, Type, Tree, EventLink, StreamLink, urls } from '../widgets.js';

// ---- What is said. Pure. ----------------------------------------------------------------------------------------------

const OVER = ['completed', 'failed'];
const STUCK = ['quarantined', 'needs-operator'];
const millisOf = text => readTime(text)?.millis ?? null;

/** The next timer: `{name, due}`, from itself, from `name due`, or from a list. */
export function nextTimer(item) {
  const timer = item.nextTimer ?? item.timers?.[0] ?? null;
  if (timer === null || typeof timer === 'object') return timer;
  const cut = String(timer).lastIndexOf(' ');
  return cut < 0 ? null : { name: timer.slice(0, cut), due: timer.slice(cut + 1) };
}
export function isOverdue(item, at) {
  const due = OVER.includes(item.stage) ? null : millisOf(nextTimer(item)?.due);
  return due !== null && due < at;
}

export function listSentence(items, at) {
  if (items.length === 0) return { tone: 'idle', text: 'No process is under way.' };
  const stuck = items.filter(one => STUCK.includes(one.stage));
  const late = items.filter(one => isOverdue(one, at));
  const undoing = items.filter(one => one.stage === 'compensating');
  const open = items.filter(one => !OVER.includes(one.stage));
  const said = [];
  if (stuck.length > 0) said.push(`${plural(stuck.length, 'process', 'processes')} cannot go on without a person: ${listed(stuck.map(one => one.instance))}`);
  if (late.length > 0) said.push(`${plural(late.length, 'timer')} ${isAre(late.length)} overdue`);
  if (undoing.length > 0) said.push(undoing.length === 1 ? `${undoing[0].instance} undoes what it did` : `${undoing.length} undo what they did`);
  if (said.length > 0) return { tone: stuck.length > 0 || late.length > 0 ? 'bad' : 'busy', text: `${said.join('; ')}.` };
  if (open.length === 0) return { tone: 'good', text: items.length === 1 ? 'The one process here is over.' : `All ${items.length} processes shown are over.` };
  return { tone: 'good', text: `${plural(open.length, 'process', 'processes')} ${isAre(open.length)} under way, and none is stuck.` };
}

const plain = text => String(text).replace(/[.\s]+$/, '');
function dueText(timer, at) {
  const due = millisOf(timer.due);
  if (due === null) return 'due at an unknown time';
  return due < at ? `overdue by ${span(at - due)}` : `due in ${span(due - at)}`;
}

/** Why does it wait, in one sentence. */
export function whyWaiting(item, at) {
  const steps = item.outstandingSteps ?? [];
  const timer = nextTimer(item);
  const asked = item.pendingRequests ?? [];
  if (item.stage === 'completed') return { tone: 'good', text: `It is over: completed ${agoOf(item.updatedTime, at)}, after ${plural(item.inputs, 'input')}.` };
  if (item.stage === 'failed') return { tone: 'idle', text: `It is over: it failed ${agoOf(item.updatedTime, at)}, and what it had done is undone.` };
  if (asked.length > 0) return { tone: 'busy', text: `It waits for a runner to carry out what ${asked[0].actor} asked: ${asked[0].action}.` };
  const since = millisOf(item.since) === null ? '' : ` for ${span(at - millisOf(item.since))}`;
  const cause = item.cause ?? item.lastError ?? null;
  if (item.stage === 'quarantined') return { tone: 'bad', text: `It has stood still${since}${cause ? `: ${plain(cause)}` : ''}. Retry it once the cause is gone.` };
  if (item.stage === 'needs-operator') return { tone: 'bad', text: `It has needed a person${since}${cause ? `: ${plain(cause)}` : ''}.` };
  const gaveUp = steps.find(step => step.parked);
  if (gaveUp) return { tone: 'bad', text: `Step ${gaveUp.step} gave up after ${plural(gaveUp.attempts, 'attempt')}${gaveUp.lastError ? `: ${plain(gaveUp.lastError)}` : ''}. Retry or cancel it.` };
  if (steps.length > 0) {
    const step = steps[0];
    const doing = step.undo ? `to hear that step ${step.step} is undone` : `for the answer to step ${step.step}`;
    const tried = Number(step.attempts ?? 0) > 1 || step.lastError ? ` (attempt ${numberText(step.attempts)}${step.lastError ? `; the last error: ${plain(step.lastError)}` : ''})` : '';
    return { tone: step.lastError ? 'warn' : 'busy', text: `It waits ${doing}${tried}${timer ? `, or for timer ${timer.name}, ${dueText(timer, at)}` : ''}.` };
  }
  if (timer) {
    const late = isOverdue(item, at);
    return { tone: late ? 'bad' : 'busy', text: `It waits for its next event, or for timer ${timer.name}, ${dueText(timer, at)}.${late ? ' Is its runner running?' : ''}` };
  }
  return { tone: 'busy', text: `It waits for its next event; the last one came ${agoOf(item.updatedTime, at)}.` };
}

/** The lanes of a timeline, from left to right. */
export const LANES = [['in', 'events in'], ['out', 'commands out'], ['timer', 'timers'], ['self', 'the process itself']];

/**
 * A timeline as rows of a graph: the lane of the dot, the lanes in which something is open meanwhile, and what it answers.
 * A command is open from its issue to its answer, a timer until it goes off or is cancelled; what is still open runs on to the end.
 */
export function timelineRows(entries, goesOn = true) {
  const open = new Map();
  const rows = [];
  const through = (key, from, to) => { for (let at = from + 1; at < to; at++) rows[at].through.add(key.startsWith('timer ') ? 'timer' : 'out'); };
  entries.forEach((entry, index) => {
    const { lane, opens, closes, tone } = place(entry);
    const row = { entry, lane, tone, through: new Set(), above: false, below: false, answers: null };
    rows.push(row);
    const from = closes === undefined ? undefined : open.get(closes);
    if (from !== undefined) {
      open.delete(closes);
      through(closes, from, index);
      row.answers = from;
      row.above = true;
      rows[from].below = true;
    }
    if (opens !== undefined) open.set(opens, index);
  });
  if (goesOn) for (const [key, from] of open) { rows[from].below = true; through(key, from, rows.length); }
  return rows.map(row => ({ ...row, through: [...row.through] }));
}

function place({ type, data }) {
  const body = data ?? {};
  const command = of => `command ${of.commandId ?? of.step ?? ''}`;
  switch (type) {
    case '$processStepIssued': return { lane: 'out', opens: command(body), tone: 'calm' };
    case '$processUndoIssued': return { lane: 'out', opens: command(body), tone: 'warn' };
    case '$processAttemptFailed': return { lane: 'out', tone: 'bad' };
    case '$processTimerStarted': return { lane: 'timer', opens: `timer ${body.name}`, tone: 'calm' };
    case '$processTimerCancelled': return { lane: 'timer', closes: `timer ${body.name}`, tone: 'calm' };
    case '$processQuarantined': case '$processNeedsOperator': case '$processFailing': case '$processFailed': return { lane: 'self', tone: 'bad' };
    case '$processCompleted': return { lane: 'self', tone: 'good' };
    case '$processInput': case '$processInputHeld': break;
    default: return { lane: 'self', tone: 'calm' };
  }
  const input = body.input ?? body;
  switch (input.kind) {
    case 'timer': return { lane: 'timer', closes: `timer ${input.name}`, tone: 'warn' };
    case 'done': return { lane: 'out', closes: command(input), tone: 'good' };
    case 'rejected': return { lane: 'out', closes: command(input), tone: 'bad' };
    case 'operator': return { lane: 'self', tone: 'warn' };
    default: return { lane: 'in', tone: 'calm' };
  }
}

/** The event that an entry took, where it took one. */
export function inputOf(entry) {
  const input = entry.data?.input ?? entry.data;
  return input?.kind === 'event' ? { stream: input.stream, revision: Number(input.revision), type: input.eventType } : null;
}

// ---- Pieces -----------------------------------------------------------------------------------------------------------

const KINDS = { running: 'busy', quarantined: 'bad', compensating: 'warn', 'needs-operator': 'bad', completing: 'busy', completed: 'good', failed: 'idle' };
const STAGES = [['', 'Any'], ...Object.keys(KINDS).map(stage => [stage, capital(stage.replace('-', ' '))])];
const StageOf = ({ stage }) => html`<${Status} kind=${KINDS[stage] ?? 'idle'}>${String(stage).replace('-', ' ')}</${Status}>`;
const Said = ({ of: { tone, text } }) => html`<span class=${`said ${tone}`}><${Text} value=${text} /></span>`;
const urlOf = one => urls.process(one.process, one.id);

function Due({ timer, over = false }) {
  if (!timer) return html`<span class="quiet">none</span>`;
  const due = millisOf(timer.due);
  const late = !over && due !== null && due < now.value;
  return html`<span class=${late ? 'said bad' : ''} title=${timer.due}><${Text} value=${timer.name} clip=${24} /> ${due === null ? 'at an unknown time' : late ? `overdue by ${span(now.value - due)}` : `in ${span(due - now.value)}`}</span>`;
}

// ---- The list ---------------------------------------------------------------------------------------------------------

function List({ query, set }) {
  const answer = useApi('/v1/processes' + queryString({ process: query.process, stage: query.stage, all: query.all ? 'true' : null, limit: 200 }), { every: 3000 });
  const items = answer.data?.items;
  const columns = [
    { key: 'instance', label: 'Instance', cell: one => html`<a class="link" href=${urlOf(one)}><${Text} value=${one.id} clip=${36} /></a> <span class="quiet wide-only">of <${Text} value=${one.process} clip=${28} /></span>` },
    { key: 'stage', label: 'Stage', width: 150, cell: one => html`<${StageOf} stage=${one.stage} />` },
    { key: 'step', label: 'Last step', width: 130, wide: true, cell: one => html`<${Text} value=${one.step ?? ''} clip=${24} />` },
    { key: 'timer', label: 'Next timer', width: 240, wide: true, cell: one => html`<${Due} timer=${nextTimer(one)} over=${OVER.includes(one.stage)} />` },
    ...(items?.some(one => one.lastError) ? [{ key: 'error', label: 'Last error', width: '30%', wide: true, cell: one => html`<${Text} value=${one.lastError ?? ''} clip=${60} />` }] : []),
    { key: 'updated', label: 'Moved', width: 106, align: 'end', cell: one => html`<span title=${one.updatedTime}>${agoOf(one.updatedTime, now.value)}</span>` },
  ];
  const filtered = query.process || query.stage;
  return html`<${Page} title="Processes" sentence=${items && html`<${Said} of=${listSentence(items, now.value)} />`}>
    <div class="filters">
      <input type="search" aria-label="Process" placeholder="Process, such as transfer" value=${query.process} onChange=${event => set({ process: event.target.value.trim() }, { push: true })} />
      <label>Stage <select value=${query.stage} onChange=${event => set({ stage: event.target.value }, { push: true })}>${STAGES.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select></label>
      <label class="check"><input type="checkbox" checked=${query.all} onChange=${event => set({ all: event.target.checked }, { push: true })} /> Also those that are over</label>
    </div>
    <${Remote} of=${answer} what="processes">${data => (items.length === 0
    ? filtered ? html`<${Empty} title="No process fits">None is ${query.stage ? html`<strong>${query.stage}</strong>` : 'under way'}${query.process && html` of process <strong><${Text} value=${query.process} /></strong>`}. <button type="button" class="more" onClick=${() => set({ process: '', stage: '', all: false }, { push: true })}>Clear the filter</button></${Empty}>`
      : html`<${Empty} title="No process is under way">A process manager (saga) holds together what spans streams: it takes events, sends commands, keeps timers, and undoes what was done if it fails.</${Empty}>`
    : html`<${Table} caption="Processes" rows=${items} keyOf=${one => one.instance} columns=${columns} onOpen=${one => go(urlOf(one))} />
      ${data.page?.next && html`<p class="quiet under">The first ${numberText(items.length)}. Filter to see others.</p>`}`)}</${Remote}>
  </${Page}>`;
}

// ---- One instance -----------------------------------------------------------------------------------------------------

function One({ process, id, query, set }) {
  const url = path`/v1/processes/${process}/${id}`;
  const answer = useApi(url, { every: query.follow ? 2000 : 0 });
  const item = answer.data;
  const [asked, ask] = useState(null);
  const [told, tell] = useState(null);
  useEffect(() => { if (item) visited(`process ${item.instance}`, urls.process(process, id)); }, [item === undefined]);
  const over = item && OVER.includes(item.stage);
  const act = async (verb, reason) => {
    await api(`${url}/${verb}`, { method: 'POST', body: { reason } });
    ask(null);
    tell(verb === 'retry' ? 'Asked for a retry. A runner takes it up.' : 'Asked to cancel. A runner takes it up, and undoes what was done.');
    answer.reload();
  };
  const may = item && !over && mayWrite;
  return html`<${Page} kicker=${html`<a class="link" href="/ui/processes">Processes</a>`} title=${html`<${Text} value=${item?.instance ?? `${process}-${id}`} />`} sentence=${item && html`<${Said} of=${whyWaiting(item, now.value)} />`}
      actions=${item && html`<button type="button" aria-pressed=${query.follow ? 'true' : 'false'} onClick=${() => set({ follow: !query.follow })}>Follow</button>
        ${may && html`<button type="button" disabled=${item.stage === 'running' && !item.lastError && !(item.outstandingSteps ?? []).length} onClick=${() => ask('retry')}>Retry…</button>
        <button type="button" class="danger" onClick=${() => ask('cancel')}>Cancel…</button>`}`}>
    ${told && html`<${Notice} kind="good" title=${told} actions=${html`<button type="button" onClick=${() => tell(null)}>Close</button>`} />`}
    <${Remote} of=${answer} what="the process" absent=${() => html`<${Empty} title="There is no such process">No instance <strong><${Text} value=${id} /></strong> of <strong><${Text} value=${process} /></strong> has begun. <a class="link" href="/ui/processes">All processes</a></${Empty}>`}>${data => html`
      <div class="facts-row"><${Facts} facts=${[
    ['Stage', html`<${StageOf} stage=${data.stage} />`], ['Began', html`<${Time} at=${data.startedTime} show="short" />`], ['Moved', html`<${Ago} at=${data.updatedTime} />`], ['Inputs', html`<${Num} value=${data.inputs} />`],
    ['Next timer', nextTimer(data) && html`<${Due} timer=${nextTimer(data)} over=${over} />`], ['Held inputs', Number(data.held) > 0 && numberText(data.held)], ['Point of no return', data.pastPivot && 'passed: nothing is undone any more'],
    ['Stream', html`<${StreamLink} stream=${data.instance} />`],
  ]} /></div>
      ${(data.outstandingSteps?.length > 0 || data.doneSteps?.length > 0) && html`<${Section} title="Steps"><${Steps} data=${data} /></${Section}>`}
      <${Section} title="What happened" actions=${html`<label class="check"><input type="checkbox" checked=${query.trouble} onChange=${event => set({ trouble: event.target.checked }, { push: true })} /> Only trouble</label>`}>
        <${Timeline} entries=${data.timeline ?? []} goesOn=${!over} only=${query.trouble} /></${Section}>`}</${Remote}>
    ${asked && html`<${Confirm} title=${`${capital(asked)} ${item.instance}`} verb=${asked === 'retry' ? 'Retry' : 'Cancel the process'} danger=${asked === 'cancel'} typed=${asked === 'cancel' ? item.instance : undefined}
      effect=${actEffect(asked, item)} onConfirm=${reason => act(asked, reason)} onClose=${() => ask(null)} />`}
  </${Page}>`;
}

/** What a person is told before a retry or a cancel. */
export function actEffect(verb, item) {
  const out = Number(item.outstanding ?? item.outstandingSteps?.length ?? 0);
  const done = (item.doneSteps ?? []).filter(step => !step.undone).length;
  if (verb === 'retry') return `${plural(out, 'command')} that ${out === 1 ? 'is' : 'are'} out ${out === 1 ? 'is' : 'are'} sent again, and ${plural(item.held ?? 0, 'held input')} taken. Commands keep their ids: who took one already takes it once.`;
  if (item.pastPivot) return 'The process is past its point of no return: it stops where it is, and nothing is undone.';
  return `The process fails. ${done === 0 ? 'No step is done, so nothing has to be undone' : `${plural(done, 'done step')} ${isAre(done)} undone, the last one first`}.`;
}

function Steps({ data }) {
  const rows = [...(data.doneSteps ?? []).map(step => ({ ...step, state: step.undone ? 'undone' : 'done' })), ...(data.outstandingSteps ?? []).map(step => ({ ...step, state: step.parked ? 'gave up' : step.undo ? 'being undone' : 'out' }))];
  const kinds = { done: 'good', undone: 'idle', out: 'busy', 'being undone': 'warn', 'gave up': 'bad' };
  return html`<${Table} keys=${false} caption="Steps" rows=${rows} keyOf=${step => `${step.commandId} ${step.state}`} columns=${[
    { key: 'step', label: 'Step', cell: step => html`<${Text} value=${step.step} clip=${40} />` },
    { key: 'state', label: 'State', width: 120, cell: step => html`<${Status} kind=${kinds[step.state]}>${step.state}</${Status}>` },
    { key: 'attempts', label: 'Attempts', width: 84, align: 'end', cell: step => (step.attempts === undefined ? '' : html`<${Num} value=${step.attempts} />`) },
    { key: 'error', label: 'Last error', cell: step => html`<${Text} value=${step.lastError ?? ''} clip=${90} />` },
    { key: 'id', label: 'Command', width: 190, wide: true, cell: step => html`<span class="mono quiet"><${Text} value=${step.commandId ?? ''} clip=${22} /></span>` },
  ]} />`;
}

/** Each entry in one line, with a graph of what is open beside it. */
function Timeline({ entries, goesOn, only }) {
  const [opened, setOpened] = useState(() => new Set());
  const rows = timelineRows(entries, goesOn);
  const shown = only ? rows.filter(row => row.tone === 'bad' || row.tone === 'warn') : rows;
  if (shown.length === 0) return html`<p class="quiet">${only ? 'No trouble: no failed attempt, no stop, no request of an operator.' : 'Nothing has happened yet.'}</p>`;
  const flip = at => setOpened(before => { const next = new Set(before); next.has(at) ? next.delete(at) : next.add(at); return next; });
  return html`<div class="lanes-key quiet" aria-hidden="true">${LANES.map(([lane, name]) => html`<span><span class=${`lane-dot lane-${lane}`} />${name}</span>`)}</div>
    <ol class="timeline">${shown.map(row => {
    const { entry } = row;
    const from = inputOf(entry);
    const open = opened.has(entry.revision);
    return html`<li key=${entry.revision} class=${`moment ${row.tone}${open ? ' open' : ''}`}><${Gutter} row=${row} plain=${only} />
      <${Time} at=${entry.time} show="clock" /><span class="moment-text"><span class="offscreen">${LANES.find(([lane]) => lane === row.lane)[1]}: </span>${from ? html`<${Type} type=${from.type ?? entry.what} />` : html`<strong><${Text} value=${entry.what} /></strong>`}
        ${from ? html` <${EventLink} stream=${from.stream} revision=${from.revision} />` : entry.type === '$processTimerStarted' && entry.data?.due ? html` <span class="quiet">due <${Time} at=${entry.data.due} show="short" /></span>` : entry.detail && html` <span class="quiet"><${Text} value=${entry.detail} clip=${160} /></span>`}</span>
      ${isObject(entry.data) ? html`<button type="button" class="twist" aria-expanded=${open ? 'true' : 'false'} aria-label=${`${open ? 'Hide' : 'Show'} the record of ${entry.what}`} onClick=${() => flip(entry.revision)}>${open ? '▾' : '▸'}</button>` : html`<span />`}
      ${open && html`<div class="moment-data"><${Tree} value=${entry.data} label=${`Record ${entry.revision}`} /></div>`}</li>`;
  })}</ol>`;
}

const STEP = 14;
function Gutter({ row, plain }) {
  const lines = plain ? [] : LANES.map(([lane]) => lane);
  return html`<svg class="gutter" width=${LANES.length * STEP} aria-hidden="true">
    ${lines.map((lane, i) => {
    const x = i * STEP + STEP / 2;
    const own = lane === row.lane;
    const all = row.through.includes(lane);
    if (!all && !(own && (row.above || row.below))) return null;
    return html`<line class=${`lane-${lane}`} x1=${x} x2=${x} y1=${all || row.above ? 0 : 15} y2=${all || row.below ? '100%' : 15} />`;
  })}
    <circle class=${`lane-${row.lane} dot-${row.tone}`} cx=${LANES.findIndex(([lane]) => lane === row.lane) * STEP + STEP / 2} cy="15" r="4.5" /></svg>`;
}

const QUERY = { process: '', stage: '', all: false, follow: true, trouble: false };
function Screen({ params, query, set }) {
  return params.id === undefined ? html`<${List} query=${query} set=${set} />` : html`<${One} key=${`${params.process} ${params.id}`} process=${params.process} id=${params.id} query=${query} set=${set} />`;
}
export default { title: ({ params }) => (params.id === undefined ? 'Processes' : `${params.process}-${params.id}`), query: QUERY, Screen };
