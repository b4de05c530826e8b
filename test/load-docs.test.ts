/** docs/load.md and --help name what there is: every option, every error, every field of the result. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'epoll-pool/load';
import { expect, test } from 'vitest';
import { LOAD_USAGE, OPTIONS, parseLoadCommand } from '../dist/main/load/command-line.js';
import { COMPARE_USAGE } from '../dist/main/load/compare-command.js';
import { intervalsCsv } from '../dist/main/load/intervals-csv.js';
import { MERGE_USAGE } from '../dist/main/load/merge-command.js';
import { planLoad } from '../dist/main/load/options.js';
import { ERROR_KINDS, STOP_REASONS } from '../dist/main/load/result.js';
import { UNEXPECTED_BYTES, wordsFor } from '../dist/shared/load/problems.js';
import { sample } from './load-sample.ts';
import { httpServer } from './support/load-server.ts';
import { ROOT } from './support/run.ts';

const page = readFileSync(join(ROOT, 'docs', 'load.md'), 'utf8');

/** The rows of the table below a heading, without its own head. */
function table(heading: string): string[][] {
  const below = page.slice(page.indexOf(`\n## ${heading}\n`));
  const rows = /\n\|[^\n]*\n\| *---[^\n]*\n((?:\|[^\n]*\n)+)/.exec(below)?.[1] ?? '';
  return rows
    .trim()
    .split('\n')
    .map(row => row.split('|').map(cell => cell.trim()))
    .map(cells => cells.slice(1, -1));
}

/** What stands in `code` there. */
const names = (cell = ''): string[] => [...cell.matchAll(/`([^`]*)`/g)].map(([, name = '']) => name);
const missing = (wanted: readonly string[], there: readonly string[]) => wanted.filter(it => !there.includes(it));

test('every option of the command line, long and short, in --help and in the table; and no other', () => {
  const typed = Object.entries(OPTIONS)
    .flatMap(([name, option]) => ('short' in option ? [`--${name}`, `-${option.short}`] : [`--${name}`]))
    .filter(name => name !== '--help' && name !== '-h');
  const inHelp = [...LOAD_USAGE.matchAll(/(?<=^ {2,6}|, )--?[a-z-]+(?= |,|$)|(?<=^ {2})-[a-zA-Z](?=, )|--fail/gm)].map(
    ([name]) => name,
  );
  expect(missing(typed, inHelp)).toEqual([]);
  expect(missing(inHelp, [...typed, '--help', '-h'])).toEqual([]);
  const inTable = table('Options').flatMap(([cell]) => names(cell).filter(name => name.startsWith('-')));
  expect(missing(typed, inTable)).toEqual([]);
  expect(missing(inTable, typed)).toEqual([]);
  expect(parseLoadCommand(['--help'])).toBeUndefined();
});

test('every option of load() in the table; and no other', () => {
  const wrong: unknown = { url: 'http://localhost', nonsense: 1 };
  let known: string[] = [];
  try {
    Reflect.apply(planLoad, undefined, [wrong]);
  } catch (error) {
    known = /options of load\(\): ([\w, ]+);/.exec(String(error))?.[1]?.split(', ') ?? [];
  }
  expect(known).toContain('stopAfter');
  const inTable = table('Options')
    .flatMap(([, cell]) => names(cell))
    .map(name => name.replace(/[.(:].*$/, ''));
  expect(missing(known, inTable)).toEqual([]);
  expect(missing(inTable, [...known, 'reportHtml'])).toEqual([]);
});

test('the files of merge and compare, and what they take, in their helps', () => {
  for (const name of ['json', 'report', 'hdr', 'csv']) expect(MERGE_USAGE).toMatch(new RegExp(`^ +--${name} `, 'm'));
  for (const name of ['require', 'json', 'report']) expect(COMPARE_USAGE).toMatch(new RegExp(`^ +--${name} `, 'm'));
  expect(COMPARE_USAGE).toContain('--fail');
});

test('every kind of error, and every detail that is this package’s own', () => {
  const rows = table('Errors');
  expect(rows.map(([kind]) => names(kind)[0])).toEqual([...ERROR_KINDS]);
  const problems = [
    'version',
    'status-code',
    'header',
    'header-size',
    'content-length',
    'chunk',
    'upgrade',
    'truncated',
  ];
  const words = problems.map(wordsFor);
  expect(words.filter((text, i) => text === problems[i])).toEqual([]);
  const details = rows.map(([, , cell = '']) => cell).join();
  for (const text of [...words, UNEXPECTED_BYTES]) expect(details).toContain(text);
  for (const text of ['closed before the response', 'closed before a request was sent', 'check threw'])
    expect(details).toContain(text);
});

test('every field of the result, in the row of its own; and no other', async () => {
  const { url } = await httpServer();
  const result = await load({ url, requests: 5, require: 'p99<1s' });
  const whole = sample({ tls: { resumed: 0, histogram: sample().histogram }, conditions: ['p99<1s'] });
  expect(Object.keys(result).toSorted()).toEqual(Object.keys(whole).toSorted());
  expect(Object.keys(result.settings).toSorted()).toEqual(Object.keys(whole.settings).toSorted());
  const rows = table('The result');
  const fields: Record<string, unknown> = { ...whole };
  const documented = rows.flatMap(([cell]) => names(cell));
  expect(missing(Object.keys(fields), documented)).toEqual([]);
  expect(missing(documented, Object.keys(fields))).toEqual([]);
  for (const [name, value] of Object.entries(fields)) {
    const inner: unknown = Array.isArray(value) ? value[0] : value;
    // By status, kind and detail: the keys of these are data.
    const isData = ['statuses', 'errors', 'errorDetails', 'histogram'].includes(name);
    if (typeof inner !== 'object' || inner === null || isData) continue;
    const about = rows.find(([cell]) => names(cell).includes(name))?.[1] ?? '';
    const keys = Object.keys(inner).concat(name === 'tls' ? Object.keys(whole.tls?.handshake ?? {}) : []);
    for (const key of keys) expect(about, `${name}.${key}`).toMatch(new RegExp(`\\b${key}\\b`));
  }
  const histogram = rows.find(([cell]) => names(cell).includes('histogram'))?.[1] ?? '';
  for (const key of Object.keys(whole.histogram)) expect(histogram).toMatch(new RegExp(`\\b${key}\\b`));
  for (const reason of STOP_REASONS) expect(page).toContain(`\`${reason}\``);
});

test('the columns of the CSV', () => {
  expect(page).toContain(`\`${intervalsCsv(sample()).split('\n')[0]}\``);
});
