// What opens over a page when somebody asks for it: the box that finds anything, and the keys with the settings.
// Fetched when the page stands, so that its first sight does not wait for it.
import {
  html, useState, useEffect, useRef, useMemo, bindings, api, copy, recent, go, comfortable, letterKeys, zone, browserZone, queryString,
} from './core.js';
import { Text, Kbd, Dialog } from './widgets.js';

/** Pages that the omnibox knows beside those of the rail. */
const PAGES = [['Compare streams', '/ui/compare'], ['Live tail', '/ui/events?live=1'], ['Receipts of erasure', '/ui/privacy/receipts'], ['Configuration', '/ui/system/config'], ['Manual', '/docs/'], ['API reference', '/docs/api']];

// ---- Help -----------------------------------------------------------------------------------------------------------

export function Help({ onClose }) {
  const groups = new Map();
  for (const one of bindings.value) {
    if (!one.label) continue;
    const group = one.group ?? 'This page';
    if (!groups.has(group)) groups.set(group, new Map());
    groups.get(group).set(one.key, one);
  }
  const order = ['This page', 'Everywhere', 'Go to'];
  return html`<${Dialog} title="Keyboard shortcuts" className="help" onClose=${onClose}>
    <div class="help-groups">${[...groups].sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0])).map(([group, list]) => html`<section><h3>${group}</h3><dl class="keys">${[...list.values()].map(one => html`<div><dt>${[one.key, ...one.also ?? []].map((key, i) => html`${i > 0 && ' '}${key.split(' ').map(part => html`<${Kbd}>${KEY_NAMES[part] ?? (/^[A-Z]$/.test(part) ? `Shift ${part}` : part)}</${Kbd}>`)}`)}</dt><dd>${one.label}</dd></div>`)}</dl></section>`)}</div>
    <div class="help-foot">
      <label class="check"><input type="checkbox" checked=${letterKeys.value} onChange=${event => { letterKeys.value = event.target.checked; }} /> Single letters are shortcuts</label>
      <label class="check"><input type="checkbox" checked=${comfortable.value} onChange=${event => { comfortable.value = event.target.checked; }} /> Comfortable spacing</label>
      <label>Time zone <input type="text" list="zones" value=${zone.value} onChange=${event => { if (isZone(event.target.value)) zone.value = event.target.value; else event.target.value = zone.value; }} /></label>
      <datalist id="zones">${['UTC', ...new Set([browserZone(), ...Intl.supportedValuesOf?.('timeZone') ?? []])].map(name => html`<option value=${name} />`)}</datalist>
    </div>
  </${Dialog}>`;
}
const KEY_NAMES = { ArrowDown: '↓', ArrowUp: '↑', ArrowLeft: '←', ArrowRight: '→', 'Shift+ArrowLeft': 'Shift ←', 'Shift+ArrowRight': 'Shift →', 'Ctrl+k': 'Ctrl K' };
function isZone(name) {
  try { new Intl.DateTimeFormat('en', { timeZone: name }); return true; } catch { return false; }
}

// ---- The omnibox ----------------------------------------------------------------------------------------------------

const KIND_NAMES = { stream: 'Streams', event: 'Events', type: 'Types', category: 'Categories', correlation: 'Correlations', position: 'Positions', time: 'Times', subject: 'Data subjects', page: 'Pages', command: 'Commands', recent: 'Recent' };

/** `rail`: entries of the rail. `commands`: `[[label, run], ...]`. */
export function Omnibox({ rail, commands: all, onClose: close }) {
  const [text, setText] = useState('');
  const [found, setFound] = useState({ of: '', items: [], error: null });
  const [chosen, setChosen] = useState(0);
  const list = useRef();
  useEffect(() => {
    const q = text.trim();
    setChosen(0);
    if (!q) { setFound({ of: '', items: [], error: null }); return undefined; }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      api(`/v1/resolve${queryString({ q })}`, { signal: stop.signal }).then(
        answer => setFound({ of: q, items: answer.items ?? [], error: null }),
        error => { if (error.name !== 'AbortError') setFound({ of: q, items: [], error }); },
      );
    }, 80);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [text]);
  const options = useMemo(() => {
    const q = text.trim().toLowerCase();
    const has = label => !q || label.toLowerCase().includes(q);
    const pages = [...rail.map(([, url, label]) => [label, url]), ...PAGES].filter(([label]) => has(label)).map(([label, url]) => ({ kind: 'page', label, url }));
    const commands = all.filter(([label]) => has(label)).map(([label, run]) => ({ kind: 'command', label, run }));
    const seen = q ? [] : recent.value.map(one => ({ kind: 'recent', ...one }));
    return [...found.items, ...seen, ...(q ? [...pages, ...commands] : pages.slice(0, 10))];
  }, [text, found]);
  const open = option => { close(); if (option.run) option.run(); else go(option.url); };
  const onKeyDown = event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) { event.preventDefault(); setChosen((chosen + step + options.length) % options.length); }
    else if (event.key === 'Enter') { event.preventDefault(); if (options[chosen]) open(options[chosen]); }
  };
  useEffect(() => { list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' }); }, [chosen]);
  let last = null;
  return html`<${Dialog} title="Find" className="omni" onClose=${close}>
    <input type="text" role="combobox" aria-expanded="true" aria-controls="omni-list" aria-activedescendant=${options.length ? `omni-${chosen}` : undefined} aria-label="Find a stream, event id, position, correlation, type, time or page" autocomplete="off" spellcheck="false" autofocus
      placeholder="Paste or type: a stream, an id, a position, a time, a type…" value=${text} onInput=${event => setText(event.target.value)} onKeyDown=${onKeyDown} />
    <ul id="omni-list" role="listbox" aria-label="Found" ref=${list}>${options.map((option, i) => {
    const heads = option.kind !== last;
    last = option.kind;
    return html`${heads && html`<li role="presentation" class="omni-group">${KIND_NAMES[option.kind] ?? option.kind}</li>`}<li id=${`omni-${i}`} role="option" aria-selected=${i === chosen ? 'true' : 'false'} onPointerMove=${() => i !== chosen && setChosen(i)} onClick=${() => open(option)}><${Text} value=${option.label} clip=${90} /></li>`;
  })}</ul>
    ${options.length === 0 && html`<p class="quiet pad">Nothing is called that.</p>`}
    ${found.error && html`<p class="quiet pad">The server could not search: <${Text} value=${found.error.message} /></p>`}
  </${Dialog}>`;
}
