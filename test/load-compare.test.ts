/**
 * `epoll-pool compare`, latencies over time, and results as HdrHistogram's text and as CSV.
 *
 * @module-tag slow
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoadResult, load, mergeResults, readResult, reportHtml, reportText } from 'epoll-pool/load';
import { expect, onTestFinished, test, vi } from 'vitest';
import { curvesOf } from '../dist/main/load/chart-latency.js';
import { compareResults, judgeRatios } from '../dist/main/load/compare.js';
import { compareHtml } from '../dist/main/load/compare-html.js';
import { parseCondition } from '../dist/main/load/conditions.js';
import { intervalsCsv } from '../dist/main/load/intervals-csv.js';
import { LatencySeries } from '../dist/main/load/latency-series.js';
import { percentileText } from '../dist/main/load/percentile-text.js';
import { slotsOf } from '../dist/main/load/slots.js';
import { Histogram } from '../dist/shared/load/histogram.js';
import { measured, sample, seriesOf } from './load-sample.ts';
import { cli, cliOnTerminal, hasTerminal } from './support/cli.ts';
import { httpServer, OK } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

/** Latencies of 1 to 1,000 times `ms`. */
function spread(ms: number, changes: Parameters<typeof sample>[0] = {}): LoadResult {
  const histogram = new Histogram();
  for (let i = 1; i <= 1000; i++) histogram.record(i * ms * 1000);
  return sample({ histogram: histogram.toJSON(), ...changes });
}

function saved(...results: LoadResult[]): string[] {
  const path = mkdtempSync(join(tmpdir(), 'epoll-pool-compare-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return results.map((result, i) => {
    const file = join(path, `${'abc'.charAt(i)}.json`);
    writeFileSync(file, JSON.stringify(result));
    return file;
  });
}

test('ratios are later to first; as many as before is 1, even of none', () => {
  const rows = compareResults([
    spread(1),
    spread(1.2, { responses: 3000, errors: { ...measured().errors, reset: 5 } }),
  ]);
  const row = (name: string) => rows.find(it => it.name === name);
  expect(row('Requests/s')?.ratios).toEqual([1, 0.5]);
  expect(row('p99')?.ratios[1]).toBeCloseTo(1.2, 1);
  expect(row('Errors')).toMatchObject({ values: [0, 5], ratios: [1, null] });
  const none = compareResults([spread(1), sample({ histogram: new Histogram().toJSON() })]);
  expect(none.find(({ name }) => name === 'p50')).toMatchObject({
    values: [expect.any(Number), null],
    ratios: [1, null],
  });
});

test('a ratio is judged as it is, not as it is shown', () => {
  const errors = (reset: number, conditions = ['errors<=1x', 'rate>=1x']) => {
    const [first, later] = [100_000, reset].map(count =>
      sample({ requests: 1e6, responses: 1e6 - count, errors: { ...measured().errors, reset: count } }),
    );
    if (first === undefined || later === undefined) throw new Error('two results');
    const named = [first, later].map((result, i) => ({ name: String(i), result }));
    return judgeRatios(
      named,
      conditions.map(text => parseCondition(text, true)),
    ).map(({ ok }) => ok);
  };
  expect(errors(100_001)).toEqual([false, false]);
  expect(errors(99_999)).toEqual([true, true]);
  expect(errors(100_000)).toEqual([true, true]);
  expect(errors(110_000, ['errors<=1.1x', 'errors<1.1x'])).toEqual([true, false]);
});

