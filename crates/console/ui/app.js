// Which screen is shown, and what stands around it? The router, the rail, the bar above. What opens over it is in palette.js.
import {
  html, render, signal, effect, useState, useEffect, useLayoutEffect, useRef, useErrorBoundary,
  config, place, go, signIn, enter, leave, lookForSession, routeOf, useQuery, useKeys, onKey, toasts, toast, spoken, startLive, live, copy,
  theme, zone, browserZone, comfortable, railOpen, now, visibleText, durationText,
} from './core.js';
import { Text, Icon, Kbd, LiveState, Notice, ProblemNotice, Loading, Page } from './widgets.js';

// ---- Routes: pattern, screen's file, entry of the rail ----------------------------------------------------------------

const ROUTES = [
  ['/ui', 'overview', 'overview'],
  ['/ui/streams', 'streams', 'streams'],
  ['/ui/streams/{stream}', 'stream', 'streams'],
  ['/ui/streams/{stream}/state', 'state', 'streams'],
  ['/ui/streams/{stream}/{revision}', 'event', 'streams'],
  ['/ui/events', 'events', 'events'],
  ['/ui/events/{id}', 'event', 'events'],
  ['/ui/correlations', 'correlation', 'correlations'],
  ['/ui/correlations/{id}', 'correlation', 'correlations'],
  ['/ui/compare', 'compare', 'streams'],
  ['/ui/projections', 'projections', 'projections'],
  ['/ui/projections/{name}', 'projections', 'projections'],
  ['/ui/subscriptions', 'subscriptions', 'subscriptions'],
  ['/ui/subscriptions/{source}/{group}', 'subscriptions', 'subscriptions'],
  ['/ui/processes', 'processes', 'processes'],
  ['/ui/processes/{process}/{id}', 'processes', 'processes'],
  ['/ui/schemas', 'schemas', 'schemas'],
  ['/ui/schemas/{type}', 'schemas', 'schemas'],
  ['/ui/privacy', 'privacy', 'privacy'],
  ['/ui/privacy/receipts', 'privacy', 'privacy'],
  ['/ui/privacy/receipts/{receipt}', 'privacy', 'privacy'],
  ['/ui/privacy/{subject}', 'privacy', 'privacy'],
  ['/ui/query', 'query', 'query'],
  ['/ui/system', 'system', 'system'],
  ['/ui/system/{part}', 'system', 'system'],
];

/** Entries of the rail: name, address, label, key after `g`. */
const RAIL = [
  ['overview', '/ui/', 'Overview', 'o'], ['streams', '/ui/streams', 'Streams', 's'], ['events', '/ui/events', 'Events', 'e'],
  ['correlations', '/ui/correlations', 'Correlations', 'c'], ['projections', '/ui/projections', 'Projections', 'p'],
  ['subscriptions', '/ui/subscriptions', 'Subscriptions', 'u'], ['processes', '/ui/processes', 'Processes', 'r'],
  ['schemas', '/ui/schemas', 'Schemas', 'a'], ['privacy', '/ui/privacy', 'Privacy', 'v'], ['system', '/ui/system/storage', 'System', 'y'],
];

// ---- Screens --------------------------------------------------------------------------------------------------------

const loaded = signal(new Map());
const failed = signal(new Map());
function load(name) {
  if (loaded.peek().has(name) || failed.peek().has(name)) return undefined;
  return import(`./screens/${name}.js`).then(
    module => { loaded.value = new Map(loaded.value).set(name, module.default); },
    error => { failed.value = new Map(failed.value).set(name, error); },
  );
}

// The screen's file is asked for before anything is drawn.
const begin = routeOf(place.value.pathname, ROUTES)?.route[1];
const firstScreen = begin && load(begin);
/** How long the first sight of the page waits for its screen, in milliseconds. */
const PATIENCE = 80;
/** How long the pointer or the focus rests on a link before its card comes, in milliseconds. */
const CARD_AFTER = 400;
/** When the palette is fetched by itself, in milliseconds after the first sight. */
const PALETTE_AFTER = 400;

/** What is open over the page: `find` or `help`. */
const over = signal(null);
const palette = signal(null);
const loadPalette = () => palette.peek() ?? import('./palette.js').then(module => { palette.value = module; }, () => toast('The server may have been updated: load this page anew', 'error'));
function openOver(name) {
  over.value = over.value === name ? null : name;
  loadPalette();
}

