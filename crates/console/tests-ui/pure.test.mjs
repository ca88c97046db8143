// What can be said without a browser, held to it.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import {
  utf8Length, parseJson, printJson, textOf, Exact, same, preview, applyPatch, mergePatch, diffValues, leaves, valueAt, pathText, path,
  readQuery, writeQuery, matchRoute, comparePositions, timeText, durationText, numberText, visibleText, middle, typeBadge, typeHue, hexLines, personalOf, clone, Cursor, PAGE, mergeStep, compile,
} from '../ui/pure.js';

test('a big value is read as a small one is: exact, deep, and with its text', () => {
  const filler = JSON.stringify('x'.repeat(250_000));
  for (const member of ['9223372036854775807', '1.10', '1e3', '-0', '0.0000001', '0.10', '120.5', '-17', '123456789012345', '1234567890123456', '0.14285714285714285', '[1.0]', '"1.10"', `${'['.repeat(300)}1${']'.repeat(300)}`]) {
    const inner = `{"a": ${member}, "__proto__": 1, "filler": ${filler}}`;
    const read = parseJson(`{"data": ${inner}}`, ['data']);
    assert.equal(textOf(read, 'data'), inner);
    assert.equal(printJson(read.data.a, 0), printJson(parseJson(member), 0), member);
    assert.ok(Object.hasOwn(read.data, '__proto__') && Object.getPrototypeOf(read.data) === Object.prototype);
  }
  assert.throws(() => parseJson(`{"data": {"a": tru, "filler": ${filler}}}`, ['data']), /not JSON/);
});

test('bytes of a text are those of its UTF-8', () => {
  for (const text of ['', 'abc', 'Zürich', '€ 5', '\u{1F600} x', 'a\u202Eb', '\u07ff\u0800\uffff']) assert.equal(utf8Length(text), new TextEncoder().encode(text).length, text);
});

test('numbers keep their text', () => {
  const text = '{"a": 9223372036854775807, "b": 1.10, "c": -0, "d": 1e3, "e": 0.1, "f": 12, "g": 1E400}';
  const value = parseJson(text);
  assert.equal(printJson(value, 0), text);
  assert.ok(value.a instanceof Exact && value.b instanceof Exact);
  assert.equal(value.f, 12);
  assert.equal(preview(value.a), '9223372036854775807');
});

test('reads and refuses what JSON.parse reads and refuses', () => {
  const good = ['0', '-1.5e-7', '""', '"a\\u0041\\n\\\\"', '[]', '{}', ' [1 , {"a" : null} , true,false ] ', '{"a":{"b":[[]]}}', '"\ud83d\ude00"'];
  for (const text of good) assert.deepEqual(JSON.parse(JSON.stringify(parseJson(text))), JSON.parse(text), text);
  const bad = ['', '{', '[1,]', '{"a":1,}', '01', '1.', '.5', '+1', "'a'", '"a', '"\n"', 'nul', '[1 2]', '{"a" 1}', '{a:1}', '1 2', '"\\x"', '"\\u12"', 'NaN', '-'];
  for (const text of bad) {
    assert.throws(() => JSON.parse(text), text);
    assert.throws(() => parseJson(text), SyntaxError, text);
  }
});

test('a key that is a trap is a plain key', () => {
  const value = parseJson('{"__proto__": {"a": 1}, "constructor": 2}');
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(({}).a, undefined);
  assert.equal(printJson(clone(value), 0), '{"__proto__": {"a": 1}, "constructor": 2}');
  assert.equal(printJson(mergePatch({}, value), 0), '{"__proto__": {"a": 1}, "constructor": 2}');
  assert.equal(({}).a, undefined);
});

test('deep nesting is kept as text and does not end the page', () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  const value = parseJson(`{"items": [{"data": ${deep}}], "next": 1}`);
  assert.equal(value.next, 1);
  assert.equal(printJson(value, 0).length, `{"items": [{"data": ${deep}}], "next": 1}`.length);
});

test('the stored text of a member is kept', () => {
  const value = parseJson('{"data": {"z":1.10,  "a":1}, "other": {"data": [ 1 ]}}', ['data']);
  assert.equal(textOf(value, 'data'), '{"z":1.10,  "a":1}');
  assert.equal(textOf(value.other, 'data'), '[ 1 ]');
  assert.equal(textOf(value, 'other'), undefined);
});

test('equality is of JSON, and 1.10 is not 1.1', () => {
  assert.ok(same(parseJson('{"a":[1,{"b":null}]}'), parseJson('{"a":[1,{"b":null}]}')));
  assert.ok(!same(parseJson('1.10'), parseJson('1.1')));
  assert.ok(same(parseJson('1.10'), parseJson('1.10')));
  assert.ok(!same([], {}));
  assert.ok(!same({ a: undefined }, { b: undefined }));
});

