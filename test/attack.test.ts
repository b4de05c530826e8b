/** The claim word under attack: threads x modes x handlers, with counts that prove 0 lost, 0 doubled, 0 overlapping. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, EPOLLONESHOT, WaitService } from 'epoll-pool';
import { close, eventfd, socketpair } from 'epoll-pool/sys';
import { expect, test } from 'vitest';

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
let handled = 0;

async function attack(shape: Shape): Promise<void> {
  const shared = new SharedArrayBuffer(8 * 3);
  const totals = new BigInt64Array(shared);
  const acknowledged = new SharedArrayBuffer(4 * FDS);
  const handlerData = { shared, acknowledged, options: shape };
  const options = { threads: THREADS, handler, handlerData, stateBytes: 8 };
  const service = await WaitService.start(options);
  const failures: unknown[] = [];
  service.on('error', error => failures.push(error));
  const pairs = Array.from({ length: FDS }, (): [number, number] => {
    if (shape.stream) return socketpair();
    const fd = eventfd();
    return [fd, fd];
  });
  await Promise.all(pairs.map(([readable], i) => service.register(readable, { events: shape.events, data: i })));

  const each = FDS / WRITERS;
  const shares = Array.from({ length: WRITERS }, async (_, i) => {
    const fds = pairs.slice(i * each, (i + 1) * each).map(([, writable]) => writable);
    const workerData = { fds, first: i * each, count: WRITES, stream: shape.stream, seed: i + 1, acknowledged };
    const [share] = await once(new Worker(writer, { workerData }), 'message');
    return typeof share === 'number' ? BigInt(share) : 0n;
  });
  let written = 0n;
  for (const share of shares) written += await share;

  await settled(() => totals[0] ?? 0n, written);
  expect(failures).toEqual([]);
  expect({ read: totals[0], overlaps: totals[1], disorder: totals[2] }).toEqual({
    read: written,
    overlaps: 0n,
    disorder: 0n,
  });
  expect(written).toBeGreaterThanOrEqual(BigInt(WRITERS * WRITES));
  for (const { handled: runs } of service.stats().threads) handled += runs;
  await service.close();
  for (const fd of new Set(pairs.flat())) close(fd);
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

const modes = [
  { name: 'level', events: EPOLLIN, untilEmpty: false, rearm: false },
  { name: 'level, reading until empty', events: EPOLLIN, untilEmpty: true, rearm: false },
  { name: 'edge', events: EPOLLIN | EPOLLET, untilEmpty: true, rearm: false },
  { name: 'oneshot', events: EPOLLIN | EPOLLONESHOT, untilEmpty: false, rearm: true },
];
const paces = [
  { pace: 'fast', slowEvery: 0, slowMs: 0 },
  { pace: 'some slow', slowEvery: 500, slowMs: 3 },
];

for (const stream of [false, true]) {
  for (const { name, ...mode } of modes) {
    for (const { pace, ...slowness } of paces) {
      test(
        `${name}, ${stream ? 'streams' : 'counters'}, ${pace}`,
        () => attack({ ...mode, ...slowness, stream }),
        60_000,
      );
    }
  }
}

test('that was a million events', () => {
  // What the writers wrote; runs are fewer, because what comes during a run is one more run.
  expect(WRITERS * WRITES * modes.length * paces.length * 2).toBeGreaterThan(1_000_000);
  expect(handled).toBeGreaterThan(100_000);
});
