// A small closed-loop HTTP client: each connection sends its next request when the last was answered.
import { once } from 'node:events';
import { connect } from 'node:net';
import { HEAD } from '../servers/answer.js';

export const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
const SLOW_REQUEST = Buffer.from('GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
const ANSWER_BYTES = HEAD.length + 64;

/** The answer to one request. */
export async function requestOnce(port) {
  const socket = connect({ port, host: '127.0.0.1' }).setEncoding('latin1');
  let answer = '';
  socket.on('data', data => {
    answer += data;
  });
  socket.write(REQUEST);
  while (answer.length < ANSWER_BYTES) await once(socket, 'data');
  socket.destroy();
  return answer;
}

/**
 * @param {{port: number, connections: number, slowEvery?: number, slowConnections?: number, warmup: number, ms: number, onStart?: () => void}} options
 *   slowEvery: one request in so many, counted over all connections, is a slow one
 *   slowConnections: so many connections send nothing but slow ones
 * @returns {Promise<{sent: number, received: number, rate: number, cheap: Float64Array}>} cheap: latencies of the others
 *   that were sent and answered in the measured time, sorted, in milliseconds
 */
export async function drive({ port, connections, slowEvery = 0, slowConnections = 0, warmup, ms, onStart }) {
  let sent = 0;
  let received = 0;
  let measuring = false;
  let measured = 0;
  let ending = false;
  const cheap = [];
  const open = Array.from({ length: connections }, async (_, index) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    let bytes = 0;
    let from = 0;
    let slow = false;
    const send = () => {
      slow = index < slowConnections || (slowEvery > 0 && sent % slowEvery === 0);
      sent++;
      from = measuring ? performance.now() : 0;
      socket.write(slow ? SLOW_REQUEST : REQUEST);
    };
    const ended = new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('a connection was closed by the server')));
      socket.on('data', data => {
        bytes += data.length;
        if (bytes < ANSWER_BYTES) return;
        bytes -= ANSWER_BYTES;
        received++;
        if (measuring) measured++;
        if (measuring && from > 0 && !slow) cheap.push(performance.now() - from);
        if (ending) resolve();
        else send();
      });
    });
    send();
    await ended;
    socket.destroy();
  });
  const all = Promise.all(open);
  await Promise.race([all, delay(warmup)]);
  onStart?.();
  measuring = true;
  const from = performance.now();
  await Promise.race([all, delay(ms)]);
  measuring = false;
  const seconds = (performance.now() - from) / 1000;
  ending = true;
  await all;
  return { sent, received, rate: measured / seconds, cheap: Float64Array.from(cheap).sort() };
}

function delay(ms) {
  return new Promise(resolve => setTimeout(resolve, ms));
}
