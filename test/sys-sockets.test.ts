/** listen, connect and what goes with them: TCP over both IPs, unix sockets, and how each fails. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as nodeConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Epoll, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { describe, expect, onTestFinished, test } from 'vitest';
import { closing, countFds, eventfd, flagsOf, pipe, socketpair, unusedFd } from './support/fds.ts';
import { runLimited } from './support/limited.ts';
import { unusedPort } from './support/load-server.ts';
import { ROOT } from './support/run.ts';
import { noSeccomp, refusal } from './support/seccomp.ts';
import { owned, thrown, within } from './support/within.ts';

const TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
const BOTH = { nonblocking: true, closeOnExec: true };

const listen = (options: sys.ListenOptions): number => closing(sys.listen(options));
const connect = (options: sys.ConnectOptions): number => closing(sys.connect(options));

/** The mask that comes first, waited for. */
function ready(fd: number, interest: number): number {
  const epoll = new Epoll();
  try {
    epoll.register(fd, { events: interest });
    const events = new Events(1);
    expect(epoll.wait(events, 10_000)).toBe(1);
    return events.eventsAt(0);
  } finally {
    epoll.close();
  }
}

/** The connection's other side, from a listening fd. */
function accepted(listener: number): number {
  ready(listener, EPOLLIN);
  return closing(sys.accept(listener));
}

/** A path in a folder that goes with the test. */
function freshPath(name = 'socket'): string {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-sys-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, name);
}

function expectConnected(a: number, b: number): void {
  const buffer = Buffer.alloc(8);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    expect(sys.write(from, Buffer.from('through'))).toBe(7);
    ready(to, EPOLLIN);
    expect(sys.read(to, buffer)).toBe(7);
    expect(buffer.toString('utf8', 0, 7)).toBe('through');
  }
}

describe.each([
  ['IPv4', '127.0.0.1'],
  ['IPv6', '::1'],
] as const)('%s', (family, host) => {
  test('listen, connect, accept, and the four addresses', () => {
    const listener = listen({ host });
    expect(flagsOf(listener)).toEqual(BOTH);
    const at = sys.localAddress(listener);
    expect(at).toEqual({ family, address: host, port: expect.any(Number) });
    expect(at.port).toBeGreaterThan(0);
    const client = connect({ host, port: at.port });
    expect(flagsOf(client)).toEqual(BOTH);
    expect(ready(client, EPOLLOUT)).toBe(EPOLLOUT);
    sys.socketError(client);
    const server = accepted(listener);
    expect(sys.remoteAddress(client)).toEqual(at);
    expect(sys.localAddress(server)).toEqual(at);
    expect(sys.remoteAddress(server)).toEqual(sys.localAddress(client));
    expectConnected(client, server);
  });

  test('the port asked for, and EADDRINUSE for the next', () => {
    const { port } = sys.localAddress(listen({ host }));
    const before = countFds();
    expect(thrown(() => sys.listen({ host, port }))).toMatchObject({
      name: 'EpollError',
      code: 'EADDRINUSE',
      syscall: 'bind',
      message: expect.stringMatching(`^EADDRINUSE: address already in use, bind \\(.*${host}.*:${port}\\)$`),
    });
    expect(countFds()).toBe(before);
  });

  test('a port again at once, though connections linger: SO_REUSEADDR', () => {
    const listener = sys.listen({ host });
    const { port } = sys.localAddress(listener);
    const client = connect({ host, port });
    const server = accepted(listener);
    sys.close(server); // the side that closes first is the one that lingers
    ready(client, EPOLLRDHUP);
    sys.close(client);
    sys.close(listener);
    expect(sys.localAddress(listen({ host, port })).port).toBe(port);
  });

  test('reusePort: two listen on one port, and those who do not say so are kept out', () => {
    const first = listen({ host, reusePort: true });
    const { port } = sys.localAddress(first);
    expect(sys.localAddress(listen({ host, port, reusePort: true })).port).toBe(port);
    expect(thrown(() => sys.listen({ host, port }))).toMatchObject({ code: 'EADDRINUSE' });
  });

  test('nobody listens: writable, and socketError says ECONNREFUSED, once', async () => {
    const port = await unusedPort();
    const fd = connect({ host, port });
    expect(ready(fd, EPOLLOUT) & (EPOLLERR | EPOLLHUP)).not.toBe(0);
    expect(thrown(() => sys.socketError(fd))).toMatchObject({
      name: 'EpollError',
      code: 'ECONNREFUSED',
      syscall: 'getsockopt',
      fd,
    });
    sys.socketError(fd);
    expect(thrown(() => sys.remoteAddress(fd))).toMatchObject({ code: 'ENOTCONN', syscall: 'getpeername', fd });
  });
});

