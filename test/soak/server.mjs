// `npm run soak -- --server --minutes N [--seed S]`: servers of lines, HTTP and TLS, each with clients that talk, do not read, break off
// anywhere, send garbage, and end threads. Between the waves nothing may be left, and all counts must agree.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { Server } from 'epoll-pool/server';
import { randomOf } from './memory.mjs';

const THREADS = 3;
/** Clients at a time, and in a wave. */
const CLIENTS = 40;
const WAVE = 200;
const HANDLER = new URL('server-handler.mjs', import.meta.url);
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

export async function soakServers(minutes, seed) {
  const random = randomOf(seed);
  const until = performance.now() + minutes * 60_000;
  const count = { clients: 0, answers: 0, opens: 0, closes: 0, deaths: 0, errors: 0, waves: 0 };
  let wrong = '';
  const fail = message => {
    wrong ||= message;
  };
  const pem = certificate();
  const options = {
    host: '127.0.0.1',
    port: 0,
    threads: THREADS,
    handler: HANDLER,
    maxMessage: 100_000,
    idleTimeout: 2000,
    stateBytes: 8,
  };
  const kinds = [
    { kind: 'lines', options: {} },
    { kind: 'http', options: {} },
    { kind: 'tls', options: { tls: { key: pem, cert: pem }, handshakeTimeout: 2000 } },
  ];
  const servers = [];
  for (const { kind, options: more } of kinds) {
    const server = await Server.listen({ ...options, ...more, handlerData: kind === 'http' ? 'http' : 'lines' });
    const ids = new Set();
    server.on('connection', ({ id }) => (ids.has(id) ? fail(`${kind}: ${id} is there twice`) : ids.add(id)));
    server.on('close', ({ id }, reason) => {
      if (!ids.delete(id)) fail(`${kind}: ${id} ended (${reason}), and was not there`);
    });
    server.on('message', value => {
      if (value === 'open') count.opens++;
      else count.closes++;
    });
    server.on('error', error => {
      if (error.code === 'ERR_WORKER_EXITED') count.deaths++;
      else if (error.message !== 'asked for') fail(`${kind}: ${error.stack}`);
      count.errors++;
    });
    servers.push({ kind, server, ids, port: server.address().port });
  }
  console.log(`soak: servers, seed ${seed}, ${minutes} minutes, ${THREADS} threads each`);

  const started = performance.now();
  let before;
  while (performance.now() < until && !wrong) {
    let left = WAVE;
    const workers = Array.from({ length: CLIENTS }, async () => {
      while (left-- > 0 && !wrong) await client(servers[random(servers.length)]);
    });
    // Threads that die often are replaced slowly.
    if (count.waves % 5 === 4) await killOne(servers[random(servers.length)]);
    await Promise.all(workers);
    await check();
    count.waves++;
    before ??= usage();
    if (count.waves % 20 === 0) report();
  }
  report();
  const after = usage();
  if (before !== undefined && after.fds > before.fds + 4) fail(`fds: ${before.fds} before, ${after.fds} after`);
  if (before !== undefined && after.rss > before.rss * 1.5 + 200 * 2 ** 20)
    fail(`memory: ${before.rss} before, ${after.rss} after`);
  await Promise.all(servers.map(({ server }) => server.close({ timeout: 5000 })));
  console.log(wrong ? `soak: FAILED with seed ${seed}: ${wrong}` : `soak: clean; ${after.fds} fds at the end`);
  return wrong === '';

  /** Without clients nothing is left, within 15 s. */
  async function check() {
    const deadline = performance.now() + 15_000;
    const state = ({ kind, server, ids }) => {
      const { connections, bytesKept, accepted, closed, service } = server.stats();
      const ends = Object.values(closed).reduce((sum, n) => sum + n);
      return {
        kind,
        connections,
        bytesKept,
        unended: ids.size,
        missing: accepted - ends,
        registrations: service.registrations,
      };
    };
    const isQuiet = one => Object.values(state(one)).every(value => typeof value === 'string' || value === 0);
    while (!(servers.every(isQuiet) && count.opens === count.closes) && performance.now() < deadline) await pause(5);
    for (const one of servers) if (!isQuiet(one)) fail(`left: ${JSON.stringify(state(one))}`);
    if (count.opens !== count.closes) fail(`${count.opens} opened, ${count.closes} closed`);
  }

  function report() {
    const time = ((performance.now() - started) / 60_000).toFixed(1);
    const messages = servers.map(({ kind, server }) => `${kind} ${server.stats().messages}`).join(', ');
    console.log(
      `${time} min: ${JSON.stringify({ ...count, megabytes: Math.round(usage().rss / 2 ** 20) })}; ${messages}`,
    );
  }

  async function killOne({ kind, port }) {
    if (kind === 'http') return;
    const socket =
      kind === 'tls'
        ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
        : net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write('exit 1\n');
    await new Promise(resolve => socket.once('close', resolve));
  }

  async function client({ kind, port }) {
    count.clients++;
    const plain = net.connect(port, '127.0.0.1');
    plain.on('error', () => {});
    const closed = new Promise(resolve => plain.once('close', resolve));
    const garbage = random(8) === 0;
    const socket = kind === 'tls' && !garbage ? tls.connect({ socket: plain, rejectUnauthorized: false }) : plain;
    socket.on('error', () => {});
    const asked = [];
    let text = '';
    socket.setEncoding('latin1');
    if (kind !== 'http') {
      socket.on('data', chunk => {
        const lines = (text + chunk).split('\n');
        text = lines.pop();
        for (const line of lines) {
          if (/^t*$/.test(line)) continue;
          if (!garbage && line !== asked.shift()) fail(`${kind}: not what was asked for: ${line.slice(0, 60)}`);
          count.answers++;
        }
      });
    } else {
      socket.on('data', chunk => {
        count.answers += chunk.split('HTTP/1.1 200').length - 1;
      });
    }
    const pieces = 1 + random(20);
    for (let i = 0; i < pieces && !socket.destroyed; i++) {
      if (garbage) socket.write(Buffer.from(Array.from({ length: random(400) }, () => random(256))));
      else if (kind === 'http') socket.write(mutated(requestOf(i)), 'latin1');
      else {
        const line = `${['say', 'say', 'later', 'tell', 'big'][random(5)]} ${random(1_000_000)}`;
        asked.push(line);
        const cut = random(line.length);
        socket.write(line.slice(0, cut));
        socket.write(`${line.slice(cut)}\n`);
      }
      if (random(15) === 0) {
        socket.pause();
        await pause(random(20));
        socket.resume();
      } else if (random(3) === 0) await pause(random(3));
    }
    const way = random(4);
    if (way === 0) plain.resetAndDestroy();
    else if (way === 1 && kind !== 'http') socket.write(['throw 1\n', 'destroy 1\n'][random(2)]);
    else if (way === 2) socket.end();
    // else: until it is idle for too long, or half of something stays
    if (way === 3) setTimeout(() => plain.resetAndDestroy(), random(300)).unref();
    await closed;
  }

  function requestOf(i) {
    const body = 'x'.repeat(random(3000));
    return i % 2 === 0
      ? `GET /${i} HTTP/1.1\r\nhost: x\r\n\r\n`
      : `POST /${i} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  }

  /** Now and then with a byte that is another, or missing. */
  function mutated(text) {
    if (random(6) !== 0) return text;
    const at = random(text.length);
    return text.slice(0, at) + String.fromCharCode(random(256)).repeat(random(3)) + text.slice(at + 1);
  }
}

function usage() {
  return { rss: process.memoryUsage().rss, fds: readdirSync('/proc/self/fd').length };
}

function certificate() {
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '7'];
  return execFileSync('openssl', ['req', ...kind, '-subj', '/CN=localhost', '-keyout', '-'], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
}