function Shell() {
  const found = routeOf(place.value.pathname, ROUTES);
  const name = found?.route[1];
  useEffect(() => { if (name) load(name); }, [name]);
  useShellKeys();
  const screen = loaded.value.get(name);
  const key = place.value.pathname;
  // Who was signed in keeps the page, with all that is typed into it.
  const wanted = signIn.wanted.value;
  const again = wanted && signIn.login.value;
  if (wanted && !again) return html`<main class="sign-in"><${SignIn} /></main>`;
  return html`
    <a class="skip" href="#main" onClick=${event => { event.preventDefault(); document.getElementById('main').focus(); }}>Skip to content</a>
    ${config.environment && html`<header class=${`environment ${config.production ? 'production' : ''}`}><${Text} value=${config.environment} />${config.readOnly && ' (read only)'}</header>`}
    <div class=${railOpen.value ? 'shell' : 'shell narrow'}>
      <${Rail} current=${found?.route[2]} />
      <div class="content">
        <${TopBar} />
        <${Connection} />
        <main id="main" tabindex="-1">
          ${!found ? html`<${Nowhere} />`
    : failed.value.has(name) ? html`<${Outdated} error=${failed.value.get(name)} />`
      : !screen ? html`<${Loading} on=${false} />`
        : html`<${Guard} key=${key} screen=${screen} params=${found.params} name=${name} />`}
        </main>
      </div>
    </div>
    <div class="toasts" aria-live="polite">${toasts.value.map(one => html`<div key=${one.id} class=${`toast ${one.kind}`}>${one.text}</div>`)}</div>
    <div class="offscreen" aria-live="polite" id="spoken">${spoken.value}</div>
    ${over.value && palette.value && html`<${over.value === 'find' ? palette.value.Omnibox : palette.value.Help} rail=${RAIL} commands=${COMMANDS} onClose=${closeOver} />`}
    ${again && html`<${SignInAgain} />`}`;
}

/** A screen that throws leaves the rest of the page alive. */
function Guard({ screen, params, name }) {
  const [error, reset] = useErrorBoundary(problem => console.warn(`the screen ${name} failed:`, problem));
  const known = screen.query ?? NONE;
  const [query, set, bad] = useQuery(known);
  const title = typeof screen.title === 'function' ? screen.title({ params, query }) : screen.title;
  useEffect(() => { document.title = `${visibleText(title)} · Factum`; }, [title]);
  useLayoutEffect(() => { addMark(name); }, []);
  if (error) return html`<${Page} title="This page failed"><${ProblemNotice} error=${error} retry=${reset} /></${Page}>`;
  return html`${bad.length > 0 && html`<${Notice} kind="warn" title="Part of the address is not understood">${bad.join(', ')}: the default is used.</${Notice}>`}
    <${screen.Screen} params=${params} query=${query} set=${set} />`;
}
const NONE = {};
const addMark = name => performance.mark(`screen:${name}`);

/** Asks for a name and a password. They go to this server only, and are kept nowhere. */
function SignIn({ login = '' }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async event => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    try { await enter(form.get('login'), form.get('password')); } catch (failure) { setError(failure); }
    setBusy(false);
  };
  return html`<form class="form" onSubmit=${submit}>${login ? html`<h2 id="sign-in">Sign in again</h2>` : html`<h1>Sign in to Factum</h1>`}
    ${config.environment && html`<p class="quiet"><${Text} value=${config.environment} /></p>`}
    ${login && html`<p>The session has ended. The page stays as it is.</p>`}
    <label>Name<input type="text" name="login" autocomplete="username" required autofocus=${!login} defaultValue=${login} /></label>
    <label>Password<input type="password" name="password" autocomplete="current-password" required autofocus=${Boolean(login)} /></label>
    ${error && html`<p class="v-gone" role="alert"><${Text} value=${error.message} /></p>`}
    <div class="actions end">${login && html`<button type="button" onClick=${() => location.reload()}>As somebody else</button>`}<button type="submit" class="primary" disabled=${busy}>Sign in</button></div>
    ${!login && html`<p class="quiet">A user of the store. The first start of the server shows the passwords of admin and ops.</p>`}</form>`;
}
/** Over the page, and not to be passed by. */
function SignInAgain() {
  const ref = useRef();
  useEffect(() => { ref.current.showModal(); return () => ref.current?.close(); }, []);
  return html`<dialog ref=${ref} class="sign-in-again" aria-labelledby="sign-in" onCancel=${event => event.preventDefault()}><${SignIn} login=${signIn.login.value} /></dialog>`;
}