test('by default both IPs, any host, any port', () => {
  const listener = listen({});
  const { port, ...rest } = sys.localAddress(listener);
  expect(rest).toEqual({ family: 'IPv6', address: '::' });
  for (const [host, remote] of [
    ['127.0.0.1', { family: 'IPv6', address: '::ffff:127.0.0.1' }],
    ['::1', { family: 'IPv6', address: '::1' }],
    [undefined, { family: 'IPv6', address: '::ffff:127.0.0.1' }],
  ] as const) {
    const client = connect({ port, ...(host && { host }) });
    expect(sys.remoteAddress(accepted(listener))).toEqual({ ...remote, port: sys.localAddress(client).port });
  }
});

test('ipv6Only leaves the port of IPv4 free', () => {
  const { port } = sys.localAddress(listen({ ipv6Only: true }));
  expect(sys.localAddress(listen({ host: '0.0.0.0', port }))).toEqual({ family: 'IPv4', address: '0.0.0.0', port });
  const dual = sys.localAddress(listen({})).port;
  expect(thrown(() => sys.listen({ host: '0.0.0.0', port: dual }))).toMatchObject({ code: 'EADDRINUSE' });
});

test('undefined options are those that were not given', () => {
  const options = { host: undefined, port: undefined, path: undefined, backlog: undefined, reusePort: undefined };
  const listener = closing(Number(Reflect.apply(sys.listen, undefined, [{ ...options, ipv6Only: undefined }])));
  const { port } = sys.localAddress(listener);
  closing(Number(Reflect.apply(sys.connect, undefined, [{ host: undefined, path: undefined, port }])));
  expect(sys.localAddress(accepted(listener)).port).toBe(port);
});

test('backlog: as many as it says wait, and one more', () => {
  const listener = listen({ path: freshPath(), backlog: 2 });
  const { address: path } = sys.localAddress(listener);
  for (let i = 0; i < 3; i++) connect({ path });
  expect(thrown(() => sys.connect({ path }))).toMatchObject({ name: 'EpollError', code: 'EAGAIN', syscall: 'connect' });
  accepted(listener);
  connect({ path });
});

test('TCP_NODELAY: what is written is sent at once', () => {
  const listener = listen({ host: '127.0.0.1' });
  const client = connect({ port: sys.localAddress(listener).port });
  ready(client, EPOLLOUT);
  // ss shows the option only in what it says of timers; the kernel's own word is asked by getsockopt in C.
  expect(optionOf(client)).toBe('1');
});

/** TCP_NODELAY of an fd, asked by Python, which inherits it; undefined where there is none. */
function optionOf(fd: number): string {
  const script = 'import socket; print(socket.socket(fileno=3).getsockopt(6, 1))';
  const { stdout } = spawnSync('python3', ['-c', script], {
    stdio: ['ignore', 'pipe', 'inherit', fd],
    encoding: 'utf8',
  });
  return stdout.trim();
}

describe('unix sockets', () => {
  test('on a path', () => {
    const path = freshPath();
    const before = countFds();
    const listener = listen({ path });
    expect(flagsOf(listener)).toEqual(BOTH);
    expect(existsSync(path)).toBe(true);
    expect(sys.localAddress(listener)).toEqual({ family: 'unix', address: path, port: 0 });
    const client = connect({ path });
    expect(sys.remoteAddress(client)).toEqual({ family: 'unix', address: path, port: 0 });
    expect(sys.localAddress(client)).toEqual({ family: 'unix', address: '', port: 0 });
    const server = accepted(listener);
    expect(sys.remoteAddress(server)).toEqual({ family: 'unix', address: '', port: 0 });
    expectConnected(client, server);
    expect(thrown(() => sys.listen({ path }))).toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'bind',
      message: expect.stringContaining(path),
    });
    expect(countFds()).toBe(before + 3);
  });

  test('the longest path, of 107 bytes, and one more', () => {
    const folder = mkdtempSync('/tmp/u-');
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'x'.repeat(107 - folder.length - 1));
    expect(Buffer.byteLength(path)).toBe(107);
    const listener = listen({ path });
    expect(sys.localAddress(listener).address).toBe(path);
    expect(sys.remoteAddress(connect({ path })).address).toBe(path);
    expect(thrown(() => sys.listen({ path: `${path}x` }))).toMatchObject(RANGE);
    expect(thrown(() => sys.connect({ path: `${path}x` }))).toMatchObject(RANGE);
    const umlauts = join(folder, 'ü'.repeat(50));
    expect(thrown(() => sys.listen({ path: umlauts }))).toMatchObject(RANGE);
    expect(sys.localAddress(listen({ path: join(folder, 'ü') })).address).toBe(join(folder, 'ü'));
  });

  test('the abstract namespace', () => {
    for (const path of [`\0epoll-pool ${process.pid}`, `\0${process.pid}`.padEnd(108, 'x'), `\0a\0${process.pid}`]) {
      const listener = listen({ path });
      expect(sys.localAddress(listener)).toEqual({ family: 'unix', address: path, port: 0 });
      const client = connect({ path });
      expect(sys.remoteAddress(client).address).toBe(path);
      expectConnected(client, accepted(listener));
    }
    expect(thrown(() => sys.listen({ path: '\0'.padEnd(109, 'x') }))).toMatchObject(RANGE);
  });

  test('what fails does so in connect: there is no waiting', () => {
    const path = freshPath();
    const before = countFds();
    expect(thrown(() => sys.connect({ path }))).toMatchObject({ code: 'ENOENT', syscall: 'connect' });
    sys.close(sys.listen({ path }));
    expect(thrown(() => sys.connect({ path }))).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' });
    expect(thrown(() => sys.listen({ path: join(path, 'below') }))).toMatchObject({ code: 'ENOTDIR', syscall: 'bind' });
    expect(countFds()).toBe(before);
  });
});

