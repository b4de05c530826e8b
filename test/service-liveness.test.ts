/** What is ready, or due, has its turn: whatever other runs take, await, print or throw, and whoever is stuck. */
import { EPOLLET, EPOLLIN } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { runLimited } from './support/limited.ts';
import { run } from './support/run.ts';
import { noSeccomp, refusal } from './support/seccomp.ts';
import { module, pause, start, until } from './support/service.ts';

const EDGE = (EPOLLIN | EPOLLET) >>> 0;

/** What handlers below have at hand: shared cells, the package's system calls, a loop that takes so many milliseconds. */
const PRELUDE = `
  let c, sys, fds;
  export const setup = async data => {
    ({ c, fds } = data);
    sys = await import(data.sys);
  };
  const one = new BigUint64Array([1n]), bytes = new Uint8Array(8);
  const spin = ms => { for (const until = performance.now() + ms; performance.now() < until; ); };
  const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
`;

function cellsOf(fds: number[] = []): { c: Int32Array; fds: number[]; sys: string } {
  return { c: new Int32Array(new SharedArrayBuffer(64)), fds, sys: import.meta.resolve('epoll-pool/sys') };
}

test('threads whose output waits for the main thread go on while that computes', async () => {
  const source = `
    const c = new Int32Array(new SharedArrayBuffer(8));
    const handler = 'data:text/javascript,' + encodeURIComponent(\`
      let c;
      export const setup = data => { c = data; };
      export default ready => {
        process.stdout.write('.');
        ready.read(new Uint8Array(8));
        Atomics.add(c, 0, 1);
      };
    \`);
    const service = await lib.WaitService.start({ threads: 2, handler, handlerData: c });
    for (let i = 0; i < 4; i++) await service.register(sys.timerfd(1, 1), { events: EPOLLIN });
    while (Atomics.load(c, 0) < 10) await new Promise(resolve => setTimeout(resolve, 1));
    const before = Atomics.load(c, 0);
    for (const until = performance.now() + 5000; performance.now() < until && Atomics.load(c, 0) < before + 100; );
    console.error(Atomics.load(c, 0) - before >= 100 ? 'went on' : Atomics.load(c, 0) - before + ' runs');
    await service.close({ timeout: 1000 });
  `;
  expect(await run(source)).toMatchObject({ code: 0, stderr: 'went on\n' });
});

test('what lies with a stuck thread is taken by one that always has a run as long as a turn', async () => {
  const handler = module(`${PRELUDE}
    export default ready => {
      if (ready.data === 0n) return;
      if (ready.data === 1n) {
        Atomics.add(c, 0, 1);
        spin(12);
        return;
      }
      if (Atomics.exchange(c, 1, 1) === 0) {
        Atomics.wait(c, 2, 0, 20_000);
        Atomics.store(c, 4, 1);
      } else Atomics.add(c, 3, 1);
    };`);
  const data = cellsOf();
  const { c } = data;
  const { service } = await start({ threads: 2, handler, handlerData: data });
  // Short runs first, so that a thread fetches many at once.
  const warm = Array.from({ length: 16 }, () => eventfd());
  for (const fd of warm) await service.register(fd, { events: EDGE, data: 0 });
  for (let i = 0; i < 200; i++) {
    for (const fd of warm) signal(fd);
    await pause(1);
  }
  const gate = eventfd();
  for (let i = 0; i < 6; i++) await service.register(sys.dup(gate), { events: EDGE, data: 10 + i });
  await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  await until(() => Atomics.load(c, 0) > 0, 'the one that is always ready');
  signal(gate);
  await until(() => Atomics.load(c, 3) === 5, 'the five others', 15_000);
  expect(Atomics.load(c, 4)).toBe(0);
  Atomics.store(c, 2, 1);
  Atomics.notify(c, 2);
  await until(() => Atomics.load(c, 4) === 1, 'the end of the run that was stuck');
});

test.each(['edge', 'level'])(
  'what was fetched while runs were short, and takes long, does not keep the thread from its event loop (%s)',
  async mode => {
    const handler = module(`${PRELUDE}
    let before = 0;
    setInterval(() => {
      if (Atomics.load(c, 1) === 2) Atomics.store(c, 2, Math.max(Atomics.load(c, 2), Atomics.load(c, 0) - before));
      if (Atomics.compareExchange(c, 1, 1, 2) === 1) {
        // Meanwhile all become ready at once.
        Atomics.wait(c, 3, 0, 10_000);
      }
      before = Atomics.load(c, 0);
    }, 1);
    export default ready => {
      ready.read(bytes);
      if (Atomics.load(c, 1) === 2) spin(12);
      Atomics.add(c, 0, 1);
    };`);
    const data = cellsOf();
    const { c } = data;
    const { service } = await start({ threads: 1, handler, handlerData: data });
    const fds = Array.from({ length: 64 }, () => eventfd());
    for (const fd of fds) await service.register(fd, { events: mode === 'edge' ? EDGE : EPOLLIN });
    // Short runs, so that the thread fetches many at once.
    for (let i = 1; i <= 200; i++) {
      for (const fd of fds) signal(fd);
      await until(() => Atomics.load(c, 0) === i * fds.length, 'short runs');
    }
    Atomics.store(c, 1, 1);
    await until(() => Atomics.load(c, 1) === 2, 'the timer');
    const before = Atomics.load(c, 0);
    for (const fd of fds) signal(fd);
    Atomics.store(c, 3, 1);
    Atomics.notify(c, 3);
    await until(() => Atomics.load(c, 0) >= before + 64, 'all runs');
    await until(() => Atomics.load(c, 2) > 0, 'a turn');
    // Runs between two of its timer's: one of what was fetched, one of what is due, one of the run queue.
    expect(Atomics.load(c, 2)).toBeLessThanOrEqual(4);
  },
);

