/** Nothing runs while nothing happens, whatever state connections are in. */
import { expect, test } from 'vitest';
import { certificate } from './support/certificates.ts';
import { client, LINES, serve } from './support/server.ts';
import { module, pause, quiet, until } from './support/service.ts';

const SOURCE = module(`${LINES} export default (line, connection) => {
  if (line === 'big') connection.send(Buffer.alloc(16 << 20));
  if (line === 'hang') return new Promise(() => {});
  if (line === 'end') connection.end();
  connection.send(line);
};`);

test('idle, in the middle of a message, with output that is kept, with a promise that is pending, ending', {
  tags: ['slow'],
}, async () => {
  const served = await serve({ handler: SOURCE, maxOutput: 32 << 20 });
  const { key, cert } = certificate();
  const secure = await serve({ handler: SOURCE, tls: { key, cert } });
  const shaking = await client(secure.port);
  shaking.write('x');
  for (const text of [
    '',
    'whole\n',
    'whole\nhalf',
    'big\nwhole\n',
    'hang\nwhole\n',
    'end\nwhole\n',
    `${'x'.repeat(9000)}`,
  ]) {
    const peer = await client(served.port, true);
    peer.socket.pause();
    peer.write(text);
  }
  const half = await client(served.port, true);
  half.socket.end('big\n');
  half.socket.pause();
  const runs = (): number =>
    [served, secure].reduce((sum, { server }) => {
      const { service } = server.stats();
      return sum + service.threads.reduce((all, thread) => all + thread.handled, 0);
    }, 0);
  await until(() => served.server.stats().messages === 5 && served.server.stats().bytesKept > 16 << 20, 'all states');
  for (let last = -1; last !== runs(); ) {
    last = runs();
    await pause(100);
  }
  const before = runs();
  await quiet();
  await quiet();
  expect(runs() - before).toBeLessThan(3);
});
