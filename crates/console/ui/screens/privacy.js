// What do we hold on a person, how is it forgotten, what is not reached, and is the receipt true?
import { html, useState, useEffect, useApi, api, go, path, mayWrite, download, printJson, plural, numberText, capital, personalOf, escapePointer, Exact } from '../core.js';
import { Page, Section, Remote, Table, Notice, Confirm, Facts, Empty, Status, Text, Time, Num, StreamLink, Command, ProblemNotice, CopyButton, Code, urls } from '../widgets.js';

// ---- What is said. Pure. ----------------------------------------------------------------------------------------------

const opens = key => key.state === 'opens' || key.state === 'active';
const sizeOf = value => (Array.isArray(value) ? value.length : value);

export function subjectSentence(found) {
  const keys = found.keys ?? [];
  const live = keys.filter(opens);
  const where = `${plural(found.events, 'event')} in ${plural((found.streams ?? []).length, 'stream')}`;
  if (keys.length === 0 && Number(found.events ?? 0) === 0) return { tone: 'idle', text: `Nothing is kept of ${found.subject}.` };
  if (keys.length > 0 && live.length === 0) return { tone: 'good', text: `${found.subject} was erased: ${where} hold values that nobody can open any more.` };
  if ((found.holds ?? []).length > 0) return { tone: 'warn', text: `${found.subject} must not be erased: a legal hold stands. We hold ${where}, and ${plural(live.length, 'key')} that ${live.length === 1 ? 'opens' : 'open'} them.` };
  if (keys.length === 0) return { tone: 'idle', text: `${capital(where)} name ${found.subject}; there is no key of it.` };
  return { tone: 'idle', text: `We hold ${where} with data of ${found.subject}, and ${plural(live.length, 'key')} that ${live.length === 1 ? 'opens' : 'open'} it.` };
}

/** What an erasure does not reach, in words that promise nothing. */
export function notReached(found) {
  const list = [];
  for (const sink of found?.sinks ?? []) {
    const name = typeof sink === 'string' ? sink : sink.name ?? sink.sink ?? 'a consumer outside';
    if (typeof sink === 'object' && sink.acknowledged) continue;
    const note = typeof sink === 'object' && sink.note ? ` (${sink.note})` : '';
    list.push({ what: name, why: `was handed these values in clear${note}. It has to forget them by itself, and say so.`, named: true });
  }
  list.push({ what: 'Copies of the key store', why: 'open with their key file until the keys are rotated. Keep the two apart, and destroy old ones.' });
  list.push({ what: 'What was never sealed', why: 'stream names, event types, tags, metadata, times, and the parts of values that were declared as kept in clear.' });
  list.push({ what: 'Copies outside', why: 'exports, mails, screens, logs of programs, whatever subscribers were given.' });
  list.push({ what: 'That there was an erasure', why: 'when, why and by whom stays in the log, under a reference that leads to nobody without the vault.' });
  return list;
}

/** How the rows of a read model forget. */
export function forgetting(personal) {
  return {
    forgotten: 'changes its rows when it comes to the erasure', rebuilt: 'holds the data until a version that was built afterwards serves', sealed: 'keeps sealed values only: nothing to do',
  }[personal] ?? (personal ? String(personal) : 'unknown');
}

/** What an erasure does, in numbers: from its dry run. */
export function eraseEffect(preview) {
  const models = sizeOf(preview.readModels);
  return `${plural(sizeOf(preview.keys), 'key')} will be destroyed for ever. What ${plural(preview.events, 'event')} in ${plural(sizeOf(preview.streams), 'stream')} hold sealed of this person can never be opened again.${
    models === undefined || models === null ? '' : ` ${plural(models, 'read model')} will forget.`}`;
}

/** The state of an erasure, and how good it is. */
export function erasureTone(state) {
  const text = String(state ?? '');
  if (text.startsWith('complete')) return 'good';
  return text.startsWith('incomplete') ? 'warn' : 'idle';
}

