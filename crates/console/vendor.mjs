// Makes ui/vendor/preact.js again. For maintainers only: nothing that builds or runs Factum needs Node.
//
//   npm ci                 in a folder of your own, with the versions that VENDOR.md names, and esbuild
//   node vendor.mjs DIR    DIR is that folder
import { createRequire } from 'node:module';
import { writeFileSync, mkdtempSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = resolve(process.argv[2] ?? '.');
const require = createRequire(join(folder, 'package.json'));
const { buildSync } = require('esbuild');
const entry = join(mkdtempSync(join(folder, 'entry-')), 'entry.js');
writeFileSync(entry, `
export { h, render, Fragment, createRef, cloneElement, Component } from 'preact';
export { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useErrorBoundary, useId } from 'preact/hooks';
export { signal, computed, effect, batch, untracked, useSignal, useComputed, useSignalEffect } from '@preact/signals';
import { h } from 'preact';
import htm from 'htm';
export const html = htm.bind(h);
`);
const outfile = fileURLToPath(new URL('ui/vendor/preact.js', import.meta.url));
buildSync({ entryPoints: [entry], bundle: true, format: 'esm', minify: true, target: 'es2022', legalComments: 'none', outfile });
console.log(createHash('sha256').update(readFileSync(outfile)).digest('hex'));
