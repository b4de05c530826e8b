/** How long wait() waits. */
import { EPOLLIN, Epoll, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { describe, expect, test, vi } from 'vitest';
import { closing, eventfd } from './support/fds.ts';
import { run } from './support/run.ts';
import { thread } from './support/thread.ts';
import { owned, took } from './support/within.ts';

const idle = (): Epoll => {
  const epoll = owned(new Epoll());
  epoll.register(eventfd(), { events: EPOLLIN });
  return epoll;
};

/** The middle one of an odd number of measurements. */
function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

test('a second is a second, and 0 events', { tags: ['slow'] }, () => {
  const epoll = idle();
  const events = new Events(1);
  let n = -1;
  const ms = took(() => {
    n = epoll.wait(events, 1000);
  });
  expect(n).toBe(0);
  expect(events.length).toBe(0);
  expect(ms).toBeGreaterThanOrEqual(1000);
  expect(ms).toBeLessThan(1500);
});

test('an instance with nothing registered times out as well', () => {
  const epoll = owned(new Epoll());
  expect(took(() => epoll.wait(new Events(1), 30))).toBeGreaterThanOrEqual(30);
});

test('0 only looks', () => {
  const epoll = idle();
  const events = new Events(1);
  expect(median(Array.from({ length: 101 }, () => took(() => epoll.wait(events, 0))))).toBeLessThan(1);
});

test('what is ready ends any wait at once', () => {
  const epoll = owned(new Epoll());
  epoll.register(eventfd(1), { events: EPOLLIN });
  const events = new Events(1);
  for (const timeout of [undefined, -1, Number.POSITIVE_INFINITY, 0, 0.5, 60_000, 2 ** 31, 2 ** 53, Number.MAX_VALUE]) {
    expect(epoll.wait(events, timeout)).toBe(1);
  }
});

const FRACTIONS = [0.001, 0.3, 0.5, 1.7, 2.2];

describe('fractions of a millisecond', () => {
  test.each(FRACTIONS)('%d ms, never early and not rounded up to much', timeout => {
    const epoll = idle();
    const events = new Events(1);
    const times = Array.from({ length: 51 }, () => took(() => epoll.wait(events, timeout)));
    expect(Math.min(...times)).toBeGreaterThanOrEqual(timeout);
    expect(Math.min(...times)).toBeLessThan(timeout + 0.6); // 0.3 rounded up to whole milliseconds would be 0.7 over
    expect(median(times)).toBeLessThan(timeout + 10);
  });

  test('in a thread', { tags: ['slow'] }, async () => {
    const { message } = thread(
      `const epoll = new Epoll();
       const events = new Events(1);
       post(workerData.map(timeout => Array.from({ length: 31 }, () => {
         const from = performance.now();
         epoll.wait(events, timeout);
         return performance.now() - from;
       })));`,
      [...FRACTIONS, 45.5],
    );
    const measured = await message();
    if (!Array.isArray(measured)) throw new Error('no measurements');
    for (const [i, timeout] of [...FRACTIONS, 45.5].entries()) {
      expect(Math.min(...measured[i])).toBeGreaterThanOrEqual(timeout);
      expect(median(measured[i])).toBeLessThan(timeout + 10);
    }
  });
});

test.each([-1, Number.POSITIVE_INFINITY, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 2 ** 53, Number.MAX_VALUE])(
  'a timeout of %d is no short one',
  async timeout => {
    const epoll = owned(new Epoll());
    const { worker, message } = thread(
      `const [fd, timeout] = workerData;
       post('waits');
       const from = performance.now();
       const n = Epoll.borrow(fd).wait(new Events(1), timeout);
       post([n, performance.now() - from]);`,
      [epoll.fd, timeout],
    );
    expect(await message()).toBe('waits');
    await new Promise(resolve => setTimeout(resolve, 80));
    epoll.register(eventfd(1), { events: EPOLLIN });
    const [n, ms] = Object(await message());
    expect(n).toBe(1);
    expect(ms).toBeGreaterThan(10);
    expect(worker.threadId).not.toBe(0);
  },
);

test('a long one on the main thread ends with its event', async () => {
  const result = await run(`
    const epoll = new Epoll();
    const from = performance.now();
    epoll.register(sys.timerfd(100), { events: EPOLLIN });
    const n = epoll.wait(new Events(1), 2 ** 40);
    console.log(n, performance.now() - from >= 100);
  `);
  expect(result).toMatchObject({ code: 0, stdout: '1 true\n', stderr: '' });
});

test('fake timers do not stop the clock', async () => {
  vi.useFakeTimers();
  try {
    const epoll = idle();
    expect(epoll.wait(new Events(1), 20)).toBe(0);
    expect(await epoll.waitAsync(new Events(1), 20)).toBe(0);
    epoll.register(closing(sys.timerfd(5)), { events: EPOLLIN });
    expect(await epoll.waitAsync(new Events(1))).toBe(1);
  } finally {
    vi.useRealTimers();
  }
});
