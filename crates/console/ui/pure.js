// What can be said without a browser? Exact JSON, pointers and patches, addresses, times, names. Tested with `node --test`.

// ---- Exact JSON -----------------------------------------------------------------------------------------------------

/** A number whose text a JavaScript number would not give back (`9223372036854775807`, `1.10`, `1e3`), or deep text. */
export class Exact {
  constructor(source) { this.source = source; }
  toString() { return this.source; }
  valueOf() { return Number(this.source); }
  toJSON() { return Number(this.source); }
}

/** What is nested more deeply than this is kept as text: a page of events must not fail for one of them. */
const MAX_DEPTH = 256;

/** Characters of a text from which the browser's own reader is tried first. */
const BIG = 200_000;
/** What may be a number that is written otherwise than JavaScript would: an exponent, a zero at the end, many digits. */
const INEXACT = /[\s:,[](?:-0(?![.\d])|-?\d+\.\d*0(?!\d)|-?\d+(?:\.\d+)?[eE]|-?[\d.]{16}|-?0\.0{6})/;

/**
 * Reads JSON as JSON.parse does, with three differences: numbers keep their text, `__proto__` is a plain key, and the
 * text of members named in `keepText` can be asked for with {@link textOf}.
 */
export function parseJson(text, keepText) {
  let at = 0;
  const fail = what => { throw new SyntaxError(`${what} at ${at}`); };
  const blank = () => {
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === 32 || c === 10 || c === 13 || c === 9) at++; else return;
    }
  };
  const string = () => {
    const start = at++;
    let plain = true;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === 34) break;
      if (c === 92) { plain = false; at += 2; continue; }
      if (c < 32 || Number.isNaN(c)) fail('a string that does not end');
      at++;
    }
    at++;
    return plain ? text.slice(start + 1, at - 1) : JSON.parse(text.slice(start, at));
  };
  let deepest = 0;
  const skip = () => {
    const start = at;
    let open = 0;
    deepest = 0;
    do {
      const c = text.charCodeAt(at);
      if (Number.isNaN(c)) fail('a value that does not end');
      if (c === 34) { string(); continue; }
      if (c === 123 || c === 91) { if (++open > deepest) deepest = open; }
      if (c === 125 || c === 93) open--;
      at++;
    } while (open > 0);
    return text.slice(start, at);
  };
  const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  /** A big value whose numbers a JavaScript number gives back as they are is left to the browser, which is faster by far. */
  const big = depth => {
    const start = at;
    const source = skip();
    if (depth + deepest <= MAX_DEPTH && !INEXACT.test(source)) {
      try { return JSON.parse(source); } catch { /* said below, with its place */ }
    }
    at = start;
    return value(depth);
  };
  const value = depth => {
    blank();
    const c = text.charCodeAt(at);
    if (depth > MAX_DEPTH && (c === 123 || c === 91)) return new Exact(skip());
    if (c === 123) {
      at++;
      const out = {};
      blank();
      if (text.charCodeAt(at) === 125) { at++; return out; }
      for (;;) {
        blank();
        if (text.charCodeAt(at) !== 34) fail('a key was expected');
        const key = string();
        blank();
        if (text.charCodeAt(at++) !== 58) fail('a colon was expected');
        blank();
        const start = at;
        const c2 = text.charCodeAt(at);
        const inner = keepText && (c2 === 123 || c2 === 91) && text.length - at > BIG && keepText.includes(key) ? big(depth + 1) : value(depth + 1);
        if (key === '__proto__') Object.defineProperty(out, key, { value: inner, enumerable: true, configurable: true, writable: true });
        else out[key] = inner;
        if (keepText && keepText.includes(key)) remember(out, key, text.slice(start, at));
        blank();
        const next = text.charCodeAt(at++);
        if (next === 125) return out;
        if (next !== 44) fail('a comma was expected');
      }
    }
    if (c === 91) {
      at++;
      const out = [];
      blank();
      if (text.charCodeAt(at) === 93) { at++; return out; }
      for (;;) {
        out.push(value(depth + 1));
        blank();
        const next = text.charCodeAt(at++);
        if (next === 93) return out;
        if (next !== 44) fail('a comma was expected');
      }
    }
    if (c === 34) return string();
    if (text.startsWith('true', at)) { at += 4; return true; }
    if (text.startsWith('false', at)) { at += 5; return false; }
    if (text.startsWith('null', at)) { at += 4; return null; }
    number.lastIndex = at;
    const found = number.exec(text);
    if (!found) fail('not JSON');
    at = number.lastIndex;
    const source = found[0];
    const plain = Number(source);
    return String(plain) === source ? plain : new Exact(source);
  };
  const out = value(0);
  blank();
  if (at !== text.length) fail('something after the end');
  return out;
}

