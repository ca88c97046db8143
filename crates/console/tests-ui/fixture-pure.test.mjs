// What is copied as a Rust fixture is what crates/framework/tests/it/copied.rs compiles and runs, character by character.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseJson } from '../ui/pure.js';
import { rustFixture, rustString, rustJson } from '../ui/fixture.js';

const COMPILED = readFileSync(new URL('../../framework/tests/it/copied.rs', import.meta.url), 'utf8');
const KEEP = ['data'];
const event = (revision, type, data, version = 2) => parseJson(`{"stream": "wallet-1", "revision": ${revision}, "type": ${JSON.stringify(type)}, "schemaVersion": ${version}, "data": ${data}}`, KEEP);

test('a fixture is what Rust compiles', () => {
  const events = [
    parseJson('{"stream": "wallet-1", "revision": 0, "type": "Filled", "schemaVersion": 1, "data": {"euros": 2}}', KEEP),
    event(1, 'Filled', '{"cents": 9223372036854775000}'),
    event(2, 'Spent', '{\r\n  "cents": 5,\t"shop": "baker\'s \\\\ 1.10 \\"#\\" \\u202e\u202e # \u{1F600}"}', 1),
    parseJson('{"stream": "wallet-1", "revision": 3, "type": "Photo\\n", "schemaVersion": 1, "dataBase64": "AA=="}', KEEP),
  ];
  const text = rustFixture(events).replace('Decider', 'Wallet');
  assert.ok(COMPILED.includes(text.trimEnd().split('\n').map(line => line && `    ${line}`).join('\n').trimStart()), `crates/framework/tests/it/copied.rs does not have:\n${text}`);
});

test('digits stay, and quotes of any length are closed', () => {
  assert.equal(rustJson('{"a": 1.10, "b": 9223372036854775807}'), 'r#"{"a": 1.10, "b": 9223372036854775807}"#');
  assert.equal(rustJson('"##"'), 'r###""##""###');
  assert.equal(rustJson('"\\"## x"'), 'r###""\\"## x""###');
  assert.equal(rustJson('1'), 'r"1"');
  assert.equal(rustString('a"b\\\u202e'), '"a\\"b\\\\\\u{202e}"');
});

test('what cannot be in it is said', () => {
  const text = rustFixture([parseJson('{"stream": "s", "revision": 4, "type": "T", "redacted": {"reason": "x"}}'), event(5, 'U', '{"name": {"$pii": {"c": "x"}}}')], { missing: 4 });
  assert.match(text, /without the 4 before these/);
  assert.match(text, /\/\/ s #4, T: its data was taken out of the log\./);
  assert.match(text, /\/\/ It holds personal data, sealed/);
});
