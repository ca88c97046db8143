// One feed for all tabs of a browser: who watches, and what does somebody see who comes later? A SharedWorker; it knows no page.

/** A tab that has said nothing for so long has gone without a word, in milliseconds. */
const SILENCE = 70_000;
/** What somebody who comes later is told at once. */
const KEPT = ['stats', 'projections'];

/** Who watches, and when they last said so. */
const watchers = new Map();
const last = new Map();
let source = null;
let state = 'connecting';
let tries = 0;
let timer = 0;

const tell = message => { for (const port of watchers.keys()) port.postMessage(message); };
function become(next) { state = next; tell({ state, tries }); }

function open() {
  if (source) return;
  clearTimeout(timer);
  source = new EventSource('/v1/live');
  source.onopen = () => { tries = 0; become('live'); };
  source.onerror = () => {
    close();
    tries += 1;
    become('lost');
    timer = setTimeout(open, Math.min(15_000, 500 * 2 ** Math.min(tries, 5)));
  };
  for (const name of [...KEPT, 'events', 'fellBehind']) {
    source.addEventListener(name, ({ data }) => {
      if (KEPT.includes(name)) last.set(name, data);
      tell({ name, data });
    });
  }
}
function close() {
  source?.close();
  source = null;
  clearTimeout(timer);
}

function watch(port) {
  const isNew = !watchers.has(port);
  watchers.set(port, Date.now());
  if (isNew) {
    port.postMessage({ state, tries });
    for (const [name, data] of last) port.postMessage({ name, data });
  }
  open();
}
function rest(port) {
  watchers.delete(port);
  if (watchers.size > 0) return;
  // What is known is old by the time that somebody comes.
  close();
  last.clear();
  state = 'connecting';
}

addEventListener('connect', ({ ports: [port] }) => {
  port.onmessage = ({ data }) => (data === 'watch' ? watch : rest)(port);
});
setInterval(() => {
  for (const [port, at] of watchers) if (Date.now() - at > SILENCE) rest(port);
}, SILENCE / 2);
