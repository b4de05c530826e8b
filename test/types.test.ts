/** The types as users meet them: without `types: ["node"]`, and for CommonJS under node16. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './support/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-types-'));
const modules = join(folder, 'node_modules');

beforeAll(() => {
  mkdirSync(modules, { recursive: true });
  const own = join(modules, 'epoll-pool');
  cpSync(join(ROOT, 'dist'), join(own, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(own, 'package.json'));
  for (const name of ['@types', 'undici-types', 'koffi', 'piscina', '@koromix'])
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the compiler says of a program, its libraries checked too. */
function complaints(name: string, source: string, ...options: string[]): string {
  writeFileSync(join(folder, name), source);
  const strict = [
    '--strict',
    '--exactOptionalPropertyTypes',
    '--noEmit',
    '--target',
    'es2022',
    '--lib',
    'es2023,esnext.disposable',
  ];
  const { stdout, status } = spawnSync(join(ROOT, 'node_modules', '.bin', 'tsc'), [...strict, ...options, name], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return status === 0 ? '' : stdout;
}

// Uses what the declarations take from Node's types: EventEmitter, Buffer, MessagePort, Socket, ArrayBufferView.
const BODY = `
  const socket = new Socket();
  export const fd: number = detach(socket);
  const handler: Handler = ready => { ready.post(ready.read(Buffer.alloc(8))); };
  export async function main(): Promise<void> {
    const service = await WaitService.start({ threads: 1, threadFile: new URL('file:///x') });
    service.once('error', () => undefined).unref();
    const events = new Events(1);
    new Epoll().wait(events);
    const address: SocketAddress = localAddress(listen({ port: undefined }));
    const options: LoadOptions = { url: 'http://localhost/' };
    const result: Promise<LoadResult> = load(options);
    const pool: Events = events;
    console.log(address.port, pool.capacity, (await result).latency.p99, handler, EPOLLIN);
  }
`;
const MODULE = `
  import { Socket } from 'node:net';
  import { detach, Epoll, Events, EPOLLIN, WaitService } from 'epoll-pool';
  import { load, type LoadOptions, type LoadResult } from 'epoll-pool/load';
  import { listen, localAddress, type SocketAddress } from 'epoll-pool/sys';
  import type { Handler } from 'epoll-pool/worker';
  import run from 'epoll-pool/thread';
  export { run };
  ${BODY}
`;
const COMMON_JS = `
  import { Socket } from 'node:net';
  import { detach, Epoll, Events, EPOLLIN, WaitService } from 'epoll-pool';
  import load_ = require('epoll-pool/load');
  import sys = require('epoll-pool/sys');
  import type { Handler } from 'epoll-pool/worker';
  const { load } = load_;
  const { listen, localAddress } = sys;
  type LoadOptions = load_.LoadOptions;
  type LoadResult = load_.LoadResult;
  type SocketAddress = sys.SocketAddress;
  ${BODY}
`;

describe.each(['node16', 'nodenext'])('module %s', module => {
  test('an ES module, without types: ["node"]', { timeout: 60_000 }, () => {
    expect(complaints(`${module}.mts`, MODULE, '--module', module)).toBe('');
  });

  test('CommonJS, without types: ["node"]', { timeout: 60_000 }, () => {
    expect(complaints(`${module}.cts`, COMMON_JS, '--module', module)).toBe('');
  });
});

test('for a bundler', { timeout: 60_000 }, () => {
  const options = ['--module', 'esnext', '--moduleResolution', 'bundler'];
  expect(complaints('bundled.ts', MODULE, ...options)).toBe('');
});

test('require() has at run time what its types say', () => {
  const source = `
    const names = ['', '/sys', '/load', '/worker', '/thread', '/server'].map(entry =>
      Object.keys(require('epoll-pool' + entry)).filter(name => name !== '__esModule').sort());
    console.log(JSON.stringify(names));
  `;
  const { stdout } = spawnSync(process.execPath, ['--no-warnings', '-e', source], { cwd: folder, encoding: 'utf8' });
  const [main = [], sys = [], load = [], worker, thread, server]: string[][] = JSON.parse(stdout);
  expect(main).toEqual(expect.arrayContaining(['EPOLLIN', 'Epoll', 'EpollError', 'Events', 'WaitService', 'detach']));
  expect(sys).toContain('localAddress');
  expect(load).toContain('load');
  expect(worker).toEqual(['fetchHandler', 'http', 'lengthPrefixed', 'lines']);
  expect([thread, server]).toEqual([['default'], ['Server']]);
});
