// What is this event, what caused it, what did it do?
import {
  html, api, useApi, useEffect, useMemo, useRef, useState, useKeys, path, go, queryString, copy, visited, printJson, textOf, diffValues, applyPatch, clone, visibleText, plural, numberText, toast, shellQuote, personalOf, isContainer,
} from '../core.js';
import { Page, Section, Remote, Tabs, Text, Type, Time, Ago, Num, Bytes, Payload, Raw, Hex, Redacted, Diff, Facts, Menu, Notice, ProblemNotice, Loading, CopyButton, StreamLink, EventLink, CorrelationLink, size, urls } from '../widgets.js';

const TABS = ['data', 'upcasted', 'metadata', 'raw', 'cloudevent'];
const SCOPES = ['stream', 'category', 'correlation', 'log'];
const QUERY = { tab: { default: 'data', read: text => (TABS.includes(text) ? text : undefined) }, scope: { default: 'stream', read: text => (SCOPES.includes(text) ? text : undefined) }, open: false };

function Screen({ params, query, set }) {
  const url = params.id !== undefined ? path`/v1/events/${params.id}` : path`/v1/streams/${params.stream}/events/${params.revision}` + queryString({ personal: query.open ? 'open' : null, upcast: 'true' });
  const answer = useApi(url);
  const event = answer.data;
  useEffect(() => {
    if (!event) return;
    const own = urls.event(event.stream, event.revision);
    if (params.id !== undefined) go(own, { replace: true });
    else visited(`${event.stream} #${event.revision} ${event.type}`, own);
  }, [event]);
  if (answer.error && query.open && params.id === undefined) {
    return html`<${Page} title="Personal values stay sealed" kicker="Event"><${ProblemNotice} error=${answer.error} /><p><button type="button" onClick=${() => set({ open: false })}>Show the event with them sealed</button></p></${Page}>`;
  }
  if (answer.error && !event) {
    return html`<${Page} title=${params.id !== undefined ? html`Event <${Text} value=${params.id} clip=${40} />` : html`<${Text} value=${params.stream} clip=${60} /> #<${Text} value=${params.revision} clip=${20} />`} kicker="Event">
      <${ProblemNotice} error=${answer.error} retry=${answer.reload} />${params.stream !== undefined && html`<p><${StreamLink} stream=${params.stream} /></p>`}</${Page}>`;
  }
  if (!event || params.id !== undefined) return html`<${Loading} on=${answer.loading} slow=${answer.slow} what="the event" first />`;
  return html`<${Event} event=${event} query=${query} set=${set} />`;
}

function Event({ event, query, set }) {
  const { stream, revision } = event;
  const effects = useApi(path`/v1/events/${event.id}/effects`);
  const info = useApi(path`/v1/streams/${stream}`);
  const head = info.data?.lastRevision;
  const raw = textOf(event, 'data');
  const [busy, setBusy] = useState(false);
  const move = async direction => {
    if (busy) return;
    setBusy(true);
    try {
      const next = await neighbour(event, query.scope, direction);
      if (next) go(urls.event(next.stream, next.revision) + (query.tab === 'data' && query.scope === 'stream' ? '' : queryString({ tab: query.tab === 'data' ? null : query.tab, scope: query.scope === 'stream' ? null : query.scope })));
      else toast(direction > 0 ? `Nothing after it in the ${query.scope}` : `Nothing before it in the ${query.scope}`);
    } catch (error) { toast(error.message, 'error'); }
    setBusy(false);
  };
  const copyCloudEvent = () => api(path`/v1/streams/${stream}/events/${revision}`, { accept: 'application/cloudevents+json', asText: true }).then(text => copy(text, 'CloudEvent copied'), error => toast(error.message, 'error'));
  /** The event as the past of a test in Rust, or all of its stream up to it. */
  const copyFixture = async whole => {
    try {
      const { rustFixture, MOST } = await import('../fixture.js');
      const from = whole ? Math.max(0, Number(revision) - MOST + 1) : Number(revision);
      const items = whole ? [] : [event];
      // Big events come in several answers.
      for (let next = whole && path`/v1/streams/${stream}/events` + queryString({ from: String(from), limit: MOST }); next;) {
        const page = await api(next);
        items.push(...page.items.filter(one => Number(one.revision) <= Number(revision)));
        next = page.items.length && Number(page.items[page.items.length - 1].revision) < Number(revision) ? page.page?.next : null;
      }
      copy(rustFixture(items, { missing: Number(items[0].revision) }), `Fixture of ${plural(items.length, 'event')} copied`);
    } catch (error) { toast(error.message, 'error'); }
  };
  const text = () => raw ?? (event.dataBase64 !== undefined ? event.dataBase64 : '');
  useKeys([
    { key: '[', label: 'event before', run: () => { move(-1); } }, { key: ']', label: 'event after', run: () => { move(1); } },
    { key: 's', label: 'state through time', run: () => go(urls.state(stream, revision)) },
    { key: 'c e', label: 'copy the data', run: () => { copy(text(), 'Data copied'); } },
    { key: 'c r', label: 'copy as a Rust fixture', run: () => { copyFixture(false); } },
  ]);
  // Of an event of today there is nothing else to see.
  const isOld = event.upcasted && (event.upcasted.steps.length > 0 || event.upcasted.error !== undefined);
  const tabs = [{ id: 'data', label: isOld ? 'As stored' : 'Data' }, ...(isOld || query.tab === 'upcasted' ? [{ id: 'upcasted', label: 'After upcasting' }] : []), { id: 'metadata', label: 'Metadata' }, { id: 'raw', label: 'Raw' }, { id: 'cloudevent', label: 'CloudEvent' }];
  const ndjson = () => `{"type":${JSON.stringify(event.type)},"id":${JSON.stringify(event.id)},"contentType":${JSON.stringify(event.contentType)},${raw !== undefined ? `"data":${raw}` : `"dataBase64":${JSON.stringify(event.dataBase64 ?? '')}`}${textOf(event, 'metadata') ? `,"metadata":${textOf(event, 'metadata')}` : ''}}`;
  return html`<${Page} kicker=${html`Event #${revision} of <${StreamLink} stream=${stream} />`} title=${html`<${Type} type=${event.type} clip=${80} />`}
    sentence=${html`Recorded at <${Time} at=${event.time} show="exact" />, <${Ago} at=${event.time} />.`}
    actions=${html`
      <span class="stepper"><button type="button" title="Before ([)" disabled=${busy || (query.scope === 'stream' && Number(revision) === 0)} onClick=${() => move(-1)}>Before</button><button type="button" title="After (])" disabled=${busy || (query.scope === 'stream' && head !== undefined && Number(revision) >= Number(head))} onClick=${() => move(1)}>After</button>
      <select aria-label="Before and after in" value=${query.scope} onChange=${change => set({ scope: change.target.value })}>${SCOPES.filter(one => one !== 'correlation' || event.correlationId).map(one => html`<option value=${one}>in the ${one}</option>`)}</select></span>
      ${(query.open || hasSealed(event.data)) && html`<button type="button" aria-pressed=${query.open ? 'true' : 'false'} title="Administrators may see personal values" onClick=${() => set({ open: !query.open }, { push: true })}>Open personal values</button>`}
      <a class="button" href=${urls.state(stream, revision)} title="State through time (s)">State here</a>
      <${Menu} label="Copy as" items=${[
    { label: 'Link', run: () => copy(location.href, 'Address copied') }, { label: 'Data, as stored', run: () => copy(text(), 'Data copied') },
    { label: 'curl', run: () => copy(`curl '${location.origin}${path`/v1/streams/${stream}/events/${revision}`}'`, 'curl copied') },
    { label: 'Command line', run: () => copy(`factum event ${shellQuote(`${stream}@${revision}`)}`, 'Command copied') },
    { label: 'CloudEvent', run: copyCloudEvent }, { label: 'NDJSON line', run: () => copy(ndjson(), 'Line copied') },
    { label: 'Rust fixture', run: () => copyFixture(false), key: 'c r' }, { label: `Rust fixture, #0 to #${revision}`, run: () => copyFixture(true), disabled: Number(revision) === 0 },
    { label: 'Id', run: () => copy(event.id, 'Id copied') },
  ]} />`}>
    <div class="columns">
      <div>
        <${Tabs} tabs=${tabs} current=${query.tab} onChange=${tab => set({ tab })} label="Parts of the event" />
        <div role="tabpanel" aria-label=${query.tab} class="event-body">
          ${query.tab === 'data' && html`<${Payload} event=${event} />`}
          ${query.tab === 'upcasted' && html`<${Upcast} event=${event} />`}
          ${query.tab === 'metadata' && html`<${Payload} event=${event} member="metadata" />`}
          ${query.tab === 'raw' && html`<${RawPart} event=${event} raw=${raw} />`}
          ${query.tab === 'cloudevent' && html`<${CloudEvent} event=${event} />`}
        </div>
        <${Changed} event=${event} />
      </div>
      <div>
        <${Section} title="Facts"><${Facts} facts=${[
    ['id', html`<code>${visibleText(event.id)}</code><${CopyButton} text=${event.id} label="Copy the id" />`],
    ['stream', html`<${StreamLink} stream=${stream} />`], ['revision', html`<${Num} value=${revision} />`], ['position', html`<${Num} value=${event.position} />`],
    ['recorded', html`<${Time} at=${event.time} show="exact" />`], event.occurredTime && ['occurred', html`<${Time} at=${event.occurredTime} show="exact" />`],
    ['type', html`<a class="link" href=${urls.type(event.type)}><${Text} value=${event.type} clip=${48} /></a>`],
    ['schema version', html`<a class="link" href=${urls.schema(event.type)}><${Num} value=${event.schemaVersion} /></a>`], ['content type', visibleText(String(event.contentType ?? 'unknown'))], ['size', html`<${Bytes} value=${size(event)} />`],
    event.tags?.length && ['tags', event.tags.map((tag, i) => html`${i ? ', ' : ''}<${Text} value=${tag} clip=${40} />`)],
    ['correlation', event.correlationId ? html`<${CorrelationLink} id=${event.correlationId} />` : html`<span class="quiet">none</span>`],
    ['cause', event.causationId ? html`<a class="link mono" href=${urls.eventId(event.causationId)}><${Text} value=${event.causationId} clip=${36} /></a>` : html`<span class="quiet">none: it begins something</span>`],
    event.appendId && ['append', html`<code>${visibleText(event.appendId)}</code>`],
    event.link && ['reached by', html`<${EventLink} stream=${event.link.stream} revision=${event.link.revision} />`],
  ]} /></${Section}>
        <${Section} title=${effects.data ? `Caused ${plural(effects.data.items.length, 'event')}` : 'Caused'}>
          <${Remote} of=${effects} what="what it caused">${data => (data.items.length ? html`<ul class="effects">${data.items.slice(0, 100).map(one => html`<li><${Type} type=${one.type} clip=${28} /> <${EventLink} stream=${one.stream} revision=${one.revision} /></li>`)}</ul>` : html`<p class="quiet">Nothing names it as its cause.</p>`)}</${Remote}>
        </${Section}>
      </div>
    </div>
  </${Page}>`;
}