test('with Node on the other side', async () => {
  const listener = listen({ host: '127.0.0.1' });
  const socket = nodeConnect(sys.localAddress(listener).port, '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
  });
  const got = within(new Promise(resolve => socket.once('data', data => resolve(String(data)))));
  const epoll = owned(new Epoll());
  epoll.register(listener, { events: EPOLLIN });
  expect(await epoll.waitAsync(new Events(1), 10_000)).toBe(1);
  sys.write(closing(sys.accept(listener)), Buffer.from('hello'));
  expect(await got).toBe('hello');

  const server = createServer(peer => peer.end('bye'));
  onTestFinished(() => {
    server.close();
  });
  const path = freshPath();
  await within(new Promise<void>(resolve => server.listen(path, resolve)));
  const client = connect({ path });
  const other = owned(new Epoll());
  other.register(client, { events: EPOLLIN });
  expect(await other.waitAsync(new Events(1), 10_000)).toBe(1);
  expect(sys.read(client, Buffer.alloc(8))).toBe(3);
});

describe('shutdown', () => {
  test('write: the end of stream to the peer, and reading goes on', () => {
    const [a, b] = socketpair();
    sys.write(a, Buffer.from('last'));
    sys.shutdown(a, 'write');
    const buffer = Buffer.alloc(8);
    expect([sys.read(b, buffer), sys.read(b, buffer)]).toEqual([4, 0]);
    expect(thrown(() => sys.write(a, buffer))).toMatchObject({ code: 'EPIPE' });
    expect(sys.write(b, Buffer.from('back'))).toBe(4);
    expect(sys.read(a, buffer)).toBe(4);
  });

  test('read, and both', () => {
    const [a, b] = socketpair();
    sys.shutdown(a, 'read');
    expect(sys.read(a, Buffer.alloc(1))).toBe(0);
    expect(sys.write(a, Buffer.from('x'))).toBe(1);
    sys.shutdown(a, 'both');
    expect(sys.read(b, Buffer.alloc(8))).toBe(1);
    expect(sys.read(b, Buffer.alloc(8))).toBe(0);
  });

  test('of what is not connected, or no socket', () => {
    const fd = listen({ host: '127.0.0.1' });
    sys.close(fd);
    expect(thrown(() => sys.shutdown(fd, 'both'))).toMatchObject({ code: 'EBADF', syscall: 'shutdown', fd });
    expect(thrown(() => sys.shutdown(eventfd(), 'both'))).toMatchObject({ code: 'ENOTSOCK' });
    for (const how of ['', 'READ', 0, 2, undefined, null, Symbol('how'), 'toString']) {
      expect(thrown(() => Reflect.apply(sys.shutdown, undefined, [socketpair()[0], how]))).toMatchObject(TYPE);
    }
  });
});

test('addresses and errors of what is no socket, or no such socket', () => {
  for (const [call, syscall] of [
    [sys.localAddress, 'getsockname'],
    [sys.remoteAddress, 'getpeername'],
    [sys.socketError, 'getsockopt'],
  ] as const) {
    const none = unusedFd();
    expect(thrown(() => call(none))).toMatchObject({ name: 'EpollError', code: 'EBADF', syscall, fd: none });
    const { readable } = pipe();
    expect(thrown(() => call(readable))).toMatchObject({ code: 'ENOTSOCK', syscall, fd: readable });
    for (const wrong of [-1, 0.5, 2 ** 31]) expect(thrown(() => call(wrong))).toMatchObject(RANGE);
    for (const wrong of ['1', null, undefined, { fd: 1 }]) {
      expect(thrown(() => Reflect.apply(call, undefined, [wrong]))).toMatchObject(TYPE);
    }
  }
  expect(thrown(() => sys.remoteAddress(listen({})))).toMatchObject({ code: 'ENOTCONN' });
});