const texts = new WeakMap();
function remember(owner, key, text) {
  let kept = texts.get(owner);
  if (!kept) texts.set(owner, kept = new Map());
  kept.set(key, text);
}

/** The text of `owner[key]` as it was stored, or undefined where {@link parseJson} was not asked to keep it. */
export const textOf = (owner, key) => (owner && typeof owner === 'object' ? texts.get(owner)?.get(key) : undefined);

export const isNumber = value => typeof value === 'number' || value instanceof Exact;
export const isObject = value => value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Exact);
export const isContainer = value => Array.isArray(value) || isObject(value);

/** The kind of a value, as JSON calls it. */
export function kindOf(value) {
  if (value === null) return 'null';
  if (value === undefined) return 'absent';
  if (Array.isArray(value)) return 'array';
  if (isNumber(value)) return 'number';
  return typeof value;
}

/** Writes JSON with numbers as they came. `indent` is a number of blanks; 0 is one line, with blanks after `:` and `,`. */
export function printJson(value, indent = 2) {
  const out = [];
  const write = (v, gap) => {
    if (v === undefined) { out.push('null'); return; }
    if (v instanceof Exact) { out.push(v.source); return; }
    if (v === null || typeof v !== 'object') { out.push(JSON.stringify(v)); return; }
    const isList = Array.isArray(v);
    const keys = isList ? v : Object.keys(v);
    if (keys.length === 0) { out.push(isList ? '[]' : '{}'); return; }
    const inner = gap + ' '.repeat(indent);
    out.push(isList ? '[' : '{');
    keys.forEach((key, i) => {
      if (i) out.push(indent ? ',' : ', ');
      if (indent) out.push('\n', inner);
      if (!isList) out.push(JSON.stringify(key), ': ');
      write(isList ? key : v[key], inner);
    });
    if (indent) out.push('\n', gap);
    out.push(isList ? ']' : '}');
  };
  write(value, '');
  return out.join('');
}

/** One line of at most `limit` characters, cheaply: a big value is not written to its end. */
export function preview(value, limit = 160) {
  let out = '';
  const full = () => out.length > limit;
  const write = (v, depth) => {
    if (full()) return;
    if (v === undefined) return;
    if (v instanceof Exact) { out += v.source; return; }
    if (typeof v === 'string') { out += JSON.stringify(v.length > limit ? v.slice(0, limit) : v); return; }
    if (v === null || typeof v !== 'object') { out += JSON.stringify(v); return; }
    const isList = Array.isArray(v);
    const keys = isList ? v : Object.keys(v);
    out += isList ? '[' : depth ? '{' : '';
    for (let i = 0; i < keys.length && !full(); i++) {
      if (i) out += depth || isList ? ', ' : '  ';
      if (isList) write(keys[i], depth + 1);
      else { out += `${keys[i]}: `; write(v[keys[i]], depth + 1); }
    }
    out += isList ? ']' : depth ? '}' : '';
  };
  write(value, 0);
  return full() ? `${out.slice(0, limit)}…` : out;
}

/** Whether two values are the same JSON. `1.10` and `1.1` are not: they are shown differently. */
export function same(a, b) {
  if (a === b) return true;
  if (a instanceof Exact || b instanceof Exact) return isNumber(a) && isNumber(b) && String(a) === String(b);
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every(key => Object.hasOwn(b, key) && same(a[key], b[key]));
}

export function clone(value) {
  if (value === null || typeof value !== 'object' || value instanceof Exact) return value;
  if (Array.isArray(value)) return value.map(clone);
  const out = {};
  for (const key of Object.keys(value)) put(out, key, clone(value[key]));
  return out;
}

function put(owner, key, value) {
  if (key === '__proto__') Object.defineProperty(owner, key, { value, enumerable: true, configurable: true, writable: true });
  else owner[key] = value;
}

// ---- Pointers, patches, differences ---------------------------------------------------------------------------------

export const escapePointer = key => String(key).replaceAll('~', '~0').replaceAll('/', '~1');
export const splitPointer = pointer => pointer === '' ? [] : pointer.slice(1).split('/').map(p => p.replaceAll('~1', '/').replaceAll('~0', '~'));
export const joinPointer = keys => keys.map(key => `/${escapePointer(key)}`).join('');

/** A pointer as people write it: `customer.lines[3].price`; odd keys in quotes. */
export function pathText(pointer) {
  let out = '';
  for (const key of splitPointer(pointer)) {
    if (/^[A-Za-z_$][\w$-]*$/.test(key)) out += out ? `.${key}` : key;
    else if (/^\d+$/.test(key)) out += `[${key}]`;
    else out += `[${JSON.stringify(key)}]`;
  }
  return out || '(whole state)';
}

