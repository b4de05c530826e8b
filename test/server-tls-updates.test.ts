/** TLS 1.3: a peer may change its keys as often as it likes (KeyUpdate), and nobody else waits for that. */
import { once } from 'node:events';
import tls from 'node:tls';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import * as session from '../dist/shared/tls/session.js';
import { certificate } from './support/certificates.ts';
import { closing } from './support/fds.ts';
import { Client, LINES, type Served, serve } from './support/server.ts';
import { module, until } from './support/service.ts';
import { clientContext, connect, keyUpdates } from './support/tls.ts';
import { within } from './support/within.ts';

const { key, cert } = certificate();
const ECHO = module(`${LINES} export default (line, connection) => {
  if (line === 'busy') {
    connection.post(line);
    for (const until = performance.now() + 300; performance.now() < until; );
  } else {
    connection.send(line + ';');
  }
};`);
/** A session with the server, and so many key updates of it, encrypted, not sent. */
async function updates(served: Served, count: number): Promise<{ fd: number; bytes: Buffer }> {
  const fd = closing(sys.connect({ port: served.port }));
  const peer = connect(clientContext({ rejectUnauthorized: false, minVersion: 'TLSv1.3' }), fd);
  expect(await peer.handshake()).toBe(session.DONE);
  return { fd, bytes: keyUpdates(peer.ssl, count) };
}

/** Writes all of it, as the socket takes it; ends with the test, or with the connection. */
function pour(fd: number, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    try {
      for (let n = 1; n > 0 && at < bytes.length; at += Math.max(n, 0)) n = sys.write(fd, bytes.subarray(at));
    } catch {
      at = bytes.length;
    }
    if (at === bytes.length) clearInterval(timer);
  }, 1);
  onTestFinished(() => clearInterval(timer));
}

async function client(served: Served): Promise<Client> {
  const socket = tls.connect({ port: served.port, host: '127.0.0.1', rejectUnauthorized: false });
  await within(once(socket, 'secureConnect'), undefined, 'a handshake');
  return new Client(socket);
}

/** Whether the server has read that much more than now. */
function readingOf(served: Served, bytes: number): () => boolean {
  const before = served.server.stats().bytesRead;
  return () => served.server.stats().bytesRead - before >= bytes;
}

test('others are answered meanwhile', async () => {
  const served = await serve({ handler: ECHO, threads: 1, tls: { key, cert } });
  const other = await client(served);
  const flood = await updates(served, 40_000);
  const hasBegun = readingOf(served, 1000);
  const isRead = readingOf(served, flood.bytes.length);
  // So that there is much to read from the beginning.
  other.write('busy\n');
  await until(() => served.messages.length === 1, 'a thread at work');
  pour(flood.fd, flood.bytes);
  await until(hasBegun, 'its beginning');
  let answers = 0;
  while (!isRead()) {
    other.write('a\n');
    answers++;
    await until(() => other.text.length === answers * 'a;'.length, 'an answer');
  }
  expect(answers).toBeGreaterThan(5);
});

test('close() reaches others, and comes to its end', async () => {
  const served = await serve({ handler: ECHO, threads: 1, tls: { key, cert } });
  const other = await client(served);
  const flood = await updates(served, 80_000);
  const hasBegun = readingOf(served, 1000);
  const isRead = readingOf(served, flood.bytes.length);
  // So that there is much to read from the beginning.
  other.write('busy\n');
  await until(() => served.messages.length === 1, 'a thread at work');
  pour(flood.fd, flood.bytes);
  await until(hasBegun, 'its beginning');
  let wasRead: boolean | undefined;
  other.socket.once('end', () => {
    wasRead = isRead();
  });
  await within(served.server.close({ timeout: 300 }));
  await until(() => wasRead !== undefined, "the other's end");
  expect(wasRead).toBe(false);
});
