// Lines by epoll-pool/server, whose protocol cuts them.
import { Server } from '../lib/ours.js';
import { announce, LISTEN, threads, work } from './serve.js';

const handler = new URL('lines-server-handler.js', import.meta.url);
const server = await Server.listen({ ...LISTEN, threads, handler, handlerData: { times: Number(work) } });
server.on('error', error => {
  throw error;
});
announce(server.address().port);
