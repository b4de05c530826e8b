/**
 * As many registrations at once as the machine's fds allow, added and removed while threads wait; all counted.
 *
 * @module-tag slow
 */
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { runLimited } from './support/limited.ts';

const SPARE = 200;
const WANTED = 100_000;

/** The most fds that a child of ours can have. */
function mostFds(): number {
  const script = 'for n in 110000; do ulimit -n $n 2>/dev/null && break; done; ulimit -Hn';
  const text = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).trim();
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}

const possible = mostFds();

async function churn(count: number): Promise<void> {
  const result = await runLimited(
    { fds: 'most' },
    `
    const COUNT = ${count};
    const runs = new Int32Array(new SharedArrayBuffer(4 * COUNT));
    const handler = new URL('./test/fixtures/counter.mjs', root);
    await (await WaitService.start({ threads: 1 })).close(); // what is opened once, is open
    const before = { fds: countFds(), threads: countThreads() };
    const service = await WaitService.start({ threads: 4, handler, handlerData: runs, capacity: COUNT });
    const errors = [];
    service.on('error', error => errors.push(error.message));
    const one = new BigUint64Array([1n]);
    const fds = Array.from({ length: COUNT }, () => sys.eventfd(0));
    const modes = [0, EPOLLET, EPOLLONESHOT];
    const register = i => service.register(fds[i], { events: EPOLLIN | modes[i % 3], data: i });
    // Half of them while the other half is signalled.
    const expected = new Int32Array(COUNT);
    const signal = i => { expected[i]++; sys.write(fds[i], one); };
    const taken = () => until(() => runs.every((n, i) => n === expected[i]), 15_000);
    const asked = [];
    for (let i = 0; i < COUNT; i += 2) asked.push(register(i));
    await Promise.all(asked.splice(0));
    for (let i = 0; i < COUNT; i += 2) { signal(i); if (i + 1 < COUNT) asked.push(register(i + 1)); }
    await Promise.all(asked.splice(0));
    print('registered', service.stats().registrations === COUNT);
    const full = await service.register(sys.eventfd(0), { events: EPOLLIN }).catch(error => error.code);
    print('one more', full);
    for (let i = 1; i < COUNT; i += 2) signal(i);
    await taken();
    // Every other one goes, and comes back, under traffic on the rest. Those that are signalled are neither oneshot nor going.
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < COUNT; i += 2) { asked.push(service.unregister(fds[i])); if (i + 1 < COUNT && (i + 1) % 3 !== 2) signal(i + 1); }
      await Promise.all(asked.splice(0));
      print('half', service.stats().registrations === Math.floor(COUNT / 2));
      for (let i = 0; i < COUNT; i += 2) asked.push(register(i));
      await Promise.all(asked.splice(0));
      await taken();
    }
    for (let i = 0; i < COUNT; i += 2) signal(i);
    await taken();
    print('stale', total(service, 'stale'), 'errors', errors.length, errors.slice(0, 3).join());
    for (let i = 0; i < COUNT; i++) asked.push(service.unregister(fds[i]));
    await Promise.all(asked);
    print('left', service.stats().registrations);
    await service.close();
    for (const fd of fds) sys.close(fd);
    await until(() => countThreads() <= before.threads);
    print('fds', countFds() - before.fds - 1);
  `,
    28_000,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout.trim().split('\n')).toEqual([
    'registered true',
    'one more ERR_OUT_OF_RANGE',
    'half true',
    'half true',
    expect.stringMatching(/^stale \d+ errors 0 $/),
    'left 0',
    'fds 0',
  ]);
}

describe('registrations at once', () => {
  test('100,000', async context => {
    if (possible < WANTED + SPARE) return context.skip(`RLIMIT_NOFILE is ${possible}, and cannot be raised`);
    await churn(WANTED);
  });

  test('as many as this machine lets, where that is fewer', async context => {
    if (possible >= WANTED + SPARE) return context.skip('it lets 100,000');
    await churn(possible - SPARE);
  });
});
