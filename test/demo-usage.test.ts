/** `epoll-pool demo`: its options, and Ctrl-C. */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cli, startCli } from './support/cli.ts';

test('--help tells the options', async () => {
  const { code, stdout, stderr } = await cli(['demo', '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const option of ['--threads', '--connections', '--messages', '--json', '--help'])
    expect(stdout).toContain(option);
});

test.each([
  [['--threads', '0'], '--threads'],
  [['--threads', '255'], '--threads'],
  [['--threads', 'many'], '--threads'],
  [['--threads'], '--threads'],
  [['--connections', '0'], '--connections'],
  [['--connections', '1.5'], '--connections'],
  [['--messages=-1'], '--messages'],
  [['--messages', '1e3'], '--messages'],
  [['--messages', ''], '--messages'],
  [['--nonsense'], '--nonsense'],
  [['extra'], 'extra'],
])('%j: code 2, and why on stderr', async (args, named) => {
  const { code, stdout, stderr } = await cli(['demo', ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^epoll-pool demo: /);
  expect(stderr).toContain(named);
  expect(stderr).toContain('epoll-pool demo --help');
});

test('Ctrl-C ends it at once with code 130 and without a word', async () => {
  const connections = 50;
  const { child, result } = startCli(['demo', '--connections', `${connections}`, '--messages', '1000000']);
  // Its connections are open: it is in the middle of a row.
  const until = performance.now() + 20_000;
  while (readdirSync(`/proc/${child.pid}/fd`).length < 2 * connections) {
    expect(performance.now()).toBeLessThan(until);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  const from = performance.now();
  child.kill('SIGINT');
  expect(await result).toEqual({ code: 130, signal: null, stdout: '', stderr: '' });
  expect(performance.now() - from).toBeLessThan(5000);
});
