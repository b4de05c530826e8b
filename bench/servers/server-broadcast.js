// Broadcast by epoll-pool/server: each byte that comes has 100 bytes sent to all connections, by the handler or the main thread.
import { Server } from '../lib/ours.js';
import { BYTES } from './broadcast.js';
import { announce, LISTEN, threads, work } from './serve.js';

const handler = new URL('server-broadcast-handler.js', import.meta.url);
const server = await Server.listen({ ...LISTEN, threads, handler, handlerData: { byMain: work === 'main' } });
server.on('error', error => {
  throw error;
});
server.on('message', times => {
  for (let i = 0; i < times; i++) server.broadcast(BYTES);
});
announce(server.address().port, {}, { connections: () => server.connections });