/** The value at a pointer, or undefined. */
export function valueAt(root, pointer) {
  let value = root;
  for (const key of splitPointer(pointer)) {
    if (value === null || typeof value !== 'object' || value instanceof Exact || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Applies RFC 6902 operations in place and gives the root, which may be another one. */
export function applyPatch(root, patch) {
  for (const op of patch) root = applyOne(root, op);
  return root;
}

function applyOne(root, op) {
  const keys = splitPointer(op.path);
  if (op.op === 'move' || op.op === 'copy') {
    const value = op.op === 'copy' ? clone(valueAt(root, op.from)) : valueAt(root, op.from);
    if (op.op === 'move') root = applyOne(root, { op: 'remove', path: op.from });
    return applyOne(root, { op: 'add', path: op.path, value });
  }
  if (op.op === 'test') return root;
  if (keys.length === 0) return op.op === 'remove' ? null : clone(op.value);
  let owner = root;
  for (let i = 0; i < keys.length - 1; i++) {
    owner = owner?.[keys[i]];
    if (owner === null || typeof owner !== 'object') throw new Error(`the patch names ${op.path}, which is not there`);
  }
  const key = keys[keys.length - 1];
  if (Array.isArray(owner)) {
    const i = key === '-' ? owner.length : Number(key);
    if (op.op === 'add') owner.splice(i, 0, clone(op.value));
    else if (op.op === 'remove') owner.splice(i, 1);
    else owner[i] = clone(op.value);
  } else if (op.op === 'remove') delete owner[key];
  else put(owner, key, clone(op.value));
  return root;
}

/** RFC 7396: what the default fold does with an event's data. Changes `target` in place where it can. */
export function mergePatch(target, patch) {
  if (!isObject(patch)) return clone(patch);
  const out = isObject(target) ? target : {};
  for (const key of Object.keys(patch)) {
    if (patch[key] === null) delete out[key];
    else put(out, key, mergePatch(Object.hasOwn(out, key) ? out[key] : undefined, patch[key]));
  }
  return out;
}

/** The leaves of a value, in order: scalars, arrays, personal values and empty objects. `limit` ends it early. */
export function leaves(root, limit = Infinity) {
  const out = [];
  const walk = (value, pointer) => {
    if (out.length >= limit) return;
    if (isObject(value) && !personalOf(value)) {
      const keys = Object.keys(value);
      if (keys.length || pointer === '') {
        for (const key of keys) walk(value[key], `${pointer}/${escapePointer(key)}`);
        return;
      }
    }
    out.push({ pointer, value });
  };
  walk(root, '');
  return out;
}

/** How `b` differs from `a`, leaf by leaf: `[{pointer, change, before, after}]`, sorted by pointer. */
export function diffValues(a, b) {
  const out = [];
  const walk = (x, y, pointer) => {
    if (same(x, y)) return;
    const isWhole = personalOf(x) || personalOf(y);
    if (isObject(x) && isObject(y) && !isWhole) {
      for (const key of new Set([...Object.keys(x), ...Object.keys(y)])) {
        const before = Object.hasOwn(x, key) ? x[key] : undefined;
        const after = Object.hasOwn(y, key) ? y[key] : undefined;
        walk(before, after, `${pointer}/${escapePointer(key)}`);
      }
      return;
    }
    if (x === undefined && !isWhole && isObject(y) && Object.keys(y).length) { walk({}, y, pointer); return; }
    if (y === undefined && !isWhole && isObject(x) && Object.keys(x).length) { walk(x, {}, pointer); return; }
    out.push({ pointer, change: x === undefined ? 'added' : y === undefined ? 'removed' : 'changed', before: x, after: y });
  };
  walk(a, b, '');
  return out.sort((p, q) => (p.pointer < q.pointer ? -1 : p.pointer > q.pointer ? 1 : 0));
}

// ---- Travelling in time ---------------------------------------------------------------------------------------------

/** Steps of a page of history; pages begin at multiples of it. */
export const PAGE = 500;

/**
 * The state of a stream after any of its events, from pages of patches. It keeps one state and walks it, forwards by a
 * step's patch and backwards by its inverse, or begins anew from a page's base where that is nearer.
 */
export class Cursor {
  constructor() {
    this.pages = new Map();
    this.page = null;
    this.applied = 0;
    this.root = {};
    /** Where each path was touched, per page: path -> revisions, ascending. */
    this.touched = new Map();
  }

  /** Takes the page of history that begins at `number * PAGE`. A page may come again, longer. */
  add(number, { base, steps }) {
    const state = base?.state ?? {};
    this.pages.set(number, { number, base: state, steps });
    if (this.page === number) this.page = null;
    const touched = new Map();
    for (const step of steps) {
      for (const op of step.patch) {
        const parts = splitPointer(op.path);
        // A change below an array is one of the array, which is a leaf.
        for (let n = parts.length; n >= 0; n--) {
          const at = n === parts.length ? op.path : joinPointer(parts.slice(0, n));
          const key = n === parts.length ? at : `<${at}`;
          const list = touched.get(key);
          if (!list) touched.set(key, [step.revision]);
          else if (list[list.length - 1] !== step.revision) list.push(step.revision);
        }
      }
    }
    this.touched.set(number, touched);
  }

  /** Forgets a page. */
  drop(number) {
    this.pages.delete(number);
    this.touched.delete(number);
    if (this.page === number) this.page = null;
  }

  has(revision) { return this.pages.has(Math.floor(revision / PAGE)); }

  /** The step of exactly this revision, if its page is here and it is visible. */
  step(revision) {
    const page = this.pages.get(Math.floor(revision / PAGE));
    if (!page) return undefined;
    const i = lastAt(page.steps, revision);
    return i >= 0 && page.steps[i].revision === revision ? page.steps[i] : undefined;
  }

  /** The state after `revision`, or undefined where its page is not here. It is the cursor's own: clone what is kept. */
  seek(revision) {
    if (revision < 0) return {};
    const number = Math.floor(revision / PAGE);
    const page = this.pages.get(number);
    if (!page) return undefined;
    const wanted = lastAt(page.steps, revision) + 1;
    if (this.page !== number || wanted < this.applied - wanted) {
      this.page = number;
      this.applied = 0;
      this.root = clone(page.base);
    }
    try {
      while (this.applied < wanted) this.root = applyPatch(this.root, page.steps[this.applied++].patch);
      while (this.applied > wanted) this.root = applyPatch(this.root, page.steps[--this.applied].inverse);
    } catch (error) {
      this.page = null;
      throw error;
    }
    return this.root;
  }

  /** What the event at `revision` changed: `[{pointer, change, before, after}]`. */
  changes(revision) {
    const step = this.step(revision);
    if (!step || !step.patch.length) return [];
    // What is below a personal value is a change of it as a whole.
    const tops = topmost(step.patch.map(op => op.path.replace(/\/\$(pii|personal)(\/.*)?$/, '')));
    const before = tops.map(top => clone(valueAt(this.seekBefore(revision), top)));
    const state = this.seek(revision);
    return tops.flatMap((top, i) => diffValues(before[i], valueAt(state, top)).map(item => ({ ...item, pointer: top + item.pointer })));
  }

  seekBefore(revision) {
    const number = Math.floor(revision / PAGE);
    const page = this.pages.get(number);
    const i = lastAt(page.steps, revision);
    return i > 0 ? this.seek(page.steps[i - 1].revision) : page.base;
  }

  /**
   * The revision that gave the leaf at `pointer` the value that it has after `revision`; null where it was before what is
   * here, undefined where nothing set it.
   */
  setBy(pointer, revision) {
    const keys = splitPointer(pointer);
    const names = keys.map((_, i) => joinPointer(keys.slice(0, i + 1)));
    names.push('', `<${pointer}`);
    for (let number = Math.floor(revision / PAGE); number >= 0; number--) {
      const touched = this.touched.get(number);
      if (!touched) return null;
      let best = -1;
      for (const name of names) {
        const list = touched.get(name);
        if (!list) continue;
        const i = lastIndex(list, revision);
        if (i >= 0 && list[i] > best) best = list[i];
      }
      if (best >= 0) return best;
    }
    return undefined;
  }
}

/** The paths that are below no other one of them. */
function topmost(paths) {
  const all = [...new Set(paths)].sort();
  return all.filter((one, i) => !all.slice(0, i).some(other => one.startsWith(`${other}/`)));
}
function lastAt(steps, revision) {
  let low = 0;
  let high = steps.length;
  while (low < high) { const mid = (low + high) >> 1; if (steps[mid].revision <= revision) low = mid + 1; else high = mid; }
  return low - 1;
}
function lastIndex(list, revision) {
  let low = 0;
  let high = list.length;
  while (low < high) { const mid = (low + high) >> 1; if (list[mid] <= revision) low = mid + 1; else high = mid; }
  return low - 1;
}

/** Merges `data` into `state` in place, and says by which patch, there and back: `{state, patch, inverse}`. */
export function mergeStep(state, data) {
  const patch = [];
  const inverse = [];
  const note = (pointer, before, after) => {
    if (after === undefined) patch.push({ op: 'remove', path: pointer });
    else patch.push({ op: before === undefined ? 'add' : 'replace', path: pointer, value: clone(after) });
    inverse.unshift(before === undefined ? { op: 'remove', path: pointer } : { op: after === undefined ? 'add' : 'replace', path: pointer, value: before });
  };
  const walk = (target, from, pointer) => {
    for (const key of Object.keys(from)) {
      const at = `${pointer}/${escapePointer(key)}`;
      const has = Object.hasOwn(target, key);
      const before = has ? target[key] : undefined;
      if (from[key] === null) {
        if (has) { delete target[key]; note(at, before, undefined); }
      } else if (isObject(from[key]) && isObject(before)) walk(before, from[key], at);
      else {
        const after = mergePatch(undefined, from[key]);
        if (has && same(before, after)) continue;
        put(target, key, after);
        note(at, before, after);
      }
    }
  };
  if (isObject(data) && isObject(state)) { walk(state, data, ''); return { state, patch, inverse }; }
  const after = mergePatch(undefined, data);
  return same(state, after) ? { state, patch, inverse }
    : { state: after, patch: [{ op: 'replace', path: '', value: clone(after) }], inverse: [{ op: 'replace', path: '', value: state }] };
}

/** Whether the default fold takes this event's data. */
export const isMerged = event => !event.type.startsWith('$') && !event.redacted && event.data !== undefined;

// ---- Expressions to watch -------------------------------------------------------------------------------------------

/**
 * Compiles what a person watches: paths (`customer.tier`, `lines[0].qty`, `["odd key"]`), numbers, "text", `true`, `null`,
 * `+ - * /`, comparisons, `&&`, `||`, `!`, `len(...)`, brackets. Gives `state => value`; throws a SyntaxError that says where.
 */
export function compile(text) {
  const tokens = [...text.matchAll(/\s*(?:(\d+(?:\.\d+)?)|("(?:[^"\\]|\\.)*"|'[^']*')|([\p{L}_$][\p{L}\p{N}_$-]*)|(&&|\|\||[=!]==?|[<>]=?|[-+*/().![\]])|(\S))/gu)].map(m => ({ number: m[1], string: m[2], name: m[3], sign: m[4], odd: m[5], at: m.index }));
  let i = 0;
  const fail = what => { throw new SyntaxError(`${what} at ${(tokens[i]?.at ?? text.length) + 1}`); };
  const take = (...signs) => (tokens[i]?.sign !== undefined && signs.includes(tokens[i].sign) ? tokens[i++].sign : null);
  const asNumber = value => (value instanceof Exact ? Number(value.source) : value);
  const number = value => { const n = asNumber(value); return typeof n === 'number' ? n : NaN; };
  const textOfString = token => (token[0] === "'" ? token.slice(1, -1) : JSON.parse(token));
  const get = (value, key) => (value !== null && typeof value === 'object' && !(value instanceof Exact) && Object.hasOwn(value, key) ? value[key] : undefined);
  const steps = base => {
    let run = base;
    for (;;) {
      const inner = run;
      if (take('.')) {
        const name = tokens[i++]?.name ?? fail('a name was expected');
        run = state => get(inner(state), name);
      } else if (take('[')) {
        const key = or();
        if (!take(']')) fail('] was expected');
        run = state => get(inner(state), String(key(state)));
      } else return run;
    }
  };
  const atom = () => {
    const token = tokens[i];
    if (!token) fail('something was expected');
    if (take('(')) { const inner = or(); if (!take(')')) fail(') was expected'); return steps(inner); }
    if (take('!')) { const inner = atom(); return state => !inner(state); }
    if (take('-')) { const inner = atom(); return state => -number(inner(state)); }
    if (take('[')) {
      const key = or();
      if (!take(']')) fail('] was expected');
      return steps(state => get(state, String(key(state))));
    }
    i++;
    if (token.number !== undefined) { const value = Number(token.number); return () => value; }
    if (token.string !== undefined) { const value = textOfString(token.string); return () => value; }
    if (token.name !== undefined) {
      if (token.name === 'true' || token.name === 'false') return () => token.name === 'true';
      if (token.name === 'null') return () => null;
      if (token.name === 'len' && take('(')) {
        const inner = or();
        if (!take(')')) fail(') was expected');
        return state => { const value = inner(state); return typeof value === 'string' || Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : undefined; };
      }
      return steps(state => get(state, token.name));
    }
    i--;
    return fail('not understood');
  };
  const chain = (next, table) => () => {
    let left = next();
    for (;;) {
      const sign = take(...Object.keys(table));
      if (!sign) return left;
      const [a, b] = [left, next()];
      left = state => table[sign](a(state), b(state));
    }
  };
  const times = chain(atom, { '*': (a, b) => number(a) * number(b), '/': (a, b) => number(a) / number(b) });
  const plus = chain(times, { '+': (a, b) => (typeof a === 'string' || typeof b === 'string' ? `${a}${b}` : number(a) + number(b)), '-': (a, b) => number(a) - number(b) });
  const compare = chain(plus, { '<': (a, b) => asNumber(a) < asNumber(b), '>': (a, b) => asNumber(a) > asNumber(b), '<=': (a, b) => asNumber(a) <= asNumber(b), '>=': (a, b) => asNumber(a) >= asNumber(b) });
  const equal = chain(compare, { '==': same, '===': same, '!=': (a, b) => !same(a, b), '!==': (a, b) => !same(a, b) });
  const and = chain(equal, { '&&': (a, b) => a && b });
  const or = chain(and, { '||': (a, b) => a || b });
  const run = or();
  if (i < tokens.length) fail('not understood');
  return state => { const value = run(state); return typeof value === 'number' && Number.isNaN(value) ? undefined : value; };
}

// ---- Addresses ------------------------------------------------------------------------------------------------------

/** Whether it is `.` or `..` after any number of `~`. */
const isDots = text => /^~*\.\.?$/.test(text);
/** A name as a part of a path. `.` and `..` are a way up there, also encoded: they get a `~` in front, and so does what looks like that. */
export const segment = name => (isDots(name) ? '~' : '') + encodeURIComponent(name);
/** The name that an encoded part stands for. */
export function ofSegment(part) {
  const text = decodeURIComponent(part);
  return text.startsWith('~') && isDots(text) ? text.slice(1) : text;
}

/** A path of the console or the API with each part encoded whole: `` path`/ui/streams/${name}/state` ``. */
export function path(parts, ...values) {
  return parts.reduce((out, part, i) => out + segment(String(values[i - 1])) + part);
}

/** `?a=1&b=2` of what is set; lists repeat their name. */
export function queryString(values) {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === '' || value === false) continue;
    for (const one of Array.isArray(value) ? value : [value]) out.append(name, value === true ? '1' : String(one));
  }
  // Colons, commas and slashes may stand in a query, and people read addresses.
  const text = out.toString().replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%2F', '/').replaceAll('%24', '$');
  return text ? `?${text}` : '';
}

/**
 * Reads a query by what is known of it: `{name: default}`. The default's type is the parameter's: text, a whole number,
 * a switch, a list, or `null` for text that may be absent. `{default, read}` reads by itself and gives undefined for
 * what is bad. Unknown parameters are ignored; bad ones are named and have their default.
 */
export function readQuery(search, known) {
  const given = new URLSearchParams(search);
  const values = {};
  const bad = [];
  for (const [name, spec] of Object.entries(known)) {
    const isReader = spec !== null && typeof spec === 'object' && !Array.isArray(spec);
    const fallback = isReader ? spec.default : spec;
    values[name] = fallback;
    if (!given.has(name)) continue;
    const text = given.get(name);
    let value;
    if (isReader) value = spec.read(text);
    else if (Array.isArray(fallback)) value = given.getAll(name);
    else if (typeof fallback === 'number') value = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    else if (typeof fallback === 'boolean') value = text === '1' || text === 'true' ? true : text === '0' || text === 'false' ? false : undefined;
    else value = text;
    if (value === undefined) bad.push(name); else values[name] = value;
  }
  return { values, bad };
}

/** The query that says `values`: only what differs from the default, always in the order of `known`. */
export function writeQuery(values, known) {
  const out = {};
  for (const [name, spec] of Object.entries(known)) {
    const fallback = spec !== null && typeof spec === 'object' && !Array.isArray(spec) ? spec.default : spec;
    const value = values[name];
    if (value === undefined || value === null || same(value, fallback)) continue;
    out[name] = typeof value === 'boolean' ? (value ? '1' : '0') : value;
  }
  return queryString(out);
}

/** Finds the route of a path among `[[pattern, ...], ...]`: `{route, params}`. `{name}` is one encoded part. */
export function matchRoute(pathname, routes) {
  const parts = pathname.replace(/\/+$/, '').split('/');
  for (const route of routes) {
    const wanted = route[0].replace(/\/+$/, '').split('/');
    if (wanted.length !== parts.length) continue;
    const params = {};
    const fits = wanted.every((want, i) => {
      if (!want.startsWith('{')) return want === parts[i];
      try { params[want.slice(1, -1)] = ofSegment(parts[i]); } catch { return false; }
      return parts[i] !== '';
    });
    if (fits) return { route, params };
  }
  return null;
}

/** Compares positions: decimal text of up to 64 bits. */
export function comparePositions(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

// ---- Times and numbers ----------------------------------------------------------------------------------------------

/** Splits RFC 3339 text into milliseconds and the digits of its fraction. */
export function readTime(text) {
  const found = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text ?? '');
  if (!found) return null;
  const millis = Date.parse(found[1] + found[3]);
  return Number.isNaN(millis) ? null : { millis: millis + Number(`${found[2] ?? ''}000`.slice(0, 3)), fraction: found[2] ?? '' };
}

const formats = new Map();
function partsIn(millis, zone) {
  if (zone === 'UTC') {
    // Most times are shown in UTC, and the international formats take long to load.
    const text = new Date(millis).toISOString();
    return { year: text.slice(0, -20), month: text.slice(-19, -17), day: text.slice(-16, -14), hour: text.slice(-13, -11), minute: text.slice(-10, -8), second: text.slice(-7, -5), timeZoneName: 'UTC' };
  }
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
      hourCycle: 'h23', timeZoneName: 'short',
    });
    formats.set(zone, format);
  }
  return Object.fromEntries(format.formatToParts(millis).map(part => [part.type, part.value]));
}

