/** How a load test begins and ends: limits, warm-up, progress, abort, options; and results that are put together. */
import { getEventListeners } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LoadProgress, load, mergeResults, readResult, reportHtml, reportText } from 'epoll-pool/load';
import { expect, inject, test, vi } from 'vitest';
import { checkLimits } from '../dist/main/load/limits.js';
import { planLoad } from '../dist/main/load/options.js';
import { httpServer, NOBODY, OK } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

test('warm-up: requests are sent, and not counted', { tags: ['slow'] }, async () => {
  for (const rate of [undefined, 500]) {
    const server = await httpServer();
    const warmup = 400;
    const result = await load({ url: server.url, connections: 4, warmup, duration: 300, ...(rate && { rate }) });
    expect(result).toMatchObject({ errorCount: 0, responses: result.requests });
    expect(result.requests).toBeLessThan(server.requests);
    if (rate) expect(server.requests).toBe(350);
    expect(result.histogram.count).toBe(result.requests);
    expect(result.duration).toBeGreaterThanOrEqual(300);
    if (rate) expect(result.requests).toBe(150);
  }
});

test('by number after a warm-up: so many are counted', async () => {
  const server = await httpServer();
  const result = await load({ url: server.url, connections: 4, warmup: 500, requests: 100 });
  expect(result).toMatchObject({ requests: 100, responses: 100 });
  expect(server.requests).toBeGreaterThan(100);
});

test('duration and requests: whichever comes first', async () => {
  const server = await httpServer();
  const few = await load({ url: server.url, connections: 2, requests: 20, duration: '50s' });
  expect(few.responses).toBe(20);
  expect(few.duration).toBeLessThan(20_000);
  const short = await load({ url: server.url, connections: 2, requests: 1e9, duration: 200 });
  expect(short.responses).toBe(short.requests);
});

test('an AbortSignal ends it at once, with what was measured so far', async () => {
  const server = await httpServer();
  const controller = new AbortController();
  const from = performance.now();
  const result = await load({
    url: server.url,
    connections: 4,
    duration: '1h',
    signal: controller.signal,
    onProgress: ({ responses }) => responses > 50 && controller.abort(),
  });
  expect(performance.now() - from).toBeLessThan(20_000);
  expect(result).toMatchObject({ interrupted: true, errorCount: 0 });
  expect(result.responses).toBeGreaterThan(50);
  expect(result.duration).toBeLessThan(20_000);
});

test('aborted while a thread has an answer at hand: all figures are of the same moment', async () => {
  const script = join(inject('scratch'), 'slow-check.mjs');
  writeFileSync(
    script,
    `const word = new Int32Array(new SharedArrayBuffer(4));
     export const check = () => { Atomics.wait(word, 0, 0, 300); return true; };`,
  );
  const controller = new AbortController();
  const server = await httpServer(({ index, reply }) => {
    reply(OK);
    if (index === 0) setTimeout(() => controller.abort(), 100);
  });
  const result = await load({ url: server.url, script, threads: 1, connections: 2, signal: controller.signal });
  expect(result).toMatchObject({ interrupted: true, errorCount: 0 });
  expect(result.responses).toBeGreaterThan(0);
  const { histogram, series, statuses, threads } = result;
  expect(histogram).toMatchObject({ count: result.responses });
  expect(statuses).toEqual({ 200: result.responses });
  expect(series.responses.reduce((sum, n) => sum + n, 0)).toBe(result.responses);
  expect(series.bytes.reduce((sum, n) => sum + n, 0)).toBe(result.bytesReceived);
  expect(threads.map(({ responses }) => responses)).toEqual([result.responses]);
});

test('where no connection could be opened the series has the errors, too', async () => {
  const { errors, series } = await load({ url: NOBODY, connections: 5, duration: '30s' });
  expect(series.errors.reduce((sum, n) => sum + n, 0)).toBe(errors.connect);
  expect(errors.connect).toBe(5);
});

