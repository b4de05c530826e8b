/** Out of fds: typed errors that name the limit, and nothing leaks or breaks. */
import { expect, test } from 'vitest';
import { run } from './support/run.ts';

test('EMFILE from whatever makes an fd, and all works again with room', async () => {
  const result = await run(`
    import { readdirSync } from 'node:fs';
    const epoll = new Epoll();
    const spare = [];
    const errors = [];
    const attempt = (name, call) => { try { call(); errors.push(name + ' worked'); } catch (e) { errors.push(name + ' ' + e.name + ' ' + e.code); } };
    const taken = [];
    const before = readdirSync('/proc/self/fd').length;
    try { for (;;) taken.push(sys.eventfd()); } catch (e) { errors.push(e.message); }
    attempt('epoll', () => new Epoll());
    attempt('waker', () => new Waker(epoll, 1n));
    attempt('timerfd', () => sys.timerfd(1));
    attempt('pipe', () => sys.pipe());
    attempt('socketpair', () => sys.socketpair());
    attempt('dup', () => sys.dup(0));
    await epoll.waitAsync(new Events(1), 5).catch(e => errors.push('waitAsync ' + e.name + ' ' + e.code));
    attempt('registered', () => epoll.registered());
    sys.close(taken.pop()); // room for one fd, but not for two
    attempt('pipe', () => sys.pipe());
    for (const fd of taken) sys.close(fd);
    await new Promise(resolve => setTimeout(resolve, 10));
    errors.push(readdirSync('/proc/self/fd').length - before);
    errors.push(await epoll.waitAsync(new Events(1), 5), epoll.registered().length);
    errors.push(readdirSync('/proc/self/fd').length - before); // one, with which the loop watches
    console.log(JSON.stringify(errors));
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(JSON.parse(result.stdout)).toEqual([
    'EMFILE: too many open files, eventfd; the limit is RLIMIT_NOFILE: ulimit -n',
    ...['epoll', 'waker', 'timerfd', 'pipe', 'socketpair', 'dup', 'waitAsync', 'registered', 'pipe'].map(
      name => `${name} EpollError EMFILE`,
    ),
    0,
    0,
    0,
    1,
  ]);
});
