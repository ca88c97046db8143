// Which event types are there, what shape has their data, and what do upcasters make of the old ones?
import { html, useMemo, useApi, go, path, queryString, diffValues, personalOf, isObject, isNumber, plural, numberText, printJson } from '../core.js';
import { Page, Section, Remote, Table, Tabs, Choice, Notice, Empty, Status, Text, Time, Num, Type, Value, Payload, Diff, EventLink, CopyButton, Code, urls } from '../widgets.js';

// ---- What is said. Pure. ----------------------------------------------------------------------------------------------

/** Paths that are told apart at most, and how deep: the rest is said to be left out. */
export const MOST_PATHS = 300;
const DEEPEST = 8;

/** The type of a value as a schema calls it; what is sealed is no object to look into. */
export function typeOf(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (isNumber(value)) return /[.eE]/.test(String(value)) ? 'number' : 'integer';
  if (isObject(value)) return personalOf(value) ? 'personal' : 'object';
  return typeof value;
}

/** Which fields these events have, how often, and of which types. `events` is a sample, and is said to be one. */
export function inferFields(events) {
  const fields = new Map();
  let cut = false;
  const add = (at, value, seen) => {
    let field = fields.get(at);
    if (!field) {
      if (fields.size >= MOST_PATHS) { cut = true; return false; }
      fields.set(at, field = { path: at, events: 0, types: new Set(), example: undefined });
    }
    if (!seen.has(at)) { seen.add(at); field.events += 1; }
    const type = typeOf(value);
    field.types.add(type);
    if (field.example === undefined && !['object', 'array', 'null'].includes(type)) field.example = value;
    return true;
  };
  const walk = (value, at, depth, seen) => {
    if (depth >= DEEPEST) { if (isObject(value) || Array.isArray(value)) cut = true; return; }
    const inner = Array.isArray(value) ? value.map(one => [`${at}[]`, one]) : isObject(value) && !personalOf(value) ? Object.keys(value).map(name => [at === '' ? name : `${at}.${name}`, value[name]]) : [];
    for (const [next, one] of inner) if (add(next, one, seen)) walk(one, next, depth + 1, seen);
  };
  const sample = events.filter(event => event.data !== undefined && event.data !== null);
  for (const event of sample) walk(event.data, '', 0, new Set());
  return {
    sampled: sample.length, cut,
    fields: [...fields.values()].map(field => ({ ...field, types: [...field.types], permille: sample.length === 0 ? 0 : Math.floor((field.events * 1000) / sample.length) })),
  };
}

/** The fields that a JSON Schema declares: `[{path, type, required, description}]`. */
export function schemaFields(schema) {
  const list = [];
  const walk = (node, at, required, depth) => {
    if (list.length >= MOST_PATHS || depth > DEEPEST || !isObject(node)) return;
    const shape = typeof node.$ref === 'string' ? pointed(schema, node.$ref) : node;
    if (!isObject(shape)) return;
    if (at !== '') list.push({ path: at, type: typeName(shape), required, description: shape.description ?? node.description ?? null });
    for (const name of Object.keys(shape.properties ?? {})) walk(shape.properties[name], at === '' ? name : `${at}.${name}`, (shape.required ?? []).includes(name), depth + 1);
    if (isObject(shape.items)) walk(shape.items, `${at}[]`, false, depth + 1);
  };
  walk(schema, '', true, 0);
  return list;
}
function typeName(node) {
  if (!isObject(node)) return 'any';
  if (Array.isArray(node.type)) return node.type.join(' or ');
  if (node.type) return node.format ? `${node.type} (${node.format})` : String(node.type);
  if (node.const !== undefined) return printJson(node.const, 0);
  if (node.enum) return node.enum.map(one => printJson(one, 0)).join(' or ');
  const several = node.anyOf ?? node.oneOf;
  return several ? several.map(typeName).join(' or ') : node.properties ? 'object' : 'any';
}
function pointed(schema, reference) {
  if (reference === '#') return schema;
  if (!reference.startsWith('#/')) return null;
  let at = schema;
  for (const part of reference.slice(2).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isObject(at) || !Object.hasOwn(at, key)) return null;
    at = at[key];
  }
  return at;
}

