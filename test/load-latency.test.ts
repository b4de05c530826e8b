/**
 * What a load test says of latency agrees with a server whose delays are known.
 *
 * @module-tag slow
 */
import { load } from 'epoll-pool/load';
import { expect, test, vi } from 'vitest';
import { httpServer, OK } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

/** How late a busy machine may make a median, in milliseconds; nothing is early. */
const SLACK = 60;

test('a delay of 40 ms, and one of 200 ms for every tenth request', async () => {
  const server = await httpServer(({ index, reply }) => {
    setTimeout(() => reply(OK), index % 10 === 9 ? 200 : 40);
  });
  const { latency } = await load({ url: server.url, threads: 2, connections: 10, requests: 400 });
  // A timer of Node's may be a millisecond early.
  expect(latency.min).toBeGreaterThan(38);
  expect(latency.p50).toBeGreaterThan(38);
  expect(latency.p50).toBeLessThan(40 + SLACK);
  expect(latency.p90).toBeLessThan(200 + SLACK);
  expect(latency.p99).toBeGreaterThan(198);
  expect(latency.p99).toBeLessThan(200 + 4 * SLACK);
});

test('the whole distribution of a server with uniform delays from 0 to 100 ms', async () => {
  const server = await httpServer(({ index, reply }) => {
    setTimeout(() => reply(OK), (index * 37) % 100);
  });
  const { latency } = await load({ url: server.url, threads: 2, connections: 20, requests: 1000 });
  for (const [share, value] of [
    [50, latency.p50],
    [75, latency.p75],
    [90, latency.p90],
  ] as const) {
    expect(value).toBeGreaterThan(share - 4);
    expect(value).toBeLessThan(share + SLACK);
  }
});

/** A server that stops for a second, once, from its 200th request on. */
async function stoppingServer() {
  let stopped = 0;
  return httpServer(({ index, reply }) => {
    if (index === 200) stopped = performance.now();
    const rest = 1000 - (performance.now() - stopped);
    if (index >= 200 && rest > 0) setTimeout(() => reply(OK), rest);
    else reply(OK);
  });
}

test('open loop: a server that stops for 1 s shows it in p99, and in what came after', async () => {
  const server = await stoppingServer();
  const { latency, ...result } = await load({
    url: server.url,
    threads: 2,
    connections: 10,
    rate: 400,
    duration: '3s',
  });
  // A third of the requests were due while it stood; with 10 connections all but 10 of them could not even be sent.
  expect(latency.p90).toBeGreaterThan(500);
  expect(latency.p99).toBeGreaterThan(900);
  expect(latency.p50).toBeLessThan(500);
  expect(result).toMatchObject({ requests: 1200, responses: 1200, errorCount: 0 });
});

test('closed loop: the same server, and ten slow responses are all that is seen', async () => {
  const server = await stoppingServer();
  const { latency, responses } = await load({ url: server.url, threads: 2, connections: 10, duration: '3s' });
  expect(responses).toBeGreaterThan(1200);
  expect(latency.max).toBeGreaterThan(900);
  expect(latency.p90).toBeLessThan(500);
});

test('the rate is kept, however slowly the server answers, while connections are free', async () => {
  const server = await httpServer(({ reply }) => {
    setTimeout(() => reply(OK), 100);
  });
  const result = await load({ url: server.url, threads: 2, connections: 200, rate: 300, duration: '2s' });
  expect(result).toMatchObject({ requests: 600, responses: 600, errorCount: 0 });
  expect(result.latency.p50).toBeGreaterThan(98);
  expect(result.latency.p50).toBeLessThan(100 + SLACK);
});

test('what was due before the end is sent and waited for, though the server stands still at the end', async () => {
  const from = { stop: 0 };
  const server = await httpServer(({ index, reply }) => {
    if (index === 150) from.stop = performance.now();
    const rest = index < 150 ? 0 : 800 - (performance.now() - from.stop);
    if (rest > 0) setTimeout(() => reply(OK), rest);
    else reply(OK);
  });
  const result = await load({ url: server.url, threads: 2, connections: 4, rate: 200, duration: '1s' });
  expect(result).toMatchObject({ requests: 200, responses: 200, errorCount: 0 });
  expect(result.duration).toBeGreaterThan(1450);
  expect(result.latency.max).toBeGreaterThan(750);
  expect(server.requests).toBe(200);
});

test('a server that never answers again: what was due is sent for as long as an answer may take, not longer', async () => {
  const server = await httpServer(({ index, reply }) => index < 50 && reply(OK));
  const begun = performance.now();
  const { errors, ...result } = await load({
    url: server.url,
    connections: 2,
    rate: 100,
    duration: '1s',
    timeout: 500,
  });
  expect(performance.now() - begun).toBeLessThan(15_000);
  expect(result.responses).toBe(50);
  expect(result.requests).toBe(50 + errors.timeout);
  // Two at a time, each for half a second, from half a second before the end to half a second after it.
  expect(errors.timeout).toBeGreaterThanOrEqual(2);
  expect(errors.timeout).toBeLessThanOrEqual(6);
  expect(result.warnings.join()).toContain('requests that were due were never sent');
});

test('a rate that the server cannot keep up with is said', async () => {
  const server = await httpServer(({ reply }) => {
    setTimeout(() => reply(OK), 50);
  });
  const result = await load({ url: server.url, connections: 2, rate: 400, duration: '1s', timeout: '1s' });
  expect(result.requests).toBeLessThan(100);
  expect(result.warnings.join()).toContain('requests that were due were never sent');
  expect(result.latency.max).toBeGreaterThan(500);
});
