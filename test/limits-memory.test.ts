/** RLIMIT_AS: what cannot be allocated is an EpollError that names the limit, and loses nothing else. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { run } from './support/run.ts';

const hasPrlimit = spawnSync('prlimit', ['--version']).error === undefined;

test('ENOMEM: a buffer too large for the address space; the rest goes on', async context => {
  if (!hasPrlimit) return context.skip('needs prlimit(1) of util-linux');
  const result = await run(`
    import { readFileSync } from 'node:fs';
    import { spawnSync } from 'node:child_process';
    const service = await lib.WaitService.start({ threads: 1 });
    const seen = [];
    service.on('event', ({ fd }) => seen.push(sys.read(fd, new Uint8Array(8))));
    const epoll = new Epoll();
    const size = Number(/VmSize:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))[1]) * 1024;
    // Room for a few hundred megabytes more; the largest buffer takes two gigabytes.
    const { status } = spawnSync('prlimit', ['--pid', String(process.pid), '--as=' + (size + 400e6)]);
    let error;
    try { new Events(178_956_970); } catch (thrown) { error = thrown; }
    const { code, errno, syscall, message } = error ?? {};
    const fd = sys.eventfd(1);
    epoll.register(fd, { events: EPOLLIN });
    const found = epoll.wait(new Events(1000), 1000);
    await service.register(fd, { events: EPOLLIN });
    for (const limit = performance.now() + 10_000; seen.length === 0 && performance.now() < limit; )
      await new Promise(resolve => setTimeout(resolve, 5));
    await service.close();
    console.log(JSON.stringify({ status, isEpollError: error instanceof lib.EpollError, code, errno, syscall, found, seen }));
    console.log(message);
  `);
  const [facts = '', message] = result.stdout.split('\n');
  expect({ stderr: result.stderr, exit: result.code }).toEqual({ stderr: '', exit: 0 });
  expect(JSON.parse(facts)).toEqual({
    status: 0,
    isEpollError: true,
    code: 'ENOMEM',
    errno: -12,
    syscall: 'mmap',
    found: 1,
    seen: [8],
  });
  expect(message).toContain('RLIMIT_AS');
});