/** `2026-11-22 09:10:29.000 UTC`, with the digits of the fraction that the store has. `show`: full, exact, clock, second, short, brief, date. */
export function timeText(text, zone = 'UTC', show = 'full') {
  const time = readTime(text);
  if (!time) return text ?? '';
  const p = partsIn(time.millis, zone);
  const day = `${p.year}-${p.month}-${p.day}`;
  const clock = `${p.hour}:${p.minute}:${p.second}`;
  const millis = `${time.fraction}000`.slice(0, 3);
  const name = zone === 'UTC' ? 'UTC' : p.timeZoneName;
  if (show === 'date') return day;
  if (show === 'clock') return `${clock}.${millis}`;
  if (show === 'second') return clock;
  if (show === 'brief') return `${p.month}-${p.day} ${p.hour}:${p.minute}`;
  if (show === 'short') return `${day} ${clock}`;
  if (show === 'exact') return `${day} ${clock}.${time.fraction.length > 3 ? time.fraction : millis} ${name}`;
  return `${day} ${clock}.${millis} ${name}`;
}

/** How long, in the two units that matter: `812 ms`, `4 min 10 s`, `3 d 2 h`. */
export function durationText(millis) {
  const abs = Math.abs(millis);
  if (abs === 0) return '0 ms';
  if (abs < 1) return `${Math.round(abs * 1000)} µs`;
  if (abs < 1000) return `${Math.round(abs)} ms`;
  if (abs < 60_000) return `${(abs / 1000).toFixed(abs < 10_000 ? 1 : 0).replace(/\.0$/, '')} s`;
  const units = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1000]];
  const first = units.findIndex(([, size]) => abs >= size);
  const [name, size] = units[first];
  const whole = Math.floor(abs / size);
  const next = units[first + 1];
  const rest = next ? Math.floor((abs - whole * size) / next[1]) : 0;
  return `${whole} ${name}${rest ? ` ${rest} ${next[0]}` : ''}`;
}

