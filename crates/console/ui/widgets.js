// What do screens draw with? Names, times, values, tables, trees, notices, dialogs. Everything from the server goes into
// text nodes, and what would not be seen in it is made visible.
import {
  html, signal, useState, useEffect, useLayoutEffect, useRef, useMemo, useId, Fragment, h,
  visibleParts, visibleText, middle, timeText, readTime, agoText, numberText, bytesText, typeHue, typeBadge, preview, printJson,
  kindOf, isContainer, isObject, isNumber, same, escapePointer, pathText, personalOf, textOf, utf8Length, bytesOf, hexLines, path, plural, durationText,
  zone, now, isNarrow, copy, go, useKeys, download, live, mayWrite,
} from './core.js';

/** The console's addresses of things. */
export const urls = {
  streams: (query = '') => `/ui/streams${query}`,
  stream: name => path`/ui/streams/${name}`,
  event: (stream, revision) => path`/ui/streams/${stream}/${revision}`,
  eventId: id => path`/ui/events/${id}`,
  state: (stream, at) => path`/ui/streams/${stream}/state` + (at === undefined || at === null ? '' : `?at=${at}`),
  correlation: id => path`/ui/correlations/${id}`,
  category: name => `/ui/streams?category=${encodeURIComponent(name)}`,
  type: name => `/ui/events?type=${encodeURIComponent(name)}`,
  schema: type => path`/ui/schemas/${type}`,
  projection: name => path`/ui/projections/${name}`,
  subscription: (source, group) => path`/ui/subscriptions/${source}/${group}`,
  process: (process, id) => path`/ui/processes/${process}/${id}`,
  subject: id => path`/ui/privacy/${id}`,
};

// ---- Text -----------------------------------------------------------------------------------------------------------

/** Text of others: isolated, its invisible characters shown. `clip` cuts the middle out, with the whole in the title. */
export function Text({ value, clip }) {
  const text = String(value ?? '');
  const shown = clip ? middle(text, clip) : text;
  const parts = visibleParts(shown);
  return html`<bdi class="name" title=${shown === text ? undefined : visibleText(text)}>${parts.map(part =>
    (typeof part === 'string' ? part : html`<span class="odd" title=${`U+${part.code} ${part.name}`}>‹${part.code}›</span>`))}</bdi>`;
}

/** Strings among what a screen gives as content are drawn as {@link Text}: a name may be in them. */
const asText = content => (typeof content === 'string' ? html`<${Text} value=${content} />` : content);

export function StreamLink({ stream, clip = 60 }) {
  return html`<a class="link" href=${urls.stream(stream)}><${Text} value=${stream} clip=${clip} /></a>`;
}
export function EventLink({ stream, revision, children }) {
  return html`<a class="link" href=${urls.event(stream, revision)}>${children ?? html`<${Text} value=${stream} clip=${48} />${' #'}${revision}`}</a>`;
}
export function CorrelationLink({ id, clip = 40 }) {
  return html`<a class="link mono" href=${urls.correlation(id)}><${Text} value=${id} clip=${clip} /></a>`;
}

/** An event type: a hue and two letters, then its name. */
export function Type({ type, clip = 40, link = false }) {
  const name = html`<${Text} value=${type} clip=${clip} />`;
  return html`<span class="type"><span class=${`badge hue-${typeHue(type)}`} aria-hidden="true">${visibleText(typeBadge(type))}</span>${
    link ? html`<a class="link" href=${urls.type(type)}>${name}</a>` : name}</span>`;
}