/** Whether there is a sealed value anywhere in it. */
function hasSealed(value) {
  const personal = personalOf(value);
  if (personal) return personal.kind === 'sealed';
  return isContainer(value) && Object.values(value).some(hasSealed);
}

/** What the application's upcasters make of a stored event, step by step; `event.upcasted` is the server's answer. */
function Upcasting({ event }) {
  const { upcasted } = event;
  if (!upcasted) return html`<p class="quiet">${upcasted === null ? 'The application does not know this type: no upcaster is about it.' : 'This server was not given the types of the application, so it knows no upcaster.'}</p>`;
  let before = event.data;
  const steps = upcasted.steps.map(step => {
    const items = diffValues(before, step.data);
    before = step.data;
    return html`<li class="upcast-step"><p class="upcast-title">v${step.from} → v${step.to}</p>${step.does.length > 0 && html`<p class="quiet">${step.does.map((one, i) => html`${i ? '; ' : ''}<${Text} value=${one} clip=${200} />`)}</p>`}<${Diff} items=${items} empty="It leaves this one as it is." /></li>`;
  });
  return html`${steps.length > 0 && html`<ol class="upcast-steps">${steps}</ol>`}
    ${upcasted.error !== undefined ? html`<${Notice} kind="bad" title="The application cannot read it"><${Text} value=${upcasted.error} clip=${600} /></${Notice}>`
    : steps.length === 0 && html`<p class="quiet">It is of the current version, v${upcasted.schemaVersion}: the application reads it as it is stored.</p>`}`;
}

