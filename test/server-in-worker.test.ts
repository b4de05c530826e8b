/** A server that a Worker has started. */
import { expect, test } from 'vitest';
import { client } from './support/server.ts';
import { until } from './support/service.ts';
import { thread } from './support/thread.ts';

const SOURCE = `
  const { Server } = await import('epoll-pool/server');
  const handler = 'data:text/javascript,export default (bytes, connection) => { connection.send(bytes); connection.post(String(bytes)); };';
  const server = await Server.listen({ port: 0, host: '127.0.0.1', handler, threads: 2 });
  server.on('message', value => post(value));
  post(server.address().port);
  parentPort.once('message', async () => { await server.close(); post('closed'); parentPort.unref(); });
`;

test('serves, closes, and lets the Worker end', async () => {
  const { message, worker, ended } = thread(SOURCE);
  const port = Number(await message());
  for (let i = 0; i < 5; i++) {
    const peer = await client(port);
    peer.write(`x${i}`);
    await peer.has(`x${i}`);
    expect(await message()).toBe(`x${i}`);
    peer.socket.end();
    await peer.closed;
  }
  worker.postMessage('close');
  expect(await message()).toBe('closed');
  expect(await ended()).toBe(0);
});

test.each(['terminate', 'process.exit', 'unref'])(
  'a Worker that ends without close(), by %s: nothing listens, no connection is left',
  async how => {
    const { message, worker, ended } = thread(
      `
    const { Server } = await import('epoll-pool/server');
    const handler = 'data:text/javascript,export default (bytes, connection) => { connection.send(bytes); };';
    const server = await Server.listen({ port: 0, host: '127.0.0.1', handler, threads: 2 });
    post(server.address().port);
    parentPort.once('message', () => {
      if (workerData === 'process.exit') process.exit();
      server.unref();
    });`,
      how,
    );
    const port = Number(await message());
    const peer = await client(port, true);
    peer.write('x');
    await peer.has('x');
    if (how === 'terminate') await worker.terminate();
    else worker.postMessage('end');
    await ended();
    // Its side was closed by the end of the thread: half open, the client would otherwise wait for ever.
    await until(() => peer.ended || peer.error !== undefined, 'the end of the connection');
    await expect(client(port)).rejects.toThrow('ECONNREFUSED');
  },
);
