/** What an open loop's threads share: when requests are due, which connections are free, who is at one. */
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Tally } from '../dist/main/load/tally.js';
import { ANSWERED, BYTES_RECEIVED, countsOf, createBoard, joinBoard, RESPONSES } from '../dist/shared/load/board.js';
import { IdleQueue } from '../dist/shared/load/idle-queue.js';
import { EVENT, enter, leave, POPPED, release, seize } from '../dist/shared/load/owner.js';
import { planSchedule, Schedule } from '../dist/shared/load/schedule.js';

vi.setConfig({ testTimeout: 60_000 });

function begun(rate: number): Schedule {
  const schedule = new Schedule(planSchedule(rate));
  schedule.begin(0);
  return schedule;
}

test.each([0.1, 1, 3, 999, 10_000, 12_345, 250_000, 1e8])('%d requests a second are due in a second', rate => {
  const schedule = begun(rate);
  const seconds = Math.max(1, 10 / rate);
  expect(schedule.dueAt(0)).toBe(0);
  const due = schedule.dueAt(Math.round(rate * seconds));
  expect(Math.abs(due - seconds * 1000)).toBeLessThanOrEqual(0.11 + seconds * 0.01);
  expect(schedule.missed(seconds * 1000)).toBeGreaterThan(rate * seconds * 0.99998 - 1);
  expect(schedule.missed(seconds * 1000)).toBeLessThan(rate * seconds * 1.0002 + rate / 9000 + 1);
});

test('ticks are whole nanoseconds, at most 10,000 a second', () => {
  for (const rate of [0.3, 7, 333, 9999, 10_001, 77_777]) {
    const { tick } = planSchedule(rate);
    expect(Math.abs(tick * 1e6 - Math.round(tick * 1e6))).toBeLessThan(1e-6 * tick * 1e6);
    expect(tick).toBeGreaterThanOrEqual(0.1);
  }
});

test('each request is taken once, and not before it is due', () => {
  const schedule = new Schedule(planSchedule(1000));
  expect([schedule.take(1), schedule.isDue(1), schedule.missed(1)]).toEqual([-1, false, 0]);
  schedule.begin(0);
  expect([schedule.take(0), schedule.take(0.5), schedule.take(2), schedule.take(2), schedule.take(2)]).toEqual([
    0, -1, 1, 2, -1,
  ]);
  expect(schedule.isDue(2.9)).toBe(false);
  expect(schedule.isDue(3)).toBe(true);
  expect(schedule.missed(5)).toBe(2);
});

test.each([
  [300, 0, 2000, 0, 600],
  [500, 400, 300, 200, 150],
  [7777, 1500, 10_000, 11_666, 77_770],
  [9999.5, 0, 3_600_000, 0, 35_998_200],
  [12_345, 100, 1000, 1235, 12_345],
  [1e8, 10, 1000, 1_000_000, 100_000_000],
  [0.5, 0, 3000, 0, 2],
  [3, 0, 1, 0, 1],
])('%d a second, %d ms of warm-up, %d ms: %d and exactly %d, however late', (rate, warmup, duration, before, total) => {
  const plan = planSchedule(rate);
  const schedule = new Schedule(plan);
  const from = schedule.limit(rate, warmup, duration);
  schedule.begin(0);
  expect(from).toBe(schedule.dueAt(before));
  if (before > 0 && rate < 10_000) expect(schedule.dueAt(before - 1)).toBeLessThan(from);
  const last = before + total - 1;
  expect(schedule.dueAt(last)).toBeLessThan((from + duration) * (1 + 5e-6));
  Atomics.store(plan.taken, 0, BigInt(last));
  expect([schedule.left, schedule.isDue(1e9), schedule.missed(1e9)]).toEqual([1, true, 1]);
  expect([schedule.take(1e9), schedule.take(1e9)]).toEqual([schedule.dueAt(last), -1]);
  expect([schedule.left, schedule.isDue(1e9), schedule.missed(1e9)]).toEqual([0, false, 0]);
});

