/** How TLS sessions end: with a word, without one, by the socket's error, in the middle of the handshake. */
import { once } from 'node:events';
import { constants } from 'node:os';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as nodeConnect } from 'node:tls';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { openssl } from '../dist/shared/kernel/openssl.js';
import {
  DONE,
  END,
  FAILED,
  handshake,
  lastFailure,
  read,
  shutdown,
  WANT_READ,
  WANT_WRITE,
  wasTruncated,
  write,
} from '../dist/shared/tls/session.js';
import { certificate } from './support/certificates.ts';
import { accept, clientContext, connect, type End, nodeClient, serverContext, socketAndFd } from './support/tls.ts';
import { within } from './support/within.ts';

const ec = certificate();
const versions = ['TLSv1.2', 'TLSv1.3'] as const;
const buffer = Buffer.alloc(100);

async function established(options: ConnectionOptions = {}) {
  const { client, fd } = nodeClient(options, { allowHalfOpen: true });
  const end = accept(serverContext(ec), fd);
  expect(await end.handshake()).toBe(DONE);
  return { client, end };
}

const next = (end: End): Promise<number> => end.settle(() => read(end.ssl, buffer, 0, buffer.length));

test.each(versions)('%s: a peer that says close_notify is answered still', async maxVersion => {
  const { client, end } = await established({ maxVersion });
  client.end('last words');
  expect(String(await end.read())).toBe('last words');
  expect(await next(end)).toBe(END);
  expect(await next(end)).toBe(END);
  expect(wasTruncated(end.ssl)).toBe(false);
  const answer = once(client, 'data');
  await end.write(Buffer.from('understood'));
  expect(String((await within(answer))[0])).toBe('understood');
  expect(await end.end()).toBe(DONE);
  await within(once(client, 'end'));
});

test.each(versions)('%s: end of ours, while the peer goes on', async maxVersion => {
  const { client, end } = await established({ maxVersion });
  client.resume();
  expect(await end.end()).toBe(END);
  await within(once(client, 'end'));
  client.end('and one more thing');
  expect(String(await end.readAll())).toBe('and one more thing');
  expect(wasTruncated(end.ssl)).toBe(false);
  expect(shutdown(end.ssl)).toBe(DONE);
});

test.each(versions)('%s: TCP alone ended is an end that says so, and is answered still', async maxVersion => {
  const { socket, fd } = socketAndFd({ allowHalfOpen: true });
  // Between node:tls and the socket, so that the one knows nothing of the other's end.
  const between = new Duplex({ read: () => undefined, write: (chunk, _, done) => void socket.write(chunk, done) });
  socket.on('data', chunk => between.push(chunk));
  const client = nodeConnect({ socket: between, rejectUnauthorized: false, maxVersion });
  const end = accept(serverContext(ec), fd);
  expect(await end.handshake()).toBe(DONE);
  client.write('half a');
  expect(String(await end.read())).toBe('half a');
  expect(wasTruncated(end.ssl)).toBe(false);
  socket.end();
  expect(await next(end)).toBe(END);
  expect(await next(end)).toBe(END);
  expect(wasTruncated(end.ssl)).toBe(true);
  const answer = once(client, 'data');
  await end.write(Buffer.from('all the same'));
  expect(String((await within(answer))[0])).toBe('all the same');
  client.destroy();
});

test('the socket fails', async () => {
  const { client, end } = await established();
  client.destroy();
  await within(once(client, 'close'));
  let result = 1;
  while (result > 0) result = write(end.ssl, buffer, 0, buffer.length);
  expect(result).toBe(FAILED);
  expect(lastFailure()).toEqual({ errno: constants.errno.EPIPE, reason: 'EPIPE', ended: false });
  expect(shutdown(end.ssl)).toBe(FAILED);
});