/** A moment. `show`: full, clock, second, short, brief, date. The title has all digits and the age. */
export function Time({ at, show = 'full' }) {
  if (!at) return html`<span class="quiet">unknown</span>`;
  const time = readTime(at);
  const title = time ? `${timeText(at, zone.value, 'exact')}, ${agoText(time.millis, now.peek())}` : undefined;
  return html`<time class="time" datetime=${at} title=${title}>${timeText(at, zone.value, show)}</time>`;
}
/** A column of moments, without the year and the seconds where the window is narrow: the title has them. */
export const timeColumn = (label, at, more) => ({ label, width: isNarrow.value ? 96 : 168, cell: row => html`<${Time} at=${at(row)} show=${isNarrow.value ? 'brief' : 'short'} />`, ...more });
/** How long ago, kept up to date. */
export function Ago({ at }) {
  const time = typeof at === 'number' ? { millis: at } : readTime(at);
  if (!time) return html`<span class="quiet">unknown</span>`;
  return html`<time class="time" datetime=${typeof at === 'string' ? at : undefined} title=${typeof at === 'string' ? timeText(at, zone.value, 'exact') : undefined}>${agoText(time.millis, now.value)}</time>`;
}
export function Num({ value }) {
  return value === null || value === undefined ? html`<span class="quiet">unknown</span>` : html`<span class="num">${numberText(value)}</span>`;
}
export function Bytes({ value }) {
  return value === null || value === undefined ? html`<span class="quiet">unknown</span>` : html`<span class="num" title=${`${numberText(value)} bytes`}>${bytesText(value)}</span>`;
}
/** A state in words, with a sign beside the colour. `kind`: good, busy, warn, bad, idle. */
export function Status({ kind = 'idle', children }) {
  const signs = { good: '●', busy: '◐', warn: '▲', bad: '■', idle: '○' };
  return html`<span class=${`status ${kind}`}><span aria-hidden="true">${signs[kind]}</span> ${children}</span>`;
}
export const Kbd = ({ children }) => html`<kbd>${children}</kbd>`;
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${ICONS[name] ?? ICONS.dot} /></svg>`;
}
const ICONS = {
  dot: 'M8 6a2 2 0 1 1 0 4a2 2 0 0 1 0-4',
  overview: 'M2 9h3l2-6 3 11 2-5h2', streams: 'M2 4h12M2 8h9M2 12h6', events: 'M3 3v10M3 4h10v3H3M3 10h7v3H3',
  correlations: 'M3 4h3v3H3zM10 9h3v3h-3zM6 5.5h4v3.5', projections: 'M3 13V8M7 13V3M11 13V6M2 13h12', subscriptions: 'M3 8h6M6 4l4 4-4 4M13 3v10',
  processes: 'M8 2.5a5.5 5.5 0 1 1-5.2 3.7M8 5v3l2 2M2 3v3.5h3.5', query: 'M7 3a4 4 0 1 1 0 8a4 4 0 0 1 0-8M10 10l4 4', schemas: 'M6 2C3 2 5 8 2 8c3 0 1 6 4 6M10 2c3 0 1 6 4 6c-3 0-1 6-4 6',
  privacy: 'M4 7h8v6H4zM6 7V5a2 2 0 0 1 4 0v2', system: 'M2 4h12v4H2zM2 8v4h12V8M4 6h1M4 10h1', search: 'M7 3a4 4 0 1 1 0 8a4 4 0 0 1 0-8M10 10l4 4',
  first: 'M4 3v10M12 3L7 8l5 5', last: 'M12 3v10M4 3l5 5l-5 5', before: 'M10 3L5 8l5 5', after: 'M6 3l5 5l-5 5', typeBefore: 'M8 3L3 8l5 5M13 3L8 8l5 5', typeAfter: 'M8 3l5 5l-5 5M3 3l5 5l-5 5',
  copy: 'M5 5V2h9v9h-3M2 5h9v9H2z', menu: 'M2 4h12M2 8h12M2 12h12', sun: 'M8 5a3 3 0 1 1 0 6a3 3 0 0 1 0-6M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  help: 'M6 6a2 2 0 1 1 3 1.7c-.7.4-1 .8-1 1.8M8 12v.5', fold: 'M10 3L5 8l5 5', unfold: 'M6 3l5 5-5 5', compare: 'M4 3v10M12 3v10M4 6h8M4 10h8',
};

// ---- Pages and their states -----------------------------------------------------------------------------------------

/** The frame of a screen: one `h1`, one sentence, then what can be done. `full` fills the window, for S5. */
export function Page({ title, kicker, sentence, actions, children, full = false }) {
  return html`<div class=${full ? 'page full' : 'page'}>
    <header class="page-head">
      <div class="page-title">${kicker && html`<p class="kicker">${kicker}</p>`}<h1>${asText(title)}</h1>${sentence && html`<p class="sentence">${asText(sentence)}</p>`}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}
