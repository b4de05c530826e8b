/** The server by hand of examples/ and of docs/guides/server-by-hand.md: clients that reset, no fd left, and a full service cost it no fd, and do not end it. */
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ROOT, startPlain } from './support/run.ts';
import { until } from './support/service.ts';

/** The example, with a capacity and a limit of its own; it says its port and ends with its parent. */
function source(capacity: number): string {
  return readFileSync(join(ROOT, 'examples/hash-server.mjs'), 'utf8')
    .replace("new URL('hash-handler.mjs', import.meta.url)", `'examples/hash-handler.mjs', capacity: ${capacity}`)
    .replace('console.error(error.message); //', '//')
    .replace("if (error.code !== 'ECONNRESET') console.error(error.message);", '');
}

async function serve(capacity: number): Promise<{ port: number; fds: () => number; end: () => Promise<unknown> }> {
  const { child, result } = startPlain(source(capacity).replace('process.env.PORT ?? 7000', '0'), 28_000);
  let output = '';
  child.stdout?.on('data', text => {
    output += text;
  });
  await until(() => output.includes('port'), 'the server');
  const end = async (): Promise<unknown> => {
    child.kill('SIGINT');
    const { code, stderr } = await result;
    return { code, stderr };
  };
  return {
    port: Number(/port (\d+)/.exec(output)?.[1]),
    fds: () => readdirSync(`/proc/${child.pid}/fd`).length,
    end,
  };
}

function client(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
  });
}

async function answered(port: number): Promise<boolean> {
  const socket = await client(port);
  socket.on('error', () => {});
  socket.write('hello\n');
  const data = await Promise.race([new Promise<string>(r => socket.once('data', d => r(String(d)))), sleep(3000, '')]);
  socket.destroy();
  return data.startsWith('5891b5b5');
}

test('2,000 clients that reset: it answers, and has no fd more than before', { tags: ['slow'] }, async () => {
  const { port, fds, end } = await serve(65_536);
  expect(await answered(port)).toBe(true);
  await sleep(50);
  const before = fds();
  for (let i = 0; i < 20; i++) {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => client(port)));
    for (const [n, socket] of sockets.entries()) {
      socket.on('error', () => {});
      if (n % 2) socket.write('x');
      socket.resetAndDestroy();
    }
  }
  expect(await answered(port)).toBe(true);
  await until(() => fds() <= before, 'the fds closed');
  expect(await end()).toEqual({ code: 0, stderr: '' });
});

test('more clients than the service has room for: those are closed, the others are answered', async () => {
  const { port, fds, end } = await serve(20);
  const before = fds();
  const sockets = await Promise.all(Array.from({ length: 60 }, () => client(port)));
  let closed = 0;
  let answers = 0;
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.on('data', () => answers++);
    socket.on('close', () => closed++);
    socket.write('hello\n');
  }
  await until(() => closed === 40 && answers === 20, '20 answers and 40 ends');
  for (const socket of sockets) socket.destroy();
  await until(() => fds() <= before, 'the fds closed');
  expect(await answered(port)).toBe(true);
  expect(await end()).toEqual({ code: 0, stderr: '' });
});