/** What a check of a receipt says. */
export function verdictOf(checked) {
  if (!checked.valid) return { tone: 'bad', title: 'This receipt is not to be believed.', text: checked.why ?? 'The server does not say why.' };
  const tried = checked.valuesTried === undefined || checked.valuesTried === null ? '' : ` ${plural(checked.valuesTried, 'value')} ${Number(checked.valuesTried) === 1 ? 'was' : 'were'} tried, ${numberText(checked.valuesOpened ?? 0)} opened.`;
  return { tone: 'good', title: 'This receipt is genuine, and still true.', text: `${checked.why ? `${capital(checked.why)}.` : ''}${tried}`.trim() };
}

// ---- The door ---------------------------------------------------------------------------------------------------------

const Said = ({ of: { tone, text } }) => html`<span class=${`said ${tone}`}><${Text} value=${text} /></span>`;

function Door() {
  const receipts = useApi('/v1/privacy/receipts?limit=10');
  const [subject, setSubject] = useState('');
  const find = event => { event.preventDefault(); if (subject.trim()) go(urls.subject(subject.trim())); };
  return html`<${Page} title="Privacy" sentence="Find a person by the id that your application uses, see what is kept, export it, or forget the person.">
    <form class="find" role="search" onSubmit=${find}>
      <label class="grow">Data subject<input type="search" autofocus autocomplete="off" spellcheck="false" placeholder="customer id, or ref:…" value=${subject} onInput=${event => setSubject(event.target.value)} /></label>
      <button type="submit" class="primary" disabled=${!subject.trim()}>Find</button>
    </form>
    <${Section} title="Latest erasures" actions=${html`<a class="link" href="/ui/privacy/receipts">All receipts</a>`}><${Receipts} answer=${receipts} /></${Section}>
  </${Page}>`;
}

function Receipts({ answer }) {
  return html`<${Remote} of=${answer} what="erasures">${data => (data.items.length === 0 ? html`<p class="quiet">Nobody has been erased yet.</p>`
    : html`<${Table} caption="Erasures" rows=${data.items} keyOf=${one => one.erasure} onOpen=${one => go(path`/ui/privacy/receipts/${one.erasure}`)} columns=${[
      { key: 'requested', label: 'Asked for', width: 176, cell: one => html`<a class="link" href=${path`/ui/privacy/receipts/${one.erasure}`}><${Time} at=${one.requested} show="short" /></a>` },
      { key: 'state', label: 'State', className: 'wraps', cell: one => html`<${Status} kind=${erasureTone(one.state)}><${Text} value=${one.state} /></${Status}>` },
      { key: 'subject', label: 'Reference', width: 170, wide: true, cell: one => html`<span class="mono"><${Text} value=${one.subject} clip=${20} /></span>` },
      { key: 'keys', label: 'Keys', width: 90, align: 'end', wide: true, cell: one => html`<${Num} value=${one.keys} />` },
      { key: 'actor', label: 'By', width: 130, wide: true, cell: one => html`<${Text} value=${one.actor} clip=${24} />` },
      { key: 'reason', label: 'Reason', className: 'wraps', cell: one => html`<${Text} value=${one.reason} clip=${80} />` },
      { key: 'silent', label: 'Not acknowledged', width: 150, wide: true, cell: one => (one.unacknowledged?.length ? html`<${Text} value=${one.unacknowledged.join(', ')} />` : html`<span class="quiet">none</span>`) },
    ]} />`)}</${Remote}>`;
}

function AllReceipts() {
  const answer = useApi('/v1/privacy/receipts?limit=1000');
  const items = answer.data?.items;
  const open = items?.filter(one => !String(one.state).startsWith('complete')).length ?? 0;
  const text = items && (items.length === 0 ? 'Nobody has been erased yet.' : `${plural(items.length, 'erasure')}${open === 0 ? ', all complete' : `; ${numberText(open)} not complete`}.`);
  return html`<${Page} kicker=${html`<a class="link" href="/ui/privacy">Privacy</a>`} title="Receipts" sentence=${text && html`<${Said} of=${{ tone: open ? 'warn' : 'idle', text }} />`}><${Receipts} answer=${answer} /></${Page}>`;
}

// ---- A person ---------------------------------------------------------------------------------------------------------