/** `4 min 10 s ago`, `in 3 s`, `now`. */
export function agoText(millis, now) {
  const gap = now - millis;
  if (Math.abs(gap) < 1000) return 'now';
  return gap > 0 ? `${durationText(gap)} ago` : `in ${durationText(gap)}`;
}

let grouping = null;
/** Whole numbers with thin groups; text of digits is grouped too, so that 64 bits stay exact. Unknown is `unknown`. */
export function numberText(value) {
  if (value === null || value === undefined) return 'unknown';
  const text = String(value);
  if (/^-?\d+$/.test(text)) return text.replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
  grouping ??= new Intl.NumberFormat('en', { useGrouping: true, maximumFractionDigits: 2 });
  return Number.isFinite(Number(value)) ? grouping.format(Number(value)).replaceAll(',', '\u202f') : text;
}

export function bytesText(count) {
  if (count === null || count === undefined) return 'unknown';
  let value = Number(count);
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  while (value >= 1000 && i < units.length - 1) { value /= 1000; i++; }
  return `${i && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[i]}`;
}

export const plural = (count, one, many = `${one}s`) => `${numberText(count)} ${Number(count) === 1 ? one : many}`;

// ---- Names ----------------------------------------------------------------------------------------------------------

const INVISIBLE = {
  0xad: 'soft hyphen', 0x61c: 'Arabic letter mark', 0x180e: 'Mongolian vowel separator', 0x200b: 'zero width space',
  0x200e: 'left-to-right mark', 0x200f: 'right-to-left mark', 0x2028: 'line separator', 0x2029: 'paragraph separator',
  0x202a: 'left-to-right embedding', 0x202b: 'right-to-left embedding', 0x202c: 'pop directional formatting',
  0x202d: 'left-to-right override', 0x202e: 'right-to-left override', 0x2060: 'word joiner', 0x2066: 'left-to-right isolate',
  0x2067: 'right-to-left isolate', 0x2068: 'first strong isolate', 0x2069: 'pop directional isolate', 0xfeff: 'byte order mark',
};
const ODD = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu;