test('an fd that is no more', async () => {
  const fd = sys.eventfd();
  const { client } = nodeClient();
  const end = accept(serverContext(ec), fd);
  sys.close(fd);
  expect([handshake(end.ssl), lastFailure().reason]).toEqual([FAILED, 'EBADF']);
  client.destroy();
});

test('the peer leaves in the middle of the handshake', async () => {
  const { socket, fd } = socketAndFd();
  const end = accept(serverContext(ec), fd);
  expect(handshake(end.ssl)).toBe(WANT_READ);
  socket.write(Buffer.from([22, 3, 1, 1, 0]));
  socket.end();
  expect(await end.handshake()).toBe(FAILED);
  expect(lastFailure()).toEqual({ errno: 0, reason: 'the peer ended the connection', ended: true });
});

test('a peer that speaks no TLS', async () => {
  const { socket, fd } = socketAndFd();
  const end = accept(serverContext(ec), fd);
  socket.write('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n');
  expect([await end.handshake(), lastFailure()]).toEqual([
    FAILED,
    { errno: 0, reason: 'wrong version number', ended: false },
  ]);
});

test('a peer that speaks TLS out of turn is told so', async () => {
  const { socket, fd } = socketAndFd();
  const end = accept(serverContext(ec), fd);
  const alert = once(socket, 'data');
  socket.write(Buffer.from([22, 3, 1, 0, 4, 20, 0, 0, 0]));
  expect([await end.handshake(), lastFailure().reason]).toEqual([FAILED, 'unexpected message']);
  expect([...(await within(alert))[0]]).toEqual([21, 3, expect.any(Number), 0, 2, 2, 10]);
});

test.each([
  [70, 'tlsv1 alert protocol version'],
  [172, 'alert number 172'],
])('a peer that refuses with alert %d', async (number, reason) => {
  const { socket, fd } = socketAndFd();
  const end = connect(clientContext({}), fd);
  socket.write(Buffer.from([21, 3, 1, 0, 2, 2, number]));
  expect([await end.handshake(), lastFailure().reason]).toEqual([FAILED, reason]);
});

test('renegotiation is refused', async () => {
  const { client, end } = await established({ maxVersion: 'TLSv1.2' });
  const refused = new Promise<Error>(resolve => client.once('error', resolve));
  client.write('x');
  expect(String(await end.read())).toBe('x');
  client.renegotiate({}, () => undefined);
  client.write('held back until that is done');
  expect(await next(end)).toBeLessThanOrEqual(END);
  expect((await within(refused)).message).toContain('no renegotiation');
});

test.each(versions)('%s: a socket that fails after the peer has said that it ends, fails', async maxVersion => {
  const { client, end } = await established({ maxVersion });
  client.resume().end();
  expect(await next(end)).toBe(END);
  client.destroy();
  await within(once(client, 'close'));
  expect([write(end.ssl, buffer, 0, 100), lastFailure().reason]).toEqual([FAILED, 'EPIPE']);
  expect(shutdown(end.ssl)).toBe(FAILED);
});

test("errors that others left in the thread's queue are not this call's, and none is left there", async () => {
  const { end } = await established();
  const o = openssl();
  const { socket, fd } = socketAndFd();
  const other = accept(serverContext(ec), fd);
  const soil = () => {
    o.SSL_shutdown(other.ssl); // too early: an error
    expect(o.ERR_peek_error()).toBeGreaterThan(0);
  };
  soil();
  expect(read(end.ssl, buffer, 0, 100)).toBe(WANT_READ);
  soil();
  let result = 1;
  while (result > 0) result = write(end.ssl, buffer, 0, 100);
  expect(result).toBe(WANT_WRITE);
  soil();
  expect(handshake(other.ssl)).toBe(WANT_READ);
  socket.write('GET / HTTP/1.1\r\n\r\n');
  expect(await other.handshake()).toBe(FAILED);
  expect([lastFailure().reason, o.ERR_peek_error()]).toEqual(['http request', 0]);
});
