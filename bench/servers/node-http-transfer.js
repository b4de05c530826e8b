// HTTP by node:http in worker threads, to which the main thread moves its net.Sockets, one after the other. Node 24.21 and 26.
import { createServer } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { nodeHttpServer } from './node-http-server.js';

if (isMainThread) {
  const { announce, LISTEN, threads, work } = await import('./serve.js');
  const workers = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url), { workerData: { work } }));
  let turn = 0;
  const server = createServer({ noDelay: true, pauseOnConnect: true }, socket => {
    workers[turn++ % threads].postMessage(socket, [socket]);
  });
  server.listen(LISTEN, () => announce(server.address().port, { parsed: true }));
} else {
  const server = nodeHttpServer(workerData.work, false);
  parentPort.on('message', socket => {
    server.emit('connection', socket);
    socket.resume();
  });
}