/** Small numbers that look random and are the same each time. */
function random(seed) {
  let state = seed;
  return limit => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state % limit; };
}
function randomValue(next, depth = 0) {
  const kind = next(depth > 2 ? 4 : 6);
  if (kind === 0) return null;
  if (kind === 1) return next(100);
  if (kind === 2) return `s${next(10)}`;
  if (kind === 3) return new Exact(`${next(9)}.10`);
  if (kind === 4) return Array.from({ length: next(4) }, () => randomValue(next, depth + 1));
  return Object.fromEntries(Array.from({ length: next(5) }, () => ['a', 'b/c', 'd~e', 'f'][next(4)]).map(key => [key, randomValue(next, depth + 1)]));
}

test('patches made of differences lead from one value to the other, and back', () => {
  const next = random(7);
  for (let i = 0; i < 500; i++) {
    const a = { root: randomValue(next), x: 1 };
    const b = { root: randomValue(next), x: 1 };
    const items = diffValues(a, b);
    const there = items.map(item => (item.change === 'removed' ? { op: 'remove', path: item.pointer } : { op: item.change === 'added' ? 'add' : 'replace', path: item.pointer, value: item.after }));
    let made = clone(a);
    // A difference names leaves; the objects around them are made first.
    for (const op of there) {
      const keys = op.path.split('/').slice(1, -1);
      let owner = made;
      for (const key of keys.map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))) owner = owner[key] ??= {};
      made = applyPatch(made, [op]);
    }
    for (const item of items) assert.ok(same(valueAt(made, item.pointer), item.after), `${i} ${item.pointer}`);
    assert.equal(items.length === 0, same(a, b));
  }
});

test('RFC 6902 operations', () => {
  const state = () => ({ a: { b: [1, 2, 3] }, 'x/y': 1 });
  assert.deepEqual(applyPatch(state(), [{ op: 'add', path: '/a/b/1', value: 9 }]).a.b, [1, 9, 2, 3]);
  assert.deepEqual(applyPatch(state(), [{ op: 'add', path: '/a/b/-', value: 9 }]).a.b, [1, 2, 3, 9]);
  assert.deepEqual(applyPatch(state(), [{ op: 'remove', path: '/x~1y' }]), { a: { b: [1, 2, 3] } });
  assert.deepEqual(applyPatch(state(), [{ op: 'move', from: '/x~1y', path: '/a/m' }]), { a: { b: [1, 2, 3], m: 1 } });
  assert.deepEqual(applyPatch(state(), [{ op: 'replace', path: '', value: 5 }]), 5);
  assert.throws(() => applyPatch(state(), [{ op: 'add', path: '/no/such/place', value: 1 }]), /not there/);
});

test('RFC 7396 merges', () => {
  assert.deepEqual(mergePatch({ a: 1, b: { c: 2, d: 3 } }, { a: null, b: { c: 4 }, e: [1] }), { b: { c: 4, d: 3 }, e: [1] });
  assert.deepEqual(mergePatch({ a: 1 }, [1]), [1]);
  assert.deepEqual(mergePatch([1], { a: { b: null } }), { a: {} });
});

test('leaves and paths', () => {
  assert.deepEqual(leaves({ a: { b: 1 }, c: [1], d: {} }).map(leaf => leaf.pointer), ['/a/b', '/c', '/d']);
  assert.equal(pathText('/customer/lines/3/a~1b'), 'customer.lines[3]["a/b"]');
  assert.equal(leaves({ a: 1, b: 2, c: 3 }, 2).length, 2);
});

test('addresses keep what is not the default, in order, and name what is bad', () => {
  const known = { q: '', category: null, sort: 'name', limit: 50, system: false, type: [], at: { default: 'end', read: text => (/^\d+$|^end$/.test(text) ? text : undefined) } };
  const { values, bad } = readQuery('?sort=-updated&q=a%20b&system=1&type=A&type=B&unknown=1&limit=x&at=zzz', known);
  assert.deepEqual(values, { q: 'a b', category: null, sort: '-updated', limit: 50, system: true, type: ['A', 'B'], at: 'end' });
  assert.deepEqual(bad, ['limit', 'at']);
  assert.equal(writeQuery(values, known), '?q=a+b&sort=-updated&system=1&type=A&type=B');
  assert.equal(writeQuery(readQuery('', known).values, known), '');
  const again = readQuery(writeQuery(values, known), known);
  assert.deepEqual(again, { values, bad: [] });
  assert.equal(readQuery('?system=0', { system: true }).values.system, false);
  assert.equal(writeQuery({ system: false }, { system: true }), '?system=0');
});

