/**
 * What must hold of a result, errors that end a test, percentiles, and latencies where there are none.
 *
 * @module-tag slow
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { load, mergeResults, percentile, readResult, reportHtml, reportText } from 'epoll-pool/load';
import { expect, onTestFinished, test, vi } from 'vitest';
import { exitCode } from '../dist/main/load/conditions.js';
import { Histogram } from '../dist/shared/load/histogram.js';
import { measured, sample } from './load-sample.ts';
import { cli } from './support/cli.ts';
import { httpServer, NOBODY, OK, rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

/** 1,000 latencies: 1 to 1,000 ms; 100 requests a second; 10 errors. */
function known(conditions: string[], changes: Partial<ReturnType<typeof measured>> = {}) {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms * 1000);
  return sample({
    histogram: histogram.toJSON(),
    requests: 1000,
    responses: 1000,
    hosts: measured().hosts.map(host => ({ ...host, duration: 10_000 })),
    errors: { ...measured().errors, status: 10, connect: 2 },
    conditions,
    ...changes,
  });
}

test.each([
  ['p50<501ms', true],
  ['p50<499ms', false],
  ['p90<=0.92s', true],
  ['p95>900ms', true],
  ['p99.9<=990ms', false],
  ['p99 < 1000000us', true],
  ['max<=1s', true],
  ['max<1s', false],
  ['min>=1ms', true],
  ['mean<501ms', true],
  ['mean>501ms', false],
  ['rate>=100', true],
  ['rate>0.1k/s', false],
  ['errors<13', true],
  ['errors<12', false],
  ['errors<1.2%', true],
  ['errors<=1%', false],
])('%s: %s', (condition, ok) => {
  const { verdicts } = known([condition]);
  expect(verdicts).toEqual([{ condition, ok, value: expect.any(Number) }]);
});

test('what was measured is in the unit of the condition', () => {
  const values = known(['p50<1s', 'errors<1%', 'errors<1', 'rate>1k', 'max<1us']).verdicts.map(({ value }) => value);
  expect(values[0]).toBeCloseTo(500, -1);
  expect(values[1]).toBeCloseTo((12 / 1002) * 100, 6);
  expect(values.slice(2)).toEqual([12, 100, 1000]);
});

test('a percentile without answers never holds; errors and rates do', () => {
  const empty = known(['p99<1s', 'p99>0ms', 'max>=0ms', 'mean<1s', 'rate<1', 'errors<100'], {
    histogram: new Histogram().toJSON(),
    responses: 0,
  });
  expect(empty.verdicts.map(({ ok, value }) => [ok, value])).toEqual([
    [false, null],
    [false, null],
    [false, null],
    [false, null],
    [true, 0],
    [true, 12],
  ]);
});

test('the exit code: conditions, errors unless a condition is about them, and answers at all', () => {
  const fine = { errors: measured().errors };
  expect(exitCode(known([], fine))).toBe(0);
  expect(exitCode(known(['p99<2s'], fine))).toBe(0);
  expect(exitCode(known(['p99<2s', 'p99<1ms'], fine))).toBe(1);
  expect(exitCode(known([]))).toBe(1);
  expect(exitCode(known(['p99<2s']))).toBe(1);
  expect(exitCode(known(['errors<2%']))).toBe(0);
  expect(exitCode(known(['errors<1%']))).toBe(1);
  expect(exitCode(known(['errors<=100%'], { responses: 0 }))).toBe(1);
  expect(exitCode(known([], { ...fine, responses: 0, interrupted: true }))).toBe(0);
});

test('verdicts are shown, and come back from JSON and when results are merged', () => {
  const result = known(['p99<1ms', 'errors<5%']);
  expect(reportText(result)).toMatch(/^Required {2}FAILED {2}p99<1ms {4}989 ms\n {10}ok {6}errors<5% {2}1\.2%$/m);
  expect(reportHtml(result)).toContain('<td class="bad">failed</td>');
  const read = readResult(JSON.parse(JSON.stringify(result)));
  expect(read.verdicts).toEqual(result.verdicts);
  const all = mergeResults([read, known(['rate>1'])]);
  expect(all.verdicts.map(({ condition }) => condition)).toEqual(['p99<1ms', 'errors<5%', 'rate>1']);
});

test('percentile(): any share of the latencies', () => {
  const result = known([]);
  for (const share of [0.5, 0.95, 0.999]) expect(percentile(result, share)).toBeCloseTo(share * 1000, -1);
  expect(percentile(result, 0.95)).toBe(result.latency.p95);
  expect(percentile(result, 0.999)).toBe(result.latency.p999);
  expect([percentile(result, 0), percentile(result, 1)]).toEqual([1, 1000]);
  expect(percentile(known([], { histogram: new Histogram().toJSON() }), 0.5)).toBeNull();
  expect(() => percentile(result, 95)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  for (const none of [undefined, null, 'x']) {
    expect(() => Reflect.apply(percentile, undefined, [none, 0.5])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
  }
  const wrong: unknown = '0.5';
  expect(() => Reflect.apply(percentile, undefined, [result, wrong])).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
  );
});

test('by command: what does not hold is code 1, said in text and JSON', async () => {
  const server = await httpServer(({ index, reply }) => reply(index % 10 === 0 ? OK.replace('200', '503') : OK));
  const run = (...args: string[]) => cli(['load', '-c', '2', '-n', '100', ...args, server.url]);
  expect(await run('--require', 'errors<=10%', '--require', 'p50<10s')).toMatchObject({ code: 0 });
  const failed = await run('--require', 'errors<=10%', '--fail', 'max<1us');
  expect(failed.code).toBe(1);
  expect(failed.stdout).toMatch(/^ +FAILED {2}max<1us/m);
  const json = JSON.parse((await run('--json', '--require', 'errors<5')).stdout);
  expect(json.verdicts).toEqual([{ condition: 'errors<5', ok: false, value: 10 }]);
  expect(await run('--require', 'p99<50')).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining('--require'),
  });
});

