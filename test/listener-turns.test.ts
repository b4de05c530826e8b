/** However much there is for the main thread to take, and however long listeners take, its event loop has its turns. */
import { EPOLLIN } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { module, start, until } from './support/service.ts';

/** How often `called` is called between two turns of the event loop, at most; `begin` forgets what was. */
function counting(): { called: () => void; begin: () => void; most: () => number; end: () => void } {
  let row = 0;
  let most = 0;
  let going = true;
  setImmediate(function turn() {
    row = 0;
    if (going) setImmediate(turn);
  });
  return {
    called: () => {
      most = Math.max(most, ++row);
    },
    begin: () => {
      row = 0;
      most = 0;
    },
    most: () => most,
    end: () => {
      going = false;
    },
  };
}

function busy(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

/** One by the doorbell, one because somebody asked for it, and one more for a turn that had just begun. */
const A_FEW = 3;
const MS = 8;

test('an event listener that has become slow', async () => {
  const { service } = await start();
  for (let i = 0; i < 64; i++) await service.register(eventfd(1), { events: EPOLLIN });
  const row = counting();
  let events = 0;
  service.on('event', () => {
    events++;
    row.called();
    if (events === 1000) row.begin();
    if (events >= 1000) busy(MS);
  });
  await until(() => events >= 1040, 'the events');
  row.end();
  expect(row.most()).toBeLessThanOrEqual(A_FEW);
});

test('messages, to a slow listener', async () => {
  const handler = module(
    'export default ready => { ready.read(new Uint8Array(8)); for (let i = 0; i < 64; i++) ready.post(i); };',
  );
  const { service, messages } = await start({ handler });
  const row = counting();
  service.on('message', () => {
    row.called();
    busy(MS);
  });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => messages.length === 64, 'the messages');
  row.end();
  expect(row.most()).toBeLessThanOrEqual(A_FEW);
});

test('a loop with a slow body', async () => {
  const { service } = await start();
  for (let i = 0; i < 64; i++) await service.register(eventfd(1), { events: EPOLLIN });
  const row = counting();
  let events = 0;
  for await (const _event of service) {
    row.called();
    if (++events === 40) break;
    busy(MS);
  }
  row.end();
  expect(row.most()).toBeLessThanOrEqual(A_FEW);
});

test('handlers whose requests fail faster than listeners take it: all are told, and the threads wait for that', async () => {
  const handler = module(`
    let words;
    export function setup(given) { words = given; }
    export default ready => {
      if (Atomics.load(words, 1) !== 0) return;
      Atomics.add(words, 0, 1);
      ready.again();
      ready.register(ready, { events: 1 });
    };
  `);
  const source = `
    const words = new Int32Array(new SharedArrayBuffer(8));
    const handler = ${JSON.stringify(handler)};
    const service = await lib.WaitService.start({ threads: 2, handler, handlerData: words });
    let told = 0, turns = 0, waiting = 0;
    service.on('error', error => {
      if (error.code !== 'EEXIST') throw error;
      told++;
      waiting = Math.max(waiting, Atomics.load(words, 0) - told);
      for (const end = performance.now() + 0.05; performance.now() < end; );
    });
    setImmediate(function turn() { turns++; if (told < 8000) setImmediate(turn); });
    for (let i = 0; i < 2; i++) await service.register(sys.eventfd(1), { events: EPOLLIN | EPOLLET });
    while (told < 8000) await new Promise(resolve => setTimeout(resolve, 5));
    Atomics.store(words, 1, 1);
    while (told < Atomics.load(words, 0)) await new Promise(resolve => setTimeout(resolve, 5));
    console.log(turns > 50, waiting < 10_000 || waiting);
    await service.close();
    console.log(told === Atomics.load(words, 0));
  `;
  expect(await run(source)).toEqual(ended('true true\ntrue\n'));
});
