/** Out of fds: the error names the limit, the service goes on, and nothing spins. */
import { expect, test } from 'vitest';
import { runLimited } from './support/limited.ts';

test('EMFILE: an accept loop rests with one error, idle, and goes on after modify()', { tags: ['slow'] }, async () => {
  const result = await runLimited(
    { fds: 200 },
    `
    import net from 'node:net';
    import { once } from 'node:events';
    const counts = new Int32Array(new SharedArrayBuffer(16));
    const handler = new URL('./test/fixtures/acceptor.mjs', root);
    const service = await WaitService.start({ threads: 2, handler, handlerData: counts });
    const errors = [];
    service.on('error', (error, event) => errors.push({ error, event }));
    const listener = net.createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address();
    const fd = sys.dup(listener._handle.fd);
    listener.close();
    await service.register(fd, { events: EPOLLIN, data: 0 });
    const fill = [];
    const connect = () => { const socket = net.connect(port, '127.0.0.1'); socket.on('error', () => {}); return socket; };
    const sockets = [connect(), connect(), connect()];
    for (const socket of sockets) await once(socket, 'connect');
    await until(() => counts[0] === 3);
    await service.unregister(fd);
    const late = [connect(), connect()];
    for (const socket of late) await once(socket, 'connect');
    for (;;) { try { fill.push(sys.eventfd(0)); } catch (error) { print(error.code, error.message); break; } }
    await service.register(fd, { events: EPOLLIN, data: 0 });
    await until(() => errors.length > 0);
    print(errors[0].error.constructor === lib.EpollError, errors[0].error.message, errors[0].event.fd === fd);
    const before = process.cpuUsage();
    const handled = total(service);
    await new Promise(resolve => setTimeout(resolve, 1000));
    const used = process.cpuUsage(before);
    print('busy', (used.user + used.system) / 1000 < 300, 'runs', total(service) - handled, 'errors', errors.length);
    for (const eventfd of fill) sys.close(eventfd);
    await service.modify(fd, { events: EPOLLIN, data: 0 });
    await until(() => counts[0] === 5);
    for (const socket of [...sockets, ...late]) { socket.end('ping'); socket.resume(); }
    await until(() => counts[2] === 5);
    print('answered', counts[1], 'errors', errors.length);
    await service.unregister(fd);
    sys.close(fd);
    await service.close();
  `,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const lines = result.stdout.split('\n');
  expect(lines).toEqual([
    'EMFILE EMFILE: too many open files, eventfd; the limit is RLIMIT_NOFILE: ulimit -n',
    expect.stringMatching(/^true EMFILE: too many open files, accept4 \(fd \d+\); .*RLIMIT_NOFILE.* true$/),
    'busy true runs 0 errors 1',
    'answered 5 errors 1',
    '',
  ]);
});

test("EMFILE: a handler's first call of epoll-pool/sys opens no file of its own", async () => {
  const result = await runLimited(
    { fds: 200 },
    `
    import net from 'node:net';
    import { once } from 'node:events';
    const handler = new URL('./test/fixtures/acceptor.mjs', root);
    const service = await WaitService.start({ threads: 1, handler, handlerData: new Int32Array(4) });
    const errors = [];
    service.on('error', error => errors.push(error));
    const listener = net.createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const fd = sys.dup(listener._handle.fd);
    const socket = net.connect(listener.address().port, '127.0.0.1');
    listener.close();
    await once(socket, 'connect');
    const fill = [];
    for (;;) { try { fill.push(sys.eventfd(0)); } catch { break; } }
    await service.register(fd, { events: EPOLLIN, data: 0 });
    await until(() => errors.length > 0);
    print(errors[0].constructor === lib.EpollError, errors[0].code, errors[0].syscall);
    for (const eventfd of [...fill, fd]) sys.close(eventfd);
    socket.destroy();
    await service.close();
  `,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toBe('true EMFILE accept4\n');
});

test('EMFILE: start() and new Epoll() tell it, leave nothing behind, and work once there is room', async () => {
  const result = await runLimited(
    { fds: 200 },
    `
    const fill = [];
    const fillUp = () => {
      for (;;) { try { fill.push(sys.eventfd(0)); } catch { return; } }
    };
    await (await WaitService.start({ threads: 1 })).close(); // everything is loaded
    const codes = new Set();
    const opened = countFds();
    fillUp();
    const canOpen = count => {
      const fds = [];
      try { for (let i = 0; i < count; i++) fds.push(sys.eventfd(0)); return true; } catch { return false; }
      finally { for (const fd of fds) sys.close(fd); }
    };
    // With no room, with room for one more fd, and so on: each step of start() fails once.
    for (let room = 0; room <= 5; room++) {
      try {
        await WaitService.start({ threads: 2 });
      } catch (error) {
        codes.add(error.code);
        if (error.code === 'EMFILE' && !error.message.includes('RLIMIT_NOFILE')) print(error.message);
      }
      if (room < 5) await until(() => canOpen(room));
      sys.close(fill.pop());
    }
    print([...codes].sort().join(' '));
    fillUp();
    try { new Epoll(); } catch (error) { print(error.message); }
    for (const fd of fill) sys.close(fd);
    const service = await WaitService.start({ threads: 2 });
    await service.close();
    // libuv leaves one fd open for each thread that it could not start, whoever asked for it.
    await until(() => countFds() <= opened + 2);
  `,
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const [codes, epoll] = result.stdout.split('\n');
  expect(codes).toBe('EMFILE ERR_WORKER_INIT_FAILED');
  expect(epoll).toBe('EMFILE: too many open files, epoll_create1; the limit is RLIMIT_NOFILE: ulimit -n');
});

test('EMFILE: a thread that dies is replaced once there is room', async () => {
  const result = await runLimited(
    { fds: 200 },
    `
    const source = 'export default ready => { if (ready.data === 1n) process.exit(3); ready.post(ready.read(new Uint8Array(8))); }';
    const service = await WaitService.start({ threads: 2, handler: 'data:text/javascript,' + encodeURIComponent(source) });
    const errors = [];
    const messages = [];
    service.on('error', error => errors.push(error.code)).on('message', value => messages.push(value));
    const fill = [];
    const die = sys.eventfd(0);
    const ask = sys.eventfd(0);
    await service.register(die, { events: EPOLLIN, data: 1 });
    await service.register(ask, { events: EPOLLIN, data: 2 });
    const fillUp = () => { for (;;) { try { fill.push(sys.eventfd(0)); } catch { return; } } };
    fillUp();
    sys.write(die, new BigUint64Array([1n]));
    // The fds of the dead thread are taken too, as soon as they are there.
    const filling = setInterval(fillUp, 1);
    await until(() => errors.length > 0);
    sys.write(ask, new BigUint64Array([1n]));
    await until(() => messages.length === 1);
    clearInterval(filling);
    for (const fd of fill) sys.close(fd);
    // One handler in each of two threads at once: both are there.
    await until(() => service.stats().restarts > 0 && service.stats().threads.every(({ waits }, i) => waits > 0));
    sys.write(ask, new BigUint64Array([1n]));
    await until(() => messages.length === 2);
    print(errors[0], messages.join());
    await service.close();
  `,
  );
  expect(result).toMatchObject({ code: 0, stderr: '', stdout: 'ERR_WORKER_EXITED 8,8\n' });
});

test('EMFILE: waits on the event loop that could not begin take no event from those that come later', async () => {
  const result = await runLimited(
    { fds: 60 },
    `
    const epoll = new Epoll();
    const fd = sys.eventfd(0);
    epoll.register(fd, { events: EPOLLIN | EPOLLET, data: 1 });
    const fill = [];
    for (;;) { try { fill.push(sys.dup(0)); } catch { break; } }
    const code = ({ code }) => code;
    print(await epoll.waitAsync(new lib.Events(1)).catch(code));
    print(await epoll.waitAsync(new lib.Events(1), 60_000).catch(code));
    print(await epoll[Symbol.asyncIterator]().next().catch(code));
    for (const copy of fill) sys.close(copy);
    const waiting = epoll.waitAsync(new lib.Events(1), 10_000);
    sys.write(fd, new BigUint64Array([1n]));
    print(await waiting);
  `,
  );
  expect(result).toEqual({ code: 0, signal: null, stdout: 'EMFILE\nEMFILE\nEMFILE\n1\n', stderr: '' });
});
