/** Sessions that go on with an earlier one: a server's tickets, what a client keeps. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { peerCertificateOf } from '../dist/shared/tls/agreed.js';
import type { TlsContext } from '../dist/shared/tls/context.js';
import { DONE, freeResumption, takeResumption, wasResumed } from '../dist/shared/tls/session.js';
import { certificate } from './support/certificates.ts';
import { socketpair } from './support/fds.ts';
import {
  accept,
  clientContext,
  connect,
  connectTo,
  type End,
  nodeClient,
  nodeServer,
  serverContext,
} from './support/tls.ts';
import { within } from './support/within.ts';

const ca = certificate({ ca: true, name: 'test authority' });
const ec = certificate({ issuer: ca });
const versions = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof versions)[number];

/** A connection of node:tls's client to a server of ours: whether both say that it was resumed, and the session for the next one. */
async function visit(
  context: TlsContext,
  version: Version,
  session?: Buffer,
): Promise<{ resumed: boolean; session: Buffer }> {
  const { client, fd } = nodeClient({
    minVersion: version,
    maxVersion: version,
    session,
    ...certificate({ issuer: ca }),
  });
  const given = once(client, 'session');
  const end = accept(context, fd);
  expect(await end.handshake()).toBe(DONE);
  client.on('data', () => undefined);
  await end.write(Buffer.from('tickets travel with it'));
  const resumed = wasResumed(end.ssl);
  // A session of TLS 1.2 that goes on has the ticket it came with.
  const [next] = resumed && version === 'TLSv1.2' ? [session] : await within(given);
  expect(client.isSessionReused()).toBe(resumed);
  await end.end();
  client.destroy();
  return { resumed, session: next };
}

test.each(versions)('a server gives tickets: %s', async version => {
  const context = serverContext(ec);
  const first = await visit(context, version);
  expect(first.resumed).toBe(false);
  expect((await visit(context, version, first.session)).resumed).toBe(true);
});

test.each(versions)("a client's certificate is known in the resumed session, too: %s", async version => {
  const context = serverContext({ ...ec, ca: ca.cert, requestCert: true });
  const { session } = await visit(context, version);
  const { client, fd } = nodeClient({ session, minVersion: version, maxVersion: version });
  const end = accept(context, fd);
  expect(await end.handshake()).toBe(DONE);
  expect([wasResumed(end.ssl), peerCertificateOf(end.ssl)?.length]).toEqual([true, expect.any(Number)]);
  client.destroy();
});

test.each(versions)('the context that takes the place of another goes on with its sessions: %s', async version => {
  const context = serverContext(ec);
  const { session } = await visit(context, version);
  expect((await visit(serverContext(ec), version, session)).resumed).toBe(false);
  const next = serverContext(certificate({ issuer: ca }), context);
  context.close();
  expect((await visit(next, version, session)).resumed).toBe(true);
});

test.each(versions)('ticketKeys: %s', async version => {
  const ticketKeys = randomBytes(48);
  const { session } = await visit(serverContext({ ...ec, ticketKeys }), version);
  expect((await visit(serverContext({ ...ec, ticketKeys }), version, session)).resumed).toBe(true);
  const before = serverContext({ ...ec, ticketKeys });
  const other = serverContext({ ...ec, ticketKeys: randomBytes(48) }, before);
  expect((await visit(other, version, session)).resumed).toBe(false);
});

/** Node's server sends it behind its first bytes. */
async function resumptionOf(end: End, server: TLSSocket): Promise<number> {
  for (let n = 0; n < 20; n++) {
    server.write(`word ${n}`);
    expect(String(await end.read())).toBe(`word ${n}`);
    const resumption = takeResumption(end.ssl);
    if (resumption !== 0) return resumption;
  }
  throw new Error('no ticket');
}

test.each(versions)('a client of ours, as often as it likes: %s', async version => {
  const context = clientContext({ ca: ca.cert, minVersion: version, maxVersion: version });
  const { server, ...first } = nodeServer(ec);
  const end = connect(context, first.fd);
  expect(await end.handshake()).toBe(DONE);
  if (version === 'TLSv1.3') expect(takeResumption(end.ssl)).toBe(0); // the ticket comes later
  const resumption = await resumptionOf(end, await first.accepted);
  onTestFinished(() => freeResumption(resumption));
  expect(wasResumed(end.ssl)).toBe(false);
  for (let i = 0; i < 3; i++) {
    const { accepted, fd } = connectTo(server);
    const next = connect(context, fd, resumption);
    expect(await next.handshake()).toBe(DONE);
    expect([wasResumed(next.ssl), (await accepted).isSessionReused()]).toEqual([true, true]);
    await next.write(Buffer.from('x'));
    next.free(); // without close_notify
  }
});

test.each(versions)('a client and a server of ours: %s', async version => {
  const [server, client] = [
    serverContext(ec),
    clientContext({ ca: ca.cert, minVersion: version, maxVersion: version }),
  ];
  let resumption = 0;
  for (const resumed of [false, true, true]) {
    const [a, b] = socketpair();
    const [us, them] = [accept(server, a), connect(client, b, resumption)];
    expect(await Promise.all([us.handshake(), them.handshake()])).toEqual([DONE, DONE]);
    await us.write(Buffer.from('x'));
    expect(String(await them.read())).toBe('x');
    expect([wasResumed(us.ssl), wasResumed(them.ssl)]).toEqual([resumed, resumed]);
    const next = takeResumption(them.ssl);
    expect(next).toBeGreaterThan(0);
    if (resumption !== 0) freeResumption(resumption);
    resumption = next;
  }
  freeResumption(resumption);
});

test('what a client kept is no use at another server, and does no harm', async () => {
  const context = clientContext({ ca: ca.cert });
  const one = nodeServer(ec);
  const end = connect(context, one.fd);
  await end.handshake();
  const resumption = await resumptionOf(end, await one.accepted);
  onTestFinished(() => freeResumption(resumption));
  for (let i = 0; i < 3; i++) {
    const other = nodeServer(ec);
    const next = connect(context, other.fd, resumption);
    expect([await next.handshake(), wasResumed(next.ssl)]).toEqual([DONE, false]);
    await other.accepted;
  }
});
