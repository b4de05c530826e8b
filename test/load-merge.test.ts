/** What follows from a measurement, reading results back, and merging those of several machines. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeResults } from '../dist/main/load/merge.js';
import { intervalSeconds, type LoadResult, statusClasses } from '../dist/main/load/result.js';
import { readResult } from '../dist/main/load/result-json.js';
import { Histogram } from '../dist/shared/load/histogram.js';
import { sample, seriesOf } from './load-sample.ts';

const START = 1_790_000_000_000;

/** One machine's run with `responses` in each interval. */
function run(responses: number[], { host = 'a', late = 0, interval = 1000, us = 500, rate = 0 } = {}): LoadResult {
  const total = responses.reduce((sum, n) => sum + n, 0);
  const histogram = new Histogram();
  for (let i = 0; i < total; i++) histogram.record(us + i);
  const base = sample();
  return sample({
    settings: { ...base.settings, rate },
    requests: total + 2,
    responses: total,
    bytesReceived: total * 10,
    statuses: { 200: total - 1, 503: 1 },
    errors: { connect: 1, reset: 0, timeout: 0, protocol: 0, status: 1, check: 0 },
    errorDetails: { 'connect ECONNREFUSED': 1, [`status ${host}`]: 1 },
    series: seriesOf({ interval, responses, bytes: responses.map(n => n * 10), errors: responses.map(() => 1) }),
    threads: [{ name: '1', responses: total, bytes: total * 10, busy: 5, cpu: 5 }],
    hosts: [
      {
        host,
        started: START + late,
        duration: responses.length * interval,
        processors: 2,
        cpuUser: 1,
        cpuSystem: 1,
        cpuMain: 0,
      },
    ],
    histogram: histogram.toJSON(),
  });
}

test('what follows from a measurement', () => {
  const result = sample({ errors: { connect: 1, reset: 2, timeout: 3, protocol: 4, status: 5, check: 0 } });
  expect(result).toMatchObject({
    format: 1,
    duration: 12_000,
    overlap: 1,
    requestsPerSecond: 500,
    bytesPerSecond: 424_500,
    errorCount: 15,
  });
  const histogram = Histogram.fromJSON(result.histogram);
  expect(result.latency.p99).toBeCloseTo(histogram.percentile(99) / 1000, 5);
  expect(result.latency.max).toBeCloseTo(histogram.max / 1000, 5);
  const { min, p50, p75, p90, p95, p99, p999, max } = result.latency;
  const rising = [min, p50, p75, p90, p95, p99, p999, max].map(Number);
  expect(rising).toEqual(rising.toSorted((a, b) => a - b));
  expect(statusClasses({ 200: 5, 204: 1, 404: 2 })).toEqual({ '2xx': 6, '4xx': 2 });
});

test('the last interval may have been cut short', () => {
  const result = sample();
  const [host] = result.hosts;
  if (host === undefined) throw new Error('no host');
  const short = sample({ hosts: [{ ...host, duration: 11_250 }] });
  expect([intervalSeconds(short, 0), intervalSeconds(short, 10), intervalSeconds(short, 11)]).toEqual([1, 1, 0.25]);
  expect(intervalSeconds(result, 11)).toBe(1);
});

test('a result survives JSON', () => {
  const result = sample({ settings: { ...sample().settings, duration: null, requests: 6000 }, warnings: ['x'] });
  expect(readResult(JSON.parse(JSON.stringify(result)))).toEqual(result);
});

/** Nothing in it is as it is when nothing was asked for. */
const unusual = sample({
  settings: {
    ...sample().settings,
    ...{ duration: null, requests: 6000, rate: 500, stages: [{ to: 500, over: 1000 }], pipelining: 4, timeout: 700 },
    ...{ warmup: 2500, timeoutsCount: true, urls: 17, script: 's.mjs', protocol: 'p.mjs', headers: ['A', 'B'] },
    ...{ body: 1234, expect: '200-299', stopAfter: 77, insecure: true, resume: true },
  },
  interrupted: true,
  stopped: 'errors',
  retried: 7,
  errors: { connect: 1, reset: 2, timeout: 3, protocol: 4, status: 5, check: 6 },
  conditions: ['p99<50ms'],
  tls: { resumed: 3, histogram: sample().histogram },
});

