/** A result as text and as a page: the figures are there, and nothing in a result can break out of either. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { compareResults, judgeRatios } from '../dist/main/load/compare.js';
import { compareHtml } from '../dist/main/load/compare-html.js';
import { parseCondition } from '../dist/main/load/conditions.js';
import { bytes, compact, number, percent, time, timeOrNone } from '../dist/main/load/format.js';
import { mergeResults } from '../dist/main/load/merge.js';
import { reportHtml } from '../dist/main/load/report-html.js';
import { reportText } from '../dist/main/load/report-text.js';
import { escaped, linearTicks, logTicks } from '../dist/main/load/svg.js';
import { Histogram } from '../dist/shared/load/histogram.js';
import { measured, sample, seriesOf } from './load-sample.ts';

const failing = sample({
  settings: { ...sample().settings, rate: 500 },
  statuses: { 200: 5000, 404: 900, 503: 100 },
  errors: { connect: 0, reset: 2, timeout: 1, protocol: 0, status: 1000, check: 0 },
  errorDetails: { 'status 404': 900, 'status 503': 100, 'reset ECONNRESET': 2, timeout: 1 },
  series: { ...sample().series, errors: [0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1] },
  warnings: ['The generator was the bottleneck.'],
  interrupted: true,
});
const merged = mergeResults([
  sample(),
  sample({ hosts: [{ ...hostOf(), host: 'beta', started: hostOf().started + 9000 }] }),
]);
const nothing = sample({
  responses: 0,
  bytesReceived: 0,
  statuses: {},
  series: seriesOf({ interval: 1000, responses: [], bytes: [], errors: [] }),
  threads: [],
  hosts: [{ ...hostOf(), duration: 0 }],
  errors: { connect: 64, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 },
  errorDetails: { 'connect ECONNREFUSED': 64 },
  histogram: new Histogram().toJSON(),
});
const all = { sample: sample(), failing, merged, nothing };

function hostOf() {
  const [host] = measured().hosts;
  if (host === undefined) throw new Error('no host');
  return host;
}

test('the table of a run', () => {
  const { latency } = sample();
  const text = reportText(sample());
  expect(text).toMatch(/^GET http:\/\/127\.0\.0\.1:8080\/\n64 connections, 2 threads, closed loop, 12 s\n/);
  expect(text).toMatch(/^Requests\/s +500 +Responses +6,000$/m);
  expect(text).toMatch(/^Bytes\/s +425 kB +Received +5\.09 MB$/m);
  for (const value of [latency.p50, latency.p75, latency.p90, latency.p99, latency.p999, latency.max]) {
    expect(text).toContain(` ${timeOrNone(value)}`);
  }
  expect(text).toMatch(/^Over time {3}█{12} {2}500 to 500 requests\/s\n {12}█{12} {2}425 kB to 425 kB a second$/m);
  expect(text).toMatch(/^Status {4}2xx 6,000\nErrors {4}none$/m);
  expect(text).toMatch(/^1 +█{24} +51\.7% {2}busy 75\.0%$/m);
  expect(text).toMatch(/^alpha +75\.0% {2}of 2 processors {2}user 12 s, system 6 s$/m);
  expect(text).not.toContain('!');
});

test('the table of a run that went wrong', () => {
  const text = reportText(failing);
  expect(text).toContain('open loop at 500 requests/s');
  expect(text).toContain('Status    2xx 5,000   4xx 900   5xx 100');
  expect(text).toContain('Errors    1,003: reset 2   timeout 1   status 1,000');
  expect(text.indexOf('900 × status 404')).toBeLessThan(text.indexOf('2 × reset ECONNRESET'));
  expect(text).toContain('\n! The generator was the bottleneck.\n');
  expect(text).toContain('\n! Interrupted after 12 s.\n');
});

test('responses are counted by class, and by code where that says more; what happened when is drawn from 0', () => {
  const series = seriesOf({ interval: 1000, responses: [0, 250, 500], bytes: [1e6, 3e6, 0], errors: [0, 0, 0] });
  const hosts = [{ ...hostOf(), duration: 3000 }];
  const text = reportText(sample({ statuses: { 200: 5990, 204: 10, 404: 1 }, series, hosts }));
  expect(text).toMatch(/^Status {4}2xx 6,000 {3}4xx 1\n {10}200 5,990 {3}204 10 {3}404 1\n/m);
  expect(text).toMatch(/^Over time {3}▁▅█ {2}0 to 500 requests\/s\n {12}▃█▁ {2}0 B to 3 MB a second$/m);
  expect(
    reportText(sample({ series: seriesOf({ interval: 1000, responses: [5], bytes: [5], errors: [0] }) })),
  ).not.toContain('Over');
});

test('a last sliver of time counts with its neighbour: no rate of a moment, no response and no error left out', () => {
  const series = seriesOf({ interval: 1000, responses: [500, 500, 20], bytes: [0, 0, 0], errors: [0, 0, 3] });
  const text = reportText(sample({ series, hosts: [{ ...hostOf(), duration: 2001 }] }));
  expect(text).toMatch(/^Over time {3}██ {2}500 to 519 requests\/s$/m);
});

test('the table of several machines', () => {
  const text = reportText(merged);
  expect(text).toContain('2 machines, 128 connections');
  expect(text).toMatch(/^alpha\/1 /m);
  expect(text).toMatch(/^beta\/2 /m);
  expect(text).toMatch(/^! The machines counted at the same time for only 14\.3% of 21 s/m);
});

test('many threads and many kinds of errors are cut short, and said to be', () => {
  const threads = Array.from({ length: 40 }, (_, i) => ({ name: `${i}`, responses: 150, bytes: 1, busy: 1, cpu: 1 }));
  const errorDetails = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`reset ${i}`, 1]));
  const text = reportText(sample({ ...measured(), threads, errorDetails, errors: { ...failing.errors, reset: 20 } }));
  expect(text).toContain('and 8 threads more');
  expect(text).toContain('and 12 kinds more');
});

test('colours only where they are asked for', () => {
  expect(reportText(failing)).not.toContain('\x1b');
  const painted = reportText(failing, (style, text) => `<${style}>${text}</>`);
  expect(painted).toContain('<red>Errors');
  expect(painted.replace(/<\w*>|<\/>/g, '')).toBe(reportText(failing));
});

test('nothing in a result reaches the terminal as a command', () => {
  const evil = '\x1b[2J\r\nx';
  const text = reportText(
    sample({
      urls: [evil],
      method: evil,
      settings: { ...measured().settings, script: evil },
      statuses: { [evil]: 1, 200: 1, 201: 1 },
      errorDetails: { [evil]: 1 },
      errors: failing.errors,
      warnings: [evil],
    }),
  );
  expect([text.includes('\x1b'), text.includes('\r')]).toEqual([false, false]);
});

test.each(Object.entries(all))('the page of %s: well formed, and nothing to fetch or run', (_name, result) => {
  const html = reportHtml(result);
  expect(html).toMatch(/^<!doctype html>/);
  expect(html).not.toMatch(/<(script|link|img|iframe|object|embed|base|form|a)\b|\b(src|href|on\w+)=|url\(|@import/i);
  expect(html).toContain("default-src 'none'");
  expect(html).toContain('prefers-color-scheme: dark');
  expect(html).not.toMatch(/NaN|undefined|Infinity|\[object/);
  const open: string[] = [];
  for (const [, slash, name = '', rest = ''] of html.matchAll(/<(\/?)([a-zA-Z][\w]*)((?:[^>"]|"[^"]*")*)>/g)) {
    if (slash) expect(open.pop()).toBe(name);
    else if (name !== 'meta' && !rest.endsWith('/')) open.push(name);
  }
  expect(open).toEqual([]);
});

test('the page has the figures', () => {
  const html = reportHtml(failing);
  for (const text of [
    '500',
    timeOrNone(failing.latency.p99),
    'status 404',
    'ECONNRESET',
    'asked: 500/s',
    'bottleneck',
    '5.09 MB',
  ]) {
    expect(html).toContain(text);
  }
  expect(html).toContain('2 s to 3 s: 500 requests/s, 3 errors');
  expect(html).toContain('2 s to 3 s: 425 kB/s');
  expect(html).toContain(
    `data-name="p75">${timeOrNone(failing.latency.p75)}</td><td class="n" data-name="p90">${timeOrNone(failing.latency.p90)}</td>`,
  );
  // Two intervals with errors, marked in two charts over time, each drawn for wide and narrow screens.
  expect(html.match(/class="error"/g)).toHaveLength(8);
  expect(html).toContain(`p99: ${timeOrNone(failing.latency.p99)}</title>`);
  expect(html).toContain(`max: ${timeOrNone(failing.latency.max)}</title>`);
  expect(reportHtml(sample())).toContain('<p class="none">none</p>');
});

test('errors that ended a test, and those that came with them', () => {
  const ended = (reset: number, hosts = measured().hosts) =>
    reportText(
      sample({
        stopped: 'errors',
        errors: { ...measured().errors, reset },
        settings: { ...measured().settings, stopAfter: 3 },
        hosts,
      }),
    );
  expect(ended(3)).toContain('\n! Ended after 3 errors, as asked for.\n');
  expect(ended(12)).toContain('\n! Ended after 12 errors: 3 were asked for, the others were under way then.\n');
  expect(ended(12, [...measured().hosts, ...measured().hosts])).toContain('\n! Ended after 12 errors, as asked for.\n');
});

test('latencies of nothing but timeouts stand in the table and on the page', () => {
  const result = sample({ responses: 0, statuses: {}, settings: { ...measured().settings, timeoutsCount: true } });
  expect(reportText(result)).toContain(time(result.latency.p90 ?? 0));
  expect(reportHtml(result)).toContain(`data-name="p90">${time(result.latency.p90 ?? 0)}</td>`);
});

test('the page has all settings', () => {
  const settings = {
    ...measured().settings,
    ...{ requests: 5000, pipelining: 4, timeout: 700, warmup: 2500, timeoutsCount: true, urls: 17, script: 's.mjs' },
    ...{ protocol: 'p.mjs', headers: ['X-Trace', 'Authorization'], body: 1234, expect: '200-299', stopAfter: 77 },
    ...{ insecure: true, resume: true },
  };
  const tls = { resumed: 3, histogram: measured().histogram };
  const html = reportHtml(sample({ settings, tls, conditions: ['p99<50ms'] }));
  const section = html.slice(html.indexOf('<h2>Settings</h2>'));
  const shown = ['http://127.0.0.1:8080/', 'GET', '64', '12 s', '5,000', 'closed loop', '>4<', '700 ms', '2.5 s', '17'];
  const more = ['s.mjs', 'p.mjs', 'X-Trace, Authorization', '1,234 bytes', '200-299', '77 errors', 'p99&#60;50ms'];
  for (const text of [...shown, ...more, 'not verified', 'resumed']) expect(section).toContain(text);
});

test('a machine that was asked for too much has not used more processors than there are', () => {
  const text = reportText(sample({ hosts: [{ ...hostOf(), cpuUser: 40_000, cpuSystem: 9000 }] }));
  expect(text).toMatch(/^alpha +100\.0% {2}of 2 processors/m);
});

test('nothing in a result becomes part of the page', () => {
  const evil = `"><script>alert('1')</script>&amp;`;
  const [host, thread] = [hostOf(), { name: evil, responses: 1, bytes: 1, busy: 1, cpu: 1 }];
  const html = reportHtml(
    sample({
      urls: [evil],
      method: evil,
      warnings: [evil],
      errorDetails: { [evil]: 1 },
      errors: failing.errors,
      statuses: { [evil]: 1 },
      threads: [thread],
      hosts: [{ ...host, host: evil }],
    }),
  );
  expect(html).not.toContain('<script');
  expect(html).not.toContain('&amp;');
  expect(html.match(/&#62;&#60;script/g)?.length).toBeGreaterThanOrEqual(8);
  const named = [evil, `${evil}2`].map(name => ({ name, result: failing }));
  const verdicts = judgeRatios(named, [parseCondition('p99<1.1x', true)]);
  const compared = compareHtml(named, compareResults(named.map(({ result }) => result)), verdicts);
  expect(compared).not.toContain('<script');
  expect(compared).not.toContain('&amp;');
});

test('hours of measurements make no endless page', () => {
  const responses = Array.from({ length: 36_000 }, (_, i) => 100 + (i % 7));
  const long = sample({
    series: seriesOf({ interval: 1000, responses, bytes: responses, errors: responses.map(() => 0) }),
    hosts: [{ ...hostOf(), duration: 36_000_000 }],
  });
  const html = reportHtml(long);
  expect(html.length).toBeLessThan(200_000);
  expect(html).toContain('600 min');
});

test('numbers as people read them', () => {
  expect([0, 5, 0.1234, 99.96, 1234.5, 1_290_120].map(number)).toEqual([
    '0',
    '5',
    '0.123',
    '100',
    '1,235',
    '1,290,120',
  ]);
  expect([0, 999, 1500, 109e6, 2.5e12].map(bytes)).toEqual(['0 B', '999 B', '1.5 kB', '109 MB', '2.5 TB']);
  expect([0, 0.0004, 0.085, 0.9999, 1.2345, 999.9, 2500, 119_000, 180_000].map(time)).toEqual([
    '0 ms',
    '0.4 µs',
    '85 µs',
    '1 ms',
    '1.23 ms',
    '1 s',
    '2.5 s',
    '119 s',
    '3 min',
  ]);
  expect([compact(129_012), compact(0), percent(0.2561)]).toEqual(['129K', '0', '25.6%']);
});

test('figures that are as good as nothing, and a series of millions of intervals, are drawn like others', () => {
  const tiny = Number.MIN_VALUE;
  const zeros = [0, 0, 0];
  const none = { interval: 1000, responses: zeros, bytes: zeros, errors: zeros, p99: [tiny, tiny, tiny] };
  const slow = sample({
    settings: { ...measured().settings, rate: tiny },
    series: { ...none, p50: [tiny, tiny, tiny] },
  });
  expect(reportHtml(slow)).not.toMatch(/NaN|Infinity/);
  const long = Array<number>(6_000_000).fill(1);
  const series = { interval: 1, responses: long, bytes: long, errors: long, p50: long, p99: long };
  const settings = { ...measured().settings, duration: null };
  expect(reportText(sample({ series, settings }))).toContain('1 ms to 1 ms p99');
});

test('ticks are round and reach far enough', () => {
  expect(linearTicks(123_000, 4)).toEqual([0, 50_000, 100_000, 150_000]);
  expect(linearTicks(0.9, 4)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(linearTicks(0, 4)).toEqual([0, 1]);
  expect(logTicks(0.3, 40)).toEqual([0.5, 1, 2, 5, 10, 20]);
  expect(logTicks(0.3, 4000)).toEqual([1, 10, 100, 1000]);
});

const HANDSHAKE = { count: 64, p50: 1.5, p99: 12.34, max: 1234.5 };
const CHROMIUM = [
  ...['--headless', '--no-sandbox', '--disable-gpu'],
  ...['--disable-background-networking', '--disable-dev-shm-usage'],
];
const chromium = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap(folder => ['chromium', 'google-chrome'].map(name => join(folder, name)))
  .find(existsSync);

test.skipIf(chromium === undefined)('a browser shows it in light and in dark', { timeout: 240_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-report-'));
  try {
    const page = join(folder, 'page.html');
    writeFileSync(page, reportHtml(failing));
    const colours = [1, 0].map(scheme => {
      const shot = join(folder, `${scheme}.png`);
      const { status, stderr } = spawnSync(
        chromium ?? '',
        [
          ...CHROMIUM,
          ...[`--user-data-dir=${join(folder, `profile${scheme}`)}`, '--window-size=400,300'],
          ...[`--blink-settings=preferredColorScheme=${scheme}`, `--screenshot=${shot}`, `file://${page}`],
        ],
        { encoding: 'utf8', timeout: 100_000 },
      );
      expect(status, stderr).toBe(0);
      return firstPixel(readFileSync(shot));
    });
    expect(colours).toEqual([
      [0xf6, 0xf6, 0xf4],
      [0x12, 0x13, 0x16],
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.skipIf(chromium === undefined)('nothing is wider than a telephone', { timeout: 240_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-report-'));
  try {
    const names = ['first', 'a-rather-long-name-of-a-file', 'c', 'd'].map(name => ({ name, result: failing }));
    const results = names.map(({ result }) => result);
    const verdicts = judgeRatios(names, [parseCondition('p99<1.1x', true)]);
    const pages = [
      reportHtml({ ...failing, tls: { resumed: 0, histogram: failing.histogram, handshake: HANDSHAKE } }),
      reportHtml(merged),
      compareHtml(names.slice(0, 2), compareResults(results.slice(0, 2)), verdicts.slice(0, 1)),
      compareHtml(names, compareResults(results), verdicts),
    ];
    // Chromium's own window is not made so narrow.
    const frames = pages.map(html => `<iframe style="width:400px;height:900px" srcdoc="${escaped(html)}"></iframe>`);
    const wide = `const wide = [...document.querySelectorAll('iframe')].map(({ contentDocument: it }) =>
      [...it.querySelectorAll('html, section, td, th, dd, h1')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
        .map(e => e.outerHTML.slice(0, 80)));
      document.body.textContent = 'found ' + btoa(JSON.stringify(wide)) + ' end';`;
    const file = join(folder, 'all.html');
    writeFileSync(file, `<!doctype html><meta charset="utf-8"><body onload="${escaped(wide)}">${frames.join('')}`);
    const { stdout } = spawnSync(
      chromium ?? '',
      [...CHROMIUM, `--user-data-dir=${join(folder, 'profile')}`, '--dump-dom', `file://${file}`],
      { encoding: 'utf8', timeout: 100_000 },
    );
    const [, found = ''] = /found (\S+) end/.exec(stdout) ?? [];
    expect(JSON.parse(Buffer.from(found, 'base64').toString())).toEqual([[], [], [], []]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** The upper left corner of a PNG: no filter changes the first pixel of the first row. */
function firstPixel(png: Buffer): number[] {
  const data: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') data.push(png.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  return [...inflateSync(Buffer.concat(data)).subarray(1, 4)];
}
