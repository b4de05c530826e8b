/** koffi and piscina when they are needed: not installed as they should be, and when no fd is left to load them with. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runLimited } from './support/limited.ts';
import { ROOT } from './support/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-packages-'));
const modules = join(folder, 'node_modules');
const own = join(modules, 'epoll-pool');

beforeAll(() => {
  mkdirSync(own, { recursive: true });
  cpSync(join(ROOT, 'dist'), join(own, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(own, 'package.json'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a program in the folder prints. */
function printed(source: string, ...args: string[]): unknown {
  const node = [...args, '--input-type=module', '-e', source];
  const { stdout, stderr } = spawnSync(process.execPath, node, { cwd: folder, encoding: 'utf8', timeout: 20_000 });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

const USES = `
  const lib = await import('epoll-pool');
  const sys = await import('epoll-pool/sys');
  const { load } = await import('epoll-pool/load');
  await import('epoll-pool/worker');
  const errors = [];
  for (const call of [
    () => new lib.Epoll(), () => lib.Epoll.borrow(5), () => sys.eventfd(), () => lib.WaitService.start(),
    () => load({ url: 'http://127.0.0.1:1/', requests: 1 }),
  ]) {
    try { await call(); errors.push('none'); } catch ({ constructor, code, message, cause }) {
      errors.push([constructor.name, code, /koffi/.test(message) && /@koromix\\/koffi-linux-/.test(message), cause instanceof Error]);
    }
  }
  console.log(JSON.stringify(errors));
`;
const UNAVAILABLE = Array.from({ length: 5 }, () => ['Error', 'ERR_KOFFI_UNAVAILABLE', true, true]);

describe('ERR_KOFFI_UNAVAILABLE, at use and not at import', () => {
  test('no koffi', () => {
    expect(printed(USES)).toEqual(UNAVAILABLE);
  });

  test('koffi without its native part: --omit=optional --ignore-scripts', () => {
    const koffi = join(modules, 'koffi');
    cpSync(join(ROOT, 'node_modules', 'koffi'), koffi, { recursive: true });
    expect(printed(USES)).toEqual(UNAVAILABLE);
    // It is tried again: whoever installs it meanwhile need not start anew.
    cpSync(join(ROOT, 'node_modules', '@koromix'), join(folder, 'kept'), { recursive: true });
    const repaired = `
      import { renameSync } from 'node:fs';
      import { Epoll } from 'epoll-pool';
      const codes = [];
      try { new Epoll(); } catch (error) { codes.push(error.code); }
      renameSync('kept', 'node_modules/@koromix');
      new Epoll().close();
      console.log(JSON.stringify(codes));
    `;
    expect(printed(repaired)).toEqual(['ERR_KOFFI_UNAVAILABLE']);
    rmSync(koffi, { recursive: true });
    rmSync(join(modules, '@koromix'), { recursive: true });
  });

  test('--permission without --allow-addons: the message has the remedy', async () => {
    const flag = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';
    const node = ['--no-warnings', flag, '--allow-fs-read=*'];
    const { stdout, stderr } = await runLimited(
      { node },
      `try { new Epoll(); } catch ({ code, message }) { print(code, message.includes('--allow-addons')); }`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'ERR_KOFFI_UNAVAILABLE true\n', stderr: '' });
  });
});

describe('out of fds', () => {
  test('at the first start() of a service: EMFILE, and a later one works', async () => {
    const result = await runLimited(
      { fds: 64 },
      `
      const taken = [];
      try { for (;;) taken.push(sys.eventfd()); } catch {}
      const fail = async () => WaitService.start({ threads: 1 }).catch(error => print(error.name, error.code));
      await fail();
      // Room to load what it needs, and for what it opens on this thread, and not for its threads.
      for (let i = 0; i < 5; i++) sys.close(taken.pop());
      await fail();
      for (const fd of taken) sys.close(fd);
      const service = await WaitService.start({ threads: 2 });
      const fd = sys.eventfd(1);
      await service.register(fd, { events: EPOLLIN });
      for await (const event of service) { print(event.fd === fd); break; }
      await service.close();
      `,
    );
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/^EpollError EMFILE\n.*\ntrue\n$/);
  });

  test('at the first call of all: EMFILE, and a later one works', async () => {
    const result = await runLimited(
      { fds: 64 },
      `
      import { openSync, closeSync } from 'node:fs';
      const taken = [];
      try { for (;;) taken.push(openSync('/dev/null')); } catch {}
      for (const call of [() => new Epoll(), () => sys.eventfd()]) {
        try { call(); } catch (error) { print(error.name, error.code); }
      }
      for (const fd of taken) closeSync(fd);
      print(new Epoll().closed);
      `,
    );
    expect(result).toEqual({
      code: 0,
      signal: null,
      stdout: 'EpollError EMFILE\nEpollError EMFILE\nfalse\n',
      stderr: '',
    });
  });
});
