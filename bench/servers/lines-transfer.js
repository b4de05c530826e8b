// Lines by net.Sockets that the main thread moves to its workers, one after the other. Node 24.21 and 26.
import { createServer } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { answerTo } from './line.js';

if (isMainThread) {
  const { announce, LISTEN, threads, work } = await import('./serve.js');
  const times = Number(work);
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL(import.meta.url), { workerData: { times } }),
  );
  let turn = 0;
  const server = createServer({ noDelay: true, pauseOnConnect: true }, socket => {
    workers[turn++ % threads].postMessage(socket, [socket]);
  });
  server.listen(LISTEN, () => announce(server.address().port));
} else {
  const { times } = workerData;
  parentPort.on('message', socket => {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', data => {
      const whole = (rest + data).split('\n');
      rest = whole.pop();
      let answers = '';
      for (const line of whole) answers += `${answerTo(line, times)}\n`;
      socket.write(answers);
    });
    socket.on('error', () => {});
    socket.resume();
  });
}
