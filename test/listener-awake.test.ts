/**
 * While the main thread is awake it takes what is ready itself, and the threads of a service without a handler stay out
 * of its way: nothing is lost or doubled by that, nobody sleeps through anything, and the event loop has its turns.
 *
 * @module-tag slow
 */
import { once } from 'node:events';
import {
  EPOLLET,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  type EventInit,
  type ServiceEvent,
  type WaitService,
} from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { drain, eventfd, signal, socketpair } from './support/fds.ts';
import { ended, run, startFile, start as startProcess } from './support/run.ts';
import { pause, quiet, start, total, until } from './support/service.ts';
import { thread } from './support/thread.ts';
import { within } from './support/within.ts';

const attacks = ['listener', 'iteration'].flatMap(consumer =>
  ['level', 'edge', 'oneshot'].flatMap(mode => [1, 4].map(threads => ({ consumer, mode, threads }))),
);

test.each(attacks)(
  '$consumer, $mode, $threads threads: it throws, leaves to the other, blocks, modifies, unregisters',
  { timeout: 70_000 },
  async ({ consumer, mode, threads }) => {
    const args = [consumer, mode, String(threads), '8000'];
    const { result } = startFile(['test/fixtures/consumer-attack.mjs', ...args], 60_000);
    const { code, stdout, stderr } = await result;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const tally: Record<string, number> = JSON.parse(stdout);
    expect(tally).toMatchObject({ read: tally.written, spent: 0, foreign: 0 });
    // It was disturbed indeed.
    for (const disturbance of ['threw', 'iterated', 'moved']) expect(tally[disturbance]).toBeGreaterThan(0);
  },
);

/** Each event makes the next fd ready, in the listener: the main thread has something to do until the last. */
const RELAY = `
  const service = await lib.WaitService.start({ threads: THREADS });
  const fds = Array.from({ length: 50 }, () => sys.eventfd());
  const one = new BigUint64Array([1n]), count = new BigUint64Array(1);
  for (const [data, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN | EPOLLET, data });
  let events = 0;
  service.on('event', ({ fd, data }) => {
    sys.read(fd, count);
    if (++events < EVENTS) sys.write(fds[(Number(data) + 1) % fds.length], one);
    at(events);
  });
  const go = () => sys.write(fds[0], one);
`;

test.each([1, 4])('%i threads are not woken for events that the main thread finds itself', async threads => {
  const source = `
    import { readdirSync, readFileSync } from 'node:fs';
    const THREADS = ${threads}, EVENTS = 40_000;
    const switches = () => readdirSync('/proc/self/task').filter(id => Number(id) !== process.pid).reduce((sum, id) =>
      sum + Number(/^voluntary_ctxt_switches:\\s+(\\d+)/m.exec(readFileSync('/proc/self/task/' + id + '/status', 'latin1'))[1]), 0);
    let before = 0;
    const at = n => {
      if (n !== EVENTS) return;
      const each = (switches() - before) / EVENTS;
      process.stdout.write(each < 0.1 ? 'few' : 'many: ' + each + ' for each event');
      service.close();
    };
    ${RELAY}
    await new Promise(resolve => setTimeout(resolve, 50));
    before = switches();
    go();
  `;
  expect(await run(source)).toEqual(ended('few'));
});

test('events count for the threads, whoever fetched them', async () => {
  const { service } = await start({ threads: 3 });
  const fds = Array.from({ length: 20 }, () => eventfd());
  let events = 0;
  service.on('event', ({ fd, data }) => {
    drain(fd);
    if (++events < 2000) signal(fds[(Number(data) + 1) % fds.length] ?? -1);
  });
  for (const [data, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN | EPOLLET, data });
  signal(fds[0] ?? -1);
  await until(() => events === 2000, 'all events');
  expect(total(service, 'handled')).toBe(2000);
  expect(total(service, 'events')).toBe(2000 + total(service, 'contended'));
  expect(total(service, 'waits')).toBeGreaterThan(0);
  expect(service.stats().threads.filter(({ handled, waits }) => handled > 0 && waits === 0)).toEqual([]);
});

