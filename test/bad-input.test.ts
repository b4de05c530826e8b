/** Wrong and odd arguments for WaitService and Ready, by the thousand: documented errors alone, and no crash. */
import { expect, test } from 'vitest';
import { runLimited } from './support/limited.ts';

const FIXTURES = `
const { attempts, WRONG, problems, revoked, isRegistration, isFd } = await import(new URL('./test/support/odd-values.mjs', root).href);
`;

test('the functions of WaitService', { timeout: 60_000, tags: ['slow'] }, async () => {
  const result = await runLimited(
    {},
    `${FIXTURES}
    import fc from 'fast-check';
    const service = await WaitService.start({ threads: 2, capacity: 512 });
    service.on('event', ({ fd }) => sys.read(fd, new Uint8Array(8)));
    service.on('error', error => problems.push('error event ' + error.stack));
    const own = Array.from({ length: 8 }, () => sys.eventfd(0));
    const { fdLike, eventInit, closeOptions, startOptions } = WRONG(own);
    const right = { register: isRegistration, modify: isRegistration, unregister: isFd, close: () => false };
    const call = (name, method, args) => attempts(name, args, () => service[method](...args), undefined, right[method]);
    const runs = 3000;
    await fc.assert(fc.asyncProperty(fdLike, eventInit, fc.array(fc.anything(), { maxLength: 2 }), (fd, event, more) =>
      call('register', 'register', [fd, event, ...more])), { numRuns: 2 * runs });
    await fc.assert(fc.asyncProperty(fdLike, eventInit, (fd, event) => call('modify', 'modify', [fd, event])), { numRuns: 2 * runs });
    await fc.assert(fc.asyncProperty(fdLike, fd => call('unregister', 'unregister', [fd])), { numRuns: 2 * runs });
    await fc.assert(fc.asyncProperty(startOptions, options =>
      attempts('start', [options], () => WaitService.start(options), service => service.close(), () => false)), { numRuns: runs });
    await fc.assert(fc.asyncProperty(closeOptions, options => call('close', 'close', [options])), { numRuns: runs });
    for (const args of [[revoked()], [own[0], revoked()], [{ fd: own[0] }, { events: 1, data: revoked() }]]) {
      await call('register', 'register', args);
      await call('modify', 'modify', args);
    }
    await call('close', 'close', [revoked()]);
    for (const options of [revoked(), { handlerData: revoked() }, { threads: revoked() }, { resourceLimits: revoked() }]) {
      await attempts('start', [options], () => WaitService.start(options), service => service.close(), () => false);
    }
    if (service.closed) problems.push('closed by wrong options');
    // It works as ever.
    for (const fd of own) await service.unregister(fd).catch(() => {});
    const seen = [];
    service.on('event', event => seen.push(event));
    for (const fd of own) await service.register(fd, { events: EPOLLIN, data: 2n ** 64n - 1n });
    for (const fd of own) sys.write(fd, new BigUint64Array([1n]));
    await until(() => seen.length === own.length);
    print('registrations', service.stats().registrations, 'problems', problems.length, problems.slice(0, 5).join('\\n'));
    await service.close();
    // Closed: every call rejects with EBADF, or with what is wrong with its arguments.
    await fc.assert(fc.asyncProperty(fdLike, eventInit, (fd, event) => call('closed register', 'register', [fd, event])), { numRuns: 500 });
    await fc.assert(fc.asyncProperty(fdLike, fd => call('closed unregister', 'unregister', [fd])), { numRuns: 500 });
    print('problems', problems.length, problems.slice(0, 5).join('\\n'), 'fds', own.every(fd => { sys.close(fd); return true; }));
  `,
    55_000,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toBe('registrations 8 problems 0 \nproblems 0  fds true\n');
});

test('the functions of Ready, inside a handler', { timeout: 60_000, tags: ['slow'] }, async () => {
  const result = await runLimited(
    {},
    `
    const fds = Array.from({ length: 4 }, () => sys.eventfd(0));
    const handler = new URL('./test/fixtures/odd-handler.mjs', root);
    const service = await WaitService.start({ threads: 2, handler, handlerData: fds, stateBytes: 8 });
    const messages = [];
    const codes = {};
    let unknown = 0;
    service.on('message', value => { if (value?.problems) messages.push(value); else unknown++; });
    service.on('error', (error, event) => { codes[error.code ?? error.message] = (codes[error.code ?? error.message] ?? 0) + 1; });
    for (const [i, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN, data: i });
    for (const fd of fds) sys.write(fd, new BigUint64Array([1n]));
    await until(() => messages.length === fds.length, 40_000);
    for (const { problems } of messages) for (const problem of problems) print(problem);
    // What handlers asked for was carried out: some of it failed, as the kernel said.
    await until(() => service.stats().threads.every(({ errors }) => errors === 0));
    const wrong = Object.keys(codes).filter(code => !['EBADF', 'EPERM', 'EEXIST', 'EINVAL', 'ENOENT', 'ELOOP'].includes(code));
    print('errors', wrong.join());
    // It works as ever.
    const [first] = fds;
    await service.unregister(first);
    await service.register(first, { events: EPOLLIN, data: 9 });
    sys.write(first, new BigUint64Array([1n]));
    await until(() => messages.length === fds.length + 1);
    print('calls', messages.reduce((sum, { calls }) => sum + calls, 0) >= 20_000);
    await service.close();
  `,
    55_000,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toBe('errors \ncalls true\n');
});
