/** Sockets taken away from Node: the connection stays, with all that the peer has sent. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type ServerOpts, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { detach, EPOLLIN, Epoll, EpollError, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { describe, expect, onTestFinished, test } from 'vitest';
import { closing, countFds, flagsOf } from './support/fds.ts';
import { ROOT, run } from './support/run.ts';
import { owned, thrown, within } from './support/within.ts';

interface Pair {
  server: Server;
  /** Of the server's side. */
  socket: Socket;
  client: Socket;
}

let sockets = 0;

/** A connection; `inListener` is called with the server's socket from its 'connection' listener. */
async function connection(opts: ServerOpts, unix: boolean, inListener?: (socket: Socket) => void): Promise<Pair> {
  const server = createServer(opts);
  const path = join(tmpdir(), `epoll-pool-${process.pid}-${sockets++}.sock`);
  if (unix) server.listen(path);
  else server.listen(0, '127.0.0.1');
  await within(once(server, 'listening'));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const arrived = new Promise<Socket>(resolve => {
    server.once('connection', (socket: Socket) => {
      socket.on('error', () => undefined);
      inListener?.(socket);
      resolve(socket);
    });
  });
  const client = unix ? connect(path) : connect(port, '127.0.0.1');
  client.on('error', () => undefined);
  await within(once(client, 'connect'));
  const socket = await within(arrived);
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return { server, socket, client };
}

/** Reads `length` bytes from a non-blocking fd, waiting for them. */
function readAll(fd: number, length: number): string {
  const epoll = owned(new Epoll());
  epoll.register(fd, { events: EPOLLIN });
  const buffer = Buffer.alloc(length);
  let at = 0;
  while (at < length) {
    expect(epoll.wait(new Events(1), 5000)).toBe(1);
    const n = sys.read(fd, buffer.subarray(at));
    if (n <= 0) break;
    at += n;
  }
  return buffer.toString('utf8', 0, at);
}

/** That the connection is whole: bytes go both ways, and its end comes through. */
async function expectWhole(fd: number, peer: Socket): Promise<void> {
  const got = within(once(peer, 'data'));
  expect(sys.write(fd, Buffer.from('down'))).toBe(4);
  expect(String(await got)).toBe('down');
  await new Promise(resolve => peer.write('up', resolve));
  expect(readAll(fd, 2)).toBe('up');
  const end = within(once(peer, 'end'));
  sys.close(fd);
  await end;
}

describe.each([
  ['TCP', false],
  ['a Unix socket', true],
])('%s', (_, unix) => {
  test('with pauseOnConnect: what the peer sent before is there to read', async () => {
    const { socket, client } = await connection({ pauseOnConnect: true }, unix);
    await new Promise(resolve => client.write('sent before', resolve));
    await new Promise(resolve => setTimeout(resolve, 20));
    const fd = closing(detach(socket));
    expect(flagsOf(fd)).toEqual({ nonblocking: true, closeOnExec: true });
    expect(socket.destroyed).toBe(true);
    expect(readAll(fd, 11)).toBe('sent before');
    await expectWhole(fd, client);
  });

  test('without it, in the listener', async () => {
    let fd = -1;
    const { client } = await connection({}, unix, socket => {
      fd = closing(detach(socket));
    });
    await expectWhole(fd, client);
  });

  test('the client’s side, before its loop has read anything', async () => {
    const { socket, client } = await connection({}, unix);
    await expectWhole(closing(detach(client)), socket);
  });
});

test('Node forgets it: close event, no fd left over, server.close() finishes', async () => {
  const { server, socket, client } = await connection({ pauseOnConnect: true }, false);
  const before = countFds();
  const closed = once(socket, 'close');
  const fd = closing(detach(socket));
  await within(closed);
  expect(countFds()).toBe(before); // one for the other
  await within(new Promise<void>(resolve => server.close(() => resolve())));
  await expectWhole(fd, client);
});