test.each([
  ['closed loop', {}],
  ['open loop', { rate: 2000 }],
])('%s: so many errors end the test, with at most what is under way beyond them', async (_name, more) => {
  const statuses = await httpServer(({ reply }) => reply(OK.replace('200', '500')));
  const resets = await httpServer(({ socket, index, reply }) => (index === 0 ? reply(OK) : socket.resetAndDestroy()));
  for (const { url } of [statuses, resets]) {
    const result = await load({ url, threads: 2, connections: 8, duration: '30s', stopAfter: 20, ...more });
    expect(result.stopped).toBe('errors');
    expect(result.errorCount).toBeGreaterThanOrEqual(20);
    expect(result.errorCount).toBeLessThanOrEqual(28);
    expect(result.duration).toBeLessThan(20_000);
    expect(reportText(result)).toContain('! Ended after');
  }
});

test('errors that the threads have seen while the main thread was busy are all in the result', async () => {
  const program = `let n = 0;
    const server = require('net').createServer(socket => {
      socket.on('error', () => {});
      socket.on('data', () => n++ === 0 ? socket.write(${JSON.stringify(OK)}) : socket.resetAndDestroy());
    }).listen(0, '127.0.0.1', () => require('worker_threads').parentPort.postMessage(server.address().port));`;
  const worker = new Worker(program, { eval: true });
  onTestFinished(() => worker.terminate().then(() => {}));
  const [port] = await once(worker, 'message');
  const result = await load({
    url: `http://127.0.0.1:${port}/`,
    ...{ threads: 2, connections: 4, duration: '30s', stopAfter: 600 },
    onProgress: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300),
  });
  expect(result.stopped).toBe('errors');
  expect(result.errorCount).toBeGreaterThanOrEqual(600);
  expect(result.errorCount).toBeLessThanOrEqual(604);
});

test('one connection: exactly so many', async () => {
  const { url } = await httpServer(({ reply }) => reply(OK.replace('200', '500')));
  for (const rate of [undefined, 500]) {
    const result = await load({ url, connections: 1, duration: '30s', stopAfter: 5, ...(rate && { rate }) });
    expect(result).toMatchObject({ stopped: 'errors', errorCount: 5, responses: 5 });
  }
});

test('connections that cannot be opened, and timeouts, are errors that end a test as well', async () => {
  const refused = await load({ url: NOBODY, connections: 200, duration: '30s', stopAfter: 5 });
  expect(refused).toMatchObject({ stopped: 'errors', responses: 0 });
  const silent = await httpServer(() => {});
  const late = await load({ url: silent.url, connections: 4, duration: '30s', timeout: 100, stopAfter: 6 });
  expect(late).toMatchObject({ stopped: 'errors', errors: { timeout: late.errorCount } });
  expect(late.errorCount).toBeGreaterThanOrEqual(6);
  expect(late.errorCount).toBeLessThanOrEqual(10);
  const fine = await httpServer();
  expect(await load({ url: fine.url, requests: 50, stopAfter: 1 })).toMatchObject({ stopped: null, responses: 50 });
});

test('without answers there are no latencies', async () => {
  const server = await rawServer(socket => socket.destroy());
  const result = await load({
    url: `http://127.0.0.1:${server.port}`,
    connections: 2,
    requests: 4,
    require: 'p99<1s',
  });
  expect(Object.values(result.latency)).toEqual(Array(10).fill(null));
  expect(result.verdicts).toEqual([{ condition: 'p99<1s', ok: false, value: null }]);
  expect(JSON.parse(JSON.stringify(result)).latency.p50).toBeNull();
});

test('timeouts count among the latencies if they are asked to; which of it is said', async () => {
  const server = await httpServer(({ index, reply }) => index % 4 !== 3 && reply(OK));
  const options = { url: server.url, connections: 2, requests: 20, timeout: 700 };
  const without = await load(options);
  expect(without).toMatchObject({ responses: 15, errors: { timeout: 5 }, histogram: { count: 15 } });
  expect(reportText(without)).toContain('Latencies do not include 5 requests that timed out after 700 ms');
  const counted = await load({ ...options, timeoutsCount: true });
  expect(counted).toMatchObject({ responses: 15, errors: { timeout: 5 }, histogram: { count: 20 } });
  expect(counted.latency.p90).toBeGreaterThanOrEqual(700);
  expect(reportText(counted)).toContain('Latencies include 5 requests');
});

test('those of the warm-up do not', async () => {
  const server = await httpServer(() => {});
  const times = { timeout: 100, warmup: 350, duration: 350 };
  const result = await load({ url: server.url, connections: 2, ...times, timeoutsCount: true });
  expect(result.errors.timeout).toBeGreaterThan(0);
  expect(server.requests).toBeGreaterThan(result.errors.timeout);
  expect(result.histogram.count).toBe(result.errors.timeout);
});