/** Types of events beside what is registered of them: one line each, in order of their names. */
export function joined(types, schemas) {
  const registered = new Map(schemas.map(one => [one.type, one.versions]));
  const names = new Set([...types.map(one => one.type), ...registered.keys()]);
  const known = new Map(types.map(one => [one.type, one]));
  return [...names].sort().map(type => ({ type, count: known.get(type)?.count ?? null, schemaVersion: known.get(type)?.schemaVersion ?? null, versions: (registered.get(type) ?? []).map(versionOf) }));
}
const versionOf = one => (isObject(one) ? one.version : one);

export function listSentence(types) {
  const own = types.filter(one => !one.type.startsWith('$'));
  if (own.length === 0) return { tone: 'idle', text: 'No event has been appended, so there is no type yet.' };
  const registered = own.filter(one => one.versions.length > 0).length;
  if (registered === 0) return { tone: 'idle', text: `${plural(own.length, 'event type')}. No schema is registered: any data is taken.` };
  return { tone: 'idle', text: `${plural(own.length, 'event type')}. For ${registered === own.length ? 'all' : numberText(registered)} of them a schema is registered, and the store refuses what does not fit.` };
}

export function typeSentence(type, versions) {
  if (versions.length === 0) return { tone: 'idle', text: `No schema is registered for ${type}: any data is taken. What its events have in common is inferred below, from a sample.` };
  const numbers = versions.map(one => `v${one.version}`);
  return { tone: 'idle', text: `${type} has ${plural(versions.length, 'registered version')}: ${numbers.join(', ')}. The store refuses what does not fit.` };
}

// ---- The list ---------------------------------------------------------------------------------------------------------

const Said = ({ of: { tone, text } }) => html`<span class=${`said ${tone}`}><${Text} value=${text} /></span>`;

/** Types that are shown in one list. */
const TYPES = 1000;

function List({ query, set }) {
  const types = useApi('/v1/types' + queryString({ system: query.system ? 'true' : null, limit: TYPES }));
  const schemas = useApi('/v1/schemas');
  // Without registered schemas there are types all the same.
  const all = useMemo(() => (types.data ? joined(types.data.items, schemas.data?.items ?? []) : null), [types.data, schemas.data]);
  const text = query.q.trim().toLowerCase();
  const rows = all?.filter(one => (query.system || !one.type.startsWith('$')) && one.type.toLowerCase().includes(text));
  const counted = all?.some(one => one.count !== null);
  return html`<${Page} title="Schemas" sentence=${all && html`<${Said} of=${listSentence(all)} />`}>
    <div class="filters"><input type="search" aria-label="Filter event types" placeholder="Filter event types" value=${query.q} onInput=${event => set({ q: event.target.value })} />
      <label class="check"><input type="checkbox" checked=${query.system} onChange=${event => set({ system: event.target.checked }, { push: true })} /> System types</label></div>
    <${Remote} of=${types} what="event types">${data => html`${data.indexing && html`<${Notice} title="Types are still being gathered">The log was read up to position ${numberText(data.indexing.position)} of ${numberText(data.indexing.of)}: there may be more types, and higher counts. <button type="button" class="more" onClick=${types.reload}>Look again</button></${Notice}>`}<${Table} caption="Event types" rows=${rows} keyOf=${one => one.type} onOpen=${one => go(urls.schema(one.type))}
      empty=${html`<p class="quiet pad">${text ? html`No type has <strong>${query.q}</strong> in its name. <button type="button" class="more" onClick=${() => set({ q: '' })}>Clear the filter</button>` : 'No event type yet.'}</p>`} columns=${[
    { key: 'type', label: 'Event type', cell: one => html`<a class="link" href=${urls.schema(one.type)}><${Type} type=${one.type} clip=${48} /></a>` },
    ...(counted ? [{ key: 'count', label: 'Events', width: 104, align: 'end', cell: one => html`<${Num} value=${one.count} />` }] : []),
    { key: 'versions', label: 'Registered', width: 116, cell: one => (one.versions.length > 0 ? one.versions.map(version => `v${version}`).join(', ') : html`<span class="quiet">none</span>`) },
    { key: 'newest', label: 'Newest event', width: 120, wide: true, cell: one => (one.schemaVersion === null ? html`<span class="quiet">unknown</span>` : `v${one.schemaVersion}`) },
    { key: 'events', label: html`<span class="offscreen">Its events</span>`, width: 90, align: 'end', wide: true, cell: one => html`<a class="link" href=${urls.type(one.type)}>events</a>` },
  ]} />${data.page?.next && html`<p class="quiet under">The first ${numberText(data.items.length)} types. Others are found by their address: <code>/ui/schemas/TYPE</code></p>`}`}</${Remote}>
  </${Page}>`;
}

