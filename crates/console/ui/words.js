// What do the operator's screens say, and in which words? Pure functions: no page, no request, no clock of their own.

import { Exact, durationText, bytesText, numberText, plural, readTime, same } from './pure.js';

const isAre = (number) => (Number(number) === 1 ? 'is' : 'are');

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `a`, `a and b`, `a, b and 3 more`. */
export function listed(names, most = 3) {
  if (names.length <= 1) return names.join('');
  const shown = names.length > most ? [...names.slice(0, most - 1), `${names.length - most + 1} more`] : names;
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

/** Milliseconds of an RFC 3339 time, or null. */
export const moment = (text) => readTime(text)?.millis ?? null;

/** A length of time in its largest unit: sentences need no more. */
export function span(millis) {
  if (millis === null || millis === undefined || !Number.isFinite(Number(millis))) return 'an unknown time';
  const words = durationText(Math.max(0, Number(millis))).split(' ');
  return words.slice(0, 2).join(' ');
}

/** `4 min ago`, `in 20 s`, or unknown. */
export function ago(text, now) {
  const at = moment(text);
  if (at === null) return 'at an unknown time';
  return at > now ? `in ${span(at - now)}` : `${span(now - at)} ago`;
}

// ---- Projections ----

const of = (items, ...statuses) => items.filter((one) => statuses.includes(one.status));
const namesOf = (items) => listed(items.map((one) => one.name));

/** The sentence that the list of projections opens with, and how grave it is. */
export function projectionsSentence(items) {
  const alive = items.filter((one) => one.role !== 'previous');
  if (alive.length === 0) return { tone: 'calm', text: 'No projection is here yet.' };
  const said = [];
  for (const status of ['faulted', 'stalled']) {
    const those = of(alive, status);
    if (those.length > 0) said.push(`${plural(those.length, 'projection')} ${isAre(those.length)} ${status}: ${namesOf(those)}`);
  }
  const behind = of(alive, 'running', 'catching up').filter((one) => Number(one.lag) > 0);
  if (behind.length > 0) {
    const furthest = behind.reduce((a, b) => (Number(b.lag) > Number(a.lag) ? b : a));
    const by = plural(furthest.lag, 'event');
    said.push(behind.length === 1 ? `${furthest.name} is behind by ${by}` : `${behind.length} are behind, the furthest by ${by}`);
  }
  const rebuilding = of(alive, 'rebuilding');
  if (rebuilding.length > 0) said.push(`${namesOf(rebuilding)} ${isAre(rebuilding.length)} being rebuilt`);
  const stopped = of(alive, 'stopped');
  if (stopped.length > 0) said.push(`${plural(stopped.length, 'projection')} ${isAre(stopped.length)} stopped: ${namesOf(stopped)}`);
  if (said.length > 0) {
    const bad = of(alive, 'faulted', 'stalled').length > 0;
    return { tone: bad ? 'bad' : 'busy', text: capital(`${said.join('; ')}.`) };
  }
  if (alive.some((one) => one.lag === null || one.lag === undefined)) {
    return { tone: 'calm', text: 'Nothing has failed; how far behind they are is unknown.' };
  }
  const text = alive.length === 1 ? `${alive[0].name} has applied the whole log.` : `All ${alive.length} projections have applied the whole log.`;
  return { tone: 'good', text };
}

/** How far behind: as events, and as time where that is known. */
export function lag(item) {
  if (item.lag === null || item.lag === undefined) return 'unknown';
  if (String(item.lag) === '0') return 'none';
  const time = item.lagMillis === null || item.lagMillis === undefined ? '' : `, ${span(item.lagMillis)}`;
  return `${plural(item.lag, 'event')}${time}`;
}

/** The sentence of one projection. `version` is the one that serves. */
export function projectionSentence(name, versions) {
  const serving = versions.find((one) => one.role === 'serving') ?? versions[0];
  if (!serving) return { tone: 'calm', text: `${name} has no version.` };
  const building = versions.find((one) => one.role === 'building');
  const beside = building ? ` ${building.version} is being built beside it.` : '';
  const by = lag(serving);
  switch (serving.status) {
    case 'faulted':
      return { tone: 'bad', text: `${name} stands still before an event that it cannot apply.${beside}` };
    case 'stalled':
      return { tone: 'bad', text: `${name} makes no progress, although ${plural(serving.lag, 'event')} wait.${beside}` };
    case 'stopped':
      return { tone: 'busy', text: `${name} is stopped${serving.why ? `: ${serving.why}` : ''}.${beside}` };
    case 'caught up':
      return { tone: 'good', text: `${name} has applied the whole log.${beside}` };
    default:
      if (by === 'none') return { tone: 'good', text: `${name} has applied the whole log.${beside}` };
      return { tone: 'busy', text: by === 'unknown' ? `${name} is ${serving.status}; how far behind it is, is unknown.${beside}` : `${name} is behind by ${by}.${beside}` };
  }
}

/** How much of the log is applied, in permille and rounded down: the whole is only said where it is the whole. */
export function permille(applied, head) {
  if (!/^\d+$/.test(String(applied)) || !/^\d+$/.test(String(head))) return null;
  const [done, all] = [BigInt(applied), BigInt(head)];
  if (all === 0n) return 1000;
  return Number((done > all ? all : done) * 1000n / all);
}

/** `34.5 %` of permille. */
export function percent(value) {
  return value === null ? 'unknown' : `${value % 10 === 0 ? value / 10 : (value / 10).toFixed(1)} %`;
}

/** What a comparison of two versions comes to. */
export function compareSentence(comparison) {
  const sum = (field) => comparison.tables.reduce((all, table) => all + Number(table[field] ?? 0), 0);
  const [same, onlyOld, onlyNew, changed] = ['same', 'onlyOld', 'onlyNew', 'changed'].map(sum);
  const shaped = comparison.tables.filter((table) => table.otherColumns).length;
  const from = `${comparison.old} and ${comparison.new}`;
  if (onlyOld + onlyNew + changed === 0 && shaped === 0) {
    return { tone: 'good', text: `${from} have the same ${plural(same, 'row')}.` };
  }
  const parts = [];
  if (changed > 0) parts.push(`${plural(changed, 'row')} changed`);
  if (onlyOld > 0) parts.push(`${numberText(onlyOld)} only in ${comparison.old}`);
  if (onlyNew > 0) parts.push(`${numberText(onlyNew)} only in ${comparison.new}`);
  if (shaped > 0) parts.push(`${plural(shaped, 'table')} with other columns`);
  return { tone: 'busy', text: `${from} differ: ${parts.join(', ')}; ${numberText(same)} equal.` };
}

/** One row of each side, column by column. An example of a comparison becomes cells that say what is new. */
export function exampleCells(example, columns, key = []) {
  const sides = { old: example.old ?? null, new: example.new ?? null };
  const names = columns?.length ? columns : [...new Set([...Object.keys(sides.old ?? {}), ...Object.keys(sides.new ?? {})])];
  return names.map((column) => {
    const [before, after] = [sides.old?.[column], sides.new?.[column]];
    const differs = sides.old !== null && sides.new !== null && !same(before, after);
    return { column, key: key.includes(column), before, after, differs };
  });
}

/** What a person is told before the new version serves. */
export function promoteEffect(comparison, building) {
  const name = building?.version ?? 'the new version';
  if (!comparison) return `${name} will serve. The version that serves now is kept for a rollback.`;
  const sum = (field) => comparison.tables.reduce((all, table) => all + Number(table[field] ?? 0), 0);
  const moved = sum('changed') + sum('onlyOld') + sum('onlyNew');
  return `${name} will serve in place of ${comparison.old}: readers will see ${plural(moved, 'other row')}. ${comparison.old} is kept for a rollback.`;
}

// ---- Persistent subscriptions ----

/** The status of a group as one word, and why; from `status` and `why`, or from a status that has its reason after a colon. */
export function groupStatus(item) {
  const [word, ...rest] = String(item.status ?? 'unknown').split(':');
  const why = item.why ?? (rest.length > 0 ? rest.join(':').trim() : null);
  const lower = word.trim().toLowerCase();
  return { word: why && (lower === 'live' || lower === 'behind') ? 'stalled' : lower, why: why || null };
}

const totalOf = (items, field) => items.reduce((all, one) => all + Math.max(0, Number(one[field] ?? 0)), 0);
const groupName = (item) => `${item.source}::${item.group}`;

export function groupsSentence(items) {
  if (items.length === 0) return { tone: 'calm', text: 'No group consumes anything here yet.' };
  const stalled = items.filter((one) => groupStatus(one).word === 'stalled');
  const parked = totalOf(items, 'parked');
  const behind = items.filter((one) => groupStatus(one).word === 'behind');
  const said = [];
  if (stalled.length > 0) said.push(`${plural(stalled.length, 'group')} ${isAre(stalled.length)} stalled: ${listed(stalled.map(groupName))}`);
  if (parked > 0) {
    const those = items.filter((one) => Number(one.parked) > 0);
    said.push(`${plural(parked, 'message')} ${isAre(parked)} parked in ${listed(those.map(groupName))}`);
  }
  if (behind.length > 0) said.push(`${plural(behind.length, 'group')} ${isAre(behind.length)} behind`);
  if (said.length > 0) return { tone: stalled.length > 0 || parked > 0 ? 'bad' : 'busy', text: capital(`${said.join('; ')}.`) };
  return { tone: 'good', text: items.length === 1 ? 'The one group keeps up.' : `All ${items.length} groups keep up.` };
}

export function groupSentence(item) {
  const { word, why } = groupStatus(item);
  const parked = Math.max(0, Number(item.parked ?? 0));
  const tail = parked > 0 ? ` ${plural(parked, 'message')} ${isAre(parked)} parked.` : '';
  if (word === 'stalled') return { tone: 'bad', text: `${item.group} hands nothing out${why ? `: ${why}` : ''}.${tail}` };
  if (word === 'behind') return { tone: parked ? 'bad' : 'busy', text: `${item.group} is behind${item.lag === null || item.lag === undefined ? '' : ` by ${plural(item.lag, 'event')}`}.${tail}` };
  if (word === 'live') return { tone: parked ? 'bad' : 'good', text: `${item.group} has read everything that there is.${tail}` };
  return { tone: 'busy', text: `${item.group} is ${word}${why ? `: ${why}` : ''}.${tail}` };
}

/** What is said before parked messages are sent again. */
export function replayEffect(some, total, group) {
  const consumers = Number(group.consumers ?? 0);
  const which = Number(some) === Number(total) ? (Number(total) === 1 ? 'The parked message' : `All ${numberText(total)} parked messages`) : `The oldest ${numberText(some)} of ${numberText(total)} parked messages`;
  const reach = consumers === 0 ? 'which has no consumer now: they wait until one comes' : `which has ${plural(consumers, 'consumer')}`;
  return `${which} will be sent again to group ${group.group}, ${reach}. Its handlers must be idempotent.`;
}

// ---- Processes ----

const OVER = ['completed', 'failed'];
const NEEDS = ['quarantined', 'needs-operator'];

export function processesSentence(items, now) {
  if (items.length === 0) return { tone: 'calm', text: 'No process is under way.' };
  const stuck = items.filter((one) => NEEDS.includes(one.stage));
  const late = items.filter((one) => !OVER.includes(one.stage) && isOverdue(one, now));
  const undoing = items.filter((one) => one.stage === 'compensating');
  const open = items.filter((one) => !OVER.includes(one.stage));
  const said = [];
  if (stuck.length > 0) said.push(`${plural(stuck.length, 'process', 'processes')} cannot go on without a person: ${listed(stuck.map((one) => one.instance))}`);
  if (late.length > 0) said.push(`${plural(late.length, 'timer')} ${isAre(late.length)} overdue`);
  if (undoing.length > 0) said.push(`${undoing.length} ${isAre(undoing.length)} undoing what they did`);
  if (said.length > 0) return { tone: stuck.length > 0 || late.length > 0 ? 'bad' : 'busy', text: capital(`${said.join('; ')}.`) };
  if (open.length === 0) return { tone: 'good', text: `All ${plural(items.length, 'process', 'processes')} shown are over.` };
  return { tone: 'good', text: `${plural(open.length, 'process', 'processes')} ${isAre(open.length)} under way, and none is stuck.` };
}

/** The next timer of a summary: `{name, due}`, or text `name due`. */
export function nextTimer(item) {
  const timer = item.nextTimer ?? item.timers?.[0] ?? null;
  if (timer === null) return null;
  if (typeof timer === 'object') return timer;
  const cut = String(timer).lastIndexOf(' ');
  return cut < 0 ? null : { name: timer.slice(0, cut), due: timer.slice(cut + 1) };
}

export function isOverdue(item, now) {
  const due = moment(nextTimer(item)?.due);
  return due !== null && due < now;
}

/** Why does it wait, in one sentence. */
export function whyWaiting(item, now) {
  const steps = item.outstandingSteps ?? [];
  const timer = nextTimer(item);
  const asked = item.pendingRequests ?? [];
  if (item.stage === 'completed') return { tone: 'good', text: `${item.instance} is over: it was completed ${ago(item.updatedTime, now)}, after ${plural(item.inputs, 'input')}.` };
  if (item.stage === 'failed') return { tone: 'busy', text: `${item.instance} is over: it failed ${ago(item.updatedTime, now)}, and what it had done is undone.` };
  if (asked.length > 0) return { tone: 'busy', text: `It waits for a runner to carry out what ${asked[0].actor} asked: ${asked[0].action}.` };
  const cause = item.cause ?? item.lastError ?? null;
  if (item.stage === 'quarantined') return { tone: 'bad', text: `It stands still${since(item, now)}${cause ? `: ${plain(cause)}` : ''}. Retry it once the cause is gone.` };
  if (item.stage === 'needs-operator') return { tone: 'bad', text: `It needs a person${since(item, now)}${cause ? `: ${plain(cause)}` : ''}.` };
  const parked = steps.find((step) => step.parked);
  if (parked) return { tone: 'bad', text: `Step ${parked.step} gave up after ${plural(parked.attempts, 'attempt')}${parked.lastError ? `: ${plain(parked.lastError)}` : ''}. Retry or cancel it.` };
  if (steps.length > 0) {
    const step = steps[0];
    const doing = step.undo ? `to hear that step ${step.step} is undone` : `for the answer to step ${step.step}`;
    const tried = Number(step.attempts ?? 0) > 1 || step.lastError ? ` (attempt ${numberText(step.attempts)}${step.lastError ? `; the last error: ${plain(step.lastError)}` : ''})` : '';
    const or = timer ? `, or for timer ${timer.name}, ${due(timer, now)}` : '';
    return { tone: step.lastError ? 'bad' : 'busy', text: `It waits ${doing}${tried}${or}.` };
  }
  if (timer) {
    const overdue = isOverdue(item, now);
    return { tone: overdue ? 'bad' : 'busy', text: `It waits for its next event, or for timer ${timer.name}, ${due(timer, now)}.${overdue ? ' Is its runner running?' : ''}` };
  }
  return { tone: 'busy', text: `It waits for its next event; the last one came ${ago(item.updatedTime, now)}.` };
}

const plain = (text) => String(text).replace(/[.\s]+$/, '');
const since = (item, now) => {
  const at = moment(item.since);
  return at === null ? '' : ` for ${span(now - at)}`;
};
const due = (timer, now) => {
  const at = moment(timer.due);
  if (at === null) return 'due at an unknown time';
  return at < now ? `overdue by ${span(now - at)}` : `due in ${span(at - now)}`;
};

/** The lanes of a process's timeline, from left to right. */
export const LANES = [
  { id: 'in', name: 'Events in' },
  { id: 'out', name: 'Commands out' },
  { id: 'timer', name: 'Timers' },
  { id: 'self', name: 'The process' },
];

/**
 * A timeline as rows of a graph: in which lane the dot is, which lanes have something open while it happens, and what it
 * answers. A command is open from its issue to its answer, a timer until it goes off or is cancelled.
 */
export function timelineRows(entries, stillOpen = true) {
  const open = new Map();
  const rows = [];
  const close = (key, row) => {
    const from = open.get(key);
    if (from === undefined) return null;
    open.delete(key);
    for (let at = from + 1; at < row; at += 1) rows[at].through.add(laneOfKey(key));
    return from;
  };
  entries.forEach((entry, index) => {
    const { lane, opens, closes, tone } = place(entry);
    const row = { entry, lane, tone, through: new Set(), above: false, below: false, answers: null };
    rows.push(row);
    if (closes) {
      const from = close(closes, index);
      if (from !== null) {
        row.answers = from;
        row.above = true;
        rows[from].below = true;
      }
    }
    if (opens) open.set(opens, index);
  });
  if (stillOpen) {
    // What is open still runs to the end of the picture.
    for (const [key, from] of [...open]) {
      rows[from].below = true;
      for (let at = from + 1; at < rows.length; at += 1) rows[at].through.add(laneOfKey(key));
    }
  }
  return rows.map((row) => ({ ...row, through: [...row.through] }));
}

const laneOfKey = (key) => (key.startsWith('timer ') ? 'timer' : 'out');

function place(entry) {
  const data = entry.data ?? {};
  const input = data.input ?? data;
  const command = (body) => `command ${body.commandId ?? body.step ?? ''}`;
  switch (entry.type) {
    case '$processStepIssued':
      return { lane: 'out', opens: command(data), tone: 'calm' };
    case '$processUndoIssued':
      return { lane: 'out', opens: command(data), tone: 'busy' };
    case '$processAttemptFailed':
      return { lane: 'out', tone: 'bad' };
    case '$processTimerStarted':
      return { lane: 'timer', opens: `timer ${data.name}`, tone: 'calm' };
    case '$processTimerCancelled':
      return { lane: 'timer', closes: `timer ${data.name}`, tone: 'calm' };
    case '$processInput':
    case '$processInputHeld':
      return placeInput(input, command);
    case '$processQuarantined':
    case '$processNeedsOperator':
    case '$processFailing':
    case '$processFailed':
      return { lane: 'self', tone: 'bad' };
    case '$processCompleted':
      return { lane: 'self', tone: 'good' };
    default:
      return { lane: 'self', tone: 'calm' };
  }
}

function placeInput(input, command) {
  switch (input.kind) {
    case 'timer':
      return { lane: 'timer', closes: `timer ${input.name}`, tone: 'busy' };
    case 'done':
      return { lane: 'out', closes: command(input), tone: 'good' };
    case 'rejected':
      return { lane: 'out', closes: command(input), tone: 'bad' };
    case 'operator':
      return { lane: 'self', tone: 'busy' };
    default:
      return { lane: 'in', tone: 'calm' };
  }
}

/** Where the event of an entry is, where the entry is about one. */
export function inputPlace(entry) {
  const input = entry.data?.input ?? entry.data;
  return input?.kind === 'event' ? { stream: input.stream, revision: Number(input.revision) } : null;
}

// ---- Privacy ----

const opens = (key) => key.state === 'opens' || key.state === 'active';

export function subjectSentence(found) {
  const keys = found.keys ?? [];
  const live = keys.filter(opens);
  const streams = (found.streams ?? []).length;
  const where = `${plural(found.events, 'event')} in ${plural(streams, 'stream')}`;
  if (keys.length === 0 && Number(found.events ?? 0) === 0) return { tone: 'calm', text: `Nothing is kept of ${found.subject}.` };
  if (keys.length > 0 && live.length === 0) return { tone: 'good', text: `${found.subject} was erased: ${where} hold values that nobody can open any more.` };
  if ((found.holds ?? []).length > 0) return { tone: 'busy', text: `${found.subject} must not be erased: a legal hold stands. ${capital(where)}, ${plural(live.length, 'key')} ${live.length === 1 ? 'opens' : 'open'}.` };
  return { tone: 'calm', text: `We hold ${where} with data of ${found.subject}; ${plural(live.length, 'key')} ${live.length === 1 ? 'opens' : 'open'} it.` };
}

/** What an erasure does not reach: from what is known of a subject, in words that promise nothing. */
export function notReached(found) {
  const list = [];
  for (const sink of found?.sinks ?? []) {
    const name = typeof sink === 'string' ? sink : (sink.name ?? sink.sink ?? 'a sink');
    const acknowledged = typeof sink === 'object' && sink.acknowledged;
    if (!acknowledged) list.push({ what: name, why: 'was handed these values in clear; it has to forget them by itself and say so' });
  }
  list.push({ what: 'copies of the key store', why: 'open with their key file until the keys are rotated: keep the two apart, and destroy old ones' });
  list.push({ what: 'what was never sealed', why: 'stream names, event types, tags, metadata, times, and the parts of values that were declared as kept in clear' });
  list.push({ what: 'copies outside', why: 'exports, mails, screens, logs of programs, and what subscribers were given' });
  list.push({ what: 'that there was an erasure', why: 'when, why and by whom stays in the log, under a reference that leads to nobody without the vault' });
  return list;
}

/** How rows of a read model forget. */
export function forgetting(personal) {
  switch (personal) {
    case 'forgotten':
      return 'changes its rows when it comes to the erasure';
    case 'rebuilt':
      return 'holds the data until a version that was built afterwards serves';
    case 'sealed':
      return 'keeps sealed values only: nothing to do';
    case undefined:
    case null:
      return 'unknown';
    default:
      return String(personal);
  }
}

export function eraseEffect(preview) {
  const size = (value) => (Array.isArray(value) ? value.length : value);
  const parts = [`${plural(size(preview.keys), 'key')} will be destroyed for ever`, `${plural(preview.events, 'event')} in ${plural(size(preview.streams), 'stream')} can never be opened again`];
  if (size(preview.readModels) !== undefined && size(preview.readModels) !== null) parts.push(`${plural(size(preview.readModels), 'read model')} will forget`);
  return `${capital(parts.join(', '))}.`;
}

// ---- Schemas ----

/** Paths of a sample at most; deeper or wider data is summed up. */
export const MOST_PATHS = 300;
const DEEPEST = 8;

/** Which fields do these events have, how often, and of which types. `events` is a sample and is said to be one. */
export function inferFields(events) {
  const fields = new Map();
  let cut = false;
  const add = (path, value, seen) => {
    if (!fields.has(path)) {
      if (fields.size >= MOST_PATHS) {
        cut = true;
        return;
      }
      fields.set(path, { path, events: 0, types: new Map(), example: undefined, first: null });
    }
    const field = fields.get(path);
    if (!seen.has(path)) {
      seen.add(path);
      field.events += 1;
    }
    const type = typeOf(value);
    field.types.set(type, (field.types.get(type) ?? 0) + 1);
    if (field.example === undefined && type !== 'object' && type !== 'array' && type !== 'null') field.example = value;
  };
  const walk = (value, path, depth, seen) => {
    if (depth > DEEPEST) return;
    if (Array.isArray(value)) {
      for (const one of value) {
        add(`${path}[]`, one, seen);
        walk(one, `${path}[]`, depth + 1, seen);
      }
    } else if (typeOf(value) === 'object') {
      for (const [name, one] of Object.entries(value)) {
        const at = path === '' ? name : `${path}.${name}`;
        add(at, one, seen);
        walk(one, at, depth + 1, seen);
      }
    }
  };
  const sample = events.filter((event) => event.data !== undefined && event.data !== null);
  for (const event of sample) walk(event.data, '', 0, new Set());
  const list = [...fields.values()].map((field) => ({
    ...field,
    types: [...field.types.keys()],
    permille: sample.length === 0 ? 0 : Math.floor((field.events * 1000) / sample.length),
  }));
  return { sampled: sample.length, fields: list, cut };
}

export function typeOf(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (value instanceof Exact) return /[.eE]/.test(value.source) ? 'number' : 'integer';
  if (typeof value === 'object' && value.$pii !== undefined) return 'sealed';
  return typeof value === 'object' ? 'object' : typeof value;
}

/** The fields that a JSON Schema declares, with what it says of them. */
export function schemaFields(schema, most = MOST_PATHS) {
  const list = [];
  const walk = (node, path, required, depth) => {
    if (list.length >= most || depth > DEEPEST || node === null || typeof node !== 'object') return;
    const resolved = node.$ref ? pointed(schema, node.$ref) : node;
    if (path !== '') list.push({ path, type: typeName(resolved), required, description: resolved?.description ?? null, personal: resolved?.['x-personal'] ?? resolved?.personal ?? null });
    for (const [name, child] of Object.entries(resolved?.properties ?? {})) walk(child, path === '' ? name : `${path}.${name}`, (resolved.required ?? []).includes(name), depth + 1);
    if (resolved?.items && typeof resolved.items === 'object' && !Array.isArray(resolved.items)) walk(resolved.items, `${path}[]`, false, depth + 1);
  };
  walk(schema, '', true, 0);
  return list;
}

function typeName(node) {
  if (!node) return 'any';
  if (Array.isArray(node.type)) return node.type.join(' or ');
  if (node.type) return node.format ? `${node.type} (${node.format})` : node.type;
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum) return node.enum.map((one) => JSON.stringify(one)).join(' or ');
  const several = node.anyOf ?? node.oneOf;
  return several ? several.map(typeName).join(' or ') : 'any';
}