test('an end of stream that has come is there to read', async () => {
  const { socket, client } = await connection({ pauseOnConnect: true }, false);
  client.end('bye');
  await within(once(client, 'finish'));
  const fd = closing(detach(socket));
  expect(readAll(fd, 100)).toBe('bye');
  expect(sys.read(fd, new Uint8Array(1))).toBe(0);
});

test('what was written and sent before arrives first', async () => {
  const { socket, client } = await connection({ pauseOnConnect: true }, false);
  await new Promise(resolve => socket.write('greeting ', resolve));
  const fd = closing(detach(socket));
  sys.write(fd, Buffer.from('goes on'));
  let text = '';
  while (text.length < 16) text += String(await within(once(client, 'data')));
  expect(text).toBe('greeting goes on');
});

describe('refused with ERR_INVALID_STATE, losing nothing', () => {
  const STATE = { name: 'Error', code: 'ERR_INVALID_STATE', message: expect.stringMatching(/^this socket cannot be/) };

  test('data was read: it is still the reader’s', async () => {
    const { socket, client } = await connection({}, false);
    client.write('data');
    await within(once(socket, 'readable'));
    expect(thrown(() => detach(socket))).toMatchObject(STATE);
    expect(String(socket.read())).toBe('data');
    expect(thrown(() => detach(socket))).toMatchObject(STATE);
    client.write('more');
    expect(String(await within(once(socket, 'data')))).toBe('more');
  });

  test('data is left to write: it still arrives', async () => {
    const { socket, client } = await connection({ pauseOnConnect: true }, false);
    const block = Buffer.alloc(30_000_000, 'x');
    const written = new Promise(resolve => socket.write(block, resolve));
    expect(thrown(() => detach(socket))).toMatchObject(STATE);
    let length = 0;
    client.on('data', data => {
      length += data.length;
    });
    await within(written);
    while (length < block.length) await within(once(client, 'data'));
    expect(socket.destroyed).toBe(false);
  });

  test('corked', async () => {
    const { socket, client } = await connection({ pauseOnConnect: true }, false);
    socket.cork();
    socket.write('held');
    expect(thrown(() => detach(socket))).toMatchObject(STATE);
    socket.uncork();
    expect(String(await within(once(client, 'data')))).toBe('held');
    await new Promise(setImmediate);
    await expectWhole(closing(detach(socket)), client);
  });

  test('ended on its side, or by its peer and seen', async () => {
    const first = await connection({ pauseOnConnect: true }, false);
    first.socket.end();
    expect(thrown(() => detach(first.socket))).toMatchObject(STATE);
    const second = await connection({ allowHalfOpen: true }, false);
    second.client.end();
    second.socket.resume();
    await within(once(second.socket, 'end'));
    expect(thrown(() => detach(second.socket))).toMatchObject(STATE);
    expect(second.socket.destroyed).toBe(false);
  });

  test('not connected: new, connecting, destroyed, detached', async () => {
    expect(thrown(() => detach(new Socket()))).toMatchObject(STATE);
    const { socket, server, client } = await connection({ pauseOnConnect: true }, false);
    const address = server.address();
    const connecting = connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
    connecting.on('error', () => undefined);
    expect(thrown(() => detach(connecting))).toMatchObject(STATE);
    await within(once(connecting, 'connect'));
    connecting.destroy();
    expect(thrown(() => detach(connecting))).toMatchObject(STATE);
    closing(detach(socket));
    expect(thrown(() => detach(socket))).toMatchObject(STATE);
    expect(client.destroyed).toBe(false);
  });

  test('TLS', async () => {
    const { socket } = await connection({ pauseOnConnect: true }, false);
    const secure = new TLSSocket(socket, { isServer: true });
    secure.on('error', () => undefined);
    expect(thrown(() => detach(secure))).toMatchObject(STATE);
    expect(secure.destroyed).toBe(false);
    secure.destroy();
  });
});

/** A key and a certificate for localhost, made for this test alone. */
const noOpenssl = spawnSync('openssl', ['version']).status === 0 ? '' : ' (skipped: no openssl to make a certificate)';