// ---- One type ---------------------------------------------------------------------------------------------------------

/** Events that are looked at to infer a shape. */
const SAMPLE = 200;

function One({ type, query, set }) {
  const answer = useApi(path`/v1/schemas/${type}`);
  const sample = useApi('/v1/events' + queryString({ type, from: 'end', direction: 'backward', limit: SAMPLE, system: type.startsWith('$') ? 'true' : null }));
  const nothing = answer.error && [404, 501].includes(answer.error.status);
  const data = answer.data ?? (nothing ? { versions: [], examples: [] } : null);
  const versions = (data?.versions ?? []).filter(isObject);
  const events = sample.data?.items ?? [];
  const upcasting = data?.upcasting ?? null;
  const counts = useApi('/v1/types' + queryString({ q: type, limit: 1, system: type.startsWith('$') ? 'true' : null })).data?.items?.find(one => one.type === type)?.versions ?? [];
  const tabs = [...(upcasting ? [{ id: 'upcasters', label: 'Upcasters', count: upcasting.steps.length }] : []), ...(versions.length > 0 ? [{ id: 'schema', label: 'Registered', count: versions.length }] : []), { id: 'fields', label: 'Inferred' }, { id: 'examples', label: 'Examples' }];
  const tab = tabs.some(one => one.id === query.tab) ? query.tab : tabs.find(one => one.id !== 'upcasters' || one.count > 0).id;
  return html`<${Page} kicker=${html`<a class="link" href="/ui/schemas">Schemas</a>`} title=${html`<${Type} type=${type} clip=${120} />`} sentence=${data && html`<${Said} of=${typeSentence(type, versions)} />`} actions=${html`<a class="button" href=${urls.type(type)}>Its events</a>`}>
    <${Remote} of=${data ? { ...answer, data, error: null } : answer} what="the schema">${() => html`
      <${Tabs} label="About this type" tabs=${tabs} current=${tab} onChange=${id => set({ tab: id, v: null }, { push: true })} />
      ${tab === 'upcasters' && html`<${Chain} upcasting=${upcasting} counts=${counts} examples=${data.examples ?? []} />`}
      ${tab === 'schema' && html`<${Registered} versions=${versions} query=${query} set=${set} />`}
      ${tab === 'fields' && html`<${Inferred} answer=${sample} events=${events} type=${type} whole=${events.length < SAMPLE && !sample.data?.page?.next} />`}
      ${tab === 'examples' && html`<${Examples} examples=${data.examples ?? []} events=${events} sample=${sample} known=${upcasting !== null} />`}`}</${Remote}>
  </${Page}>`;
}

function Registered({ versions, query, set }) {
  const chosen = versions.find(one => String(one.version) === query.v) ?? versions[versions.length - 1];
  const before = versions[versions.indexOf(chosen) - 1];
  const fields = schemaFields(chosen.schema);
  return html`${versions.length > 1 && html`<div class="filters"><${Choice} label="Version" options=${versions.map(one => [one.version, `v${one.version}`])} value=${chosen.version} onChange=${version => set({ v: String(version) }, { push: true })} /></div>`}
    ${fields.length > 0 && html`<${Section} title=${`Fields of v${chosen.version}`}><${Table} caption="Fields" rows=${fields} keyOf=${one => one.path} columns=${[
    { key: 'path', label: 'Field', cell: one => html`<span class="mono"><${Text} value=${one.path} clip=${60} /></span>` },
    { key: 'type', label: 'Type', width: '28%', cell: one => html`<span class="mono"><${Text} value=${one.type} clip=${60} /></span>` },
    { key: 'required', label: 'There', width: 96, cell: one => (one.required ? 'always' : html`<span class="quiet">may be</span>`) },
    { key: 'description', label: 'Says', wide: true, cell: one => html`<${Text} value=${one.description ?? ''} clip=${120} />` },
  ]} /></${Section}>`}
    ${before && html`<${Section} title=${`What v${chosen.version} changed in v${before.version}`}><${Diff} items=${diffValues(before.schema, chosen.schema)} empty="The two say the same." /></${Section}>`}
    <${Section} title="JSON Schema" actions=${html`<${CopyButton} text=${() => printJson(chosen.schema)} label="Copy the schema" />`}><${Code} text=${printJson(chosen.schema)} label=${`Schema of v${chosen.version}`} /></${Section}>`;
}

