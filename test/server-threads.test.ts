/** Threads that die: each ends the connections that it had, and no others; nothing is lost or kept for good. */
import { expect, onTestFinished, test } from 'vitest';
import { type Client, client, LINES, serve, settled } from './support/server.ts';
import { module, until } from './support/service.ts';

const DEADLY = `${LINES}
  const hog = [];
  export function close(connection, reason) {
    if (connection.state[0] === 1) process.exit(5);
    connection.post(['close', reason]);
  }
  export default (line, connection) => {
    if (line === 'exit') process.exit(3);
    if (line === 'exit in close') { connection.state[0] = 1; connection.end(); }
    if (line === 'exit later') { setTimeout(() => process.exit(4), 20); return new Promise(() => {}); }
    if (line === 'memory') for (;;) hog.push(new Array(10_000).fill(line));
    connection.send(line + ';');
  };`;

test.each(['exit', 'exit later', 'memory'])('%s', async how => {
  const served = await serve({
    handler: module(DEADLY),
    stateBytes: 8,
    resourceLimits: { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 4 },
  });
  const others = await Promise.all(Array.from({ length: 10 }, () => client(served.port)));
  const peer = await client(served.port);
  peer.write(`before\n${how}\nnever\n`);
  await until(() => served.closes.length === 1, 'its end', 20_000);
  const { id, reason } = served.closes[0] ?? { id: 0, reason: '' };
  expect(reason).toBe('thread');
  expect(await peer.all()).toBe('before;');
  await until(() => served.messages.length === 1, 'its close()');
  expect(served.messages).toEqual([{ value: ['close', 'thread'], id }]);
  expect(served.errors).toHaveLength(1);
  for (const other of others) other.write('alive\n');
  for (const other of others) await other.has('alive;');
  expect(served.server.stats()).toMatchObject({ connections: 10, closed: { thread: 1 }, service: { restarts: 1 } });
  for (const other of others) other.socket.end();
  await settled(served, 11);
});

test('in close(): that is not called again', async () => {
  const served = await serve({ handler: module(DEADLY), stateBytes: 8 });
  const peer = await client(served.port);
  peer.write('exit in close\n');
  await peer.all();
  await settled(served, 1);
  expect(served.closes[0]?.reason).toBe('end');
  expect(served.errors).toHaveLength(1);
  const other = await client(served.port);
  other.write('alive\n');
  await other.has('alive;');
});

test('over and over, while others talk and are told', { timeout: 60_000, tags: ['slow'] }, async () => {
  const source = `${LINES}
    export default (line, connection) => {
      if (line === 'exit') { connection.broadcast('dying\\n'); process.exit(3); }
      if (line.startsWith('tell')) connection.broadcast(line + '\\n');
      else connection.send(line + '\\n');
    };`;
  const served = await serve({ handler: module(source) });
  const steady = await Promise.all(Array.from({ length: 8 }, () => client(served.port)));
  let sent = 0;
  const timer = setInterval(() => {
    for (const peer of steady) peer.write(`${sent}\n`);
    steady[0]?.write(`tell ${sent}\n`);
    served.server.broadcast(`main ${sent}\n`);
    sent++;
  }, 2);
  onTestFinished(() => clearInterval(timer));
  const victims: Client[] = [];
  for (let i = 0; i < 6; i++) {
    const victim = await client(served.port);
    victims.push(victim);
    victim.write('exit\n');
    await victim.all();
    await until(() => served.server.stats().service.restarts === i + 1, 'a new thread');
  }
  clearInterval(timer);
  // Whoever a dying thread did not have at that moment has lost nothing.
  await until(() => served.closes.length >= 6, 'the ends');
  const alive = steady.filter(peer => !peer.ended);
  expect(alive.length).toBeGreaterThanOrEqual(2);
  for (const peer of alive) {
    await peer.has(`main ${sent - 1}\n`);
    await peer.has(`\n${sent - 1}\n`);
    const own = peer.text.split('\n').filter(line => /^\d+$/.test(line));
    const main = peer.text.split('\n').filter(line => line.startsWith('main '));
    expect(own).toEqual(Array.from({ length: sent }, (_, i) => `${i}`));
    expect(main).toEqual(Array.from({ length: sent }, (_, i) => `main ${i}`));
  }
  for (const peer of alive) peer.socket.end();
  await settled(served, 14);
  expect(served.closes.filter(({ reason }) => reason === 'thread').length).toBeGreaterThanOrEqual(6);
});