function Nowhere() {
  return html`<${Page} title="No such page" sentence="Nothing of the console is at this address."><p><a class="link" href="/ui/">Overview</a></p></${Page}>`;
}
function Outdated({ error }) {
  return html`<${Page} title="This page could not be loaded" sentence="The server may have been updated since this page was opened, or it may be away.">
    <p><button type="button" class="primary" onClick=${() => location.reload()}>Load anew</button></p><p class="quiet"><${Text} value=${error.message} /></p></${Page}>`;
}

// ---- Around the screens ---------------------------------------------------------------------------------------------

function Rail({ current }) {
  const [open, setOpen] = useState(false);
  useEffect(() => { setOpen(false); }, [place.value]);
  const entries = html`<ul>${RAIL.map(([name, url, label, key]) => html`<li><a href=${url} aria-current=${name === current ? 'page' : undefined} title=${`${label} (g ${key})`}><${Icon} name=${name} /><span class="rail-label">${label}</span></a></li>`)}</ul>`;
  return html`<nav class=${open ? 'rail open' : 'rail'} aria-label="Main">
    <div class="rail-head"><a class="brand" href="/ui/"><svg class="logo" viewBox="0 0 16 16" aria-hidden="true"><path d="M2 3h12v2H2zm0 4h9v2H2zm0 4h6v2H2z" /></svg><span class="rail-label">Factum</span></a>
      <button type="button" class="icon-button rail-menu" aria-expanded=${open ? 'true' : 'false'} aria-label="Menu" onClick=${() => setOpen(!open)}><${Icon} name="menu" /></button></div>
    ${entries}
    <button type="button" class="icon-button rail-fold" aria-label=${railOpen.value ? 'Collapse the menu' : 'Expand the menu'} title=${railOpen.value ? 'Collapse' : 'Expand'} onClick=${() => { railOpen.value = !railOpen.value; }}><${Icon} name=${railOpen.value ? 'fold' : 'unfold'} /></button>
  </nav>`;
}

function TopBar() {
  return html`<div class="topbar" role="region" aria-label="Search and settings">
    <button type="button" class="omni-button" onClick=${() => openOver('find')}><${Icon} name="search" /><span>Find a stream, event, id, time…</span><${Kbd}>Ctrl K</${Kbd}></button>
    <span class="grow" />
    <${LiveState} />
    ${signIn.login.value ? html`<button type="button" class="quiet-button" title=${`Signed in as ${visibleText(signIn.login.value)}`} onClick=${leave}>Sign out</button>`
    : signIn.asks.value && html`<button type="button" class="quiet-button" onClick=${() => { signIn.wanted.value = new Error('You are not signed in'); }}>Sign in</button>`}
    <button type="button" class="quiet-button" title="Time zone (z)" onClick=${nextZone}>${zone.value === 'UTC' ? 'UTC' : zone.value.split('/').pop().replaceAll('_', ' ')}</button>
    <button type="button" class="icon-button" aria-label=${`Theme: ${theme.value}`} title=${`Theme: ${theme.value} (t)`} onClick=${nextTheme}><${Icon} name="sun" /></button>
    <button type="button" class="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick=${() => openOver('help')}><${Icon} name="help" /></button>
  </div>`;
}

/** Says so when the feed is lost for longer than a blink, and what is shown meanwhile. */
function Connection() {
  const since = useRef(0);
  if (live.state.value !== 'lost') { since.current = 0; return null; }
  since.current ||= Date.now();
  if (now.value - since.current < 2500) return null;
  return html`<${Notice} kind="warn" title="Reconnecting">The live feed is away for ${durationText(now.value - since.current)} (attempt ${live.tries.value}). What you see stays, and may be old.</${Notice}>`;
}

const closeOver = () => { over.value = null; };
const nextTheme = () => { theme.value = { system: 'light', light: 'dark', dark: 'system' }[theme.value] ?? 'system'; };
const nextZone = () => { zone.value = zone.value === 'UTC' ? browserZone() : 'UTC'; };

const COMMANDS = [['Switch theme', nextTheme], ['Switch time zone', nextZone], ['Copy the address of this view', () => copy(location.href, 'Address copied')], ['Keyboard shortcuts', () => openOver('help')]];

