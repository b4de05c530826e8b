/** A pending waitAsync keeps its process alive; nothing else of it does. */
import { expect, test } from 'vitest';
import { run } from './support/run.ts';

test('a wait keeps the process alive until it is settled, and no longer', async () => {
  const result = await run(`
    const epoll = new Epoll();
    epoll.register(sys.timerfd(200), { events: EPOLLIN });
    epoll.waitAsync(new Events(1)).then(n => console.log('events', n));
    process.on('exit', () => console.log('end'));
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stdout: 'events 1\nend\n', stderr: '' });
});

test('after time-outs, aborts and closes the process ends by itself, instances open or not', async () => {
  const result = await run(`
    const [a, b, c] = [new Epoll(), new Epoll(), new Epoll()];
    const eventfd = sys.eventfd(1);
    a.register(eventfd, { events: EPOLLIN });
    await a.waitAsync(new Events(1));
    await b.waitAsync(new Events(1), 20);
    const controller = new AbortController();
    const aborted = b.waitAsync(new Events(1), -1, { signal: controller.signal }).catch(e => e.name);
    const closed = c.waitAsync(new Events(1)).catch(e => e.code);
    controller.abort();
    c.close();
    console.log(await aborted, await closed);
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stdout: 'AbortError EBADF\n', stderr: '' });
  expect(result.ms).toBeLessThan(10_000);
});

test('leaving a for await lets the process end, busy fds or not', async () => {
  const result = await run(`
    const epoll = new Epoll();
    epoll.register(sys.eventfd(1), { events: EPOLLIN });
    let n = 0;
    for await (const event of epoll) if (++n === 1000) break;
    console.log(n);
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stdout: '1000\n', stderr: '' });
});

test('process.exit() with waits pending, and events coming', async () => {
  const result = await run(`
    const epoll = new Epoll();
    epoll.register(sys.timerfd(0, 1), { events: EPOLLIN });
    const quiet = new Epoll();
    quiet.waitAsync(new Events(1));
    (async () => { for await (const event of epoll); })();
    process.on('exit', () => { epoll.waitAsync(new Events(1)); });
    setTimeout(() => process.exit(5), 50);
  `);
  expect(result).toMatchObject({ code: 5, signal: null, stdout: '', stderr: '' });
});

test('an error in code that was waiting is an ordinary unhandled rejection', async () => {
  const result = await run(`
    const epoll = new Epoll();
    epoll.register(sys.timerfd(20), { events: EPOLLIN });
    const events = new Events(1);
    await epoll.waitAsync(events);
    throw new Error('of the user');
  `);
  expect(result).toMatchObject({ code: 1, signal: null, stderr: expect.stringContaining('of the user') });
});

test('a rejection that nobody handles ends the process with its error', async () => {
  const result = await run(`
    const epoll = new Epoll();
    epoll.waitAsync(new Events(1));
    epoll.close();
    setTimeout(() => console.log('not reached'), 1000);
  `);
  expect(result).toMatchObject({ code: 1, signal: null, stdout: '', stderr: expect.stringContaining('EBADF') });
});

test('loading the package alone keeps nothing alive and opens no fd', async () => {
  const result = await run(`
    const { readdirSync } = await import('node:fs');
    new Epoll().close();
    const links = readdirSync('/proc/self/fd').length;
    new Epoll().close();
    console.log(readdirSync('/proc/self/fd').length - links, process.getActiveResourcesInfo().join());
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(result.stdout.split(' ')[0]).toBe('0');
  expect(result.stdout).not.toContain('UDP');
});