/** As the application reads it today: what it becomes, and how. */
function Upcast({ event }) {
  const { upcasted } = event;
  return html`${upcasted?.data !== undefined && upcasted.steps.length > 0 && html`<p class="quiet">The application reads it as ${upcasted.type} v${upcasted.schemaVersion}. What is stored stays as it is.</p><${Payload} event=${{ type: upcasted.type, data: upcasted.data }} />`}<${Upcasting} event=${event} />`;
}

function RawPart({ event, raw }) {
  if (event.redacted) return html`<${Redacted} of=${event.redacted} />`;
  if (raw === undefined) return event.dataBase64 !== undefined ? html`<${Hex} base64=${event.dataBase64} />` : html`<p class="quiet">No data.</p>`;
  return html`<${Raw} text=${raw} label="Data as stored" />${textOf(event, 'metadata') && html`<h3>Metadata</h3><${Raw} text=${textOf(event, 'metadata')} label="Metadata as stored" />`}`;
}

function CloudEvent({ event }) {
  const [found, setFound] = useState({});
  useEffect(() => {
    const stop = new AbortController();
    api(path`/v1/streams/${event.stream}/events/${event.revision}`, { accept: 'application/cloudevents+json', asText: true, signal: stop.signal }).then(text => setFound({ text }), error => { if (error.name !== 'AbortError') setFound({ error }); });
    return () => stop.abort();
  }, [event.id]);
  if (found.error) return html`<${ProblemNotice} error=${found.error} />`;
  return found.text === undefined ? html`<${Loading} on what="the CloudEvent" />` : html`<${Raw} text=${found.text} label="CloudEvent" />`;
}

