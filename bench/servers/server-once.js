// One answer for each connection, by epoll-pool/server.
import { Server } from '../lib/ours.js';
import { announce, LISTEN, threads, work } from './serve.js';

const handler = new URL('server-once-handler.js', import.meta.url);
const server = await Server.listen({ ...LISTEN, threads, handler, handlerData: { work } });
server.on('error', error => {
  throw error;
});
announce(server.address().port);