/** Cuts text where a character would not be seen or would move others: `[text, {code, name}, text, ...]`. */
export function visibleParts(text) {
  const out = [];
  let from = 0;
  for (const found of text.matchAll(ODD)) {
    if (found.index > from) out.push(text.slice(from, found.index));
    const code = found[0].codePointAt(0);
    out.push({ code: code.toString(16).toUpperCase().padStart(4, '0'), name: INVISIBLE[code] ?? 'control character' });
    from = found.index + found[0].length;
  }
  if (from < text.length || out.length === 0) out.push(text.slice(from));
  return out;
}

/** The same as one line of text, for titles and attributes. */
export const visibleText = text => visibleParts(text).map(part => (typeof part === 'string' ? part : `‹${part.code}›`)).join('');

/** Text of at most `limit` characters, cut in the middle, since the ends of names tell most. */
export function middle(text, limit) {
  const letters = [...text];
  if (letters.length <= limit) return text;
  const keep = limit - 1;
  return `${letters.slice(0, Math.ceil(keep / 2)).join('')}…${letters.slice(-Math.floor(keep / 2)).join('')}`;
}

/** One of twelve hues for an event type; never the only carrier, see {@link typeBadge}. */
export function typeHue(type) {
  let hash = 2166136261;
  for (let i = 0; i < type.length; i++) hash = Math.imul(hash ^ type.charCodeAt(i), 16777619);
  return (hash >>> 0) % 12;
}