test('so does every field that is not as usual; files from before there were some are read as well', () => {
  expect(readResult(JSON.parse(JSON.stringify(unusual)))).toEqual(unusual);
  const old = JSON.parse(JSON.stringify(sample()));
  for (const name of ['retried', 'stopped', 'tls', 'verdicts']) delete old[name];
  for (const name of ['stages', 'timeoutsCount', 'urls', 'script', 'protocol', 'headers', 'body', 'expect'])
    delete old.settings[name];
  for (const name of ['stopAfter', 'insecure', 'resume']) delete old.settings[name];
  delete old.errors.check;
  delete old.threads[0].cpu;
  delete old.hosts[0].cpuMain;
  delete old.series.p50;
  delete old.series.p99;
  const read = readResult(old);
  expect(read).toMatchObject({ retried: 0, stopped: null, tls: null, verdicts: [], settings: sample().settings });
  expect(read.errors).toEqual(sample().errors);
  expect(read.series.p50).toEqual(read.series.responses.map(() => null));
});

test('merged: settings that differ, retries, errors, TLS, and the highest latency of each interval', () => {
  const { p50, p99 } = unusual.series;
  const slower = { ...unusual.series, p50: p50.map(() => 7), p99: p99.map((_, i) => (i === 3 ? null : 9)) };
  for (const both of [
    [sample(), { ...unusual, series: slower }],
    [{ ...unusual, series: slower }, sample()],
  ]) {
    const merged = mergeResults(both);
    expect(merged).toMatchObject({ interrupted: true, stopped: 'errors', retried: 7, errorCount: 21 });
    expect(merged.settings).toMatchObject({
      ...{ connections: 128, duration: null, requests: null, rate: 0, stages: null, pipelining: 4, timeout: 5000 },
      ...{ warmup: 2500, timeoutsCount: true, urls: 17, script: 's.mjs', protocol: 'p.mjs', headers: ['A', 'B'] },
      ...{ body: 1234, expect: '200-299', stopAfter: 77, insecure: true, resume: true },
    });
    expect(merged.tls).toMatchObject({ resumed: 3, handshake: { count: 6000 } });
    expect(merged.verdicts.map(({ condition }) => condition)).toEqual(['p99<50ms']);
    expect(merged.series.p50).toEqual(p50.map(() => 7));
    expect(merged.series.p99).toEqual(p99.map((value, i) => (i === 3 ? value : 9)));
  }
  expect(mergeResults([unusual, unusual])).toMatchObject({
    retried: 14,
    errors: { connect: 2, reset: 4, timeout: 6, protocol: 8, status: 10, check: 12 },
    settings: { rate: 1000, stages: [{ to: 1000, over: 1000 }], requests: 12_000 },
    tls: { resumed: 6, handshake: { count: 12_000 } },
  });
});

test('what follows is computed anew, not believed', () => {
  const result = readResult({ ...sample(), requestsPerSecond: 1e9, latency: {}, errorCount: -1, duration: 1 });
  expect(result).toEqual(sample());
});

