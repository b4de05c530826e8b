// HTTP by node:cluster: one process of servers/net.js's kind for each thread of the others; the primary deals connections out.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { answering, HEAD } from './answer.js';
import { announce, LISTEN, threads, work } from './serve.js';

if (cluster.isPrimary) {
  const workers = Array.from({ length: threads }, () => cluster.fork());
  const addresses = await Promise.all(workers.map(worker => once(worker, 'listening')));
  announce(addresses[0][0].port);
} else {
  const { ofRequest } = answering(work);
  const server = createServer({ noDelay: true }, socket => {
    socket.on('data', request => socket.write(HEAD + ofRequest(request), 'latin1'));
    socket.on('error', () => {});
  });
  server.listen(LISTEN);
}
