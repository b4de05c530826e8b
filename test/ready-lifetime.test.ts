/** A Ready is valid until its handler returns, or its promise settles; after that its methods throw ERR_INVALID_STATE. */
import { EPOLLIN } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { module, start, until } from './support/service.ts';

const CALLS = [
  'ready.read(new Uint8Array(8))',
  'ready.write(new Uint8Array(8))',
  'ready.post(1)',
  'ready.register(0, { events: 1 })',
  'ready.modify({ events: 1 })',
  'ready.unregister()',
  'ready.close()',
  'ready.state',
  'ready.again()',
  'ready.wake({ id: 1 })',
];

/** The run for data 1 keeps its Ready and leaves it to timers; what comes of the calls is told by a later run. */
function source(run: string): string {
  return module(`
    let calls, found;
    export function setup(given) { calls = given; }
    const attempt = ready => calls.map(call => {
      try { new Function('ready', call)(ready); return 'no throw'; } catch (error) { return error.code; }
    });
    export default ready => {
      if (ready.data === 1n) { ready.read(new Uint8Array(8)); return (${run})(ready); }
      if (found === undefined) return;
      ready.post(found);
      ready.unregister();
    };
  `);
}

test.each([
  ['returned', 'ready => { setTimeout(() => { found = attempt(ready); }); }'],
  ['settled', 'async ready => { await null; setTimeout(() => { found = attempt(ready); }); }'],
  ['thrown', 'ready => { setTimeout(() => { found = attempt(ready); }); throw new Error("x"); }'],
])('%s', async (_how, run) => {
  const { service, messages } = await start({ threads: 1, handler: source(run), handlerData: CALLS });
  await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  await service.register(eventfd(1), { events: EPOLLIN, data: 2 });
  await until(() => messages.length === 1, 'what the calls came to');
  expect(messages).toEqual([CALLS.map(() => 'ERR_INVALID_STATE')]);
});

test('it is valid for as long as the promise is pending', async () => {
  const handler = module(`
    export default async ready => {
      const fd = ready.fd;
      await new Promise(resolve => setTimeout(resolve, 20));
      ready.post([ready.fd === fd, ready.read(new Uint8Array(8)), ready.state.length]);
      await new Promise(resolve => setTimeout(resolve, 20));
      ready.unregister();
    };
  `);
  const { service, messages } = await start({ handler, stateBytes: 5 });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => service.stats().registrations === 0, 'the end');
  expect(messages).toEqual([[true, 8, 5]]);
});

test('a Ready that is kept never acts on another registration, in its run or between runs', async () => {
  // Every run uses what the runs before have kept: of other registrations it throws, of this one's it may work.
  const handler = module(`
    const kept = new Map();
    const bytes = new Uint8Array(8);
    let wrong = 0, runs = 0;
    export default ready => {
      ready.read(bytes);
      for (const [id, other] of kept) {
        if (id === ready.id) continue;
        for (const call of [() => other.read(bytes), () => other.write(bytes), () => other.close(), () => other.state, () => other.again()]) {
          try { call(); wrong++; } catch (error) { if (error.code !== 'ERR_INVALID_STATE') wrong++; }
        }
      }
      kept.set(ready.id, ready);
      ready.post([++runs, wrong]);
    };
  `);
  const { service, messages } = await start({ threads: 1, handler, stateBytes: 8 });
  const fds = Array.from({ length: 10 }, () => eventfd());
  for (const fd of fds) await service.register(fd, { events: EPOLLIN });
  for (let round = 1; round <= 20; round++) {
    for (const fd of fds) signal(fd);
    // Told after they have read: signalled before that, two would be one.
    await until(() => messages.length >= 10 * round, 'the runs');
  }
  expect(messages.at(-1)).toEqual([200, 0]);
  expect(service.stats().registrations).toBe(10);
});
