/** The servers in examples/ run. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:https';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './support/run.ts';
import { client } from './support/server.ts';
import { until } from './support/service.ts';
import { within } from './support/within.ts';

interface Example {
  readonly child: ChildProcess;
  readonly port: number;
  /** Ends it; the exit code, and what it said of errors. */
  end(): Promise<{ code: number; stderr: string }>;
}

async function example(name: string): Promise<Example> {
  const child = spawn(process.execPath, [`examples/${name}/server.mjs`], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 25_000,
    killSignal: 'SIGKILL',
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const stderr = text(child.stderr);
  const [line] = await within(once(child.stdout, 'data'));
  return {
    child,
    port: Number(/(\d+)\n$/.exec(String(line))?.[1]),
    async end() {
      child.kill('SIGTERM');
      const [code] = await within(once(child, 'exit'));
      return { code, stderr: await stderr };
    },
  };
}

const ended = { code: 0, stderr: '' };

test('lines', async () => {
  const { port, end } = await example('lines');
  const peer = await client(port);
  peer.socket.end('hello\nhello');
  const digest = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n';
  expect(await peer.all()).toBe(digest + digest);
  expect(await end()).toEqual(ended);
});

test('chat', async () => {
  const { port, end } = await example('chat');
  const [first, second] = [await client(port), await client(port)];
  await first.has(' is here\n');
  await second.has('for all\n');
  const id = /you are (\d+)/.exec(second.text)?.[1];
  first.write('hello all\n');
  await second.has(': hello all\n');
  first.write(`/to ${id} psst\n/to 5 you?\n`);
  await second.has(', to you: psst\n');
  await first.has('* 5 is not here\n');
  second.socket.end();
  await first.has(`* ${id} has left (end)\n`);
  const over = end();
  await first.all();
  expect(await over).toEqual(ended);
});

test('http-api', async () => {
  const { port, child } = await example('http-api');
  const base = `http://127.0.0.1:${port}`;
  expect(await (await fetch(`${base}/time`)).json()).toEqual({ time: expect.stringMatching(/^\d{4}-/) });
  const body = JSON.stringify({ password: 'secret' });
  expect(await (await fetch(`${base}/hash`, { method: 'POST', body })).json()).toEqual({
    salt: expect.stringMatching(/^[0-9a-f]{32}$/),
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect((await fetch(`${base}/hash`, { method: 'POST', body: '{' })).status).toBe(400);
  expect((await fetch(`${base}/nothing`)).status).toBe(404);
  // What is at work when it is told to end is answered.
  const peer = await client(port);
  peer.write(`POST /hash HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  await new Promise(resolve => setTimeout(resolve, 20));
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await peer.all()).toMatch(/^(HTTP\/1.1 200 OK\r\n|$)/);
  expect(await within(exit)).toEqual([0, null]);
});

test('https', async context => {
  if (spawnSync('openssl', ['version']).status !== 0) context.skip();
  const { port, child, end } = await example('https');
  const greeting = (): Promise<string> =>
    within(
      new Promise((resolve, reject) => {
        get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false }, answer => resolve(text(answer))).on(
          'error',
          reject,
        );
      }),
    );
  expect(await greeting()).toMatch(/^hello, .*127.0.0.1\n$/);
  const more = once(child.stdout ?? child, 'data');
  child.kill('SIGHUP');
  expect(String(await within(more))).toBe('another certificate\n');
  expect(await greeting()).toMatch(/^hello/);
  expect(await end()).toEqual(ended);
});

test('hono', async () => {
  const { port, end } = await example('hono');
  const base = `http://127.0.0.1:${port}`;
  expect(await (await fetch(`${base}/hello/you`)).json()).toEqual({ hello: 'you' });
  const sum = await fetch(`${base}/sum`, { method: 'POST', body: '[1, 2, 3]' });
  expect(await sum.json()).toEqual({ sum: 6 });
  expect(await (await fetch(`${base}/count`)).text()).toBe('1\n2\n3\n4\n5\n');
  expect((await fetch(`${base}/nothing`)).status).toBe(404);
  await until(() => true, 'a turn');
  expect(await end()).toEqual(ended);
});
