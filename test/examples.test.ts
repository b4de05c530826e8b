/** The programs in examples/ run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { ROOT } from './support/run.ts';

test('timerfd.mjs ticks five times', async () => {
  const child = spawn(process.execPath, ['examples/timerfd.mjs'], { cwd: ROOT, timeout: 20_000 });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(output.split('\n')).toHaveLength(6);
  expect(code).toBe(0);
});

test('hash-server.mjs hashes, and ends on Ctrl-C', async () => {
  const env = { ...process.env, PORT: '0' };
  const child = spawn(process.execPath, ['examples/hash-server.mjs'], { cwd: ROOT, env, timeout: 20_000 });
  const [line] = await once(child.stdout, 'data');
  const port = Number(/port (\d+)/.exec(String(line))?.[1]);
  const socket = connect(port, '127.0.0.1');
  socket.write('hello\n');
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toBe('5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\n');
  socket.destroy();
  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
});