const wrong: Array<[name: string, json: unknown, code: string]> = [
  ['result', undefined, 'ERR_INVALID_ARG_TYPE'],
  ['result', null, 'ERR_INVALID_ARG_TYPE'],
  ['result', [], 'ERR_INVALID_ARG_TYPE'],
  ['result.format', {}, 'ERR_OUT_OF_RANGE'],
  ['result.format', { ...sample(), format: 2 }, 'ERR_OUT_OF_RANGE'],
  ['result.urls', { ...sample(), urls: 'x' }, 'ERR_INVALID_ARG_TYPE'],
  ['result.urls[0]', { ...sample(), urls: [1] }, 'ERR_INVALID_ARG_TYPE'],
  ['result.responses', { ...sample(), responses: -1 }, 'ERR_OUT_OF_RANGE'],
  ['result.errors.connect', { ...sample(), errors: {} }, 'ERR_INVALID_ARG_TYPE'],
  ['result.statuses["200"]', { ...sample(), statuses: { 200: 1.5 } }, 'ERR_OUT_OF_RANGE'],
  ['result.settings.connections', { ...sample(), settings: {} }, 'ERR_INVALID_ARG_TYPE'],
  ['result.series', { ...sample(), series: { ...sample().series, bytes: [] } }, 'ERR_OUT_OF_RANGE'],
  ['result.series', { ...sample(), series: { ...sample().series, p50: [] } }, 'ERR_OUT_OF_RANGE'],
  ['result.series', { ...sample(), series: { ...sample().series, p99: [] } }, 'ERR_OUT_OF_RANGE'],
  ['result.series.interval', { ...sample(), series: { ...sample().series, interval: 0 } }, 'ERR_OUT_OF_RANGE'],
  ['result.threads[0]', { ...sample(), threads: [7] }, 'ERR_INVALID_ARG_TYPE'],
  ['result.hosts', { ...sample(), hosts: [] }, 'ERR_OUT_OF_RANGE'],
  ['result.histogram', { ...sample(), histogram: undefined }, 'ERR_INVALID_ARG_TYPE'],
  ['result.histogram.count', { ...sample(), histogram: { ...sample().histogram, count: 1 } }, 'ERR_OUT_OF_RANGE'],
  ['result.histogram.max', { ...sample(), histogram: { ...sample().histogram, max: 1e308 } }, 'ERR_OUT_OF_RANGE'],
  ['result.tls.histogram.unit', { ...sample(), tls: { resumed: 0, histogram: {} } }, 'ERR_OUT_OF_RANGE'],
  ['result.verdicts[0].condition', { ...sample(), verdicts: [{ condition: 'x<5' }] }, 'ERR_OUT_OF_RANGE'],
  ['result.verdicts[0].condition', { ...sample(), verdicts: [{}] }, 'ERR_INVALID_ARG_TYPE'],
  ['result.settings.rate', { ...sample(), settings: { ...sample().settings, rate: 1e308 } }, 'ERR_OUT_OF_RANGE'],
  ['result.hosts[0].started', { ...sample(), hosts: [{ ...sample().hosts[0], started: 1e300 }] }, 'ERR_OUT_OF_RANGE'],
  ['result.hosts', { ...sample(), hosts: Array(200_000).fill(sample().hosts[0]) }, 'ERR_OUT_OF_RANGE'],
  [
    'result.series.p99[0]',
    { ...sample(), series: { ...sample().series, p99: sample().series.p99.map(() => 1.7e308) } },
    'ERR_OUT_OF_RANGE',
  ],
];
test.each(wrong)('refuses JSON whose %s is wrong', (name, json, code) => {
  const read = () => readResult(json);
  expect(read).toThrow(expect.objectContaining({ code, message: expect.stringContaining(name) }));
});

test('errors name the file', () => {
  expect(() => readResult({}, 'a.json')).toThrow(/^a\.json\.format must be 1/);
});

test('merging one is that one', () => {
  expect(mergeResults([sample()])).toEqual(sample());
});

