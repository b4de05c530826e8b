// HTTP by net.Sockets that the main thread moves to its workers, one after the other; each stays where it is. Node 24.21 and 26.
import { createServer } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { answering, HEAD } from './answer.js';

if (isMainThread) {
  const { announce, LISTEN, threads, work } = await import('./serve.js');
  const workers = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url), { workerData: { work } }));
  let turn = 0;
  const server = createServer({ noDelay: true, pauseOnConnect: true }, socket => {
    workers[turn++ % threads].postMessage(socket, [socket]);
  });
  server.listen(LISTEN, () => announce(server.address().port));
} else {
  const { ofRequest } = answering(workerData.work);
  parentPort.on('message', socket => {
    socket.on('data', request => socket.write(HEAD + ofRequest(request), 'latin1'));
    socket.on('error', () => {});
    socket.resume();
  });
}
