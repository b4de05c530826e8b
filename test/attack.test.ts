/**
 * The claim word under attack: threads x modes x handlers, with counts that prove 0 lost, 0 doubled, 0 overlapping.
 *
 * @module-tag slow
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, EPOLLONESHOT, WaitService } from 'epoll-pool';
import { close, eventfd, socketpair } from 'epoll-pool/sys';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { total } from './support/service.ts';

interface Shape {
  readonly events: number;
  readonly stream: boolean;
  /** Reads until a read would block, as edge-triggered programs do. */
  readonly untilEmpty: boolean;
  /** Asks for the next oneshot itself. */
  readonly rearm: boolean;
  readonly slowEvery: number;
  readonly slowMs: number;
}

const handler = new URL('./fixtures/attack-handler.mjs', import.meta.url);
const writer = new URL('./fixtures/attack-writer.mjs', import.meta.url);

const THREADS = 5;
const FDS = 300;
const WRITERS = 2;
const WRITES = 32_000;
/** A registration's data is its number, beyond those of the cases before. */
const CASE = 1000;

const modes = [
  { mode: 'level', events: EPOLLIN, untilEmpty: false, rearm: false },
  { mode: 'level, reading until empty', events: EPOLLIN, untilEmpty: true, rearm: false },
  { mode: 'edge', events: EPOLLIN | EPOLLET, untilEmpty: true, rearm: false },
  { mode: 'oneshot', events: EPOLLIN | EPOLLONESHOT, untilEmpty: false, rearm: true },
];
const paces = [
  { pace: 'fast', slowEvery: 0, slowMs: 0 },
  { pace: 'some slow', slowEvery: 500, slowMs: 3 },
];
const cases = [false, true].flatMap(stream =>
  modes.flatMap(({ mode, ...how }) =>
    paces.map(({ pace, ...slowness }) => ({
      name: `${mode}, ${stream ? 'streams' : 'counters'}, ${pace}`,
      shape: { ...how, ...slowness, stream } satisfies Shape,
    })),
  ),
);

// One service and two writers for all: starting threads would take longer than the attack.
const totals = new BigInt64Array(new SharedArrayBuffer(8 * 3));
const taken = new Int32Array(new SharedArrayBuffer(4 * FDS));
const chosen = new Int32Array(new SharedArrayBuffer(4));
let failures: Array<{ error: Error; data: bigint | undefined }> = [];
let writers: Worker[];
let service: WaitService;

beforeAll(async () => {
  writers = Array.from({ length: WRITERS }, () => new Worker(writer));
  const handlerData = { totals, taken, chosen, shapes: cases.map(({ shape }) => shape) };
  service = await WaitService.start({ threads: THREADS, handler, handlerData, stateBytes: 8 });
  service.on('error', (error, event) => failures.push({ error, data: event?.data }));
});

afterAll(async () => {
  await Promise.all([service.close({ timeout: 1000 }), ...writers.map(worker => worker.terminate())]);
});

async function attack(shape: Shape, first: number): Promise<void> {
  failures = [];
  totals.fill(0n);
  taken.fill(0);
  const pairs = Array.from({ length: FDS }, (): [number, number] => {
    if (shape.stream) return socketpair();
    const fd = eventfd();
    return [fd, fd];
  });
  await Promise.all(
    pairs.map(([readable], i) => service.register(readable, { events: shape.events, data: first + i })),
  );
  try {
    const each = FDS / WRITERS;
    const shares = writers.map(async (worker, i) => {
      const fds = pairs.slice(i * each, (i + 1) * each).map(([, writable]) => writable);
      const acknowledged = taken.buffer;
      worker.postMessage({ fds, first: i * each, count: WRITES, stream: shape.stream, seed: i + 1, acknowledged });
      const [share] = await once(worker, 'message');
      return typeof share === 'number' ? BigInt(share) : 0n;
    });
    let written = 0n;
    for (const share of shares) written += await share;

    await settled(() => totals[0] ?? 0n, written);
    // The last runs of the case before may have asked for the next event of what was unregistered then.
    expect(failures.filter(({ data }) => data === undefined || data >= first)).toEqual([]);
    expect({ read: totals[0], overlaps: totals[1], disorder: totals[2] }).toEqual({
      read: written,
      overlaps: 0n,
      disorder: 0n,
    });
    expect(written).toBeGreaterThanOrEqual(BigInt(WRITERS * WRITES));
  } finally {
    await Promise.all(pairs.map(([readable]) => service.unregister(readable)));
    for (const fd of new Set(pairs.flat())) close(fd);
  }
}

/** Resolves once the count is there, or has not moved for 5 s: then something is lost. */
async function settled(count: () => bigint, goal: bigint): Promise<void> {
  let last = -1n;
  for (let quiet = 0; quiet < 500 && count() < goal; quiet++) {
    if (count() !== last) quiet = 0;
    last = count();
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

for (const [index, { name, shape }] of cases.entries()) {
  test(name, { timeout: 60_000 }, async () => {
    Atomics.store(chosen, 0, index);
    await attack(shape, index * CASE);
  });
}

test('that was a million events', () => {
  // What the writers wrote; runs are fewer, because what comes during a run is one more run.
  expect(WRITERS * WRITES * cases.length).toBeGreaterThan(1_000_000);
  expect(total(service, 'handled')).toBeGreaterThan(100_000);
});
