// HTTP by node:http, HTTPS by node:https, in the processes of node:cluster.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { nodeHttpServer } from './node-http-server.js';
import { announce, LISTEN, secure, threads, work } from './serve.js';

if (cluster.isPrimary) {
  const workers = Array.from({ length: threads }, () => cluster.fork());
  const addresses = await Promise.all(workers.map(worker => once(worker, 'listening')));
  announce(addresses[0][0].port, { parsed: true, secure });
} else {
  nodeHttpServer(work, secure).listen(LISTEN);
}