test.each([1, 4])('%i threads: what becomes ready once the main thread sleeps comes at once', async threads => {
  const { service } = await start({ threads });
  const [first, second] = [eventfd(), eventfd()];
  let seen = 0;
  service.on('event', ({ fd }) => {
    drain(fd);
    seen++;
    if (fd === second) return;
    // The thread that meets this one finds the main thread awake.
    signal(second);
    for (const end = performance.now() + 1; performance.now() < end; );
  });
  for (const fd of [first, second]) await service.register(fd, { events: EPOLLIN });
  const times: number[] = [];
  for (let i = 1; i <= 60; i++) {
    // Before, while and after a thread finds its way back into epoll_wait.
    if (i % 3 > 0) await pause(i % 3);
    const from = performance.now();
    signal(first);
    await until(() => seen === 2 * i, `events ${i}`);
    times.push(performance.now() - from);
  }
  // A thread that slept on would come after 250 ms or more.
  expect(times.sort((a, b) => a - b)[45]).toBeLessThan(100);
});

test('timers have their turn, however much is ready and however long the listener takes', async () => {
  const { service } = await start();
  for (let i = 0; i < 64; i++) await service.register(eventfd(1), { events: EPOLLIN });
  const gaps: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    gaps.push(performance.now() - last);
    last = performance.now();
  }, 1);
  service.on('event', () => {
    for (const end = performance.now() + 1; performance.now() < end; );
  });
  await until(() => gaps.length >= 40, '40 turns', 30_000);
  clearInterval(timer);
  expect(gaps.sort((a, b) => a - b)[20]).toBeLessThan(100);
});

test('a listener that leaves in the middle of a batch leaves the rest to the threads at once', async () => {
  const { service } = await start();
  let events = 0;
  const leave = (): void => {
    if (++events === 1000) service.off('event', leave);
  };
  service.on('event', leave);
  const fds = Array.from({ length: 64 }, () => eventfd(1));
  await Promise.all(fds.map(fd => service.register(fd, { events: EPOLLIN })));
  await until(() => events === 1000, 'its last event');
  const { controlCalls } = service.stats();
  const from = process.cpuUsage();
  await pause(300);
  const { user, system } = process.cpuUsage(from);
  expect({ events, calls: service.stats().controlCalls - controlCalls }).toEqual({ events: 1000, calls: 0 });
  expect((user + system) / 1000).toBeLessThan(150);
  const seen = new Set<number>();
  for await (const { fd } of service) {
    drain(fd);
    if (seen.add(fd).size === fds.length) break;
  }
});

test('modify() in a listener of what was fetched with it: the new interest has its event', async () => {
  const { service } = await start();
  const first = eventfd();
  const [end, other] = socketpair();
  sys.write(other, Buffer.alloc(1));
  const starter = eventfd();
  const seen: number[] = [];
  const oneshot = (events: number): { events: number; data: number } => ({ events: events | EPOLLONESHOT, data: 2 });
  service.on('event', ({ fd, events, data }) => {
    if (data === 0n) {
      drain(starter);
      // Ready in this order, and fetched by the main thread, which is awake.
      signal(first);
      service.modify(end, oneshot(EPOLLIN));
    } else if (data === 1n) {
      drain(fd);
      service.modify(end, oneshot(EPOLLOUT));
    } else if (events === EPOLLOUT) {
      seen.push(events);
    }
  });
  await service.register(starter, { events: EPOLLIN, data: 0 });
  await service.register(first, { events: EPOLLIN, data: 1 });
  await service.register(end, { events: EPOLLONESHOT, data: 2 });
  for (let round = 1; round <= 30; round++) {
    signal(starter);
    await until(() => seen.length === round, `EPOLLOUT of round ${round}`);
  }
});

test('a listener that always throws for one registration does not keep the others from their events', async () => {
  const source = `
    process.on('uncaughtException', () => {});
    const service = await lib.WaitService.start({ threads: 2 });
    const fds = Array.from({ length: 12 }, () => sys.eventfd(1));
    const seen = new Set();
    service.on('event', ({ fd, data }) => {
      if (data === 0n) throw new Error('again');
      sys.read(fd, new Uint8Array(8));
      if (seen.add(fd).size < fds.length - 1) return;
      process.stdout.write('all others');
      process.exit();
    });
    for (const [data, fd] of fds.entries()) service.register(fd, { events: EPOLLIN, data });
    setTimeout(() => process.exit(1), 10_000);
  `;
  expect(await run(source)).toEqual(ended('all others'));
});

