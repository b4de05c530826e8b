/** Where there is no epoll: importing works, using says so. */
import { expect, test } from 'vitest';
import { startPlain } from './support/run.ts';

test.each([
  ['platform', 'darwin'],
  ['platform', 'win32'],
  ['arch', 'ia32'],
])('process.%s is %s', async (name, value) => {
  const { result } = startPlain(`
    Object.defineProperty(process, '${name}', { value: '${value}' });
    const lib = await import('epoll-pool');
    const sys = await import('epoll-pool/sys');
    const codes = new Set();
    const calls = [() => new lib.Epoll(), () => lib.Epoll.borrow(3), () => sys.eventfd(), () => sys.pipe(), () => sys.close(99)];
    for (const call of calls) {
      try { call(); codes.add('none'); } catch (error) { codes.add(error.constructor.name + ' ' + error.code); }
    }
    new lib.Events(1);
    let message;
    try { new lib.Epoll(); } catch (error) { message = error.message; }
    console.log(JSON.stringify({ codes: [...codes], message, flags: lib.formatFlags(lib.EPOLLIN) }));
  `);
  const outcome = await result;
  expect(outcome).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(JSON.parse(outcome.stdout)).toEqual({
    codes: ['Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM'],
    message: expect.stringMatching(`^epoll-pool needs Linux on x64 or arm64; this is .*${value}`),
    flags: 'EPOLLIN',
  });
});
