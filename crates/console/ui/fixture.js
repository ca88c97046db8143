// Stored events as the past of a test in Rust: `given_stored(decider, [...])` of the framework. Fetched when somebody copies.
import { printJson, textOf, personalOf, isContainer } from './pure.js';

/** Events of one fixture; a longer past says what is missing. */
export const MOST = 500;

/** What the Rust compiler refuses in a literal, or a person would not see, as an escape. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A Rust string. */
export const rustString = text => `"${text.replace(/["\\]/g, '\\$&').replace(UNSEEN, c => { const code = c.charCodeAt(0); return code >= 0xd800 && code < 0xe000 ? '\\u{fffd}' : `\\u{${code.toString(16)}}`; })}"`;

/** JSON as a raw Rust string, character by character as it was stored: numbers keep their digits. */
export function rustJson(text) {
  // Outside of strings a JSON text has no such characters but blanks; inside, an escape says the same.
  const safe = text.replace(/[\t\r\n]/g, ' ').replace(UNSEEN, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const longest = Math.max(-1, ...[...safe.matchAll(/"(#*)/g)].map(found => found[1].length));
  const hashes = '#'.repeat(longest + 1);
  return `r${hashes}"${safe}"${hashes}`;
}

function hasSealed(value) {
  const personal = personalOf(value);
  if (personal) return personal.kind === 'sealed' || personal.kind === 'opened';
  return isContainer(value) && Object.values(value).some(hasSealed);
}
/** One line of somebody else's text, in a comment. */
const remark = text => rustString(text).slice(1, -1);

function entry(event) {
  const about = `${remark(event.stream)} #${event.revision}`;
  if (event.redacted) return `        // ${about}, ${remark(event.type)}: its data was taken out of the log.`;
  if (event.data === undefined) return `        // ${about}, ${remark(event.type)}: its data is not JSON, and a fixture holds JSON.`;
  const text = textOf(event, 'data') ?? printJson(event.data, 0);
  const sealed = hasSealed(event.data) ? '        // It holds personal data, sealed: put values of your own in its place.\n' : '';
  return `${sealed}        (${rustString(event.type)}, ${event.schemaVersion ?? 1}, serde_json::from_str(${rustJson(text)}).expect("JSON")), // #${event.revision}`;
}

/** The text. `missing` is how many events before these are left out. */
export function rustFixture(events, { missing = 0 } = {}) {
  const last = events[events.length - 1];
  return `// ${remark(last.stream)} up to #${last.revision}, as it is stored${missing ? `, without the ${missing} before these` : ''}. Name your decider, and go on: .when(command).then([...])
factum::given_stored(
    Decider,
    [
${events.map(entry).join('\n')}
    ],
)
`;
}