export function Section({ title, actions, children, id }) {
  const own = useId();
  return html`<section class="section" aria-labelledby=${id ?? own}><div class="section-head"><h2 id=${id ?? own}>${asText(title)}</h2>${actions && html`<div class="actions">${actions}</div>`}</div>${children}</section>`;
}
/** `kind`: note, warn, bad, good. */
export function Notice({ kind = 'note', title, children, actions }) {
  return html`<div class=${`notice ${kind}`} role=${kind === 'bad' ? 'alert' : 'status'}>
    <div class="notice-text">${title && html`<strong>${asText(title)}</strong>`}${children && html`<div>${children}</div>`}</div>${actions && html`<div class="actions">${actions}</div>`}</div>`;
}
/** What went wrong: title, cause, next step, request id, and the document itself. */
export function ProblemNotice({ error, retry }) {
  const body = error.body;
  return html`<${Notice} kind=${error.status === 404 || error.status === 501 ? 'note' : 'bad'} title=${error.title ?? 'This page failed'}
    actions=${retry && html`<button type="button" onClick=${retry}>Try again</button>`}>
    <p><${Text} value=${error.message} /></p>
    ${error.next && html`<p><${Text} value=${error.next} /></p>`}
    ${error.requestId && html`<p class="quiet">request <code>${visibleText(error.requestId)}</code></p>`}
    ${body && html`<details><summary>Details</summary><pre class="code">${printJson(body)}</pre></details>`}
  </${Notice}>`;
}
/** Nothing here: say what, teach how. `commands` can be copied. */
export function Empty({ title, children, commands = [] }) {
  return html`<div class="empty"><h2>${title}</h2>${children && html`<div>${children}</div>`}${commands.map(text => html`<${Command} text=${text} />`)}</div>`;
}
export function Command({ text }) {
  return html`<div class="command"><code tabindex="0" role="group" aria-label="Command">${text}</code><${CopyButton} text=${text} label="Copy command" /></div>`;
}
export function CopyButton({ text, label = 'Copy', said }) {
  return html`<button type="button" class="icon-button" aria-label=${label} title=${label} onClick=${event => { event.stopPropagation(); copy(typeof text === 'function' ? text() : text, said); }}><${Icon} name="copy" /></button>`;
}
/** The states of {@link useApi} around what it gave: `html`<${Remote} of=${answer}>${data => ...}</>``. */
export function Remote({ of, children, what = 'this', absent }) {
  if (of.error && of.data === undefined) {
    if (of.error.status === 404 && absent) return absent(of.error);
    return html`<${ProblemNotice} error=${of.error} retry=${of.reload} />`;
  }
  if (of.data === undefined) return html`<${Loading} on=${of.loading} slow=${of.slow} what=${what} first />`;
  return html`<div class=${of.loading ? 'remote is-old' : 'remote'} aria-busy=${of.loading ? 'true' : undefined}>
    ${of.loading && html`<div class="bar" />`}
    ${of.error && html`<${Stale} of=${of} />`}
    ${children(of.data)}</div>`;
}
export function Stale({ of }) {
  return html`<${Notice} kind="warn" title="Not up to date" actions=${html`<button type="button" onClick=${of.reload}>Try again</button>`}>as of <${Ago} at=${of.at} />: <${Text} value=${of.error.message} /></${Notice}>`;
}
export function Loading({ on, slow, what, first }) {
  if (!on) return html`<div class="loading" />`;
  return html`<div class="loading" role="status">${first && html`<div class="skeleton" /><div class="skeleton" /><div class="skeleton short" />`}<span class=${slow ? '' : 'offscreen'}>Loading ${what}${slow ? ': this takes longer than usual' : ''}…</span></div>`;
}
/** How far a search has come ({@link useSearch}), and what can be done about it. `what` is what is searched. */
export function Searched({ of, what }) {
  const found = `${numberText(of.items.length)} ${of.items.length === 1 ? 'matches' : 'match'}`;
  return html`<p class="quiet searched" role="status">${of.busy ? html`Looking: ${plural(of.looked, 'event')} so far, ${found}. <button type="button" class="more" onClick=${of.stop}>Stop</button>`
    : of.isWhole ? `Looked at all ${plural(of.looked, 'event')} ${what}: ${found}.`
      : html`Looked at ${plural(of.looked, 'event')}, ${found}. <button type="button" class="more" onClick=${of.more}>Go on</button>`}</p>
    ${of.error && html`<${ProblemNotice} error=${of.error} retry=${of.more} />`}`;
}
/** `tabs`: `[{id, label, count?}]`. */
export function Tabs({ tabs, current, onChange, label }) {
  const move = (event, i) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = tabs[(i + step + tabs.length) % tabs.length];
    onChange(next.id);
    event.currentTarget.parentElement.children[tabs.indexOf(next)]?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label}>${tabs.map((tab, i) => html`<button type="button" role="tab" aria-selected=${tab.id === current ? 'true' : 'false'}
    tabindex=${tab.id === current ? 0 : -1} onClick=${() => onChange(tab.id)} onKeyDown=${event => move(event, i)}>${tab.label}${tab.count !== undefined && html` <span class="count">${numberText(tab.count)}</span>`}</button>`)}</div>`;
}
/** A choice of few, as buttons: `options`: `[[value, label], ...]`. */
export function Choice({ options, value, onChange, label }) {
  return html`<div class="choice" role="group" aria-label=${label}>${options.map(([one, name]) => html`<button type="button" aria-pressed=${one === value ? 'true' : 'false'} onClick=${() => onChange(one)}>${asText(name)}</button>`)}</div>`;
}
/** `items`: `[{label, run} | {label, href}]`. */
export function Menu({ label, items, className = '' }) {
  const ref = useRef();
  useEffect(() => {
    const close = event => { if (ref.current?.open && (event.type === 'keydown' ? event.key === 'Escape' : !ref.current.contains(event.target))) ref.current.open = false; };
    addEventListener('pointerdown', close);
    addEventListener('keydown', close);
    return () => { removeEventListener('pointerdown', close); removeEventListener('keydown', close); };
  }, []);
  const done = () => { ref.current.open = false; };
  return html`<details class=${`menu ${className}`} ref=${ref}><summary class="button">${label}</summary><ul class="menu-list">${items.map(item => html`<li>${item.href
    ? html`<a href=${item.href} onClick=${done}>${item.label}</a>` : html`<button type="button" disabled=${item.disabled} onClick=${() => { done(); item.run(); }}>${item.label}${item.key && html` <${Kbd}>${item.key}</${Kbd}>`}</button>`}</li>`)}</ul></details>`;
}
export function Dialog({ title, onClose, children, className = '' }) {
  const ref = useRef();
  const id = useId();
  useLayoutEffect(() => { ref.current.showModal(); return () => ref.current?.close(); }, []);
  return html`<dialog ref=${ref} class=${className} aria-labelledby=${id} onClose=${onClose} onCancel=${onClose}
    onClick=${event => { if (event.target === ref.current) onClose(); }}>
    <div class="dialog-body"><header class="dialog-head"><h2 id=${id}>${asText(title)}</h2><button type="button" class="icon-button" aria-label="Close" onClick=${onClose}>✕</button></header>${children}</div></dialog>`;
}
/**
 * Asks before something is written. `effect` says it in numbers; `typed` has to be typed where it cannot be undone;
 * `onConfirm(reason)` may throw a Problem, which is shown and nothing is lost.
 */
export function Confirm({ title, effect, typed, verb, danger = false, reason: wantsReason = true, onConfirm, onClose, children }) {
  const [reason, setReason] = useState('');
  const [name, setName] = useState('');
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const ready = (!wantsReason || reason.trim()) && (!typed || name === typed) && !busy;
  const submit = async event => {
    event.preventDefault();
    if (!ready) return;
    setBusy(true);
    setError(null);
    try { await onConfirm(reason.trim()); } catch (failure) { setError(failure); setBusy(false); }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}><form onSubmit=${submit} class="form">
    <p>${asText(effect)}</p>${children}
    ${wantsReason && html`<label>Reason, kept with the change<input type="text" required value=${reason} onInput=${event => setReason(event.target.value)} /></label>`}
    ${typed && html`<label><span>This cannot be undone. Type <strong><${Text} value=${typed} /></strong> to go on</span><input type="text" autocomplete="off" value=${name} onInput=${event => setName(event.target.value)} /></label>`}
    ${error && html`<${ProblemNotice} error=${error} />`}
    <div class="actions end"><button type="button" onClick=${onClose}>Cancel</button><button type="submit" class=${danger ? 'danger' : 'primary'} disabled=${!ready}>${busy ? 'Working…' : verb}</button></div>
  </form></${Dialog}>`;
}