function pointed(schema, reference) {
  if (!String(reference).startsWith('#/')) return null;
  return reference.slice(2).split('/').reduce((at, part) => at?.[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')], schema) ?? null;
}

export function schemasSentence(types, registered) {
  if (types.length === 0) return { tone: 'calm', text: 'No event has been appended, so there is no type yet.' };
  const with_ = types.filter((one) => registered.has(one.type)).length;
  if (with_ === 0) return { tone: 'calm', text: `${plural(types.length, 'event type')}; no schema is registered, so any data is taken.` };
  return { tone: 'calm', text: `${plural(types.length, 'event type')}; ${plural(with_, 'has', 'have')} a registered schema that appends must fit.` };
}

// ---- The machine ----

/** What Prometheus needs to read the server's figures. */
export function scrapeConfig(host, secure) {
  const scheme = secure ? '    scheme: https\n' : '';
  return `scrape_configs:\n  - job_name: factum\n    metrics_path: /metrics\n${scheme}    static_configs:\n      - targets: ["${host}"]\n`;
}

export function systemSentence(system, now) {
  const up = system.uptimeSeconds === undefined || system.uptimeSeconds === null ? null : span(Number(system.uptimeSeconds) * 1000);
  const since = up ? ` for ${up}` : '';
  const only = system.readOnly ? ' It is read-only: nothing can be changed from here.' : '';
  return { tone: 'calm', text: `Factum ${system.version ?? 'of an unknown version'} has been serving${since}.${only}` };
}

export function scavengeEffect(estimate) {
  if (Number(estimate.events ?? 0) === 0) return 'Nothing to give back: no hidden event takes up space in a sealed segment.';
  return `Removes ${plural(estimate.events, 'hidden event')} and gives back ${bytesText(estimate.bytes)} in ${numberText(estimate.rewritten)} of ${plural(estimate.segments, 'sealed segment')}. What was given back cannot be brought back.`;
}