test('aborted while a server does not answer, or before it begins', async () => {
  const controller = new AbortController();
  const server = await httpServer(({ index }) => index === 9 && controller.abort());
  const result = await load({ url: server.url, duration: '1h', timeout: '1h', signal: controller.signal });
  expect(result).toMatchObject({ interrupted: true, responses: 0, errorCount: 0, requests: 10 });
  const signal = AbortSignal.abort();
  await expect(load({ url: server.url, signal })).rejects.toMatchObject({ name: 'AbortError' });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('aborted while it waits for the last answers of an open loop, with more requests due', async () => {
  const server = await httpServer(() => {});
  const controller = new AbortController();
  const result = await load({
    url: server.url,
    connections: 2,
    rate: 100,
    duration: 200,
    timeout: '1h',
    signal: controller.signal,
    onProgress: ({ phase }) => phase === 'finishing' && controller.abort(),
  });
  expect(result).toMatchObject({ interrupted: true, requests: 2, responses: 0, errorCount: 0 });
  expect(result.duration).toBeLessThan(20_000);
});

test('progress: phases in order, figures that only grow', { tags: ['slow'] }, async () => {
  const server = await httpServer();
  const seen: LoadProgress[] = [];
  await load({ url: server.url, warmup: 300, duration: 700, onProgress: progress => seen.push(progress) });
  const order = ['connecting', 'warming up', 'running', 'finishing'];
  const phases = seen.map(({ phase }) => order.indexOf(phase));
  expect(phases).toEqual(phases.toSorted());
  expect(phases).toContain(1);
  expect(phases).toContain(2);
  for (const key of ['elapsed', 'fraction', 'responses'] as const) {
    const values = seen.map(progress => progress[key]);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
  }
  expect(seen.every(({ fraction, connections }) => fraction <= 1 && connections <= 10)).toBe(true);
  expect(seen.at(-1)?.connections).toBe(10);
});

test('what onProgress throws is what load() rejects with', async () => {
  const server = await httpServer();
  const failing = load({
    url: server.url,
    duration: '1h',
    onProgress: () => {
      throw new Error('enough');
    },
  });
  await expect(failing).rejects.toThrow('enough');
});

test('wrong options reject, before anything is opened', async () => {
  const server = await httpServer();
  await expect(load({ url: 'ftp://localhost/' })).rejects.toThrow('url must be an address');
  await expect(load({ url: server.url, connections: 0 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  const wrong: unknown = { url: server.url, onProgress: 1 };
  await expect(Reflect.apply(load, undefined, [wrong])).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await expect(load({ url: server.url, connections: 1_000_000 })).rejects.toThrow(
    /RLIMIT_NOFILE|net\.ipv4\.ip_local_port_range/,
  );
  expect(server.connections).toBe(0);
});

test('too few fds or ports: the limit is named', () => {
  const plan = planLoad({ url: 'http://localhost/', connections: 1000, threads: 2 });
  const enough = { files: 2000, open: 30, ports: 28_232 };
  expect(() => checkLimits(plan, enough)).not.toThrow();
  expect(() => checkLimits(plan, { ...enough, files: 1024 })).toThrow(
    'connections must be at most 979 here: the limit of open files, RLIMIT_NOFILE (ulimit -n), is 1024; received 1000',
  );
  expect(() => checkLimits(plan, { ...enough, ports: 999 })).toThrow('net.ipv4.ip_local_port_range');
  const unix = planLoad({ url: 'http://unix:/tmp/socket', connections: 1000, threads: 2 });
  expect(() => checkLimits(unix, { ...enough, ports: 999 })).not.toThrow();
});

test('two load tests at the same time, merged by way of JSON', async () => {
  const server = await httpServer(({ index, reply }) => reply(index % 10 === 0 ? OK.replace('200', '500') : OK));
  const options = { url: server.url, threads: 1, connections: 3, requests: 300 };
  const results = await Promise.all([load(options), load({ ...options, requests: 200 })]);
  const all = mergeResults(results.map((result, i) => readResult(JSON.parse(JSON.stringify(result)), `result ${i}`)));
  expect(all).toMatchObject({ requests: 500, responses: 500, statuses: { 200: 450, 500: 50 }, errorCount: 50 });
  expect(all.histogram.count).toBe(500);
  expect(all.bytesReceived).toBe(server.bytesSent);
  expect(all.latency.max).toBe(Math.max(...results.map(({ latency }) => Number(latency.max))));
  expect(all.hosts).toHaveLength(2);
  expect(reportText(all)).toContain('500');
  expect(reportHtml(all)).toMatch(/^<!doctype html>/);
});

test('the figures of the generator itself: threads, processors, the series', { tags: ['slow'] }, async () => {
  const server = await httpServer();
  const { threads, hosts, series, settings, urls, ...result } = await load({
    url: server.url.replace('//', '//user:secret@'),
    threads: 3,
    connections: 6,
    duration: 1000,
  });
  expect(server.last.head).toContain(`Authorization: Basic ${Buffer.from('user:secret').toString('base64')}`);
  expect(urls).toEqual([server.url]);
  expect(settings).toMatchObject({ connections: 6, threads: 3, duration: 1000, requests: null, rate: 0 });
  expect(threads.map(({ name }) => name)).toEqual(['1', '2', '3']);
  for (const { busy, cpu } of threads) expect(Math.min(busy, cpu)).toBeGreaterThan(0);
  const [host] = hosts;
  expect(Math.abs((host?.started ?? 0) + result.duration - Date.now())).toBeLessThan(20_000);
  expect((host?.cpuUser ?? 0) + (host?.cpuSystem ?? 0)).toBeGreaterThan(0);
  expect(host?.cpuMain).toBeGreaterThan(0);
  expect(series.interval).toBe(100);
  expect(series.responses.length).toBeGreaterThanOrEqual(10);
  expect(series.responses.every(Number.isInteger)).toBe(true);
});