test('names are one part of a path, whatever is in them', () => {
  const routes = [['/ui'], ['/ui/streams'], ['/ui/streams/{stream}'], ['/ui/streams/{stream}/state'], ['/ui/streams/{stream}/{revision}']];
  for (const name of ['a/b', '$ce-order', 'a b', '😀', 'a%2Fb', '..a', '.', '..', '~.', '~~..', 'state', '<script>', 'ü\u202e']) {
    const found = matchRoute(new URL(path`/ui/streams/${name}/state`, 'http://x').pathname, routes);
    assert.deepEqual([found.route[0], found.params.stream], ['/ui/streams/{stream}/state', name]);
  }
  assert.equal(matchRoute('/ui/', routes).route[0], '/ui');
  assert.equal(matchRoute('/ui/none', routes), null);
  assert.equal(matchRoute('/ui/streams/%zz', routes), null);
});

test('positions compare as numbers of 64 bits', () => {
  assert.ok(comparePositions('9', '10') < 0);
  assert.ok(comparePositions('18446744073709551615', '18446744073709551614') > 0);
  assert.equal(comparePositions('5', '5'), 0);
});

test('times keep their digits and know zones', () => {
  const at = '2026-11-22T09:10:29.0001230Z';
  assert.equal(timeText(at), '2026-11-22 09:10:29.000 UTC');
  assert.equal(timeText(at, 'UTC', 'exact'), '2026-11-22 09:10:29.0001230 UTC');
  assert.equal(timeText(at, 'Asia/Tokyo', 'short'), '2026-11-22 18:10:29');
  assert.equal(timeText('2026-11-22T23:59:59Z', 'UTC', 'clock'), '23:59:59.000');
  assert.equal(timeText('not a time'), 'not a time');
});

test('words for numbers', () => {
  assert.equal(numberText('9223372036854775807').replaceAll('\u202f', ''), '9223372036854775807');
  assert.equal(numberText(null), 'unknown');
  assert.equal(numberText(0), '0');
  assert.deepEqual([0.5, 812, 9_500, 75_000, 3_600_000, 93_600_000].map(durationText), ['500 µs', '812 ms', '9.5 s', '1 min 15 s', '1 h', '1 d 2 h']);
});

test('what cannot be seen is shown', () => {
  assert.equal(visibleText('a\u202eb\u0000c\u200bd'), 'a‹202E›b‹0000›c‹200B›d');
  assert.equal(visibleText('👩‍💻 ok'), '👩‍💻 ok');
  assert.equal(middle('abcdefghij', 5), 'ab…ij');
});

test('types have a steady hue and letters', () => {
  assert.deepEqual(['OrderPlaced', 'Shipped', '$metadata', 'order-placed', 'XMLRead', '注文確定', '$processInput'].map(typeBadge), ['OP', 'Sh', '$m', 'op', 'XR', '注文', 'pI']);
  assert.equal(typeHue('Shipped'), typeHue('Shipped'));
  assert.ok(typeHue('') < 12);
});

test('bytes in rows of sixteen', () => {
  assert.deepEqual(hexLines(new Uint8Array([72, 105, 0])), [`00000000  48 69 00${' '.repeat(39)}  Hi.`]);
});

test('a person\'s values are told apart', () => {
  assert.equal(personalOf({ $personal: { k: 'k', o: 's', v: 'ada' } }).value, 'ada');
  assert.equal(personalOf({ $personal: { k: 'k', e: '12' } }).kind, 'erased');
  assert.equal(personalOf({ $personal: { u: 'no-key' } }).kind, 'unavailable');
  assert.equal(personalOf({ $pii: {} }).kind, 'sealed');
  assert.equal(personalOf({ $pii: { c: 'x', p: 'AT' } }).partial, 'AT');
  assert.equal(personalOf({ a: 1 }), null);
  const state = { name: { $pii: { c: 'x', k: 'y' } }, plain: { a: 1 } };
  assert.deepEqual(leaves(state).map(leaf => leaf.pointer), ['/name', '/plain/a']);
  assert.deepEqual(diffValues(state, { ...state, name: { $pii: { c: 'z', k: 'y' } } }).map(item => [item.pointer, item.change]), [['/name', 'changed']]);
  assert.deepEqual(diffValues({}, state).map(item => item.pointer), ['/name', '/plain/a']);
  const cursor = new Cursor();
  const first = mergeStep({}, clone(state));
  const second = mergeStep(clone(state), { name: { $pii: { c: 'z' } } });
  cursor.add(0, { base: { state: {} }, steps: [{ revision: 0, patch: first.patch, inverse: first.inverse }, { revision: 1, patch: second.patch, inverse: second.inverse }] });
  assert.deepEqual(cursor.changes(1).map(item => [item.pointer, item.change]), [['/name', 'changed']]);
  assert.equal(cursor.setBy('/name', 1), 1);
  assert.equal(cursor.setBy('/plain/a', 1), 0);
});

