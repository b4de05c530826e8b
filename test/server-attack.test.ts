/**
 * Everything at once: clients that talk, leave, reset, do not read; handlers that answer at once or later, tell others, throw, and end
 * their thread. What is counted proves that nothing was lost or doubled.
 *
 * @module-tag slow
 */
import { connect, type Socket } from 'node:net';
import tls from 'node:tls';
import type { ServerOptions } from 'epoll-pool/server';
import { expect, test } from 'vitest';
import { certificate } from './support/certificates.ts';
import { LINES, serve, settled } from './support/server.ts';
import { module, until } from './support/service.ts';
import { within } from './support/within.ts';

const SOURCE = `${LINES}
  export function open(connection) { connection.post('open'); }
  export function close(connection, reason) { connection.post(reason); }
  const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
  export default (line, connection) => {
    const [act, number] = line.split(' ');
    if (act === 'exit') process.exit(1);
    if (act === 'throw') throw new Error('asked for');
    if (act === 'destroy') connection.destroy();
    if (act === 'tell') connection.broadcast('t'.repeat(+number % 3000) + '\\n', connection.id);
    if (act === 'big') connection.send('b'.repeat(+number % 200_000) + '\\n');
    if (act === 'later') return pause(+number % 5).then(() => { connection.send('later ' + number + '\\n'); });
    connection.send(act + ' ' + number + '\\n');
  };`;

const identity = certificate();

interface Life {
  readonly socket: Socket;
  /** What was asked and is still to be answered. */
  readonly asked: string[];
  text: string;
  answered: number;
  mayEnd: boolean;
}

/** A client that asks `count` things, checks each answer, and counts what others tell it. */
async function live(port: number, secure: boolean, count: number, seed: number): Promise<Life> {
  let state = seed;
  const random = (below: number): number => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state % below;
  };
  const plain = connect(port, '127.0.0.1');
  const socket = secure ? tls.connect({ socket: plain, ca: identity.cert, servername: 'localhost' }) : plain;
  plain.on('error', () => {});
  const life: Life = { socket, asked: [], text: '', answered: 0, mayEnd: false };
  let failure: Error | undefined;
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  socket.on('data', (chunk: string) => {
    const lines = (life.text + chunk).split('\n');
    life.text = lines.pop() ?? '';
    for (const line of lines) {
      if (/^t*$/.test(line) || /^b+$/.test(line)) continue;
      if (line !== life.asked.shift()) failure ??= new Error(`not what was asked for: ${line.slice(0, 50)}`);
      life.answered++;
    }
  });
  const ended = new Promise<void>(resolve => socket.once('close', () => resolve()));
  for (let i = 0; i < count && !socket.destroyed; i++) {
    const act = ['say', 'say', 'later', 'tell', 'big', 'say'][random(6)] ?? 'say';
    const line = `${act} ${random(1_000_000)}`;
    life.asked.push(line);
    socket.write(`${line}\n`);
    if (random(20) === 0) socket.pause();
    if (random(4) === 0) await new Promise(resolve => setTimeout(resolve, random(4)));
    socket.resume();
  }
  // Threads that die often are replaced ever more slowly.
  const way = seed % 30 === 7 ? 'exit 1\n' : (['end', 'end', 'reset', 'throw 1\n', 'destroy 1\n'][seed % 5] ?? 'end');
  if (way === 'end') {
    await until(() => life.asked.length === 0 || socket.destroyed, 'all answers', 20_000);
    life.mayEnd = true;
    socket.end();
  } else if (way === 'reset') plain.resetAndDestroy();
  else socket.write(way);
  await within(ended, 20_000, `the end after ${way}`);
  if (failure !== undefined) throw failure;
  return life;
}

const MODES: Array<[string, ServerOptions]> = [
  ['one thread', { handler: module(SOURCE), threads: 1 }],
  ['three threads', { handler: module(SOURCE), threads: 3 }],
  ['little memory kept for each', { handler: module(SOURCE), threads: 2, highWaterMark: 1000 }],
  ['one promise at a time', { handler: module(SOURCE), threads: 2, concurrency: 1 }],
  ['TLS', { handler: module(SOURCE), threads: 2, tls: { key: identity.key, cert: identity.cert } }],
];

test.each(MODES)(
  '%s',
  async (_what, options) => {
    const served = await serve(options);
    const clients = options.tls === undefined ? 120 : 60;
    const all: Array<Promise<Life>> = [];
    for (let i = 0; i < clients; i++) {
      all.push(live(served.port, options.tls !== undefined, 10 + (i % 30), i + 1));
      if (i % 10 === 9) await new Promise(resolve => setTimeout(resolve, 30));
    }
    const lives = await Promise.all(all);
    await until(() => served.server.connections === 0, 'all ends');
    await settled(served, served.connections.length);
    const { accepted, closed } = served.server.stats();
    const ends = Object.values(closed).reduce((sum, count) => sum + count);
    expect(ends).toBe(accepted);
    expect(served.closes).toHaveLength(served.connections.length);
    expect(new Set(served.closes.map(({ id }) => id))).toEqual(new Set(served.connections));
    // One close() for each open(), but for a connection whose thread died in its open().
    await until(
      () => served.messages.filter(({ value }) => value === 'open').length * 2 === served.messages.length,
      'all close()s',
    );
    const told = served.messages.filter(({ value }) => value === 'thread').length;
    expect(told).toBe(served.closes.filter(({ reason }) => reason === 'thread').length);
    for (const { error } of served.errors) expect(error.message).toMatch(/asked for|exit code 1/);
    const deaths = served.errors.filter(({ error }) => error.message !== 'asked for').length;
    await until(() => served.server.stats().service.restarts === deaths, 'as many new threads');
    expect(lives.filter(life => life.mayEnd && life.asked.length === 0).length).toBeGreaterThan(clients / 12);
    await until(() => served.server.stats().service.registrations === 0, 'no registration');
  },
  60_000,
);