function Subject({ subject }) {
  const url = path`/v1/privacy/${subject}`;
  const answer = useApi(url);
  const found = answer.data;
  const [erasing, setErasing] = useState(false);
  const [exporting, setExporting] = useState(false);
  const [exported, setExported] = useState(null);
  const [open, setOpen] = useState(null);
  const keys = found?.keys ?? [];
  const held = (found?.holds ?? []).length > 0;
  const alive = keys.some(opens);
  const actions = found && keys.length > 0 && html`<button type="button" disabled=${!alive} onClick=${() => setExporting(true)}>Export…</button>
    ${mayWrite ? html`<button type="button" class="danger" disabled=${!alive || held} onClick=${() => setErasing(true)}>Erase…</button>` : html`<span class="quiet">Read only: nobody can be erased from here.</span>`}`;
  return html`<${Page} kicker=${html`<a class="link" href="/ui/privacy">Privacy</a>`} title=${html`<${Text} value=${subject} />`} sentence=${found && html`<${Said} of=${subjectSentence({ ...found, subject })} />`} actions=${actions}>
    ${exported && html`<${Notice} kind="good" title=${exported} actions=${html`<button type="button" onClick=${() => setExported(null)}>Close</button>`}>It holds personal data in clear: a copy that no erasure reaches. Give it to the person, and delete it.</${Notice}>`}
    ${open && html`<${Incomplete} of=${open} onClose=${() => setOpen(null)} />`}
    <${Remote} of=${answer} what="what is kept" absent=${() => html`<${Nobody} subject=${subject} />`}>${data => (keys.length === 0 && Number(data.events ?? 0) === 0 ? html`<${Nobody} subject=${subject} />` : html`
      ${(data.holds ?? []).map(hold => html`<${Notice} kind="warn" title="A legal hold stands"><${Text} value=${hold.reason ?? String(hold)} />${hold.actor && html`, by <${Text} value=${hold.actor} />`}${hold.since && html`, since <${Time} at=${hold.since} show="date" />`}. While it stands, no erasure is begun.</${Notice}>`)}
      ${data.subject && data.subject !== subject && html`<p class="quiet after-head">Its reference in sealed values, rows and receipts: <code><${Text} value=${`ref:${data.subject}`} /></code></p>`}
      ${(data.erasures ?? []).length > 0 && html`<${Erasures} list=${data.erasures} />`}
      <div class="columns even">
        <${Section} title="Keys"><${Table} keys=${false} caption="Keys" rows=${data.keys ?? []} keyOf=${key => key.id} empty=${html`<p class="quiet pad">No key.</p>`} columns=${[
    { key: 'id', label: 'Key', cell: key => html`<span class="mono"><${Text} value=${key.id} clip=${20} /></span>` },
    { key: 'purpose', label: 'Purpose', width: 110, wide: true, cell: key => html`<${Text} value=${key.purpose ?? 'everything'} />` },
    { key: 'state', label: 'State', width: 160, cell: key => (opens(key) ? html`<${Status} kind="busy">opens</${Status}>` : html`<${Status} kind="good"><${Text} value=${String(key.state).replace(/ by .*/, '')} /></${Status}>`) },
    { key: 'created', label: 'Made', width: 104, align: 'end', cell: key => html`<${Time} at=${key.created} show="date" />` },
  ]} /></${Section}>
        <${Section} title="Streams"><${Table} caption="Streams" rows=${data.streams ?? []} keyOf=${one => one.stream} onOpen=${one => go(urls.stream(one.stream))} empty=${html`<p class="quiet pad">In no stream.</p>`} columns=${[
    { key: 'stream', label: 'Stream', cell: one => html`<${StreamLink} stream=${one.stream} clip=${44} />` },
    { key: 'events', label: 'Events', width: 90, align: 'end', cell: one => html`<${Num} value=${one.events} />` },
  ]} /></${Section}>
      </div>
      ${(data.readModels ?? []).length > 0 && html`<${Section} title="Read models with personal data"><${ReadModels} list=${data.readModels} /></${Section}>`}
      <${NotReached} list=${notReached(data)} done=${!alive && keys.length > 0} />`)}</${Remote}>
    ${erasing && html`<${Erase} subject=${subject} url=${url} onClose=${() => setErasing(false)} onIncomplete=${of => { setErasing(false); setOpen(of); answer.reload(); }} />`}
    ${exporting && html`<${Export} subject=${subject} found=${found} onClose=${() => setExporting(false)} onDone=${words => { setExporting(false); setExported(words); }} />`}
  </${Page}>`;
}

