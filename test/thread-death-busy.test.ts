/**
 * However busy this thread is when a thread dies: one 'error' and one new thread for each death, and none is lost for good.
 *
 * @module-tag slow
 */
import worker from 'node:worker_threads';
import { EPOLLIN } from 'epoll-pool';
import { expect, onTestFinished, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { module, type Started, start, until } from './support/service.ts';
import { rejection, within } from './support/within.ts';

const DEATHS = 0;
/** How many lives are yet to end, in the way that the handler module is told. */
const DOOMED = 1;
const HANDLED = 2;

/**
 * `in a run`: the handler ends its thread, for data 1. The other ways end it at some moment of its start, or soon after it,
 * as long as there are doomed ones.
 */
const HANDLER = module(`
  let words;
  function end() { Atomics.add(words, ${DEATHS}, 1); process.exit(7); }
  function isDoomed() {
    for (let left; (left = Atomics.load(words, ${DOOMED})) > 0;)
      if (Atomics.compareExchange(words, ${DOOMED}, left, left - 1) === left) return true;
    return false;
  }
  export async function setup(given) {
    words = given.words;
    if (given.way === 'in a run' || !isDoomed()) return;
    if (given.way === 'in setup') end();
    if (given.way === 'in a late setup') { await new Promise(resolve => setTimeout(resolve, 20)); end(); }
    if (given.way === 'right after setup') setImmediate(end);
    if (given.way === 'by an exception') setImmediate(() => { Atomics.add(words, ${DEATHS}, 1); throw new Error('thrown'); });
    if (given.way === 'a little later') setTimeout(end, 30);
  }
  export default ready => {
    if (ready.data === 1n) end();
    ready.read(new Uint8Array(8));
    Atomics.add(words, ${HANDLED}, 1);
  };
`);

const WAYS = ['in a run', 'in setup', 'in a late setup', 'right after setup', 'by an exception', 'a little later'];
const CHUNKS = [0, 30, 140];
const CASES = WAYS.flatMap(way => CHUNKS.map(ms => [way, ms] as const));

/** Computes for `ms` at a time, until the condition holds. */
async function busyUntil(condition: () => boolean, what: string, ms: number): Promise<void> {
  await until(
    () => {
      for (const end = performance.now() + ms; performance.now() < end; );
      return condition();
    },
    what,
    30_000,
  );
}

async function expectAllThere({ service, failures }: Started, words: Int32Array, deaths: number): Promise<void> {
  expect(Atomics.load(words, DEATHS)).toBe(deaths);
  expect(failures.length).toBe(deaths);
  expect(service.stats().restarts).toBe(deaths);
  const before = Atomics.load(words, HANDLED);
  const fds = Array.from({ length: 8 }, () => eventfd(1));
  for (const fd of fds) await within(service.register(fd, { events: EPOLLIN, data: 2 }));
  await until(() => Atomics.load(words, HANDLED) - before === fds.length, 'all that is healthy');
  for (const fd of fds) await within(service.unregister(fd));
}

test.each(CASES)('dying %s, with this thread busy for %i ms at a time', async (way, ms) => {
  const words = new Int32Array(new SharedArrayBuffer(16));
  const started = await start({ threads: 2, handler: HANDLER, handlerData: { words, way } });
  const { service, failures } = started;
  // One run ends the first thread; those that follow die in their own way.
  const doomed = way === 'in a run' ? 0 : 2;
  Atomics.store(words, DOOMED, doomed);
  const bombs = Array.from({ length: way === 'in a run' ? 3 : 1 }, () => eventfd(1));
  for (const fd of bombs) await service.register(fd, { events: EPOLLIN, data: 1 });
  const deaths = bombs.length + doomed;
  await busyUntil(
    () => Atomics.load(words, DEATHS) === deaths && failures.length >= deaths && service.stats().restarts >= deaths,
    'the deaths, the errors and the restarts',
    ms,
  );
  await expectAllThere(started, words, deaths);
  // Each run is named once, each other death by no event.
  expect(failures.filter(({ event }) => event !== undefined).map(({ event }) => event?.fd)).toEqual(
    expect.arrayContaining(bombs),
  );
  expect(failures.filter(({ event }) => event !== undefined)).toHaveLength(bombs.length);
  await within(service.close());
});

/** Has the next workers of this process come to nothing, in the ways given. */
function spoil(ways: Array<'cannot be made' | 'ends before it is ready'>): void {
  const { Worker } = worker;
  onTestFinished(() => {
    worker.Worker = Worker;
  });
  worker.Worker = class extends Worker {
    constructor(...[file, options]: ConstructorParameters<typeof Worker>) {
      const way = ways.shift();
      if (way === 'cannot be made') throw Object.assign(new Error('no thread'), { code: 'ERR_WORKER_INIT_FAILED' });
      if (way === undefined) super(file, options);
      else super('process.exit(9)', { ...options, eval: true });
    }
  };
}

test.each(CHUNKS)('workers that never come up, with this thread busy for %i ms at a time', async ms => {
  const words = new Int32Array(new SharedArrayBuffer(16));
  const started = await start({ threads: 2, handler: HANDLER, handlerData: { words, way: 'in a run' } });
  const { service, failures } = started;
  spoil(['cannot be made', 'ends before it is ready', 'cannot be made', 'ends before it is ready']);
  for (let i = 0; i < 2; i++) await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  await busyUntil(() => failures.length >= 6 && service.stats().restarts >= 6, 'the errors and the restarts', ms);
  expect(Atomics.load(words, DEATHS)).toBe(2);
  Atomics.add(words, DEATHS, 4);
  await expectAllThere(started, words, 6);
  const told = failures.map(({ error, event }) => event?.data ?? Reflect.get(error, 'code'));
  expect(told.filter(what => what === 'ERR_WORKER_INIT_FAILED')).toHaveLength(2);
  expect(told.filter(what => what === 'ERR_WORKER_EXITED')).toHaveLength(2);
});

test('start() rejects with the death of a thread that had started, if another has not', async () => {
  // The first lives to its loop and dies there; the second is still in its setup.
  const words = new Int32Array(new SharedArrayBuffer(16));
  const handler = module(`
    export async function setup(words) {
      if (Atomics.add(words, 0, 1) === 0) setImmediate(() => process.exit(3));
      else await new Promise(resolve => setTimeout(resolve, 300));
    }
    export default () => {};
  `);
  expect(await rejection(start({ threads: 2, handler, handlerData: words }))).toMatchObject({
    code: 'ERR_WORKER_EXITED',
  });
});
