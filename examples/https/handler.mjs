// Runs in the server's threads, as do the handshakes.
import { http } from 'epoll-pool/worker';

export const protocol = http();

/** @type {import('epoll-pool/worker').MessageHandler<import('epoll-pool/worker').HttpRequest>} */
export default function greet(request, connection) {
  request.respond(200, { 'content-type': 'text/plain' }, `hello, ${connection.remoteAddress}\n`);
}