/** Two letters for an event type: `OrderPlaced` is `OP`, `Shipped` is `Sh`, `$metadata` is `$m`, `$processInput` is `pI`. */
export function typeBadge(type) {
  const words = type.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\s\w]|\p{L}+/gu) ?? [];
  const real = words.filter(word => /[\p{L}\d$]/u.test(word));
  if (real[0] === '$' && real.length > 2) real.shift();
  if (real.length >= 2) return [...real[0]][0] + [...real[1]][0];
  return [...(real[0] ?? type)].slice(0, 2).join('');
}

/**
 * What a value of a person is, where `value` is one: `{kind, value?, erasure?, why?}`; else null. `opened` can be read,
 * `erased` never again, `unavailable` not now, `sealed` was not asked to be opened. `partial` is what is kept in clear.
 */
export function personalOf(value) {
  if (!isObject(value)) return null;
  if (Object.hasOwn(value, '$pii')) return { kind: 'sealed', partial: value.$pii?.p };
  if (!Object.hasOwn(value, '$personal')) return null;
  const inner = value.$personal;
  if (!isObject(inner)) return { kind: 'sealed' };
  if (Object.hasOwn(inner, 'e')) return { kind: 'erased', erasure: String(inner.e), owner: inner.o, partial: inner.c };
  if (Object.hasOwn(inner, 'u')) return { kind: 'unavailable', why: String(inner.u), partial: inner.c };
  if (Object.hasOwn(inner, 'v')) return { kind: 'opened', value: inner.v };
  return { kind: 'sealed' };
}