function Inferred({ answer, events, type, whole }) {
  const { fields, sampled, cut } = useMemo(() => inferFields(events), [events]);
  return html`<${Remote} of=${answer} what="a sample of events">${() => (sampled === 0
    ? html`<${Empty} title="Nothing to infer from">${events.length === 0 ? html`No event of type <strong><${Text} value=${type} /></strong> was found.` : `The newest ${plural(events.length, 'event')} have no JSON data.`}</${Empty}>`
    : html`<p class="under">Inferred from a sample: the newest <strong>${plural(sampled, 'event')}</strong>${whole ? ', which are all that there are' : ', not from all of them'}${sampled < events.length ? `; ${numberText(events.length - sampled)} more have no JSON data` : ''}.${cut ? ` Only the first ${numberText(MOST_PATHS)} fields, ${DEEPEST} levels deep, are told apart.` : ''}</p>
      <${Table} caption="Fields in the sample" rows=${fields} keyOf=${one => one.path} columns=${[
      { key: 'path', label: 'Field', cell: one => html`<span class="mono"><${Text} value=${one.path} clip=${60} /></span>` },
      { key: 'types', label: 'Types', width: '22%', cell: one => (one.types.length > 1 ? html`<${Status} kind="warn"><span class="mono">${one.types.join(', ')}</span></${Status}>` : html`<span class="mono">${one.types[0]}</span>`) },
      { key: 'share', label: 'In', width: '20%', cell: one => html`<${Share} of=${one} sampled=${sampled} />` },
      { key: 'example', label: 'For example', wide: true, cell: one => (one.example === undefined ? '' : html`<span class="mono"><${Value} value=${one.example} clip=${60} /></span>`) },
    ]} />`)}</${Remote}>`;
}
function Share({ of, sampled }) {
  const words = of.permille === 1000 ? 'all' : Number(of.events) === 0 ? 'none' : of.permille < 10 ? '< 1 %' : `${Math.floor(of.permille / 10)} %`;
  return html`<span class="strip-box" title=${`${numberText(of.events)} of ${numberText(sampled)}`}><span class="strip idle" aria-hidden="true"><span style=${{ width: `${of.permille / 10}%` }} /></span><span class="num">${words}</span></span>`;
}

/** A stored event of each version, and what upcasters make of it where the server knows them. */
function Examples({ examples, events, sample, known }) {
  const list = newestOfEach([...examples, ...events]);
  if (list.length === 0) return html`<${Remote} of=${sample} what="examples">${() => html`<${Empty} title="No example">No event of this type is stored.</${Empty}>`}</${Remote}>`;
  return html`${list.map(event => html`<${Section} key=${event.id} title=${`v${event.schemaVersion ?? 1}`} actions=${html`<${EventLink} stream=${event.stream} revision=${event.revision} /><span class="quiet"><${Time} at=${event.time} show="short" /></span>`}>
    <div class="columns even"><div><h3>As stored</h3><${Payload} event=${event} /></div>
      <div><h3>After upcasting</h3><${Today} event=${event} known=${known} /></div></div></${Section}>`)}`;
}

function Today({ event, known }) {
  const { upcasted } = event;
  if (upcasted) return upcasted.error !== undefined ? html`<${Notice} kind="bad" title="The application cannot read it"><${Text} value=${upcasted.error} clip=${600} /></${Notice}>` : html`<${Diff} items=${diffValues(event.data, upcasted.data)} empty="The application reads it as it is stored." />`;
  return known ? html`<p class="quiet"><a class="link" href=${`${urls.event(event.stream, event.revision)}?tab=upcasted`}>What the upcasters make of it</a></p>` : html`<p class="quiet">This server was not given the types of the application, so it knows no upcaster.</p>`;
}

