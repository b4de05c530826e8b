/** TLS sessions of ours and of node:tls, in both roles: what is said arrives, whatever the version, the key and the size. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { SecureVersion } from 'node:tls';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { alpnOf, cipherOf, peerCertificateOf, servernameOf, versionOf } from '../dist/shared/tls/agreed.js';
import * as session from '../dist/shared/tls/session.js';
import { DONE, END } from '../dist/shared/tls/session.js';
import { certificate, type KeyKind } from './support/certificates.ts';
import { socketpair } from './support/fds.ts';
import { accept, clientContext, connect, keyUpdates, nodeClient, nodeServer, serverContext } from './support/tls.ts';
import { within } from './support/within.ts';

const ca = certificate({ ca: true, name: 'test authority' });
const ec = certificate({ issuer: ca });
const versions: SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];
const kinds: KeyKind[] = ['ec', 'rsa', 'ed25519'];

for (const version of versions) {
  for (const kind of kinds) {
    const { key, cert } = certificate({ kind, issuer: ca });

    test(`server: ${version}, ${kind}`, async () => {
      const context = serverContext({ key, cert, minVersion: version, maxVersion: version });
      const { client, fd } = nodeClient({ ca: ca.cert, rejectUnauthorized: true });
      const end = accept(context, fd);
      expect(await end.handshake()).toBe(DONE);
      client.write('hello');
      expect(String(await end.read())).toBe('hello');
      await end.write(Buffer.from('and back'));
      const [data] = await within(once(client, 'data'));
      expect(String(data)).toBe('and back');
      expect([versionOf(end.ssl), versionOf(end.ssl)]).toEqual([version, client.getProtocol()]);
      expect(cipherOf(end.ssl)).toBe(client.getCipher().name);
      expect(servernameOf(end.ssl)).toBe('localhost');
    });

    test(`client: ${version}, ${kind}`, async () => {
      const { accepted, fd } = nodeServer({ key, cert, minVersion: version, maxVersion: version });
      const end = connect(clientContext({ ca: ca.cert }), fd);
      expect(await end.handshake()).toBe(DONE);
      const server = await accepted;
      expect([server.getProtocol(), server.servername]).toEqual([version, 'localhost']);
      expect(versionOf(end.ssl)).toBe(version);
      expect(peerCertificateOf(end.ssl)?.toString('base64')).toBe(cert.split('\n').slice(1, -2).join(''));
      await end.write(Buffer.from('hello'));
      const [data] = await within(once(server, 'data'));
      expect(String(data)).toBe('hello');
      server.end('and back');
      expect(String(await end.readAll())).toBe('and back');
    });
  }
}

test('no certificate where none was asked for, and no protocol where none was agreed on', async () => {
  const { client, fd } = nodeClient();
  const end = accept(serverContext({ key: ec.key, cert: ec.cert }), fd);
  await end.handshake();
  expect([peerCertificateOf(end.ssl), alpnOf(end.ssl)]).toEqual([undefined, undefined]);
  client.destroy();
});

test('a client that asks for no name', async () => {
  const { fd } = nodeClient({ servername: '' });
  const end = accept(serverContext({ key: ec.key, cert: ec.cert }), fd);
  await end.handshake();
  expect(servernameOf(end.ssl)).toBeUndefined();
});

test.each(versions)('%s: 8 MB each way at once, through a socket that holds little', async version => {
  const context = serverContext({ key: ec.key, cert: ec.cert, maxVersion: version, minVersion: version });
  const { client, fd } = nodeClient();
  const end = accept(context, fd);
  await end.handshake();
  const bytes = randomBytes(8_000_000);
  const theirs = createHash('sha256');
  let got = 0;
  client.on('data', chunk => {
    theirs.update(chunk);
    got += chunk.length;
  });
  client.end(bytes);
  // One session may be in one call at a time; read and write take turns, as a thread's run has it.
  const ours = createHash('sha256');
  const buffer = Buffer.alloc(65_536);
  let [sent, read, ended] = [0, 0, false];
  await end.settle(() => {
    for (let n = 0; sent < bytes.length && n >= 0; ) {
      n = session.write(end.ssl, bytes, sent, bytes.length - sent);
      if (n > 0) sent += n;
      expect(n).not.toBe(session.FAILED);
    }
    for (let n = 1; !ended && n > 0; ) {
      n = session.read(end.ssl, buffer, 0, buffer.length);
      if (n > 0) ours.update(buffer.subarray(0, n));
      if (n > 0) read += n;
      ended = n === END;
      expect(n).not.toBe(session.FAILED);
    }
    return ended && sent === bytes.length ? DONE : session.WANT_READ;
  });
  expect(await end.end()).toBe(DONE); // the peer's close_notify was there
  await within(once(client, 'end'));
  const digest = createHash('sha256').update(bytes).digest('hex');
  expect([read, ours.digest('hex')]).toEqual([bytes.length, digest]);
  expect([got, theirs.digest('hex')]).toEqual([bytes.length, digest]);
});

test('a write that waits comes again from elsewhere, with more behind it', async () => {
  const { client, fd } = nodeClient();
  const end = accept(serverContext({ key: ec.key, cert: ec.cert }), fd);
  await end.handshake();
  client.pause();
  const block = randomBytes(1000);
  let taken = 0;
  let result = block.length;
  while (result > 0) {
    result = session.write(end.ssl, block, 0, block.length);
    if (result > 0) taken += result;
  }
  expect(result).toBe(session.WANT_WRITE);
  const more = Buffer.concat([block, Buffer.from('the end')]);
  const received: Buffer[] = [];
  client.on('data', chunk => received.push(chunk));
  client.resume();
  await end.write(more);
  await end.end();
  await within(once(client, 'end'));
  const all = Buffer.concat(received);
  expect(all.length).toBe(taken + more.length);
  expect(all.subarray(taken).equals(more)).toBe(true);
  expect(all.subarray(taken - block.length, taken).equals(block)).toBe(true);
});

test('the most that a write takes is one record; an empty one takes nothing', async () => {
  const { client, fd } = nodeClient();
  const end = accept(serverContext({ key: ec.key, cert: ec.cert }), fd);
  await end.handshake();
  expect(session.write(end.ssl, Buffer.alloc(0), 0, 0)).toBe(0);
  expect(session.write(end.ssl, Buffer.alloc(100_000, 'x'), 0, 100_000)).toBe(session.RECORD_BYTES);
  const [data] = await within(once(client, 'data'));
  expect(data.length).toBeGreaterThan(0);
});

test('what is decrypted and unread is there without another event', async () => {
  const { client, fd } = nodeClient();
  const end = accept(serverContext({ key: ec.key, cert: ec.cert }), fd);
  await end.handshake();
  client.write('0123456789');
  expect(String(await end.read(4))).toBe('0123');
  expect(session.pending(end.ssl)).toBe(6);
  const buffer = Buffer.alloc(10, '.');
  expect(session.read(end.ssl, buffer, 2, 3)).toBe(3);
  expect(String(buffer)).toBe('..456.....');
  expect(session.read(end.ssl, buffer, 0, 10)).toBe(3);
  expect(session.read(end.ssl, buffer, 0, 10)).toBe(session.WANT_READ);
});

// Among these lengths is one (44) with which what OpenSSL would read ahead never ends where a record does.
test("a server's read() comes back after each key update, whatever their length", async () => {
  const context = serverContext({ key: ec.key, cert: ec.cert });
  for (let padding = 6; padding < 60; padding++) {
    const [ours, theirs] = socketpair();
    const [server, client] = [accept(context, ours), connect(clientContext({ rejectUnauthorized: false }), theirs)];
    expect(await Promise.all([server.handshake(), client.handshake()])).toEqual([DONE, DONE]);
    const updates = keyUpdates(client.ssl, 1000, padding);
    expect(sys.write(theirs, updates)).toBe(updates.length);
    const buffer = Buffer.alloc(100);
    for (let i = 0; i < 20; i++) {
      const before = session.wireBytesRead(server.ssl);
      expect(session.read(server.ssl, buffer, 0, 100)).toBe(session.WANT_READ);
      expect(session.wireBytesRead(server.ssl) - before).toBeLessThanOrEqual(padding + 21);
      expect(session.wireBytesRead(server.ssl)).toBeGreaterThan(before);
    }
    server.free();
    client.free();
  }
});
