/** `setup` runs once per thread before it waits, with a structured clone of `handlerData`. */
import { EPOLLIN, WaitService } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { module, start, until } from './support/service.ts';
import { rejection } from './support/within.ts';

const ECHO = module(`
  let given;
  export function setup(data) { given = data; }
  export default ready => { ready.read(new Uint8Array(8)); ready.post(given); };
`);

async function echo(handlerData: unknown): Promise<unknown> {
  const { service, messages } = await start({ handler: ECHO, handlerData });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => messages.length > 0, 'the data');
  return messages[0];
}

test('handlerData arrives whole', async () => {
  const data = { map: new Map([[1, new Set(['a'])]]), at: new Date(5), big: 2n ** 70n, bytes: new Uint8Array([1, 2]) };
  expect(await echo(data)).toEqual(data);
});

test('no handlerData is undefined', async () => {
  expect(await echo(undefined)).toBe(undefined);
});

test('handlerData is a copy, of the moment that start was called', async () => {
  const data = { word: 'before' };
  const starting = start({ handler: ECHO, handlerData: data });
  data.word = 'after';
  const { service, messages } = await starting;
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => messages.length > 0, 'the data');
  expect(messages).toEqual([{ word: 'before' }]);
});

test('shared memory in handlerData stays shared', async () => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const handler = module(`
    export function setup(words) { Atomics.add(words, 0, 1); }
    export default () => {};
  `);
  await start({ handler, handlerData: words, threads: 3 });
  expect(Atomics.load(words, 0)).toBe(3); // once per thread, and before start resolved
});

test('setup may be asynchronous: the thread waits only after it', async () => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const handler = module(`
    export async function setup(words) {
      await new Promise(resolve => setTimeout(resolve, 50));
      Atomics.add(words, 0, 1);
    }
    export default () => {};
  `);
  await start({ handler, handlerData: words, threads: 2 });
  expect(Atomics.load(words, 0)).toBe(2);
});

test('handlerData that cannot be cloned rejects', async () => {
  expect(await rejection(WaitService.start({ handler: ECHO, handlerData: () => {} }))).toMatchObject({
    name: 'DataCloneError',
  });
});