const Nobody = ({ subject }) => html`<${Empty} title="Nothing is kept of this subject">No key was ever made for <strong><${Text} value=${subject} /></strong>, and no event names it. Subjects are the ids that your application uses, with upper and lower case as they were given.</${Empty}>`;

/** An erasure that has not reached everything yet. */
function Incomplete({ of, onClose }) {
  return html`<${Notice} kind="warn" title="The keys are destroyed. Not everything is reached yet." actions=${html`<button type="button" onClick=${onClose}>Close</button>`}>
    <ul class="plain">${(of.missing ?? []).map(one => html`<li><${Text} value=${typeof one === 'string' ? one : `${one.kind} ${one.name}: ${one.how}`} /></li>`)}</ul>
    <p>Ask again to go on with erasure <code><${Text} value=${of.erasure} /></code>. Its receipt is written when everything is reached.</p></${Notice}>`;
}

/** Events of a stream that are looked at in one request. */
const EXPORT_PAGE = 500;

/** The values of a person, opened, in an event's data: `[{pointer, value}]`. `owner` is the person's reference; others' are left out. */
export function openedValues(data, owner) {
  const out = [];
  const walk = (value, pointer) => {
    const personal = personalOf(value);
    if (personal) { if (personal.kind === 'opened' && (!owner || !value.$personal.o || value.$personal.o === owner)) out.push({ pointer, value: personal.value }); return; }
    if (value === null || typeof value !== 'object' || value instanceof Exact) return;
    for (const key of Object.keys(value)) walk(value[key], `${pointer}/${escapePointer(key)}`);
  };
  walk(data, '');
  return out;
}

/** Reads the events of the subject's streams with their values opened, and gives them as a file. */
function Export({ subject, found, onClose, onDone }) {
  const run = async reason => {
    const events = [];
    for (const { stream } of found.streams) {
      let next = path`/v1/streams/${stream}/events` + `?personal=open&limit=${EXPORT_PAGE}`;
      while (next) {
        const page = await api(next);
        for (const event of page.items) {
          const values = openedValues(event.data, found.subject);
          if (values.length > 0) events.push({ stream: event.stream, revision: event.revision, type: event.type, time: event.time, values });
        }
        next = page.items.length > 0 ? page.page?.next ?? null : null;
      }
    }
    if (events.length === 0) throw new Error('The server opened no value. On its machine, `factum privacy export` does.');
    download(`subject-${subject}.json`, printJson({ subject, reason, exportedTime: new Date().toISOString(), events }));
    onDone(`${plural(events.reduce((all, event) => all + event.values.length, 0), 'value')} of ${plural(events.length, 'event')} are in the file.`);
  };
  return html`<${Confirm} title=${html`Export <${Text} value=${subject} />`} verb="Export" onConfirm=${run} onClose=${onClose}
    effect=${`The values in ${plural(found.events, 'event')} of ${plural(found.streams.length, 'stream')} are opened and written to a file in this browser, in clear. Values of other people in the same events are left out. The export is a copy that no erasure reaches.`} />`;
}

function ReadModels({ list }) {
  const rows = list.map(one => (typeof one === 'string' ? { name: one } : one));
  return html`<${Table} keys=${false} caption="Read models" rows=${rows} keyOf=${one => `${one.name} ${one.version ?? ''}`} columns=${[
    { key: 'name', label: 'Projection', width: '36%', cell: one => html`<a class="link" href=${urls.projection(one.name)}><${Text} value=${one.name} clip=${40} /></a>${one.version && html` <span class="quiet">${one.version}</span>`}` },
    { key: 'personal', label: 'On an erasure it', className: 'wraps', cell: one => html`<${Text} value=${forgetting(one.personal)} />` },
  ]} />`;
}

