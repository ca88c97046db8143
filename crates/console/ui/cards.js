// What is behind this link? A card beside it, after a short rest of the pointer or of the keyboard's focus, from one answer of
// the API. Fetched with the first card.
import { html, render, api, path, place, effect, live, plural, numberText, durationText, printJson, isObject, listed, visibleText } from './core.js';
import { Text, Type, Time, Ago, Num, Status, Line, Redacted } from './widgets.js';

/** How long what was asked is not asked again, in milliseconds. */
const FRESH = 20_000;
const KEPT = 40;
/** The way from the link to its card may take so long, in milliseconds. */
const CROSSING = 220;
const ID = 'hover-card';

// ---- What a link names: the address of the API, and how its answer is told ---------------------------------------------------

const KINDS = [
  [/^\/ui\/streams\/([^/]+)(?:\/state)?$/, ([stream]) => [path`/v1/streams/${stream}`, StreamCard]],
  [/^\/ui\/streams\/([^/]+)\/(\d+)$/, ([stream, revision]) => [path`/v1/streams/${stream}/events/${revision}`, EventCard]],
  [/^\/ui\/events\/([^/]+)$/, ([id]) => [path`/v1/events/${id}`, EventCard]],
  [/^\/ui\/correlations\/([^/]+)$/, ([id]) => [path`/v1/correlations/${id}`, CorrelationCard]],
  [/^\/ui\/schemas\/([^/]+)$/, ([type]) => typeCard(type)],
  [/^\/ui\/events$/, (_, query) => query.getAll('type').length === 1 && typeCard(query.get('type'))],
  [/^\/ui\/streams$/, (_, query) => query.has('category') && ['/v1/categories', answer => CategoryCard(answer, query.get('category'))]],
  [/^\/ui\/projections\/([^/]+)$/, ([name]) => [path`/v1/projections/${name}`, ProjectionCard]],
  [/^\/ui\/subscriptions\/([^/]+)\/([^/]+)$/, ([source, group]) => [path`/v1/subscriptions/${source}/${group}`, GroupCard]],
  [/^\/ui\/privacy\/(?!receipts)([^/]+)$/, ([subject]) => [path`/v1/privacy/${subject}`, SubjectCard]],
];
const typeCard = type => [`/v1/types?q=${encodeURIComponent(type)}&limit=1${type.startsWith('$') ? '&system=true' : ''}`, answer => TypeCard(answer, type)];

/** The address of the API and the card of what an address of the console names, or null. */
export function cardOf(href) {
  const url = new URL(href, location.href);
  for (const [pattern, make] of KINDS) {
    const found = pattern.exec(url.pathname);
    if (!found) continue;
    try { return make(found.slice(1).map(decodeURIComponent), url.searchParams) || null; } catch { return null; }
  }
  return null;
}