/** A stream of random merges: its pages as the API gives them, and its states made the plain way. */
function stream(count, seed) {
  const next = random(seed);
  const states = [];
  const steps = [];
  const bases = [];
  let state = {};
  for (let revision = 0; revision < count; revision++) {
    if (revision % PAGE === 0) bases.push({ revision: revision || null, state: clone(state) });
    const data = next(40) === 0 ? randomValue(next) : { [['a', 'b', 'c/d', 'e'][next(4)]]: randomValue(next), ...(next(3) ? {} : { nested: { [`k${next(6)}`]: randomValue(next, 2) } }) };
    const plain = mergePatch(clone(state), data);
    const step = mergeStep(state, data);
    state = step.state;
    assert.ok(same(state, plain), `merge ${revision}`);
    steps.push({ revision, patch: step.patch, inverse: clone(step.inverse) });
    states.push(clone(state));
  }
  const cursor = new Cursor();
  bases.forEach((base, number) => cursor.add(number, { base, steps: steps.slice(number * PAGE, (number + 1) * PAGE) }));
  return { cursor, states, steps };
}

test('the cursor is at any event what a plain fold is, in both directions', () => {
  const { cursor, states } = stream(1700, 11);
  const next = random(3);
  for (let i = 0; i < 400; i++) {
    const revision = next(1700);
    assert.ok(same(cursor.seek(revision), states[revision]), `${revision}`);
  }
  for (let revision = 1699; revision >= 0; revision--) assert.ok(same(cursor.seek(revision), states[revision]), `${revision}`);
  assert.deepEqual(cursor.seek(-1), {});
});

test('what an event changed is the difference of the states around it', () => {
  const { cursor, states } = stream(1100, 5);
  for (let revision = 1; revision < 1100; revision += 3) {
    const found = cursor.changes(revision).map(item => [item.pointer, item.change]);
    assert.deepEqual(found.sort(), diffValues(states[revision - 1], states[revision]).map(item => [item.pointer, item.change]).sort(), `${revision}`);
  }
});

test('each leaf is set by the last event after which it changed', () => {
  const { cursor, states } = stream(700, 23);
  const at = 690;
  for (const leaf of leaves(states[at])) {
    let since = at;
    while (since > 0 && same(valueAt(states[since - 1], leaf.pointer), leaf.value)) since--;
    if (leaf.pointer === '' || since === 0) continue;
    assert.equal(cursor.setBy(leaf.pointer, at), since, leaf.pointer);
  }
  const part = new Cursor();
  part.add(1, { base: { revision: 499, state: { a: 1 } }, steps: [{ revision: 500, patch: [{ op: 'add', path: '/b', value: 2 }], inverse: [{ op: 'remove', path: '/b' }] }] });
  assert.equal(part.setBy('/a', 500), null);
  assert.equal(part.setBy('/b', 500), 500);
});

test('a seek within 1,000 events is quick', t => {
  const { cursor } = stream(10_000, 2);
  const next = random(9);
  const figures = [];
  let at = 5000;
  for (let i = 0; i < 500; i++) {
    at = Math.max(0, Math.min(9999, at + next(2001) - 1000));
    const begun = performance.now();
    cursor.seek(at);
    figures.push(performance.now() - begun);
  }
  figures.sort((a, b) => a - b);
  t.diagnostic(`seek: p50 ${figures[250].toFixed(3)} ms, p95 ${figures[475].toFixed(3)} ms`);
});

test('expressions are watched without being evaluated as code', () => {
  const state = { total: 12.5, lines: [{ qty: 2 }, { qty: 3 }], customer: { tier: 'gold', 'odd key': 1 }, big: new Exact('1.10') };
  const cases = [
    ['total', 12.5], ['lines[1].qty * 2 + 1', 7], ['customer.tier == "gold" && total > 10', true], ['len(lines)', 2], ['customer["odd key"]', 1],
    ['big + 1', 2.1], ['missing.path', undefined], ['(total - 2.5) / 2', 5], ['-total', -12.5], ['!missing', true], ['"a" + total', 'a12.5'], ['["total"]', 12.5], ['total / "x"', undefined],
    ['constructor', undefined], ['__proto__', undefined], ['lines.length', 2],
  ];
  for (const [text, wanted] of cases) assert.deepEqual(compile(text)(state), wanted, text);
  for (const text of ['', 'a b', '1 +', 'a.', 'alert(1)', 'a[', '@', 'a = 1']) assert.throws(() => compile(text), SyntaxError, text);
});