test('by command: side by side, with conditions for each later file', async () => {
  const files = saved(spread(1), spread(1.05), spread(1.5));
  const plain = await cli(['compare', ...files]);
  expect(plain).toMatchObject({ code: 0, stderr: '' });
  expect(plain.stdout).toMatch(/^ +a\.json +b\.json +c\.json$/m);
  expect(plain.stdout).toMatch(/^p99 +989 ms +1\.04 s +×1\.05 +1\.49 s +×1\.50$/m);
  expect(plain.stdout).toMatch(/^Errors +0 +0 +×1\.00 +0 +×1\.00$/m);
  const failed = await cli(['compare', '--require', 'p99<1.1x', '--require', 'rate>=0.9x', ...files]);
  expect(failed.code).toBe(1);
  expect(failed.stdout).toMatch(/^Required +ok +p99<1\.1x +b\.json +×1\.05\n +FAILED +p99<1\.1x +c\.json +×1\.50$/m);
  expect(await cli(['compare', '--fail', 'p99<1.1x', ...files.slice(0, 2)])).toMatchObject({ code: 0 });
  expect(await cli(['compare', '--fail', 'p99<1.1x', ...files])).toMatchObject({ code: 1 });
  const nowhere = await cli(['compare', '--report', '/nowhere/x.html', ...files]);
  expect(nowhere).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--report') });
  const json = JSON.parse((await cli(['compare', '--json', '--require', 'errors<=1x', ...files])).stdout);
  expect(json.verdicts).toEqual([
    { file: 'b.json', condition: 'errors<=1x', ok: true, value: 1 },
    { file: 'c.json', condition: 'errors<=1x', ok: true, value: 1 },
  ]);
  expect(json.files).toEqual(files);
});

