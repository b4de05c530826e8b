/**
 * https://: verified or not, with client certificates, resumed or not; handshakes that fail, and ends that are cut.
 *
 * @module-tag slow
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { type LoadOptions, load, mergeResults, readResult, reportHtml, reportText } from 'epoll-pool/load';
import { expect, onTestFinished, test, vi } from 'vitest';
import { certificate } from './support/certificates.ts';
import { cli } from './support/cli.ts';
import { rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

const NONE = { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 };
const ca = certificate({ ca: true, name: 'test authority' });
const server = certificate({ issuer: ca });
const client = certificate({ issuer: ca, name: 'client' });

interface TlsServer {
  readonly url: string;
  readonly port: number;
  requests: number;
  connections: number;
  resumed: number;
  last: TLSSocket | undefined;
}

async function httpsServer(
  options: ServerOptions = {},
  answer: RequestListener = (_request, response) => response.end('hello'),
): Promise<TlsServer> {
  const counts: TlsServer = { url: '', port: 0, requests: 0, connections: 0, resumed: 0, last: undefined };
  const https = createServer({ key: server.key, cert: server.cert, ...options });
  https.on('request', () => counts.requests++);
  https.on('request', answer);
  https.on('secureConnection', (socket: TLSSocket) => {
    counts.connections++;
    counts.last = socket;
    if (socket.isSessionReused()) counts.resumed++;
    socket.on('error', () => {});
  });
  https.on('tlsClientError', () => {});
  await new Promise<void>(resolve => https.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    https.closeAllConnections();
    https.close();
  });
  const address: AddressInfo | string | null = https.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(counts, { port, url: `https://localhost:${port}/` });
}

const LOOPS: ReadonlyArray<[string, Omit<LoadOptions, 'url'>]> = [
  ['closed loop', { threads: 2, connections: 5, requests: 300 }],
  ['open loop', { threads: 2, connections: 5, requests: 300, rate: 1500 }],
  ['pipelining', { threads: 2, connections: 5, requests: 300, pipelining: 4 }],
];

test.each(LOOPS)(
  '%s: all are answered; each connection has a handshake, whose time is told apart',
  async (_name, options) => {
    const there = await httpsServer();
    const from = performance.now();
    const result = await load({ url: there.url, tls: { ca: ca.cert }, ...options });
    expect(result).toMatchObject({ requests: 300, responses: 300, errors: NONE });
    expect(there.requests).toBe(300);
    expect(there.connections).toBe(5);
    expect(result.tls).toMatchObject({ resumed: 0, handshake: { count: 5 } });
    const { p50, p99, max } = result.tls?.handshake ?? {};
    // Milliseconds: it takes two round trips and some computing.
    expect(p50).toBeGreaterThan(0.1);
    expect(max).toBeLessThan(performance.now() - from);
    expect(Number(p50)).toBeLessThanOrEqual(Number(p99));
    expect(Number(p99)).toBeLessThanOrEqual(Number(max));
    expect(there.last?.alpnProtocol).toBe('http/1.1');
    expect(there.last?.servername).toBe('localhost');
  },
);

test('a TLS session that fails is no close of a kept-alive connection: nothing is sent again', async () => {
  let requests = 0;
  const raw = createTcpServer(socket => {
    const secure = new TLSSocket(socket, { isServer: true, key: server.key, cert: server.cert });
    socket.on('error', () => {});
    secure.on('error', () => {});
    secure.on('data', () => {
      // Every second one is answered by what is no TLS record.
      if (++requests % 2 === 1) secure.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
      else socket.write('this is no record of TLS');
    });
  });
  await new Promise<void>(resolve => raw.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void raw.close());
  const address = raw.address();
  const url = `https://localhost:${typeof address === 'object' ? address?.port : 0}/`;
  const result = await load({ url, tls: { ca: ca.cert }, threads: 1, connections: 1, requests: 6 });
  expect(result).toMatchObject({ requests: 6, responses: 3, retried: 0, errors: { ...NONE, reset: 3 } });
  expect(Object.keys(result.errorDetails)).toEqual([expect.stringMatching(/^reset .*(version|record)/)]);
  expect(requests).toBe(6);
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: a connection for each request; resumed only if that is asked for',
  async version => {
    const there = await httpsServer({ maxVersion: version, minVersion: version });
    const options = {
      url: there.url,
      tls: { ca: ca.cert },
      headers: { Connection: 'close' },
      threads: 2,
      connections: 3,
      requests: 60,
    };
    const whole = await load(options);
    expect(whole).toMatchObject({ responses: 60, errors: NONE, tls: { resumed: 0 } });
    expect(whole.tls?.handshake.count).toBeGreaterThanOrEqual(60);
    expect(there.resumed).toBe(0);
    const resumed = await load({ ...options, resume: true });
    expect(resumed).toMatchObject({ responses: 60, errors: NONE });
    expect(resumed.tls?.resumed).toBeGreaterThan(40);
    expect(there.resumed).toBe(resumed.tls?.resumed);
  },
);

test.each([
  ['an authority that is not known', {}, {}, 'certificate verify failed'],
  ['another name', { ca: ca.cert, servername: 'example.org' }, {}, 'certificate verify failed: hostname mismatch'],
  [
    'a certificate that has expired',
    { ca: ca.cert },
    certificate({ issuer: ca, expired: true }),
    'certificate verify failed: certificate has expired',
  ],
  [
    'no version in common',
    { ca: ca.cert, maxVersion: 'TLSv1.2' } as const,
    { minVersion: 'TLSv1.3' } as const,
    'protocol version',
  ],
])('%s: connect, with OpenSSL’s words, and no request is sent', async (_what, tls, options, words) => {
  const { key = server.key, cert = server.cert, minVersion } = { ...options } as ServerOptions;
  const there = await httpsServer({ key, cert, ...(minVersion === undefined ? {} : { minVersion }) });
  for (const loop of [{}, { rate: 100 }]) {
    const result = await load({ url: there.url, tls, connections: 3, duration: '30s', ...loop });
    expect(result).toMatchObject({ requests: 0, responses: 0, errors: { ...NONE, connect: result.errorCount } });
    expect(result.errorCount).toBeGreaterThanOrEqual(3);
    expect(Object.keys(result.errorDetails).join()).toContain(words);
    expect(result.warnings).toEqual(['No connection could be opened.']);
  }
  expect(there.requests).toBe(0);
});

test('any certificate will do if it is asked for', async () => {
  const there = await httpsServer(certificate({ hosts: ['example.org'] }));
  const result = await load({ url: there.url, tls: { rejectUnauthorized: false }, requests: 20 });
  expect(result).toMatchObject({ responses: 20, errors: NONE });
});

test('a certificate of its own', async () => {
  const there = await httpsServer({ requestCert: true, rejectUnauthorized: true, ca: ca.cert }, (request, response) => {
    response.statusCode = request.socket instanceof TLSSocket && request.socket.authorized ? 200 : 500;
    response.end();
  });
  const tls = { ca: ca.cert, cert: client.cert, key: client.key };
  const fine = await load({ url: there.url, tls, connections: 2, requests: 20 });
  expect(fine).toMatchObject({ responses: 20, errors: NONE });
  const without = await load({ url: there.url, tls: { ca: ca.cert }, connections: 2, requests: 20 });
  expect(without.responses).toBe(0);
  expect(without.errorCount).toBe(20);
});

test('a server that speaks no TLS, says nothing, or hangs up: connect', async () => {
  const talks = await rawServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const silent = await rawServer(() => {});
  const gone = await rawServer(socket => socket.destroy());
  const run = (port: number) =>
    load({ url: `https://127.0.0.1:${port}/`, connections: 2, duration: '20s', timeout: 300 });
  const [a, b, c] = await Promise.all([run(talks.port), run(silent.port), run(gone.port)]);
  expect(Object.keys(a.errorDetails).join()).toMatch(/^connect .*(wrong version number|packet length)/);
  expect(b.errorDetails).toEqual({ 'connect ETIMEDOUT': b.errorCount });
  expect(Object.keys(c.errorDetails).every(detail => detail.startsWith('connect '))).toBe(true);
  for (const result of [a, b, c])
    expect(result).toMatchObject({ requests: 0, responses: 0, warnings: ['No connection could be opened.'] });
});

test('large bodies both ways, each in many records', async () => {
  const there = await httpsServer({}, (request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => response.end('x'.repeat(bytes)));
  });
  const body = Buffer.alloc(700_000, 'y');
  for (const rate of [undefined, 50]) {
    const result = await load({
      url: there.url,
      tls: { ca: ca.cert },
      body,
      connections: 3,
      requests: 20,
      timeout: '30s',
      ...(rate && { rate }),
    });
    expect(result).toMatchObject({ responses: 20, errors: NONE });
    expect(result.bytesReceived).toBeGreaterThan(20 * 700_000);
  }
});

test('a server that closes kept connections: requests are sent once more', async () => {
  let n = 0;
  const there = await httpsServer({}, (request, response) => {
    if (++n % 5 === 0) request.socket.end();
    else response.end('hello');
  });
  const result = await load({ url: there.url, tls: { ca: ca.cert }, threads: 1, connections: 1, requests: 40 });
  expect(result).toMatchObject({ requests: 40, responses: 40, errors: NONE });
  expect(result.retried).toBeGreaterThan(5);
});

test('an answer that only the connection’s end ends is whole with close_notify, and cut short without', async () => {
  // A man in the middle, who ends the stream when the answer has gone through.
  const ends = new Map<number | undefined, () => void>();
  const there = await httpsServer({}, (request, response) => {
    response.socket?.write('HTTP/1.1 200 OK\r\n\r\nto the end');
    if (request.url === '/polite') request.socket.end();
    else setTimeout(() => ends.get(request.socket.remotePort)?.(), 30);
  });
  const middle = await rawServer(socket => {
    const onward = connectTcp(there.port, '127.0.0.1', () => ends.set(onward.localPort, () => socket.end()));
    onward.on('error', () => {});
    socket.on('close', () => onward.destroy());
    socket.pipe(onward);
    onward.pipe(socket);
  });
  const run = (path: string, port: number) =>
    load({ url: `https://localhost:${port}${path}`, tls: { ca: ca.cert }, connections: 2, requests: 6 });
  expect(await run('/polite', there.port)).toMatchObject({ responses: 6, errors: NONE });
  const cut = await run('/cut', middle.port);
  expect(cut).toMatchObject({ responses: 0, errors: { ...NONE, protocol: 6 } });
  expect(cut.errorDetails).toEqual({ 'protocol closed in the middle of a response': 6 });
});

test('in text, page, JSON and merged: how long handshakes took', async () => {
  const there = await httpsServer();
  const result = await load({ url: there.url, tls: { ca: ca.cert }, connections: 4, requests: 20 });
  expect(reportText(result)).toMatch(/^TLS +4 handshakes: p50 \S+ \S+ +p99 /m);
  expect(reportHtml(result)).toContain('<h2>TLS ');
  const all = mergeResults([readResult(JSON.parse(JSON.stringify(result))), result]);
  expect(all.tls?.handshake.count).toBe(8);
});

test('by command: --cacert, -k, --cert and --key, --servername, --resume; what is wrong with them is wrong usage', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'epoll-pool-tls-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const [authority, cert, key, junk] = [
    file('ca.pem', ca.cert),
    file('cert.pem', client.cert),
    file('key.pem', client.key),
    file('junk.pem', 'no certificate'),
  ];
  const there = await httpsServer({ requestCert: true, ca: ca.cert });
  const run = (...args: string[]) => cli(['load', '-n', '10', ...args, there.url]);
  expect(await run('--cacert', authority, '--cert', cert, '--key', key, '--resume')).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await run('-k', '--cert', cert, '--key', key)).toMatchObject({ code: 0 });
  const refused = await run();
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain('connect certificate verify failed');
  const wrongName = await run('--cacert', authority, '--servername', 'example.org');
  expect(wrongName.stdout).toContain('hostname mismatch');
  for (const args of [
    ['--cacert', junk],
    ['--cacert', '/nowhere.pem'],
    ['--cert', cert, '--key', junk],
    ['--cert', junk, '--key', key],
  ]) {
    const wrong = await run(...args);
    expect({ args, code: wrong.code, stdout: wrong.stdout }).toEqual({ args, code: 2, stdout: '' });
  }
  expect((await run('--cacert', junk)).stderr).toContain('--cacert must be certificates in PEM');
  const plain = await cli(['load', '-k', `http://localhost:${there.port}/`]);
  expect(plain).toMatchObject({ code: 2, stderr: expect.stringContaining('https://') });
});