test('promises that take all places leave one, now and then, to what is due', async () => {
  const handler = module(`${PRELUDE}
    export default async ready => {
      const i = Number(ready.data);
      if (i > 0) ready.read(bytes);
      await sleep(1);
      Atomics.add(c, i > 0 ? 1 : 0, 1);
      if (i > 0) sys.write(fds[i - 1], one);
    };`);
  const data = cellsOf(Array.from({ length: 8 }, () => eventfd(1)));
  const { service } = await start({ threads: 1, handler, handlerData: data, concurrency: 1 });
  for (const [i, fd] of data.fds.entries()) await service.register(fd, { events: EDGE, data: i + 1 });
  await until(() => Atomics.load(data.c, 1) > 20, 'others');
  await service.register(eventfd(1), { events: EPOLLIN, data: 0 });
  await until(() => Atomics.load(data.c, 0) > 3, 'the level registration');
  // And not the other way round.
  const before = Atomics.load(data.c, 1);
  await until(() => Atomics.load(data.c, 1) > before + 50, 'others, still');
});

test('where runs are slow, all that was woken and takes no time has its turn at once', async () => {
  const handler = module(`${PRELUDE}
    export default ready => {
      if (ready.data === 0n) {
        Atomics.add(c, 1, 1);
        return;
      }
      ready.read(bytes);
      spin(3);
      Atomics.add(c, 0, 1);
      sys.write(ready.fd, one);
    };`);
  const data = cellsOf();
  const { service } = await start({ threads: 1, handler, handlerData: data });
  for (let i = 0; i < 20; i++) await service.register(eventfd(1), { events: EDGE, data: 1 });
  const idle = await Promise.all(
    Array.from({ length: 100 }, () => service.register(eventfd(), { events: EDGE, data: 0 })),
  );
  await until(() => Atomics.load(data.c, 0) > 10, 'slow runs');
  const before = Atomics.load(data.c, 0);
  for (const one of idle) service.wake(one);
  await until(() => Atomics.load(data.c, 1) === 100, 'all that were woken');
  // One of sixteen would be 1,600.
  expect(Atomics.load(data.c, 0) - before).toBeLessThan(300);
});

test('what a slow run has woken does not wait for the long run that came with it', async () => {
  const handler = module(`${PRELUDE}
    export default ready => {
      if (ready.data === 1n) {
        ready.read(bytes);
        spin(0.5);
        ready.wake({ id: c[3] });
        sys.write(fds[0], one);
      } else if (ready.data === 2n) {
        ready.read(bytes);
        const from = performance.now();
        Atomics.wait(c, 0, Number(c[1]), 700);
        c[2] = Math.round(performance.now() - from);
        Atomics.add(c, 4, 1);
      } else {
        Atomics.add(c, 0, 1);
        Atomics.notify(c, 0);
      }
    };`);
  const data = cellsOf([eventfd()]);
  const { c } = data;
  const { service } = await start({ threads: 2, handler, handlerData: data });
  const first = eventfd();
  await service.register(first, { events: EPOLLIN, data: 1 });
  await service.register(data.fds[0] ?? -1, { events: EDGE, data: 2 });
  c[3] = (await service.register(eventfd(), { events: EPOLLIN, data: 3 })).id;
  const waited: number[] = [];
  for (let round = 1; round <= 9; round++) {
    c[1] = Atomics.load(c, 0);
    await pause(20 + 37 * round);
    signal(first);
    await until(() => Atomics.load(c, 4) === round, 'the long run');
    waited.push(c[2] ?? 0);
  }
  waited.sort((a, b) => a - b);
  expect(waited[4]).toBeLessThan(50);
});

test.skipIf(noSeccomp)(`without kcmp, what rests and stays ready costs others no time${noSeccomp}`, async () => {
  const source = `
    const c = new Int32Array(new SharedArrayBuffer(8));
    const handler = 'data:text/javascript,' + encodeURIComponent(\`
      let c;
      export const setup = data => { c = data; };
      export default ready => {
        if (ready.data === 1n) throw new Error('rests');
        ready.read(new Uint8Array(8));
        for (const until = performance.now() + 1; performance.now() < until; );
        Atomics.add(c, 0, 1);
      };
    \`);
    const service = await lib.WaitService.start({ threads: 1, handler, handlerData: c });
    let errors = 0;
    service.on('error', () => errors++);
    for (let i = 0; i < 100; i++) await service.register(sys.eventfd(1), { events: EPOLLIN, data: 1 });
    const fd = sys.eventfd();
    await service.register(fd, { events: EPOLLIN | EPOLLET, data: 2 });
    while (errors < 100) await new Promise(resolve => setTimeout(resolve, 1));
    const took = [];
    for (let i = 1; i <= 7; i++) {
      const from = performance.now();
      sys.write(fd, new BigUint64Array([1n]));
      while (Atomics.load(c, 0) < i) await new Promise(resolve => setTimeout(resolve, 1));
      took.push(performance.now() - from);
    }
    took.sort((a, b) => a - b);
    print(took[3] < 200 ? 'soon' : took.join(' '));
    await service.close({ timeout: 100 });
  `;
  const result = await runLimited({ refuse: [refusal('kcmp', 'EPERM')] }, source);
  expect(result).toMatchObject({ code: 0, stdout: 'soon\n' });
});
