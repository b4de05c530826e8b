/** Modules of protocols that do not do what they should. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'epoll-pool/load';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

let url = '';

beforeEach(async () => {
  const { authority } = await rawServer(socket => socket.on('data', () => socket.write('answer')));
  url = `tcp://${authority}`;
});

function moduleFile(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-load-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'protocol.mjs');
  writeFileSync(file, source);
  return file;
}

test.each([
  ['response() throws', 'throw new Error("no such message")', 'protocol no such message'],
  ['response() returns no number', 'return "6"', 'protocol response() returned 6'],
  ['response() returns less than 0', 'return -1', 'protocol response() returned -1'],
])('%s: an error for each request', async (_name, body, detail) => {
  const protocol = moduleFile(`export function response() { ${body} }`);
  const result = await load({ url, protocol, body: 'x', connections: 2, requests: 8 });
  expect(result).toMatchObject({ requests: 8, responses: 0, errorCount: 8, errorDetails: { [detail]: 8 } });
});

test('a response whose length is never known, and one that is known', { tags: ['slow'] }, async () => {
  const never = moduleFile('export function response() { return 0 }');
  expect(await load({ url, protocol: never, body: 'x', connections: 2, requests: 4, timeout: 200 })).toMatchObject({
    errors: { timeout: 4 },
  });
  const six = moduleFile('export const response = () => 6;');
  expect(await load({ url, protocol: six, body: 'x', connections: 2, requests: 4 })).toMatchObject({
    responses: 4,
    bytesReceived: 24,
    errorCount: 0,
  });
});

test.each([1, 3])('what request() gives in the warm-up is not counted, %d at a time', async pipelining => {
  const protocol = moduleFile(
    'export const response = () => 6; export const request = () => new Uint8Array(6).fill(65);',
  );
  const { authority } = await rawServer(socket => socket.on('data', chunk => socket.write(chunk)));
  const options = { protocol, connections: 2, pipelining, warmup: 200, requests: 12 };
  const result = await load({ url: `tcp://${authority}`, ...options });
  expect(result).toMatchObject({ requests: 12, responses: 12, bytesSent: 72 });
});

test('request() throws, or returns what cannot be sent: load() rejects', { tags: ['slow'] }, async () => {
  const thrown = moduleFile(
    'export const response = () => 6; export function request() { throw new Error("out of ideas") }',
  );
  await expect(load({ url, protocol: thrown, duration: '30s' })).rejects.toThrow('out of ideas');
  const empty = moduleFile('export const response = () => 6; export const request = () => new Uint8Array(0);');
  await expect(load({ url, protocol: empty, duration: '30s' })).rejects.toThrow(TypeError);
});

test('a module that is not there, exports nothing, or has nothing to send: load() rejects', {
  tags: ['slow'],
}, async () => {
  await expect(load({ url, protocol: '/nowhere/protocol.mjs' })).rejects.toMatchObject({
    code: 'ERR_MODULE_NOT_FOUND',
  });
  await expect(load({ url, protocol: moduleFile('export {}') })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
  });
  const silent = moduleFile('export const response = () => 6;');
  await expect(load({ url, protocol: silent })).rejects.toThrow('no request()');
});