/** Facts as a list of terms: `[[term, value], ...]`; absent values are left out. */
export function Facts({ facts }) {
  return html`<dl class="facts">${facts.filter(fact => fact && fact[1] !== undefined && fact[1] !== null && fact[1] !== false).map(([term, value]) => html`<div><dt>${asText(term)}</dt><dd>${asText(value)}</dd></div>`)}</dl>`;
}

// ---- Values ---------------------------------------------------------------------------------------------------------

/** Characters of a string shown before "show". */
const CLIP = 400;
/** A list or object below the first with more members begins closed. */
const LONG = 24;
/** Members of a container shown before "show more". */
const MEMBERS = 100;

/** A scalar, an array in one line, or what stands in the place of a value. */
export function Value({ value, clip = 120, sign }) {
  const personal = personalOf(value);
  if (personal && personal.kind !== 'opened') return html`<${Personal} of=${personal} />`;
  if (personal) return html`<span class="opened" title="personal data, opened for you"><${Value} value=${personal.value} clip=${clip} /></span>`;
  if (value === undefined) return html`<span class="v-absent">(absent)</span>`;
  const kind = kindOf(value);
  const text = kind === 'string' ? JSON.stringify(value.length > clip * 4 ? value.slice(0, clip * 4) : value) : isContainer(value) ? wrapped(value, clip) : String(value);
  return html`<span class=${`v-${kind}`}><${Text} value=${text} clip=${clip} /></span>`;
}
const wrapped = (value, clip) => {
  const text = preview([value], clip * 2);
  return text.endsWith('…') ? text.slice(1) : text.slice(1, -1);
};
function Personal({ of }) {
  return html`<${Gone} of=${of} />${of.partial !== undefined && of.partial !== null && html` <span class="remark" title="the part of it that is kept in clear"><${Value} value=${of.partial} clip=${40} /></span>`}`;
}
function Gone({ of }) {
  if (of.kind === 'erased') return html`<span class="v-gone" title=${`erasure ${visibleText(of.erasure)}`}>‹erased›</span>`;
  if (of.kind === 'unavailable') return html`<span class="v-gone" title=${visibleText(of.why)}>‹cannot be opened now: ${visibleText(of.why)}›</span>`;
  return html`<span class="v-gone" title="personal data, sealed">‹sealed›</span>`;
}

/**
 * JSON as a tree (the ARIA pattern: arrows open, close and move). `open` is how many levels begin open. `marks` gives a
 * class and a note for a pointer. Numbers are exact, strings are cut with a way to see the rest.
 */