describe.skipIf(noOpenssl)(`a socket that a TLSSocket lies upon${noOpenssl}`, () => {
  test('is refused before the peer has sent anything, and the handshake goes on', async () => {
    const { key, cert } = certificate();
    const { socket, client } = await connection({ pauseOnConnect: true }, false);
    const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key, cert }) });
    const before = countFds();
    expect(thrown(() => detach(socket))).toMatchObject({
      code: 'ERR_INVALID_STATE',
      message: expect.stringContaining('TLSSocket'),
    });
    expect(countFds()).toBe(before);
    const peer = connectTls({ socket: client, rejectUnauthorized: false });
    expect(thrown(() => detach(client))).toMatchObject({ code: 'ERR_INVALID_STATE' });
    await within(once(peer, 'secureConnect'));
    const got = within(once(peer, 'data'));
    secure.write('secret');
    expect(String(await got)).toBe('secret');
    peer.destroy();
  });
});

function certificate(): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost'];
  const made = spawnSync('openssl', ['req', '-x509', ...kind, '-keyout', files.key, '-out', files.cert]);
  if (made.status !== 0) throw new Error(String(made.stderr));
  return { key: readFileSync(files.key), cert: readFileSync(files.cert) };
}

describe('standard input: what it is, and what to do instead', () => {
  const SOURCE = `
    import { detach } from 'epoll-pool';
    import { dup, read } from 'epoll-pool/sys';
    try { detach(process.stdin); } catch (error) { console.log(error.code, error.message); }
    const fd = dup(0);
    const buffer = Buffer.alloc(16);
    let n;
    while ((n = read(fd, buffer)) < 0);
    console.log(buffer.toString('utf8', 0, n).trim());
    process.exit();
  `;
  const ARGS = ['--input-type=module', '-e', SOURCE];
  const refused = (what: string): string =>
    `ERR_INVALID_STATE this socket cannot be detached: it is ${what}, and no connection; ` +
    "dup(0) of 'epoll-pool/sys' gives the fd of standard input";

  async function linesOf(command: string, args: readonly string[]): Promise<string[]> {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'], timeout: 20_000 });
    child.stdin.write('typed\n');
    const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    return output.split(/\r?\n/);
  }

  test('a pipe', async () => {
    expect(await linesOf(process.execPath, ARGS)).toEqual([refused('standard input'), 'typed', '']);
  });

  const noScript = spawnSync('script', ['--version']).status === 0 ? '' : ' (skipped: no script(1) to make one)';
  test.skipIf(noScript)(`a terminal${noScript}`, async () => {
    const command = [process.execPath, ...ARGS].map(word => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    const lines = await linesOf('script', ['-qec', command, '/dev/null']);
    expect(lines).toContain(refused('a terminal'));
    expect(lines.filter(line => line === 'typed').length).toBeGreaterThan(0);
  });
});

test('anything but a net.Socket is a TypeError', () => {
  for (const wrong of [undefined, null, 5, {}, { fd: 5, _handle: { fd: 5 } }, createServer()]) {
    expect(thrown(() => Reflect.apply(detach, undefined, [wrong]))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
});

test('out of fds: EMFILE, and the socket goes on', async () => {
  const result = await run(`
    import net from 'node:net';
    const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    await new Promise(resolve => server.once('listening', resolve));
    const client = net.connect(server.address().port, '127.0.0.1');
    const [socket] = await Promise.all([
      new Promise(resolve => server.once('connection', resolve)),
      new Promise(resolve => client.once('connect', resolve)),
    ]);
    const taken = [];
    try { for (;;) taken.push(sys.eventfd()); } catch {}
    try { lib.detach(socket); } catch (error) { console.log(error instanceof lib.EpollError, error.code, socket.destroyed); }
    for (const fd of taken) sys.close(fd);
    socket.resume().end('all well');
    client.on('data', data => console.log(String(data)));
    client.end();
    server.close();
  `);
  expect(EpollError.name).toBe('EpollError');
  expect(result).toMatchObject({ code: 0, signal: null, stdout: 'true EMFILE false\nall well\n', stderr: '' });
});