function Erasures({ list }) {
  const rows = list.map(one => (typeof one === 'string' ? { erasure: one } : one));
  return html`<${Notice} kind="note" title=${rows.length === 1 ? 'An erasure was asked for' : `${numberText(rows.length)} erasures were asked for`}>
    <ul class="plain">${rows.map(one => html`<li><a class="link" href=${path`/ui/privacy/receipts/${one.erasure}`}>${one.requested ? html`<${Time} at=${one.requested} show="short" />` : html`<${Text} value=${one.erasure} clip=${24} />`}</a>${one.state && html` <${Text} value=${one.state} />`}${one.reason && html`: <${Text} value=${one.reason} />`}</li>`)}</ul></${Notice}>`;
}

function NotReached({ list, done }) {
  return html`<${Section} title=${done ? 'What the erasure did not reach' : 'What an erasure will not reach'}>
    <ul class="not-reached">${list.map(one => html`<li class=${one.named ? 'named' : ''}><strong><${Text} value=${one.what} /></strong> <${Text} value=${one.why} /></li>`)}</ul></${Section}>`;
}

/** Dry run, reason, the subject typed; then the receipt. */
function Erase({ subject, url, onClose, onIncomplete }) {
  const [preview, setPreview] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => { api(`${url}/erase`, { method: 'POST', body: { dryRun: true } }).then(setPreview, setError); }, [url]);
  const names = list => (Array.isArray(list) ? list.map(one => (typeof one === 'string' ? one : one.name ?? one.stream ?? one.id)) : []);
  const later = names(preview?.toRebuild);
  const erase = async reason => {
    const receipt = await api(`${url}/erase`, { method: 'POST', body: { reason, confirm: subject } });
    if (receipt.complete === false) onIncomplete(receipt); else go(path`/ui/privacy/receipts/${receipt.receipt?.erasure ?? receipt.erasure}`);
  };
  return html`<${Confirm} title=${html`Erase <${Text} value=${subject} />`} verb="Destroy the keys" danger typed=${subject} onClose=${onClose} onConfirm=${async reason => { if (!preview) throw error ?? new Error('The dry run has not ended yet.'); await erase(reason); }}
      effect=${preview ? eraseEffect(preview) : error ? 'The dry run failed, so nothing can be erased now.' : 'Counting what would be destroyed…'}>
    ${error && html`<${ProblemNotice} error=${error} />`}
    ${preview && html`<${Facts} facts=${[
    ['Keys', html`<${Num} value=${sizeOf(preview.keys)} />`], ['Events', html`<${Num} value=${preview.events} />`], ['Streams', html`<${Num} value=${sizeOf(preview.streams)} />`],
    ['Read models', html`<span><${Num} value=${sizeOf(preview.readModels)} />${names(preview.readModels).length > 0 && html` <span class="quiet"><${Text} value=${names(preview.readModels).join(', ')} /></span>`}</span>`],
    later.length > 0 && ['Must be rebuilt', html`<${Text} value=${later.join(', ')} />`],
  ]} />`}
    <p class="quiet">The reason stays in the log for ever: a code or a reference, no personal data.</p>
  </${Confirm}>`;
}

// ---- A receipt --------------------------------------------------------------------------------------------------------