test('counts, rates, histograms and errors of two that ran together', () => {
  const [a, b] = [run([100, 200], { host: 'a' }), run([50, 60], { host: 'b', us: 90_000 })];
  const merged = mergeResults([a, b]);
  expect(merged).toMatchObject({
    duration: 2000,
    overlap: 1,
    requests: 414,
    responses: 410,
    requestsPerSecond: 205,
    bytesReceived: 4100,
    statuses: { 200: 408, 503: 2 },
    errors: { connect: 2, reset: 0, timeout: 0, protocol: 0, status: 2, check: 0 },
    errorDetails: { 'connect ECONNREFUSED': 2, 'status a': 1, 'status b': 1 },
    errorCount: 4,
    series: seriesOf({ interval: 1000, responses: [150, 260], bytes: [1500, 2600], errors: [2, 2] }),
    settings: { connections: 128, threads: 4, duration: 12_000, requests: null, rate: 0 },
  });
  expect(merged.threads.map(({ name }) => name)).toEqual(['a/1', 'b/1']);
  expect(merged.hosts.map(({ host }) => host)).toEqual(['a', 'b']);
  expect(merged.urls).toEqual(a.urls);
  const both = Histogram.fromJSON(a.histogram);
  both.add(Histogram.fromJSON(b.histogram));
  expect(merged.histogram).toEqual(both.toJSON());
  // The 99th of all lies in the slower machine's: an average of both percentiles would be wrong.
  expect(merged.latency.p99).toBeGreaterThan(89);
  expect(merged.latency.p50).toBeLessThan(1);
});

test('time series are laid over one another by the clocks', () => {
  const merged = mergeResults([run([1, 2, 3], { late: 2100 }), run([10, 20, 30])]);
  expect(merged.series.responses).toEqual([10, 20, 31, 2, 3]);
  expect(merged).toMatchObject({ duration: 5100, overlap: expect.closeTo(900 / 5100) });
});

test('a finer series is added up to the coarser', () => {
  const merged = mergeResults([run([1, 2, 3, 4, 5], { interval: 500, late: 600 }), run([10, 20, 30])]);
  expect(merged.series).toMatchObject({ interval: 1000, responses: [11, 25, 39] });
  expect(() => mergeResults([run([1], { interval: 300 }), run([1])])).toThrow(
    expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
  );
});

test('runs that did not overlap', () => {
  expect(mergeResults([run([1]), run([1], { late: 5000 })])).toMatchObject({ overlap: 0, duration: 6000 });
  const year = 365 * 86_400_000;
  expect(() => mergeResults([run([1]), run([1], { late: year })])).toThrow(/started/);
});

test('rates that were asked for add up; one closed loop makes it no rate', () => {
  const merged = (...rates: number[]) => mergeResults(rates.map(rate => run([1, 1], { rate }))).settings.rate;
  expect([merged(100, 50), merged(100, 0)]).toEqual([150, 0]);
});

test('none is refused', () => {
  expect(() => mergeResults([])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
  for (const wrong of [undefined, null, sample(), 'x', [null], [sample(), 'x']]) {
    expect(() => Reflect.apply(mergeResults, undefined, [wrong])).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringMatching(/^results(\[\d\])? must/),
      }),
    );
  }
});

test('in any order and any grouping', () => {
  const counts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 });
  const some = fc.record({ counts, late: fc.integer({ min: 0, max: 4 }), us: fc.integer({ min: 1, max: 1e6 }) });
  fc.assert(
    fc.property(some, some, some, (x, y, z) => {
      const [a, b, c] = [x, y, z].map((it, i) => run(it.counts, { host: `h${i}`, late: it.late * 1000, us: it.us }));
      if (!a || !b || !c) throw new Error('three');
      const flat = mergeResults([a, b, c]);
      for (const other of [mergeResults([mergeResults([a, b]), c]), mergeResults([a, mergeResults([b, c])])]) {
        expect(other).toEqual({
          ...flat,
          histogram: { ...flat.histogram, sum: expect.closeTo(flat.histogram.sum, 3) },
        });
      }
      const { threads, hosts, ...turned } = mergeResults([c, a, b]);
      expect(flat).toMatchObject({ ...turned, histogram: { ...turned.histogram, sum: expect.any(Number) } });
      expect([threads.length, hosts.length]).toEqual([3, 3]);
    }),
    { numRuns: 50 },
  );
});
