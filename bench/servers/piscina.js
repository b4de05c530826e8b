// HTTP by node:net and piscina: the main thread reads and writes, each request is a message to the pool and back.
import { Piscina } from 'piscina';
import { HEAD } from './answer.js';
import { listen, threads, work } from './serve.js';

const pool = new Piscina({
  filename: new URL('task.js', import.meta.url).href,
  workerData: { work },
  minThreads: threads,
  maxThreads: threads,
});
await Promise.all(Array.from({ length: threads }, () => pool.run(Buffer.from('GET / HTTP/1.1\r\n\r\n'))));
listen(socket => {
  socket.on('data', async request => socket.write(HEAD + (await pool.run(request)), 'latin1'));
  socket.on('error', () => {});
});
