// The figures of docs/benchmarks.md: epoll's serial part of an event, and `perf bench epoll wait` with one instance and with many.
import { spawnSync } from 'node:child_process';
import { program } from '../lib/c.js';
import { median } from '../lib/statistics.js';

const ROUNDS = 5;
const THREADS = [1, 2, 4, 8];

const { path, skipped } = program('serial');
if (path === undefined) console.log(`the serial part: ${skipped}`);
else for (let i = 0; i < 3; i++) console.log(spawnSync(path, { encoding: 'utf8' }).stdout.trim());

if (spawnSync('perf', ['--version']).error !== undefined) {
  console.log('perf is not installed');
  process.exit();
}
console.log('| threads | one instance | one for each thread (--multiq) |\n| --- | --- | --- |');
for (const threads of THREADS) {
  const totals = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    for (const [at, flags] of [[], ['--multiq']].entries()) totals[at].push(threads * perThread(threads, flags));
  }
  const [one, many] = totals.map(total => `${Math.round(median(total) / 1000)} k/s`);
  console.log(`| ${threads} | ${one} | ${many} |`);
}

/** Operations per second that perf says each thread reached. */
function perThread(threads, flags) {
  const args = ['bench', 'epoll', 'wait', '--threads', String(threads), '--runtime', '1', '--noaffinity', ...flags];
  const { stdout } = spawnSync('perf', args, { encoding: 'utf8' });
  return Number(/Averaged (\d+) operations/.exec(stdout)?.[1]);
}