function useShellKeys() {
  useKeys([
    { key: 'Ctrl+k', also: ['/'], label: 'find anything', group: 'Everywhere', run: () => openOver('find') },
    { key: '?', label: 'these shortcuts', group: 'Everywhere', run: () => openOver('help') },
    { key: 't', label: 'theme: system, light, dark', group: 'Everywhere', run: nextTheme },
    { key: 'z', label: 'times in UTC or local', group: 'Everywhere', run: nextZone },
    ...(signIn.login.value ? [{ key: 'g q', label: 'sign out', group: 'Everywhere', run: leave }] : []),
    { key: 'c l', label: 'copy the address of this view', group: 'Everywhere', run: () => { copy(location.href, 'Address copied'); } },
    { key: 'c c', label: 'copy as curl', group: 'Everywhere', run: () => { copy(`curl '${location.origin}/v1${location.pathname.slice(3).replace(/\/$/, '/overview')}${location.search}'`, 'curl copied'); } },
    ...RAIL.map(([, url, label, key]) => ({ key: `g ${key}`, label: `go to ${label}`, group: 'Go to', run: () => { go(url); } })),
  ]);
}

// ---- Begin ----------------------------------------------------------------------------------------------------------

/** Links within the console do not load the page anew. */
document.addEventListener('click', event => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.('a[href]');
  if (!link || link.target || link.hasAttribute('download')) return;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin || !/^\/ui(\/|$)/.test(url.pathname) || (url.hash && url.pathname === location.pathname)) return;
  event.preventDefault();
  const before = location.pathname;
  go(url.href);
  if (url.pathname !== before) { scrollTo(0, 0); document.getElementById('main')?.focus({ preventScroll: true }); }
});
document.addEventListener('keydown', onKey);

// Links of the page have cards: after a rest of the pointer on them, or of the focus that came by a key.
let cards = null;
let resting = 0;
const linkOf = event => event.target.closest?.('main a[href^="/ui/"]:not(.button), dialog a[href^="/ui/"]:not(.button)');
const rest = link => {
  clearTimeout(resting);
  resting = setTimeout(async () => { (cards ??= await import('./cards.js').catch(() => null))?.show(link); }, CARD_AFTER);
};
const unrest = link => { if (link) { clearTimeout(resting); cards?.leaveSoon(); } };
document.addEventListener('pointerover', event => { const link = event.pointerType !== 'touch' && linkOf(event); if (link) rest(link); });
document.addEventListener('pointerout', event => { const link = linkOf(event); if (link && !link.contains(event.relatedTarget)) unrest(link); });
document.addEventListener('focusin', event => { const link = linkOf(event); if (link?.matches(':focus-visible')) rest(link); });
document.addEventListener('focusout', event => unrest(linkOf(event)));

// Back comes to where one was, also when the rows come later than the page.
history.scrollRestoration = 'manual';
const places = new Map();
let entry = 0;
history.replaceState({ entry }, '');
const push = history.pushState.bind(history);
const replace = history.replaceState.bind(history);
history.pushState = (state, title, url) => { places.set(entry, scrollY); entry = Date.now() + Math.random(); push({ entry }, title, url); };
history.replaceState = (state, title, url) => replace({ entry }, title, url);
addEventListener('popstate', event => {
  places.set(entry, scrollY);
  entry = event.state?.entry ?? 0;
  const wanted = places.get(entry) ?? 0;
  const until = performance.now() + 1500;
  const attempt = () => {
    scrollTo(0, wanted);
    if (Math.abs(scrollY - wanted) > 2 && performance.now() < until) requestAnimationFrame(attempt);
  };
  requestAnimationFrame(attempt);
});

effect(() => {
  const root = document.documentElement;
  if (theme.value === 'system') delete root.dataset.theme; else root.dataset.theme = theme.value;
  if (comfortable.value) root.dataset.comfortable = ''; else delete root.dataset.comfortable;
});
let isDrawn = false;
function draw() {
  if (isDrawn) return;
  isDrawn = true;
  render(html`<${Shell} />`, document.getElementById('app'));
  startLive();
  // Who opens it types at once: it is there by then.
  setTimeout(loadPalette, PALETTE_AFTER);
}
lookForSession();
document.addEventListener('visibilitychange', () => { if (!document.hidden && signIn.wanted.peek()) lookForSession(); });
// The page is drawn once, with its screen; where that is late, first without it.
if (firstScreen) firstScreen.then(draw, draw);
setTimeout(draw, firstScreen ? PATIENCE : 0);