function Receipt({ id }) {
  const url = path`/v1/privacy/receipts/${id}`;
  const answer = useApi(url);
  const [checked, setChecked] = useState(null);
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const verify = async () => {
    setBusy(true);
    setFailed(null);
    try { setChecked(await api(`${url}/verify`)); } catch (error) { setFailed(error); }
    setBusy(false);
  };
  const signed = answer.data;
  const receipt = signed?.receipt;
  const verdict = checked && verdictOf(checked);
  const actions = receipt && html`<button type="button" class="primary" disabled=${busy} onClick=${verify}>${busy ? 'Checking…' : 'Verify'}</button>
    <button type="button" onClick=${() => download(`receipt-${id}.json`, printJson(signed))}>Download</button><button type="button" onClick=${() => print()}>Print</button>`;
  const sentence = receipt && { tone: 'good', text: `${plural(receipt.keys.length, 'key')} of ${receipt.purpose ? `the purpose ${receipt.purpose}` : 'one person'} ${receipt.keys.length === 1 ? 'was' : 'were'} destroyed; ${plural(receipt.reached.length, 'place')} reached, ${numberText(receipt.not_reached.length)} not reached.` };
  return html`<${Page} kicker=${html`<a class="link" href="/ui/privacy/receipts">Receipts</a>`} title="Receipt of an erasure" sentence=${sentence && html`<${Said} of=${sentence} />`} actions=${actions}>
    ${verdict && html`<${Notice} kind=${verdict.tone} title=${verdict.title}><p><${Text} value=${verdict.text} /></p>${(checked.unacknowledged ?? []).length > 0 && html`<p>Not acknowledged yet: <${Text} value=${checked.unacknowledged.join(', ')} />.</p>`}</${Notice}>`}
    ${failed && html`<${ProblemNotice} error=${failed} retry=${verify} />`}
    <${Remote} of=${answer} what="the receipt">${() => (receipt ? html`
      <div class="receipt"><${Facts} facts=${[
    ['Erasure', html`<code><${Text} value=${receipt.erasure} /></code>`], ['Subject', html`<code><${Text} value=${receipt.subject} /></code>`], ['Purpose', receipt.purpose ? html`<${Text} value=${receipt.purpose} />` : 'everything'],
    ['Reason', html`<${Text} value=${receipt.reason} />`], ['By', html`<${Text} value=${receipt.actor} />`], ['Asked for', html`<${Time} at=${receipt.requested_at} />`], ['Complete', html`<${Time} at=${receipt.completed_at} />`],
    ['Old copies', receipt.horizon ? html`of the key store open nothing any more from <${Time} at=${receipt.horizon} show="date" /> on` : 'of the key store open until the keys are rotated'],
    ['Log', html`<code><${Text} value=${receipt.log} /></code>`], ['Vault', html`<code><${Text} value=${receipt.vault} /></code>`],
  ]} />
      <${Section} title="Reached"><${Reaches} list=${receipt.reached} kind="good" none="Nothing had to be reached beside the keys." /></${Section}>
      <${Section} title="Not reached"><${Reaches} list=${receipt.not_reached} kind="warn" none="The receipt names no place that was not reached. Copies outside are not known to it." /></${Section}>
      <${Section} title=${`Destroyed keys (${numberText(receipt.keys.length)})`}><ul class="plain mono">${receipt.keys.slice(0, 50).map(key => html`<li><${Text} value=${key} /></li>`)}</ul>${receipt.keys.length > 50 && html`<p class="quiet">and ${numberText(receipt.keys.length - 50)} more, in the download</p>`}</${Section}>
      <${Section} title="Signature"><${Facts} facts=${[['Key', html`<code class="long"><${Text} value=${signed.key} /></code>`], ['Signature', html`<code class="long"><${Text} value=${signed.signature} /></code>`]]} />
        <p class="quiet">Check it without this server, and without its vault:</p><${Command} text=${`factum privacy verify @receipt-${id}.json --key ${signed.key}`} /></${Section}></div>`
    : html`<${Code} text=${printJson(signed)} label="Receipt" /><${CopyButton} text=${() => printJson(signed)} />`)}</${Remote}>
  </${Page}>`;
}

function Reaches({ list, kind, none }) {
  if (list.length === 0) return html`<p class="quiet">${none}</p>`;
  return html`<ul class="plain reaches">${list.map(one => html`<li><${Status} kind=${kind}><${Text} value=${one.kind} /></${Status}> <strong><${Text} value=${one.name} /></strong> <span class="quiet"><${Text} value=${one.how} /></span></li>`)}</ul>`;
}

function Screen({ params }) {
  if (params.receipt !== undefined) return html`<${Receipt} key=${params.receipt} id=${params.receipt} />`;
  if (params.subject !== undefined) return html`<${Subject} key=${params.subject} subject=${params.subject} />`;
  return location.pathname.replace(/\/+$/, '').endsWith('/receipts') ? html`<${AllReceipts} />` : html`<${Door} />`;
}
export default { title: ({ params }) => params.subject ?? (params.receipt === undefined ? 'Privacy' : 'Receipt of an erasure'), query: {}, Screen };