/** The versions of a type: how many events are of each, and what leads from one to the next, with a stored event. */
function Chain({ upcasting, counts, examples }) {
  const total = counts.reduce((sum, one) => sum + one.events, 0);
  const newest = Math.max(upcasting.version, ...counts.map(one => one.version));
  const oldest = Math.min(upcasting.version, ...counts.map(one => one.version));
  const versions = Array.from({ length: Math.min(64, newest - oldest + 1) }, (_, i) => oldest + i);
  // One stored event for each step: one of the step's own version if there is one, else of an older one.
  const exampleOf = from => [...examples].filter(one => (one.schemaVersion ?? 1) <= from && one.upcasted?.steps?.some(step => step.from === from)).sort((p, q) => (q.schemaVersion ?? 1) - (p.schemaVersion ?? 1))[0];
  return html`<p class="under">The application reads <${Text} value=${upcasting.type} clip=${60} /> v${upcasting.version}.${upcasting.aliases.length > 0 && html` It was also called ${upcasting.aliases.map((one, i) => html`${i ? ', ' : ''}<${Text} value=${one} clip=${60} />`)}.`}${upcasting.steps.length === 0 && ' There was no other version, so there is no upcaster.'}</p>
    ${total > 0 && html`<${Section} title="Stored events by version"><${Table} caption="Stored events by version" rows=${versions} keyOf=${one => one} columns=${[
    { key: 'version', label: 'Version', width: '30%', cell: one => html`v${one}${one === upcasting.version ? html` <span class="quiet">current</span>` : one > upcasting.version ? html` <${Status} kind="bad">unknown to the application</${Status}>` : ''}` },
    { key: 'events', label: 'Events', width: '18%', align: 'end', cell: one => html`<${Num} value=${counts.find(of => of.version === one)?.events ?? 0} />` },
    { key: 'share', label: 'Share', cell: one => { const events = counts.find(of => of.version === one)?.events ?? 0; return html`<${Share} of=${{ events, permille: Math.floor(events * 1000 / total) }} sampled=${total} />`; } },
  ]} /></${Section}>`}
    ${upcasting.steps.map(step => {
    const example = exampleOf(step.from);
    const done = example?.upcasted.steps.find(one => one.from === step.from);
    const before = example && (example.upcasted.steps.find(one => one.to === step.from)?.data ?? example.data);
    return html`<${Section} key=${step.from} title=${`v${step.from} → v${step.to}`} actions=${example && html`<${EventLink} stream=${example.stream} revision=${example.revision} />`}><p class="quiet under">${step.does.map((one, i) => html`${i ? '; ' : ''}<${Text} value=${one} clip=${200} />`)}</p>${done ? html`<${Diff} items=${diffValues(before, done.data)} empty="It leaves this event as it is." />` : html`<p class="quiet">No event among those that were looked at is of this version.</p>`}</${Section}>`;
  })}
    ${examples.filter(one => one.upcasted?.error !== undefined).map(one => html`<${Notice} kind="bad" title="The application cannot read one of its events"><${EventLink} stream=${one.stream} revision=${one.revision} />: <${Text} value=${one.upcasted.error} clip=${600} /></${Notice}>`)}`;
}
export function newestOfEach(events) {
  const seen = new Map();
  for (const event of events) if (!seen.has(event.schemaVersion ?? 1)) seen.set(event.schemaVersion ?? 1, event);
  return [...seen.values()].sort((a, b) => (b.schemaVersion ?? 1) - (a.schemaVersion ?? 1));
}

const QUERY = { q: '', system: false, tab: null, v: null };
function Screen({ params, query, set }) {
  return params.type === undefined ? html`<${List} query=${query} set=${set} />` : html`<${One} key=${params.type} type=${params.type} query=${query} set=${set} />`;
}
export default { title: ({ params }) => params.type ?? 'Schemas', query: QUERY, Screen };