test('after unref() the process ends, though something is always ready', async () => {
  const source = `
    const service = await lib.WaitService.start({ threads: 2 });
    let events = 0;
    service.on('event', () => { if (++events === 20_000) service.unref(); });
    for (let i = 0; i < 64; i++) service.register(sys.eventfd(1), { events: EPOLLIN });
    process.on('exit', () => process.stdout.write(events >= 20_000 && events < 40_000 ? 'exit' : String(events)));
  `;
  expect(await run(source)).toEqual(ended('exit'));
});

test('after unref() the process ends, though a loop always finds something', async () => {
  const source = `
    const service = await lib.WaitService.start({ threads: 2 });
    let events = 0;
    for (let i = 0; i < 64; i++) service.register(sys.eventfd(1), { events: EPOLLIN });
    process.on('exit', () => process.stdout.write(events >= 20_000 && events < 40_000 ? 'exit' : String(events)));
    (async () => {
      for await (const event of service) if (++events === 20_000) service.unref();
    })();
  `;
  expect(await run(source)).toEqual(ended('exit'));
});

/** Takes one event; what has come with it is for the next consumer. */
const ONE = {
  'a loop': async (service: WaitService): Promise<ServiceEvent> => {
    for await (const event of service) return event;
    throw new Error('closed');
  },
  once: async (service: WaitService): Promise<ServiceEvent> => {
    const [event] = await once(service, 'event');
    return event;
  },
};

test.each(Object.entries(ONE))(
  '%s for one event at a time: what is always ready has its turn, each',
  async (_, one) => {
    const { service } = await start({ threads: 1 });
    const counts = new Map<number, number>();
    for (let i = 0; i < 5; i++) await service.register(eventfd(1), { events: EPOLLIN });
    for (let i = 0; i < 1000; i++) {
      const { fd } = await one(service);
      counts.set(fd, (counts.get(fd) ?? 0) + 1);
    }
    expect(counts.size).toBe(5);
    // 200 each, if the thread never came in between.
    expect(Math.min(...counts.values())).toBeGreaterThan(100);
  },
);

test.each(['a loop', 'a listener'])('%s: a oneshot is not spent by what was there before modify()', async consumer => {
  const { service } = await start({ threads: 1 });
  const [starter, first, second] = [eventfd(), eventfd(), eventfd()];
  const oneshot = (data: number): EventInit => ({ events: EPOLLIN | EPOLLONESHOT, data });
  let [relays, firsts, written, read, spent] = [0, 0, 0, 0, 0];
  const write = (): void => {
    signal(second);
    written++;
  };
  const body = async ({ data }: ServiceEvent): Promise<void> => {
    if (data === 0n) {
      // A thread may tell of it late.
      if (drain(starter) <= 0) return;
      // Until the thread has met one of these, it may fetch what is to be fetched here.
      if (++relays % 50 > 0) {
        signal(starter);
        return;
      }
      signal(first);
      write();
    } else if (data === 1n) {
      drain(first);
      read += Math.max(0, drain(second));
      await Promise.all([service.modify(second, oneshot(2)), service.modify(first, oneshot(1))]);
      firsts++;
      // The loop asks for its next event before.
      setImmediate(() => setImmediate(write));
    } else {
      const n = drain(second);
      if (n > 0) read += n;
      else spent++;
      await service.modify(second, oneshot(2));
    }
  };
  if (consumer === 'a listener') service.on('event', body);
  else {
    (async () => {
      for await (const event of service) await body(event);
    })();
  }
  await service.register(starter, { events: EPOLLIN, data: 0 });
  await service.register(first, oneshot(1));
  await service.register(second, oneshot(2));
  const rounds = 40;
  for (let round = 1; round <= rounds; round++) {
    signal(starter);
    await until(() => firsts === round && written === 2 * round && read === written, `all of round ${round}`);
  }
  // A thread that has fetched both may claim the second one late; otherwise there is nothing that could be spent.
  expect(spent).toBeLessThan(rounds / 2);
});