test('wrong options open nothing', () => {
  const before = countFds();
  for (const call of [sys.listen, sys.connect]) {
    const refused = (options: unknown): unknown => thrown(() => Reflect.apply(call, undefined, [options]));
    for (const wrong of [undefined, null, 80, '80']) expect(refused(wrong)).toMatchObject(TYPE);
    for (const host of ['localhost', 'example.com', '', '127.1', '1.2.3.4.5', '::1::', 5, null, {}]) {
      expect(refused({ host, port: 1 })).toMatchObject({ ...TYPE, message: expect.stringContaining('host') });
    }
    for (const port of ['80', null, 80n, {}]) expect(refused({ port })).toMatchObject(TYPE);
    for (const port of [-1, 65_536, 0.5, Number.NaN]) expect(refused({ port })).toMatchObject(RANGE);
    for (const path of [5, null, {}, Buffer.from('/tmp/x')]) expect(refused({ path })).toMatchObject(TYPE);
    for (const path of ['', '/tmp/x\0y']) expect(refused({ path })).toMatchObject(RANGE);
    expect(refused({ path: '/tmp/x', port: 1 })).toMatchObject(TYPE);
    expect(refused({ path: '/tmp/x', host: '::1' })).toMatchObject(TYPE);
    expect(refused({ host: 'fe80::1%no-such-one', port: 1 })).toMatchObject({ name: 'EpollError', code: 'ENODEV' });
  }
  expect(thrown(() => sys.connect({}))).toMatchObject(TYPE);
  expect(thrown(() => sys.connect({ port: 0 }))).toMatchObject(RANGE);
  for (const [options, error] of [
    [{ backlog: -1 }, RANGE],
    [{ backlog: '1' }, TYPE],
    [{ reusePort: 1 }, TYPE],
    [{ ipv6Only: 'yes' }, TYPE],
  ] as const) {
    expect(thrown(() => Reflect.apply(sys.listen, undefined, [options]))).toMatchObject(error);
  }
  expect(countFds()).toBe(before);
});

test('an address that no interface has', () => {
  const before = countFds();
  expect(thrown(() => sys.listen({ host: '192.0.2.1' }))).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'bind' });
  expect(countFds()).toBe(before);
});

test.skipIf(noSeccomp)(`where there is no IPv6, the default is 0.0.0.0${noSeccomp}`, async () => {
  const refuse = [refusal('socket', 'EAFNOSUPPORT', { argument: 0, is: 10 })];
  const source = `
    const { address, family, port } = sys.localAddress(sys.listen({ port: 0 }));
    print(family, address, sys.remoteAddress(sys.connect({ port })).port === port);
    for (const options of [{ host: '::1' }, { ipv6Only: true }]) {
      try { sys.listen(options); } catch (error) { print(error.code, error.syscall); }
    }
  `;
  expect(await runLimited({ refuse }, source)).toEqual({
    code: 0,
    signal: null,
    stdout: 'IPv4 0.0.0.0 true\nEAFNOSUPPORT socket\nEAFNOSUPPORT socket\n',
    stderr: '',
  });
});

/** Runs a script in a network of its own, where `setup` is done first. */
function inOwnNetwork(setup: string, script: string): { status: number | null; stdout: string; stderr: string } {
  const node = [process.execPath, '--input-type=module', '-e', `import * as sys from 'epoll-pool/sys';${script}`];
  const command = ['-rn', 'sh', '-c', `${setup}\nexec "$@"`, 'sh', ...node];
  return spawnSync('unshare', command, { cwd: ROOT, encoding: 'utf8', timeout: 20_000 });
}

const ownNetwork = inOwnNetwork('ip link set lo up && ip -6 address add fe80::5/64 dev lo nodad', '');
const noOwnNetwork = ownNetwork.status === 0 ? '' : ` (skipped: no network of its own here: ${ownNetwork.stderr})`;

test.skipIf(noOwnNetwork)(`IPv6 with a zone, by name and by index${noOwnNetwork}`, () => {
  const { status, stdout, stderr } = inOwnNetwork(
    'ip link set lo up && ip -6 address add fe80::5/64 dev lo nodad',
    `const listener = sys.listen({ host: 'fe80::5%lo' });
     const at = sys.localAddress(listener);
     const client = sys.connect({ host: at.address, port: at.port });
     console.log(at.address, sys.remoteAddress(client).address);
     console.log(sys.localAddress(sys.listen({ host: 'fe80::5%1' })).address);
     try { sys.listen({ host: 'fe80::5' }); } catch (error) { console.log(error.code); }`,
  );
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: 'fe80::5%lo fe80::5%lo\nfe80::5%lo\nEINVAL\n',
    stderr: '',
  });
});