/** Bytes of a text in UTF-8, without making them: a table asks it of each row. */
export function utf8Length(text) {
  let count = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    // A pair of surrogates is four bytes: two and two.
    count += code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 1 : 2;
  }
  return count;
}

/** Bytes of base64, for what is not JSON. */
export function bytesOf(base64) {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** `00000010  7b 22 61 ..  |{"a|`: 16 bytes a line. */
export function hexLines(bytes, limit = 4096) {
  const out = [];
  for (let at = 0; at < Math.min(bytes.length, limit); at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const hex = row.map(byte => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    const text = row.map(byte => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    out.push(`${at.toString(16).padStart(8, '0')}  ${hex}  ${text}`);
  }
  return out;
}

// ---- Sentences ------------------------------------------------------------------------------------------------------

export const capital = text => text.charAt(0).toUpperCase() + text.slice(1);
export const isAre = count => (Number(count) === 1 ? 'is' : 'are');

/** `a`, `a and b`, `a, b and 3 more`. */
export function listed(names, most = 3) {
  if (names.length <= 1) return names.join('');
  const shown = names.length > most ? [...names.slice(0, most - 1), `${names.length - most + 1} more`] : names;
  return `${shown.slice(0, -1).join(', ')} and ${shown[shown.length - 1]}`;
}

/** A length of time in its largest unit: a sentence needs no more. */
export function span(millis) {
  if (millis === null || millis === undefined || !Number.isFinite(Number(millis))) return 'an unknown time';
  return durationText(Math.max(0, Number(millis))).split(' ').slice(0, 2).join(' ');
}

/** `4 min ago`, `in 20 s`, of RFC 3339 text. */
export function agoOf(text, now) {
  const time = readTime(text);
  if (!time) return 'at an unknown time';
  return time.millis > now ? `in ${span(time.millis - now)}` : `${span(now - time.millis)} ago`;
}
