// HTTP and HTTPS by epoll-pool/server: the threads do everything.
import { certificate } from '../lib/certificate.js';
import { Server } from '../lib/ours.js';
import { announce, LISTEN, secure, threads, work } from './serve.js';

const server = await Server.listen({
  ...LISTEN,
  threads,
  handler: new URL('server-http-handler.js', import.meta.url),
  handlerData: { work },
  ...(secure ? { tls: certificate() } : {}),
});
server.on('error', error => {
  throw error;
});
announce(server.address().port, { parsed: true, secure });