export function Tree({ value, label = 'JSON', open = 3, marks, pointer = '', onFocusPath }) {
  const [toggled, setToggled] = useState(() => new Map());
  const ref = useRef();
  // Long lists begin closed, unless they are all there is.
  const begins = (depth, count) => depth < open && (depth === 0 || count <= LONG);
  const isOpen = (at, depth, count) => toggled.get(at) ?? begins(depth, count);
  const toggle = (at, depth, count) => setToggled(before => new Map(before).set(at, !(before.get(at) ?? begins(depth, count))));
  const onKeyDown = event => {
    const item = event.target.closest('[role=treeitem]');
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = [...ref.current.querySelectorAll('[role=treeitem]')];
    const i = items.indexOf(item);
    const expanded = item.getAttribute('aria-expanded');
    let to = null;
    if (event.key === 'ArrowDown') to = items[i + 1];
    else if (event.key === 'ArrowUp') to = items[i - 1];
    else if (event.key === 'Home') to = items[0];
    else if (event.key === 'End') to = items[items.length - 1];
    else if (event.key === 'ArrowRight') { if (expanded === 'false') toggle(item.dataset.at, Number(item.dataset.depth), Number(item.dataset.count)); else if (expanded === 'true') to = items[i + 1]; }
    else if (event.key === 'ArrowLeft') { if (expanded === 'true') toggle(item.dataset.at, Number(item.dataset.depth), Number(item.dataset.count)); else to = item.parentElement.closest('[role=treeitem]'); }
    else if ((event.key === 'Enter' || event.key === ' ') && expanded !== null && event.target === item) toggle(item.dataset.at, Number(item.dataset.depth), Number(item.dataset.count));
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (to) { for (const one of items) one.tabIndex = -1; to.tabIndex = 0; to.focus(); onFocusPath?.(to.dataset.at); }
  };
  return html`<ul class="tree" role="tree" aria-label=${label} ref=${ref} onKeyDown=${onKeyDown} onFocusIn=${event => onFocusPath?.(event.target.closest('[role=treeitem]')?.dataset.at)}>
    <${Branch} name=${null} value=${value} at=${pointer} depth=${0} isOpen=${isOpen} toggle=${toggle} marks=${marks} first /></ul>`;
}
function Branch({ name, value, at, depth, isOpen, toggle, marks, first, size = 1, place = 1 }) {
  const [count, setCount] = useState(MEMBERS);
  const personal = personalOf(value);
  const inner = personal?.kind === 'opened' ? personal.value : value;
  const branches = isContainer(inner) && !(personal && personal.kind !== 'opened');
  const isList = Array.isArray(inner);
  const keys = branches ? (isList ? inner.map((_, i) => i) : Object.keys(inner)) : [];
  const expanded = branches && keys.length > 0 ? isOpen(at, depth, keys.length) : null;
  const mark = marks?.(at);
  const label = name === null ? null : html`<span class="key"><${Text} value=${String(name)} clip=${80} /></span><span class="colon">: </span>`;
  return html`<li role="treeitem" aria-expanded=${expanded === null ? undefined : String(expanded)} aria-level=${depth + 1} aria-setsize=${size} aria-posinset=${place}
      tabindex=${first ? 0 : -1} data-at=${at} data-depth=${depth} data-count=${keys.length} class=${mark?.className}>
    <span class="leaf">${expanded === null ? html`<span class="twist" />` : html`<span class="twist" aria-hidden="true" onClick=${() => toggle(at, depth, keys.length)}>${expanded ? '▾' : '▸'}</span>`}${label}${
      !branches ? html`<${Scalar} value=${value} />`
        : keys.length === 0 ? html`<span class="punct">${isList ? '[]' : '{}'}</span>`
          : expanded ? html`<span class="punct">${isList ? '[' : '{'}</span>`
            : html`<span class="folded" onClick=${() => toggle(at, depth, keys.length)}><span class="punct">${isList ? '[' : '{'}</span>${plural(keys.length, isList ? 'item' : 'member')}<span class="punct">${isList ? ']' : '}'}</span></span>`}${
      personal?.kind === 'opened' && html`<span class="remark"> personal data</span>`}${mark?.note}<span class="leaf-tools"><button type="button" tabindex="-1" onClick=${() => copy(isContainer(value) ? printJson(value) : typeof value === 'string' ? value : printJson(value), 'Value copied')}>copy</button><button type="button" tabindex="-1" onClick=${() => copy(at || '/', 'Path copied')} title=${visibleText(at)}>path</button></span></span>
    ${expanded && html`<ul role="group">${keys.slice(0, count).map((key, i) => html`<${Branch} key=${key} name=${key} value=${inner[key]} at=${`${at}/${escapePointer(key)}`} depth=${depth + 1} isOpen=${isOpen} toggle=${toggle} marks=${marks} size=${keys.length} place=${i + 1} />`)}</ul>
      ${keys.length > count && html`<button type="button" class="more" onClick=${() => setCount(count + 1000)}>show ${numberText(Math.min(1000, keys.length - count))} more of ${numberText(keys.length)}</button>`}
      <span class="punct close" aria-hidden="true">${isList ? ']' : '}'}</span>`}
  </li>`;
}
function Scalar({ value }) {
  const [whole, setWhole] = useState(false);
  if (typeof value !== 'string' || value.length <= CLIP) return html`<${Value} value=${value} clip=${CLIP * 3} />`;
  const text = JSON.stringify(whole ? value : value.slice(0, CLIP));
  return html`<span class="v-string"><${Text} value=${whole ? text : text.slice(0, -1)} /></span>${!whole && html`… <button type="button" class="more" onClick=${() => setWhole(true)}>show ${bytesText(value.length)}</button>`}`;
}

/** Text of several lines: code, a declaration. Line ends are line ends, all else that would not be seen is shown. */
export function Code({ text, label }) {
  return html`<pre class="code" tabindex="0" role="group" aria-label=${label}>${text.replaceAll('\r\n', '\n').split('\n').map((line, i) => html`${i > 0 && '\n'}${line && html`<${Text} value=${line} />`}`)}</pre>`;
}