test.runIf(hasTerminal)('errors where there were none are shown as worse', async () => {
  const files = saved(spread(1), spread(1, { errors: { ...measured().errors, reset: 5 } }));
  const { stdout } = await cliOnTerminal(['compare', ...files], { TERM: 'xterm-256color' });
  expect(stdout).toMatch(/\[31mErrors +0 +5.\[39m/);
  expect(stdout).not.toMatch(/\[3\dmResponses/);
});

test('files of the same name are told apart by their folders', async () => {
  const [[a = ''], [b = '']] = [saved(spread(1)), saved(spread(1))];
  const { stdout } = await cli(['compare', a, b]);
  expect(stdout).toContain(`${a}  ${b}`);
});

test('its page has all curves in one chart', async () => {
  const files = saved(spread(1), spread(2));
  const report = `${files[0]}.html`;
  const stdout = expect.stringMatching(new RegExp(`\n\nWritten {3}${report}\n$`));
  expect(await cli(['compare', '--report', report, ...files])).toMatchObject({ code: 0, stdout });
  const html = readFileSync(report, 'utf8');
  expect(html).toMatch(/^<!doctype html>/);
  expect(html).not.toMatch(/NaN|undefined|Infinity|<script/);
  const wide = html.slice(html.indexOf('<svg class="wide"'), html.indexOf('<svg class="narrow"'));
  expect(wide.match(/<path class="line[^"]*" d="M[^"]{100,}"/g)).toHaveLength(2);
  expect(wide).toContain('b.json, p99: 1.98 s');
  expect(html).toMatch(
    /<p class="legend">.*<path class="line"[^>]*><\/svg>a\.json<.*"line curve1"[^>]*><\/svg>b\.json</,
  );
});

test.each([
  [['compare'], 'two results'],
  [['compare', 'package.json'], 'two results'],
  [['compare', 'package.json', 'tsconfig.json'], 'package.json'],
  [['compare', '--require', 'p99<50ms', 'a', 'b'], '1.1x'],
  [['compare', '--report', '/nowhere/x.html', 'package.json', 'tsconfig.json'], 'package.json'],
])('%j is wrong usage', async (args, word) => {
  const { code, stdout, stderr } = await cli(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(word);
});

test('a curve without answers is in neither chart nor legend; the sixth has the first one’s colour, dashed', () => {
  const names = ['a', 'none', 'c', 'd', 'e', 'f'];
  const results = names.map(name => ({
    name,
    result: name === 'none' ? sample({ histogram: new Histogram().toJSON() }) : spread(1),
  }));
  expect(curvesOf(results)).toEqual([
    ['line', 'a'],
    ['line curve2', 'c'],
    ['line curve3', 'd'],
    ['line curve4', 'e'],
    ['line dashed', 'f'],
  ]);
  const html = compareHtml(results, compareResults(results.map(({ result }) => result)), []);
  for (const [of] of curvesOf(results)) expect(html.split(`<path class="${of}" d="M`)).toHaveLength(4);
  expect(html).not.toContain('class="line curve1"');
});

test('compare --help', async () => {
  expect(await cli(['compare', '--help'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Usage: epoll-pool compare /),
  });
});

test('the latencies of each interval are those that came in it, also when intervals are drawn together', () => {
  const series = new LatencySeries();
  const [one, two] = [new Histogram(), new Histogram()];
  for (let i = 0; i < 30; i++) {
    one.record(1000);
    if (i !== 3) two.record(i === 7 ? 50_000 : 2000);
    series.sample(i, [one, two]);
  }
  const p99 = series.percentiles(0.99, 31);
  expect(p99.map(value => (value === null ? null : Math.round(value)))).toEqual([
    ...Array.from({ length: 30 }, (_, i) => (i === 3 ? 1 : i === 7 ? 50 : 2)),
    null,
  ]);
  expect(series.percentiles(0.5, 30).every(value => Math.round(value ?? 0) === 1)).toBe(true);
  series.coarsen(10);
  expect(series.percentiles(0.99, 3).map(value => Math.round(value ?? 0))).toEqual([50, 2, 2]);
  expect(series.percentiles(0.5, 3).map(value => Math.round(value ?? 0))).toEqual([1, 1, 1]);
});

test('the latencies behind the end belong to the last interval', () => {
  const [all, latencies] = [new Histogram(), new LatencySeries()];
  [1000, 2000, 4000].forEach((us, i) => {
    all.record(us);
    latencies.sample(i, [all]);
  });
  latencies.cut(2);
  expect(latencies.percentiles(0.99, 3).map(ms => ms && Math.round(ms))).toEqual([1, 4, null]);
  expect(latencies.percentiles(0.5, 2).map(ms => ms && Math.round(ms))).toEqual([1, 2]);
});

test('a stall is seen in the latencies over time: JSON, text and page', async () => {
  let from = Number.NaN;
  const stalling = await httpServer(({ reply, index }) => {
    if (index === 0) from = performance.now();
    const ms = performance.now() - from;
    if (ms > 900 && ms < 1300) setTimeout(() => reply(OK), 1300 - ms);
    else reply(OK);
  });
  const result = await load({ url: stalling.url, connections: 4, rate: 200, duration: '1800ms' });
  expect(result.series.p99).toHaveLength(result.series.responses.length);
  const high = result.series.p99.filter(value => (value ?? 0) > 150).length;
  expect(high).toBeGreaterThan(0);
  expect(high).toBeLessThan(8);
  expect(result.series.p99.slice(9, 16).some(value => (value ?? 0) > 150)).toBe(true);
  expect(reportText(result)).toMatch(/^ {12}.* p50\n {12}.* p99$/m);
  expect(reportHtml(result)).toContain('aria-label="Latency over time"');
  const merged = mergeResults([readResult(JSON.parse(JSON.stringify(result))), result]);
  expect(Math.max(...merged.series.p99.map(Number))).toBe(Math.max(...result.series.p99.map(Number)));
});

test('after the time that was asked for no rate is shown, no cliff at the end; latencies are', () => {
  const series = {
    ...seriesOf({
      interval: 1000,
      responses: [500, 500, 500, 2, 1],
      bytes: [0, 0, 0, 0, 0],
      errors: [0, 0, 0, 0, 1],
    }),
    p50: [1, 1, 1, 500, 1000],
    p99: [1, 1, 1, 500, 2000],
  };
  const result = sample({
    settings: { ...measured().settings, duration: 3000 },
    series,
    hosts: measured().hosts.map(host => ({ ...host, duration: 5000 })),
  });
  expect(slotsOf(result, 100).map(({ isAfter }) => isAfter)).toEqual([false, false, false, true, true]);
  expect(reportText(result)).toMatch(/^Over time {3}███ {2}500 to 500 requests\/s$/m);
  expect(reportText(result)).toMatch(/^ {12}▁▁▁▅█ {2}1 ms to 1 s p50\n {12}▁▁▁▃█ {2}1 ms to 2 s p99$/m);
  const wide =
    /<svg class="wide"[^>]*aria-label="Requests per second over time">.*?<\/svg>/s.exec(reportHtml(result))?.[0] ?? '';
  const line = /<path class="line" d="([^"]*)"/.exec(wide)?.[1] ?? '';
  const heights = [...line.matchAll(/[\d.]+ ([\d.]+)/g)].map(([, y]) => y);
  expect(new Set(heights).size).toBe(1);
  expect(wide).toContain('1 errors');
});

test('HdrHistogram’s percentile text: rising, whole, with the figures that it ends with', () => {
  const text = percentileText(spread(1));
  const lines = text.split('\n');
  expect(lines[0]).toBe('       Value     Percentile TotalCount 1/(1-Percentile)');
  const rows = lines
    .slice(2)
    .filter(line => /^ +[\d.]+ /.test(line))
    .map(line => line.trim().split(/ +/).map(Number));
  expect(rows[0]).toEqual([1, 0, 1, 1]);
  expect(rows.at(-1)).toEqual([1000, 1, 1000]);
  for (const column of [0, 1, 2]) {
    const values = rows.map(row => row[column] ?? Number.NaN);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
  }
  const half = rows.find(([, share]) => share !== undefined && share >= 0.5);
  expect(half?.[0]).toBeCloseTo(500, -1);
  expect(text).toMatch(/^#\[Mean {4}= {6}500\.500, StdDeviation {3}= {6}28\d\.\d{3}\]$/m);
  expect(text).toMatch(/^#\[Max {5}= {5}1000\.000, Total count {4}= {9}1000\]$/m);
  expect(percentileText(sample({ histogram: new Histogram().toJSON() }))).toContain('Total count    =            0');
});

test('CSV: a row for each interval', () => {
  const series = {
    interval: 1000,
    responses: [500, 100, 50, 20],
    bytes: [9, 8, 7, 6],
    errors: [0, 1, 2, 3],
    p50: [1, 2, null, 4],
    p99: [3, 4.5, null, 8],
  };
  const result = sample({ series, hosts: measured().hosts.map(host => ({ ...host, duration: 3250 })) });
  expect(intervalsCsv(result).split('\n')).toEqual([
    'start_ms,end_ms,responses,responses_per_second,bytes,errors,p50_ms,p99_ms',
    '0,1000,500,500,9,0,1,3',
    '1000,2000,100,100,8,1,2,4.5',
    '2000,3000,50,50,7,2,,',
    '3000,3250,20,80,6,3,4,8',
    '',
  ]);
});

test('no interval lies behind the end, and those before it add up', async () => {
  const server = await httpServer();
  const result = await load({ url: server.url, connections: 5, rate: 200, duration: '300ms' });
  const { series, duration, responses } = result;
  expect(series.responses).toHaveLength(Math.ceil(duration / series.interval - 1e-6));
  for (const other of [series.bytes, series.errors, series.p50, series.p99]) {
    expect(other).toHaveLength(series.responses.length);
  }
  expect(series.responses.reduce((sum, n) => sum + n, 0)).toBe(responses);
  const [, end] = intervalsCsv(result).trim().split('\n').at(-1)?.split(',').map(Number) ?? [];
  expect(end).toBeCloseTo(duration, 2);
});

test('--hdr and --csv of a run, and of results that are merged', async () => {
  const server = await httpServer();
  const [json = ''] = saved(sample());
  const [hdr, csv] = [`${json}.hgrm`, `${json}.csv`];
  expect(await cli(['load', '-n', '200', '--hdr', hdr, '--csv', csv, server.url])).toMatchObject({ code: 0 });
  expect(readFileSync(hdr, 'utf8')).toMatch(/Total count {4}= +200\]/);
  expect(readFileSync(csv, 'utf8')).toMatch(/^start_ms,.*\n0,/);
  expect(await cli(['merge', '--hdr', hdr, '--csv', csv, json])).toMatchObject({ code: 0 });
  expect(readFileSync(hdr, 'utf8')).toMatch(/Total count {4}= +6000\]/);
  const wrong = await cli(['load', '--csv', '/nowhere/x.csv', server.url]);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('--csv') });
});