const STATES = { active: ['good', 'active'], deleted: ['idle', 'deleted: its events are hidden'], tombstoned: ['bad', 'tombstoned: never again'], metadataOnly: ['idle', 'metadata only, no events'] };
function StreamCard(stream) {
  const head = stream.lastRevision;
  const seen = head === null || head === undefined ? 0 : Number(head) - Number(stream.firstVisible ?? 0) + 1;
  const state = STATES[stream.state] ?? ['idle', String(stream.state)];
  return html`<h2><${Text} value=${stream.stream} clip=${48} /></h2>
    <p>${stream.state === 'active' ? html`${plural(seen, 'event')}, head at #${numberText(head ?? 0)}` : html`<${Status} kind=${state[0]}>${state[1]}</${Status}>`}${stream.category && html` · category <${Text} value=${stream.category} clip=${24} />`}</p>
    ${stream.lastType && html`<p>last <${Type} type=${stream.lastType} clip=${28} />, <${Ago} at=${stream.lastTime} /></p>`}
    ${stream.firstTime && html`<p class="quiet">since <${Time} at=${stream.firstTime} show="short" /></p>`}`;
}
function EventCard(event) {
  return html`<h2><${Type} type=${event.type} clip=${36} /></h2>
    <p><${Text} value=${event.stream} clip=${36} />${' '}#${event.revision} · <${Time} at=${event.time} show="short" />, <${Ago} at=${event.time} /></p>
    ${event.redacted ? html`<${Redacted} of=${event.redacted} />` : isObject(event.data) ? html`<pre class="code">${firstLines(event.data)}</pre>` : html`<p><${Line} event=${event} limit=${200} /></p>`}`;
}
const LINES = 9;
/** The beginning of the data: its members one by one, each cut. */
function firstLines(data) {
  const members = Object.keys(data);
  const lines = members.slice(0, members.length > LINES ? LINES - 1 : LINES).map(key => {
    const text = visibleText(`${key}: ${printJson(data[key], 0)}`);
    return text.length > 64 ? `${text.slice(0, 63)}…` : text;
  });
  if (members.length > LINES) lines.push(`and ${plural(members.length - LINES + 1, 'more member')}`);
  return lines.join('\n') || '{}';
}
function CorrelationCard(found) {
  const types = [...new Set(found.events.map(one => one.type))];
  const millis = Date.parse(found.to) - Date.parse(found.from);
  return html`<h2><${Text} value=${found.correlation} clip=${40} /></h2>
    <p>${plural(found.events.length, 'event')}${found.truncated ? ' and more' : ''} in ${plural(found.streams.length, 'stream')}${found.events.length > 1 && millis >= 0 && `, ${durationText(millis)} long`}</p>
    ${types.length > 0 && html`<p><${Text} value=${listed(types, 5)} clip=${120} /></p>`}${found.from && html`<p class="quiet">began <${Ago} at=${found.from} /></p>`}`;
}
function TypeCard(answer, type) {
  const found = answer.items?.find(one => one.type === type);
  return html`<h2><${Type} type=${type} clip=${40} /></h2><p>${found ? html`${plural(found.count, 'event')} ever appended, schema version ${numberText(found.schemaVersion)}` : 'No event of this type was appended.'}</p>`;
}
function CategoryCard(answer, category) {
  const found = answer.items?.find(one => one.category === category);
  return html`<h2>category <${Text} value=${category} clip=${40} /></h2><p>${plural(found?.streams ?? 0, 'stream')}</p>`;
}
const KIND_OF = { running: 'busy', 'caught up': 'good', stalled: 'warn', faulted: 'bad', stopped: 'idle', rebuilding: 'busy' };
function ProjectionCard(found) {
  const serving = found.versions.find(one => one.role === 'serving') ?? found.versions[0];
  if (!serving) return html`<h2><${Text} value=${found.name} clip=${40} /></h2><p class="quiet">It has no versions.</p>`;
  const lag = live.projections.value?.find(one => one.name === found.name && one.version === serving.version)?.lag ?? serving.lag;
  return html`<h2><${Text} value=${found.name} clip=${40} /></h2>
    <p><${Status} kind=${KIND_OF[serving.status] ?? 'idle'}>${serving.status}</${Status}> · version <${Text} value=${serving.version} clip=${20} /> · ${Number(lag) === 0 ? 'nothing left to apply' : html`${plural(lag, 'position')} behind`}</p>
    ${serving.why && html`<p><${Text} value=${String(serving.why)} clip=${160} /></p>`}`;
}
function GroupCard(group) {
  return html`<h2><${Text} value=${group.group} clip=${40} /></h2><p>on <${Text} value=${group.source} clip=${40} /></p>
    <p>${plural(group.consumers ?? 0, 'consumer')}, <${Num} value=${group.inFlight} /> in flight, ${Number(group.parked) > 0 ? html`<strong>${numberText(group.parked)} parked</strong>` : 'nothing parked'}</p>`;
}
function SubjectCard(found) {
  return html`<h2>data subject <${Text} value=${found.subject} clip=${36} /></h2>
    <p>${found.erasures?.length ? html`<${Status} kind="idle">erased</${Status}>` : plural(found.keys?.length ?? 0, 'key')} · ${plural(found.events ?? 0, 'event')} in ${plural(found.streams?.length ?? 0, 'stream')}</p>`;
}
function Missing(error) {
  return html`<p class="quiet">${error.status === 404 ? 'It is not there: it may be outside this store, or deleted.' : error.status === 403 ? 'You may not see it.' : html`<${Text} value=${error.title ?? error.message} clip=${120} />`}</p>`;
}

// ---- The one card ---------------------------------------------------------------------------------------------------------

const answers = new Map();
let card = null;
/** Where the card is, so that it is in a landmark; beside a dialog nothing could be reached. */
const aside = document.createElement('aside');
let link = null;
let stop = null;
let leaving = 0;
let watch = 0;

function box() {
  if (card) return card;
  card = document.createElement('div');
  card.id = ID;
  card.className = 'hover-card';
  card.setAttribute('role', 'tooltip');
  card.popover = 'manual';
  aside.setAttribute('aria-label', 'About the link');
  card.addEventListener('pointerenter', () => clearTimeout(leaving));
  card.addEventListener('pointerleave', leaveSoon);
  addEventListener('scroll', put, { passive: true, capture: true });
  addEventListener('resize', put);
  addEventListener('pointerdown', event => { if (!card.contains(event.target)) hide(); });
  // Before the keys of the page, and before a dialog below it closes.
  addEventListener('keydown', event => { if (event.key === 'Escape' && link) { event.preventDefault(); event.stopPropagation(); hide(); } }, { capture: true });
  effect(() => { if (place.value) hide(); });
  return card;
}

/** Below its link where there is room, else above it, and never beyond the window. */
function put() {
  if (!link) return;
  const at = link.getBoundingClientRect();
  if (!link.isConnected || at.bottom < 0 || at.top > innerHeight) { hide(); return; }
  const { offsetWidth: width, offsetHeight: height } = card;
  const below = at.bottom + 4;
  card.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
  card.style.top = `${below + height <= innerHeight - 8 || at.top - height - 4 < 8 ? below : at.top - height - 4}px`;
}

async function ask(url, signal) {
  const kept = answers.get(url);
  if (kept && Date.now() - kept.at < FRESH) return kept.data;
  const data = await api(url, { signal });
  answers.delete(url);
  answers.set(url, { at: Date.now(), data });
  if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  return data;
}

/** Shows the card of a link, once its answer is there. */
export async function show(target) {
  const found = cardOf(target.href);
  if (!found || (link === target && card?.isConnected)) { clearTimeout(leaving); return; }
  hide();
  const [url, draw] = found;
  const own = stop = new AbortController();
  let content;
  try { content = draw(await ask(url, own.signal)); } catch (error) {
    if (error.name === 'AbortError') return;
    content = Missing(error);
  }
  if (own.signal.aborted || !target.isConnected) return;
  const element = box();
  render(html`<div>${content}</div>`, element);
  link = target;
  link.setAttribute('aria-describedby', ID);
  const dialog = link.closest('dialog');
  if (dialog) dialog.append(element);
  else { document.body.append(aside); aside.append(element); }
  element.showPopover();
  put();
  // A list that is drawn anew takes the link away from under it.
  watch = setInterval(() => { if (!link?.isConnected) hide(); }, 400);
}

/** Ends what is asked, and what is shown. */
export function hide() {
  stop?.abort();
  stop = null;
  clearTimeout(leaving);
  clearInterval(watch);
  if (!link) return;
  link.removeAttribute('aria-describedby');
  link = null;
  card.remove();
  aside.remove();
}

/** The pointer or the focus has left: the card goes, unless the pointer comes to it. */
export function leaveSoon() {
  clearTimeout(leaving);
  if (!link) { hide(); return; }
  leaving = setTimeout(hide, CROSSING);
}
