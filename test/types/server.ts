// A Server, and what modules of its threads export: listeners' arguments are inferred, a protocol's messages are its handler's.
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { CloseReason, Peer, Server, ServerEvents, ServerOptions, ServerStats } from 'epoll-pool/server';
import {
  type Connection,
  fetchHandler,
  type HttpRequest,
  http,
  lengthPrefixed,
  lines,
  type MessageHandler,
  type Protocol,
  type ServerModule,
} from 'epoll-pool/worker';

declare const server: Server;
declare const socket: Socket;

server.on('connection', ({ id, remoteAddress, remotePort }) => [
  id.toFixed(),
  remoteAddress.trim(),
  remotePort.toFixed(),
]);
server.on('close', ({ id }, reason) => [id.toFixed(), reason satisfies CloseReason]);
server.on('close', peer => peer.remoteAddress); // TS2339
server.on('message', (value, { id }) => [value, id]);
server.on('message', value => value.fd); // TS18046
server.on('error', (error, peer) => [error.message, peer?.id]);
server.on('error', (_, peer) => peer.id); // TS18048
server.on('request', () => {}); // TS2345
server.once('connection', (peer: Peer) => peer);
server.off('closed', () => {}); // TS2345

server.adopt(socket, { unread: new Uint8Array(1) }).then(({ id }) => server.send(id, 'text'));
server.adopt({ fd: 5 });
server.adopt('5'); // TS2345
server.send('5', 'text'); // TS2345
server.send(5, 5); // TS2345
new server.constructor(); // TS2351

const options: ServerOptions = { handler: 'x.js', port: undefined, tls: undefined };
const without: ServerOptions = {}; // TS2741
const misspelt: ServerOptions = { handler: 'x.js', maxMesage: 5 }; // TS2561

const stats: ServerStats = server.stats();
const reset: number = stats.closed.reset;
stats.closed.reset = 5; // TS2540

const plain: EventEmitter = server;
const names: Array<keyof ServerEvents> = ['connection', 'close', 'message', 'error'];

const handler: MessageHandler<string> = (line, connection) => {
  connection.send(line);
  connection.id = 5; // TS2540
};
const protocol: Protocol<string> = lines({ encoding: 'latin1' });
const bytes: Protocol<Buffer> = lengthPrefixed({ bytes: 2 });
const three = lengthPrefixed({ bytes: 3 }); // TS2322
const requests: Protocol<HttpRequest> = http({ maxHead: 1000 });
const module: ServerModule<string> = {
  default: handler,
  protocol,
  open: (connection: Connection) => connection.end('bye'),
  close: (connection, reason) => connection.post([connection.id, reason satisfies CloseReason]),
};
const mismatched: ServerModule<string> = { default: handler, protocol: bytes }; // TS2375
const fetching: ServerModule<HttpRequest> = { default: fetchHandler(() => new Response('x')), protocol: requests };

export { fetching, mismatched, misspelt, module, names, options, plain, reset, three, without };