/** Characters of a raw text shown before "show more". */
const RAW = 48_000;
export function Raw({ text, label }) {
  const [shown, setShown] = useState(RAW);
  return html`<div class="raw"><pre class="code wrap" tabindex="0" role="group" aria-label=${label}><${Text} value=${text.slice(0, shown)} /></pre>${text.length > shown && html`<p class="quiet">First ${bytesText(shown)} of ${bytesText(text.length)}. <button type="button" class="more" onClick=${() => setShown(shown * 10)}>Show more</button></p>`}</div>`;
}

/** An event's data (or metadata): a tree, hex, or what stands in its place. */
export function Payload({ event, member = 'data', open = 3, onFocusPath }) {
  if (member === 'data' && event.redacted) return html`<${Redacted} of=${event.redacted} />`;
  const base64 = event[`${member}Base64`];
  if (base64 !== undefined) return html`<${Hex} base64=${base64} />`;
  const value = event[member];
  if (value === undefined) return html`<p class="quiet">No ${member}.</p>`;
  return html`<${Tree} value=${value} label=${member === 'data' ? `Data of ${event.type}` : 'Metadata'} open=${open} onFocusPath=${onFocusPath} />`;
}
export function Redacted({ of }) {
  return html`<p class="gone">‹redacted›${' '}<span>taken out of the log${of.at && html` on <${Time} at=${of.at} show="short" />`}${of.reason && html`: <${Text} value=${of.reason} />`}. The proof that it was there is kept.</span></p>`;
}
export function Hex({ base64 }) {
  const [limit, setLimit] = useState(4096);
  const bytes = useMemo(() => bytesOf(base64), [base64]);
  if (bytes.length === 0) return html`<p class="quiet">No bytes.</p>`;
  return html`<p class="quiet">Not JSON: ${bytesText(bytes.length)}${bytes.length > limit && html`, the first ${bytesText(limit)} of them`}</p><pre class="code hex" tabindex="0" role="group" aria-label="Bytes">${hexLines(bytes, limit).join('\n')}</pre>${bytes.length > limit && html`<button type="button" class="more" onClick=${() => setLimit(limit * 8)}>Show more</button>`}`;
}
/** One line about an event's data, for tables. */
export function Line({ event, limit = 160 }) {
  if (event.redacted) return html`<span class="v-gone">‹redacted›</span>`;
  if (event.dataBase64 !== undefined) return html`<span class="quiet">${bytesText(Math.floor(event.dataBase64.length * 3 / 4))} of binary</span>`;
  if (event.data === undefined) return html`<span class="quiet">no data</span>`;
  return html`<span class="line mono"><${Text} value=${preview(gist(event.data), limit)} /></span>`;
}
/** Personal values in words, so that a line does not show how they are kept. */
function gist(value) {
  const personal = personalOf(value);
  if (personal) return personal.kind === 'opened' ? personal.value : `‹${personal.kind}›`;
  if (!isObject(value)) return value;
  const out = {};
  let n = 0;
  for (const key of Object.keys(value)) {
    if (++n > 12) break;
    out[key] = gist(value[key]);
  }
  return out;
}
export function size(event) {
  const text = textOf(event, 'data');
  return text !== undefined ? utf8Length(text) : event.dataBase64 !== undefined ? Math.floor(event.dataBase64.length * 3 / 4) : null;
}

/** Differences as a table: sign, path, before, after. */
export function Diff({ items, empty = 'No difference.', setBy }) {
  if (!items.length) return html`<p class="quiet pad">${empty}</p>`;
  const signs = { added: '+', removed: '−', changed: '~' };
  return html`<ul class="diff">${items.slice(0, 500).map(item => html`<li class=${`diff-${item.change}`}><span class="sign" aria-hidden="true">${signs[item.change]}</span><span class="offscreen">${item.change} </span><span class="key">${pathText(item.pointer)}</span>${' '}${
    item.change !== 'added' && html`<del><${Value} value=${item.before} /></del>`}${item.change === 'changed' && ' → '}${item.change !== 'removed' && html`<ins><${Value} value=${item.after} /></ins>`}${setBy?.(item)}</li>`)}${items.length > 500 && html`<li class="quiet">and ${numberText(items.length - 500)} more</li>`}</ul>`;
}

// ---- Tables ---------------------------------------------------------------------------------------------------------

/** Whether columns that are `wide` are hidden, as style.css does it: a cell over all columns must not count them. */
const query = globalThis.matchMedia?.('(max-width: 760px)');
const narrow = signal(query?.matches ?? false);
query?.addEventListener('change', () => { narrow.value = query.matches; });

/** Rows beyond this are drawn only where they are seen. */
const ALL_ROWS = 60;
/** Rows of a longer table that are drawn before it is known which are seen. */
const FIRST_ROWS = 32;
/** Rows that are kept as they were made. */
const KEPT_ROWS = 1000;
const OVERSCAN = 12;

/**
 * A table. `columns`: `[{key, label, cell(row, i), width?, align?: 'end', wide?: true (hidden on narrow screens), grow?}]`.
 * `keyOf(row)` is a row's identity; `onOpen(row)` is what Enter does; `detail(row)` is shown below a row that is open, which
 * Space toggles. `j` `k` and arrows move. Long tables are drawn in part; `height` makes it scroll by itself.
 */