test('a oneshot is not spent by an edge that was pending when modify() armed it for something else', async () => {
  const { service } = await start({ threads: 1 });
  const [end, other] = socketpair();
  const byte = Buffer.alloc(1);
  await service.register(end, { events: EPOLLIN | EPOLLET });
  sys.write(other, byte);
  let round = 0;
  for await (const { events } of service) {
    if (events === EPOLLOUT) {
      await service.modify(end, { events: EPOLLIN | EPOLLET });
      sys.write(other, byte);
      if (++round === 5) break;
      continue;
    }
    expect(events).toBe(EPOLLIN);
    while (sys.read(end, byte) > 0);
    const before = total(service, 'contended');
    sys.write(other, byte);
    await until(() => total(service, 'contended') > before, 'the edge');
    sys.read(end, byte);
    // No await after it: no thread tells of EPOLLOUT before the loop lets go.
    service.modify(end, { events: EPOLLOUT | EPOLLONESHOT });
  }
});

test('a listener that looks what else there is by an iteration has each event once', async () => {
  const { service } = await start({ threads: 1 });
  const fds = Array.from({ length: 12 }, () => eventfd());
  const counts = fds.map(() => 0);
  const starter = eventfd();
  const count = (data: bigint): void => {
    counts[Number(data)] = (counts[Number(data)] ?? 0) + 1;
  };
  const listener = ({ data }: ServiceEvent): void => {
    if (data === 100n) {
      for (const fd of fds) signal(fd);
      return;
    }
    count(data);
    if (counts.reduce((a, b) => a + b) > 1) return;
    service.off('event', listener);
    const iteration = service[Symbol.asyncIterator]();
    // The last finds nothing.
    for (let i = 0; i < fds.length; i++) {
      iteration.next().then(({ value, done }) => {
        if (done !== true) count(value.data);
      });
    }
    iteration.return?.();
    service.on('event', listener);
  };
  service.on('event', listener);
  for (const [data, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN | EPOLLET, data });
  await service.register(starter, { events: EPOLLIN | EPOLLET, data: 100 });
  signal(starter);
  await until(() => counts.every(n => n > 0), 'all events');
  await quiet();
  expect(counts).toEqual(fds.map(() => 1));
});

const ENDS = {
  'process.exit()': { statement: 'process.exit(3);', code: 3 },
  'a throw': { statement: "throw new Error('listener');", code: 1 },
  'close()': { statement: 'service.close();', code: 0 },
};

test.each(Object.entries(ENDS))(
  '%s in a listener while threads stay out of the way: over within 100 ms',
  async (_, { statement, code }) => {
    let best = Number.POSITIVE_INFINITY;
    // The best of several, because the machine may be busy; a thread that sleeps on takes 250 ms.
    for (let i = 0; i < 12 && best >= 100; i++) {
      const source = `
      const THREADS = 4, EVENTS = 1e9;
      const at = n => {
        if (n !== 20_000) return;
        process.stdout.write('now');
        ${statement}
      };
      ${RELAY}
      go();
    `;
      const { child, result } = startProcess(source);
      let from = Number.NaN;
      child.stdout?.once('data', () => {
        from = performance.now();
      });
      expect(await result).toMatchObject({ code, signal: null, stdout: 'now' });
      best = Math.min(best, performance.now() - from);
    }
    expect(best).toBeLessThan(100);
  },
);

test('the owning Worker is terminated in a listener: over within 1.5 s', async () => {
  const times: number[] = [];
  while (times.length < 4 && !times.some(ms => ms < 1500)) {
    const owner = thread(`
      const THREADS = 4, EVENTS = 1e9;
      const at = n => { if (n === 5000) { post('now'); for (;;); } };
      ${RELAY}
      go();
    `);
    expect(await owner.message(20_000)).toBe('now');
    const from = performance.now();
    await within(owner.worker.terminate(), 20_000);
    times.push(performance.now() - from);
  }
  expect(Math.min(...times)).toBeLessThan(1500);
});
