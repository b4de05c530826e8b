/**
 * A program that was bundled, with koffi and piscina beside it: by rolldown here, by others in `npm run test:platforms`.
 *
 * @module-tag slow
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './support/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-bundle-'));
const temporary = join(folder, 'tmp');

const PROGRAM = `
  import { createServer } from 'node:http';
  import { fileURLToPath, pathToFileURL } from 'node:url';
  import { Epoll, EPOLLIN, Events, WaitService } from 'epoll-pool';
  import { load } from 'epoll-pool/load';
  import { close, eventfd } from 'epoll-pool/sys';
  async function main(threadFile) {
    const fd = eventfd(1);
    const epoll = new Epoll();
    epoll.register(fd, { events: EPOLLIN });
    const seen = await epoll.waitAsync(new Events(1), 1000);
    const handler = process.argv[2];
    const service = await WaitService.start({ threads: 2, handler, threadFile });
    const message = new Promise(resolve => service.once('message', resolve));
    await service.register(fd, { events: EPOLLIN, data: 7 });
    const answer = await message;
    await service.close();
    const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
    await new Promise(resolve => server.once('listening', resolve));
    const url = 'http://127.0.0.1:' + server.address().port + '/';
    const { responses, errorCount } = await load({ url, requests: 20, connections: 2, threads: 2, threadFile });
    server.close();
    console.log(JSON.stringify({ seen, answer, responses, errorCount }));
  }
  const [, , , threadFile] = process.argv;
  main(threadFile).catch(error => { console.log(error.code, error.message); process.exit(3); });
`;
// instanceof holds although this bundle has a class of its own.
const HANDLER = `
  import { EpollError } from 'epoll-pool';
  import { read } from 'epoll-pool/sys';
  const count = new BigUint64Array(1);
  export default ready => {
    read(ready.fd, count);
    let isError = false;
    try { ready.write(new Uint8Array(1)); } catch (error) { isError = error instanceof EpollError; }
    ready.post(ready.data + ' ' + count[0] + ' ' + isError);
  };
`;
const EXPECTED = { seen: 1, answer: '7 1 true', responses: 20, errorCount: 0 };

beforeAll(async () => {
  mkdirSync(join(folder, 'src', 'node_modules'), { recursive: true });
  mkdirSync(temporary);
  symlinkSync(ROOT, join(folder, 'src', 'node_modules', 'epoll-pool'));
  const input = { program: PROGRAM, handler: HANDLER, thread: "export { default } from 'epoll-pool/thread';" };
  for (const [name, source] of Object.entries(input)) writeFileSync(join(folder, 'src', `${name}.mjs`), source);
  for (const name of Object.keys(input)) {
    const bundle = await rolldown({
      input: join(folder, 'src', `${name}.mjs`),
      platform: 'node',
      external: ['koffi', 'piscina'],
    });
    for (const [format, end] of [
      ['esm', 'mjs'],
      ['cjs', 'cjs'],
    ] as const) {
      await bundle.write({
        file: join(folder, 'out', `${name}.${end}`),
        format,
        exports: 'named',
        minify: end === 'cjs',
      });
    }
    await bundle.close();
  }
  mkdirSync(join(folder, 'out', 'node_modules'));
  for (const name of ['koffi', 'piscina']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'out', 'node_modules', name));
  }
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the bundle prints, run from elsewhere. */
function printed(end: string, args: readonly string[], env: NodeJS.ProcessEnv): { stdout: string; stderr: string } {
  const out = join(folder, 'out');
  const words = [join(out, `program.${end}`), join(out, `handler.${end}`), ...args];
  const options = { cwd: '/', encoding: 'utf8', timeout: 25_000, env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, words, options);
}

describe.each(['mjs', 'cjs'])('as %s', end => {
  test('by itself: it writes the threads’ module to a temporary file, and takes it away', () => {
    const { stdout, stderr } = printed(end, [], { TMPDIR: temporary });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(EXPECTED);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('with a threadFile, and nowhere to write to', () => {
    const { stdout, stderr } = printed(end, [join(folder, 'out', `thread.${end}`)], { TMPDIR: '/nowhere' });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(EXPECTED);
  });
});

test('without one, and nowhere to write to: the error has the remedy', () => {
  const { stdout } = printed('mjs', [], { TMPDIR: '/nowhere' });
  expect(stdout).toMatch(/^ENOENT .*threadFile names a bundle of 'epoll-pool\/thread'/);
});

test('a threadFile that is wrong', async () => {
  const { WaitService } = await import('epoll-pool');
  for (const threadFile of [5, null, {}, new URL('http://localhost/thread.mjs')]) {
    const promise: Promise<unknown> = Reflect.apply(WaitService.start, WaitService, [{ threadFile }]);
    await expect(promise).rejects.toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  await expect(WaitService.start({ threads: 1, threadFile: '/no/such/file.mjs' })).rejects.toMatchObject({
    code: 'ERR_MODULE_NOT_FOUND',
  });
});

test.each(['undefined', '5', 'null'])('a threadFile that is another module, which answers %s', async answer => {
  const { WaitService } = await import('epoll-pool');
  const threadFile = join(folder, `${answer}.cjs`);
  writeFileSync(threadFile, `module.exports = () => ${answer};`);
  await expect(WaitService.start({ threads: 2, threadFile })).rejects.toMatchObject({
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
    message: expect.stringContaining(threadFile),
  });
});
