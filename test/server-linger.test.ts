/**
 * Peers that never end their side, or never read: 10 s, and no longer.
 *
 * @module-tag slow
 */
import { expect, test } from 'vitest';
import { client, LINES, serve, settled } from './support/server.ts';
import { module, until } from './support/service.ts';
import { within } from './support/within.ts';

const SOURCE = `${LINES}
  export function open(connection) { connection.send('hello '); }
  export default (line, connection) => {
  if (line === 'big') connection.send(Buffer.alloc(8 << 20));
  connection.end('last');
};`;

test('end() and close() wait for 10 s', async () => {
  const [ended, closed] = [await serve({ handler: module(SOURCE) }), await serve({ handler: module(SOURCE) })];
  const [stays, deaf, silent] = [
    await client(ended.port, true),
    await client(ended.port, true),
    await client(closed.port, true),
  ];
  await silent.has('hello ');
  const from = performance.now();
  stays.write('x\n');
  deaf.socket.pause();
  deaf.write('big\n');
  const closing = closed.server.close().then(() => performance.now() - from);
  await stays.has('last');
  await until(() => ended.closes.length >= 1, 'the first', 15_000);
  expect(performance.now() - from).toBeGreaterThan(9900);
  expect(await within(closing, 5000)).toBeGreaterThan(9900);
  expect(closed.closes.map(({ reason }) => reason)).toEqual(['server']);
  await settled(ended, 2);
  expect(ended.closes.map(({ reason }) => reason)).toEqual(['end', 'end']);
  for (const peer of [stays, silent]) peer.socket.destroy();
});