export function Table(props) {
  const { columns: every, rows, keyOf, caption, onOpen, detail, rowClass, allOpen = false, keys = true, current: wanted, empty, onNearEnd, height } = props;
  const columns = isNarrow.value ? every.filter(column => !column.wide) : every;
  const [opened, setOpened] = useState(() => new Set());
  const [current, markCurrent] = useState(0);
  // Keys come faster than frames: where they are is known at once.
  const spot = useRef(0);
  const setCurrent = i => { spot.current = i; markCurrent(i); };
  const body = useRef();
  const [range, setRange] = useState([0, FIRST_ROWS]);
  const heights = useRef(new Map());
  const rowHeight = 30;
  const isOpen = row => detail && (allOpen || opened.has(keyOf(row)));
  const near = useRef(onNearEnd);
  near.current = onNearEnd;
  const tops = useMemo(() => {
    // Only open rows differ in height: without any, a row's place is a product.
    if (!detail || (!allOpen && opened.size === 0)) return null;
    const out = new Float64Array(rows.length + 1);
    rows.forEach((row, i) => { out[i + 1] = out[i] + rowHeight + (isOpen(row) ? heights.current.get(keyOf(row)) ?? 120 : 0); });
    return out;
  }, [rows, opened, allOpen, range]);
  const top = i => (tops ? tops[Math.min(i, rows.length)] : i * rowHeight);
  useLayoutEffect(() => {
    const element = body.current;
    if (!element) return undefined;
    const scroller = element.closest('.scroller');
    const measure = () => {
      for (const tr of element.querySelectorAll('tr.detail')) heights.current.set(tr.dataset.key, tr.offsetHeight);
      const box = element.getBoundingClientRect();
      const edge = scroller ? scroller.getBoundingClientRect() : { top: 0, bottom: innerHeight };
      const from = edge.top - box.top;
      const to = edge.bottom - box.top;
      let first = 0;
      let last = rows.length;
      if (rows.length > ALL_ROWS) {
        const find = y => {
          if (!tops) return Math.floor(y / rowHeight);
          let low = 0;
          let high = rows.length;
          while (low < high) { const mid = (low + high) >> 1; if (tops[mid + 1] <= y) low = mid + 1; else high = mid; }
          return low;
        };
        first = Math.max(0, find(Math.max(0, from)) - OVERSCAN);
        last = Math.min(rows.length, find(Math.max(0, to)) + OVERSCAN + 1);
      }
      setRange(before => (before[0] === first && before[1] === last ? before : [first, last]));
      if (near.current && rows.length && to > top(rows.length) - 600) near.current();
    };
    measure();
    const target = scroller ?? globalThis;
    target.addEventListener('scroll', measure, { passive: true });
    addEventListener('resize', measure);
    return () => { target.removeEventListener('scroll', measure); removeEventListener('resize', measure); };
  }, [rows, tops]);
  const focusRow = i => {
    const to = Math.max(0, Math.min(rows.length - 1, i));
    setCurrent(to);
    const scroller = body.current.closest('.scroller');
    const box = body.current.getBoundingClientRect();
    const edge = scroller ? scroller.getBoundingClientRect() : { top: 60, bottom: innerHeight };
    const y = box.top + top(to);
    const by = y < edge.top + 40 ? y - edge.top - 40 : y + rowHeight > edge.bottom - 8 ? y + rowHeight - edge.bottom + 8 : 0;
    if (by) (scroller ?? globalThis).scrollBy(0, by);
    const find = () => body.current?.querySelector(`tr[data-row="${to}"]`);
    const there = find();
    if (there) there.focus({ preventScroll: true });
    else requestAnimationFrame(() => find()?.focus({ preventScroll: true }));
  };
  const flip = row => setOpened(before => { const next = new Set(before); const key = keyOf(row); next.has(key) ? next.delete(key) : next.add(key); return next; });
  const has = rows.length > 0;
  const onRow = () => document.activeElement?.dataset?.row !== undefined && body.current?.contains(document.activeElement);
  // Arrows scroll the page unless a row has the focus.
  const mayMove = event => has && (event.key.length === 1 || onRow());
  useKeys(keys ? [
    { key: 'j', also: ['ArrowDown'], label: 'next row', run: event => (mayMove(event) ? focusRow(onRow() ? spot.current + 1 : spot.current) : false) },
    { key: 'k', also: ['ArrowUp'], label: 'previous row', run: event => (mayMove(event) ? focusRow(spot.current - 1) : false) },
    ...(onOpen ? [{ key: 'o', also: ['Enter'], label: 'open row', run: () => (has && onRow() ? onOpen(rows[spot.current]) : false) }] : []),
    ...(detail ? [{ key: 'Space', label: 'expand row', run: () => (has && onRow() ? flip(rows[spot.current]) : false) }] : []),
  ] : [], [keys, Boolean(onOpen), Boolean(detail)]);
  const [from, to] = rows.length > ALL_ROWS ? [Math.min(range[0], rows.length), Math.min(range[1], rows.length)] : [0, rows.length];
  const span = columns.filter(column => !(column.wide && narrow.value)).length + (detail ? 1 : 0);
  // What scrolling does not change is not made again: a row is the same until the table is given anew.
  const made = useRef({});
  if (made.current.props !== props || made.current.columns !== columns.length) made.current = { props, columns: columns.length, rows: new Map() };
  const reuse = (key, inputs, make) => {
    const was = made.current.rows.get(key);
    if (was && was.inputs.every((one, n) => one === inputs[n])) return was.row;
    const row = make();
    if (made.current.rows.size > KEPT_ROWS) made.current.rows.clear();
    made.current.rows.set(key, { inputs, row });
    return row;
  };
  const cells = (row, i) => columns.map(column => html`<td class=${`${column.align === 'end' ? 'end ' : ''}${column.wide ? 'wide ' : ''}${column.className ?? ''}`}>${asText(column.cell ? column.cell(row, i) : row[column.key])}</td>`);
  return html`<div class=${height ? 'table-box scroller' : 'table-box'} tabindex=${height ? 0 : undefined}><table class="table" aria-rowcount=${rows.length + 1}>
    ${caption && html`<caption class="offscreen">${visibleText(caption)}</caption>`}
    <colgroup>${detail && html`<col style=${{ width: '28px' }} />`}${columns.map(column => html`<col class=${`${column.wide ? 'wide' : ''} ${typeof column.width === 'string' ? 'share' : ''}`} style=${column.width ? { width: typeof column.width === 'number' ? `${column.width}px` : column.width } : undefined} />`)}</colgroup>
    <thead><tr>${detail && html`<th><span class="offscreen">Expand</span></th>`}${columns.map(column => html`<th scope="col" class=${`${column.align === 'end' ? 'end ' : ''}${column.wide ? 'wide' : ''}`} aria-sort=${column.sort}>${asText(column.label)}</th>`)}</tr></thead>
    <tbody ref=${body}>
      ${from > 0 && html`<tr class="spacer" key="before" aria-hidden="true"><td colspan=${span} style=${{ height: `${top(from)}px` }} /></tr>`}
      ${rows.slice(from, to).map((row, n) => {
    const i = from + n;
    const key = keyOf(row);
    const open = isOpen(row);
    return reuse(key, [i, open, i === current], () => html`<${Fragment} key=${key}><tr data-row=${i} aria-rowindex=${i + 2} tabindex=${i === current ? 0 : -1} class=${`${rowClass?.(row) ?? ''}${wanted !== undefined && wanted === key ? ' selected' : ''}`}
        aria-current=${wanted !== undefined && wanted === key ? 'true' : undefined} onFocus=${() => setCurrent(i)} onDblClick=${onOpen ? () => onOpen(row) : undefined}>
        ${detail && html`<td class="expander"><button type="button" class="twist" tabindex="-1" aria-expanded=${open ? 'true' : 'false'} aria-label=${open ? 'Collapse' : 'Expand'} onClick=${() => flip(row)}>${open ? '▾' : '▸'}</button></td>`}
        ${cells(row, i)}</tr>${open && html`<tr class="detail" data-key=${key}><td colspan=${span}>${detail(row)}</td></tr>`}</${Fragment}>`);
  })}
      ${to < rows.length && html`<tr class="spacer" key="after" aria-hidden="true"><td colspan=${span} style=${{ height: `${top(rows.length) - top(to)}px` }} /></tr>`}
    </tbody></table>${rows.length === 0 && (empty ?? html`<p class="quiet pad">Nothing.</p>`)}</div>`;
}