test('the queue gives each connection to one of many threads, and loses none', async () => {
  const words = IdleQueue.create(100);
  const taken = new Int32Array(new SharedArrayBuffer(100 * 4));
  const inside = new Int32Array(new SharedArrayBuffer(101 * 4));
  const queue = new IdleQueue(words);
  for (let id = 0; id < 100; id++) queue.push(id);
  const module = new URL('../dist/shared/load/idle-queue.js', import.meta.url).href;
  const source = `
    import { workerData } from 'node:worker_threads';
    const { module, words, taken, inside } = workerData;
    const { IdleQueue } = await import(module);
    const queue = new IdleQueue(words);
    for (let i = 0; i < 20_000; ) {
      const id = queue.pop();
      if (id < 0) continue;
      if (Atomics.add(inside, id, 1) !== 0) Atomics.add(inside, 100, 1);
      Atomics.add(taken, id, 1);
      Atomics.sub(inside, id, 1);
      queue.push(id);
      i++;
    }`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const workers = [1, 2, 3].map(() => new Worker(url, { workerData: { module, words, taken, inside } }));
  onTestFinished(() => Promise.all(workers.map(worker => worker.terminate())).then(() => {}));
  await Promise.all(
    workers.map(worker => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))),
  );
  expect(inside[100]).toBe(0);
  expect(taken.reduce((sum, n) => sum + n, 0)).toBe(60_000);
  const left = Array.from({ length: 101 }, () => queue.pop());
  expect(left.pop()).toBe(-1);
  expect(left.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

test('whoever comes second to a connection leaves word', () => {
  const owners = new Int32Array(new SharedArrayBuffer(8));
  expect(enter(owners, 1, EVENT)).toBe(true);
  expect(enter(owners, 1, POPPED)).toBe(false);
  expect(enter(owners, 1, EVENT)).toBe(false);
  expect(seize(owners, 1)).toBe(false);
  expect(leave(owners, 1)).toBe(EVENT | POPPED);
  expect(leave(owners, 1)).toBe(0);
  expect(seize(owners, 1)).toBe(true);
  expect(enter(owners, 1, POPPED)).toBe(false);
  expect(release(owners, 1)).toBe(true);
  expect(enter(owners, 1, EVENT)).toBe(true);
});

function tallyFor(threads: number) {
  const board = createBoard({
    threads,
    pipelining: 1,
    requests: Number.POSITIVE_INFINITY,
    request: new Uint8Array(1),
    protocol: 'http',
    module: undefined,
    address: undefined,
    traits: 0,
    list: [],
    base: { path: '/', authority: '', credentials: undefined, method: undefined, headers: [], body: undefined },
    script: undefined,
    tls: undefined,
    scriptData: undefined,
    stopAfter: Number.POSITIVE_INFINITY,
    expected: new Uint8Array(1000),
    connections: 1,
    rate: 0,
    stages: undefined,
    warmup: 0,
  });
  const { counts, histogram } = countsOf(board, joinBoard(board));
  return { tally: new Tally(board, false), counts, histogram };
}

test('a sample that is late is spread over the intervals that it covers; nothing is lost when the series is drawn together', () => {
  const { tally, counts, histogram } = tallyFor(1);
  counts[RESPONSES] = 100;
  counts[BYTES_RECEIVED] = 1001;
  tally.sample(400);
  expect(tally.series).toEqual({
    interval: 100,
    responses: [25, 25, 25, 25],
    bytes: [250, 251, 250, 250],
    errors: [0, 0, 0, 0],
    p50: [null, null, null, null],
    p99: [null, null, null, null],
  });
  counts[RESPONSES] = 200;
  histogram.record(2000);
  tally.fail('reset', 'reset ECONNRESET', 1, 1, 0);
  tally.sample(500);
  expect(tally.series.responses).toEqual([25, 25, 25, 25, 100]);
  expect(tally.series.errors).toEqual([0, 0, 0, 0, 1]);
  counts[RESPONSES] = 1200;
  tally.sample(70_000);
  const { interval, responses, p50, p99 } = tally.series;
  expect(interval).toBe(1000);
  for (const percentiles of [p50, p99]) {
    expect(percentiles).toEqual([expect.closeTo(2, 1), ...Array.from({ length: 69 }, () => null)]);
  }
  expect(responses).toHaveLength(70);
  expect(responses.reduce((sum, n) => sum + n, 0)).toBe(1200);
  counts[ANSWERED] = 5;
  expect(tally.underWay).toBe(-6);
});
