/**
 * Files whose poll tells a change once (/proc/self/mounts here): no change is lost, whenever it comes.
 *
 * @module-tag slow
 */
import { spawnSync } from 'node:child_process';
import { EPOLLPRI } from 'epoll-pool';
import { expect, test } from 'vitest';
import { ROOT } from './support/run.ts';

/** In a mount namespace of its own, where it may change what is mounted. */
function inNamespace(source: string): { status: number | null; stdout: string; stderr: string } {
  const node = [process.execPath, '--input-type=module', '-e', source];
  return spawnSync('unshare', ['--mount', ...node], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 28_000,
    killSignal: 'SIGKILL',
  });
}

const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

/** Each change is told before the next is made; `busy` milliseconds are spent in each run. */
const source = (threads: number, busy: number, mode: string): string => `
  import { spawnSync } from 'node:child_process';
  import { openSync } from 'node:fs';
  import { EPOLLET, EPOLLIN, EPOLLPRI, WaitService } from 'epoll-pool';
  import { eventfd, write } from 'epoll-pool/sys';
  const handler = 'data:text/javascript,' + encodeURIComponent(\`
    let words;
    export function setup(shared) { words = shared; }
    export default ready => {
      if (ready.data === 1n) { Atomics.add(words, 1, 1); return; }
      Atomics.add(words, 0, 1);
      Atomics.store(words, 2, 1);
      for (const until = performance.now() + ${busy}; performance.now() < until; );
      Atomics.store(words, 2, 0);
    };
  \`);
  const words = new Int32Array(new SharedArrayBuffer(12));
  const service = await WaitService.start({ threads: ${threads}, handler, handlerData: words });
  const mounts = openSync('/proc/self/mounts', 'r');
  await service.register(mounts, { events: ${EPOLLPRI} | ${mode}, data: 0 });
  const change = i => spawnSync('mount', ['-t', 'tmpfs', 'none', '/mnt']).status === 0 || process.exit(9);
  const spin = condition => { for (const limit = performance.now() + 3000; performance.now() < limit; ) if (condition()) return true; return false; };
  let missing = 0;
  for (let i = 0; i < 20; i++) {
    // Two changes: the second comes during the run of the first, or right after it.
    const before = Atomics.load(words, 0);
    change();
    spin(() => Atomics.load(words, 0) > before) || missing++;
    if (i % 2) spin(() => Atomics.load(words, 2) === 0);
    const during = Atomics.load(words, 0);
    change();
    spin(() => Atomics.load(words, 0) > during) || missing++;
    spin(() => Atomics.load(words, 2) === 0);
  }
  console.log('missing', missing);
  await service.close();
`;

test.skipIf(!canMount).each([
  [1, 5, '0'],
  [2, 5, '0'],
  [2, 0, '0'],
  [2, 5, 'EPOLLET'],
])('%i threads, runs of %i ms, mode %s (skipped where nothing can be mounted)', (threads, busy, mode) => {
  const result = inNamespace(source(threads, busy, mode));
  expect(result).toMatchObject({ status: 0, stderr: '' });
  expect(result.stdout).toBe('missing 0\n');
});