/** Bytes of data from which what it changed is not asked for by itself: the answer is as big again, twice. */
const HEAVY = 1_000_000;
/** What the event did to the state: the step of history at its revision. */
function Changed({ event }) {
  const [wanted, want] = useState(() => (size(event) ?? 0) < HEAVY);
  const answer = useApi(wanted ? path`/v1/streams/${event.stream}/history` + queryString({ from: String(event.revision), limit: 1, fold: 'default' }) : null);
  const items = useMemo(() => {
    const step = answer.data?.steps?.[0];
    if (!step || String(step.revision) !== String(event.revision)) return null;
    const before = answer.data.base?.state ?? {};
    return { items: diffValues(before, applyPatch(clone(before), step.patch)), skipped: step.skipped, error: step.error, fold: answer.data.fold };
  }, [answer.data]);
  return html`<${Section} title=${items && !items.skipped && !items.error ? `What it changed: ${plural(items.items.length, 'field')}` : 'What it changed'} actions=${html`${items && items.fold !== 'merge' && html`<span class="quiet">as <${Text} value=${items.fold.replace(/^\w+:/, '')} clip=${40} /></span> `}<a class="link" href=${urls.state(event.stream, event.revision)}>through time</a>`}>
    ${!wanted ? html`<p class="quiet">It is a big event. <button type="button" class="more" onClick=${() => want(true)}>Show what it changed</button></p>` : answer.error ? html`<p class="quiet"><${Text} value=${answer.error.message} /></p>` : !items ? html`<${Loading} on=${answer.loading} what="the state" />` : items.error ? html`<${Notice} kind="bad" title="The fold fails at it"><${Text} value=${items.error} clip=${600} /></${Notice}>` : items.skipped ? html`<p class="quiet">Nothing: its data is not merged (${visibleText(String(items.skipped))}).</p>` : html`<${Diff} items=${items.items} empty="Nothing: the state was that already." />`}</${Section}>`;
}

/** The event before or after in a scope, asked when it is wanted. */
async function neighbour(event, scope, direction) {
  if (scope === 'stream') {
    const page = await api(path`/v1/streams/${event.stream}/events` + queryString({ from: String(Number(event.revision) + direction), direction: direction > 0 ? 'forward' : 'backward', limit: 1 }));
    const found = page.items[0];
    return found && { stream: found.link?.stream ?? found.stream, revision: found.link?.revision ?? found.revision };
  }
  if (scope === 'correlation') {
    const { events } = await api(path`/v1/correlations/${event.correlationId}`);
    return events[events.findIndex(one => one.id === event.id) + direction];
  }
  const info = scope === 'category' ? await api(path`/v1/streams/${event.stream}`) : null;
  const page = await api(`/v1/events${queryString({ from: event.position, direction: direction > 0 ? 'forward' : 'backward', limit: 2, category: info?.category, system: event.stream.startsWith('$') ? 'true' : null })}`);
  return page.items.find(one => one.id !== event.id);
}

export default { title: ({ params }) => (params.id !== undefined ? `Event ${params.id}` : `${params.stream} #${params.revision}`), query: QUERY, Screen };