// ---- Charts ---------------------------------------------------------------------------------------------------------

/** A line of numbers without axes. `label` says what it shows in words. */
export function Sparkline({ values, label, width = 120, height = 24, mark }) {
  const numbers = values.map(Number).map(value => (Number.isFinite(value) ? value : null));
  const known = numbers.filter(value => value !== null);
  if (known.length < 2) return html`<span class="quiet">${known.length ? numberText(known[0]) : 'no figures yet'}</span>`;
  const low = Math.min(...known);
  const high = Math.max(...known);
  const x = i => 2 + (i * (width - 4)) / (numbers.length - 1);
  const y = value => (high === low ? height / 2 : height - 3 - ((value - low) * (height - 6)) / (high - low));
  let line = '';
  numbers.forEach((value, i) => { if (value !== null) line += `${line && numbers[i - 1] !== null ? 'L' : 'M'}${x(i).toFixed(1)} ${y(value).toFixed(1)}`; });
  return html`<svg class="spark" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img" aria-label=${label}><path d=${line} />${mark !== undefined && numbers[mark] !== null && numbers[mark] !== undefined && html`<circle cx=${x(mark)} cy=${y(numbers[mark])} r="3" />`}</svg>`;
}

/** Whether the feed is there, in words. */
export function LiveState() {
  const state = live.state.value;
  const words = { connecting: ['busy', 'connecting'], live: ['good', 'live'], lost: ['warn', `reconnecting (${live.tries.value})`], paused: ['idle', 'resting'] }[state];
  return html`<${Status} kind=${words[0]}>${words[1]}</${Status}>`;
}
