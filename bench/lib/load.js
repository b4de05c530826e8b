// A small closed-loop HTTP client: each connection sends its next request when the last was answered.
import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { connect as connectSecure } from 'node:tls';

export const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
const BODY_BYTES = 64;

function connect({ port, secure }) {
  const options = { port, host: '127.0.0.1', noDelay: true };
  return secure ? connectSecure({ ...options, rejectUnauthorized: false }) : connectPlain(options);
}

/** The answer to one request. @param {{port: number, secure?: boolean}} server */
export async function requestOnce(server) {
  const socket = connect(server).setEncoding('latin1');
  let answer = '';
  socket.on('data', data => {
    answer += data;
  });
  socket.write(REQUEST);
  const isWhole = () => {
    const end = answer.indexOf('\r\n\r\n');
    return end >= 0 && answer.length >= end + 4 + BODY_BYTES;
  };
  while (!isWhole()) await once(socket, 'data');
  socket.destroy();
  return answer;
}

/**
 * @param object} options
 *   server: { port, secure?, answerBytes }, of startServer(); connections; warmup and ms; onStart: called between them
 *   slowEvery: one request in so many, counted over all connections, is a slow one
 *   slowConnections: so many connections send nothing but slow ones
 *   slowPath: of slow ones; see servers/answer.js
 * @returns {Promise<{sent: number, received: number, rate: number, cheap: Float64Array}>} cheap: latencies of the others
 *   that were sent and answered in the measured time, sorted, in milliseconds
 */
export async function drive(options) {
  const { server, connections, slowEvery = 0, slowConnections = 0, slowPath = '/slow', warmup, ms, onStart } = options;
  const { answerBytes } = server;
  const slowRequest = Buffer.from(`GET ${slowPath} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  let sent = 0;
  let received = 0;
  let measuring = false;
  let measured = 0;
  let ending = false;
  const cheap = [];
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(server);
      await once(socket, server.secure ? 'secureConnect' : 'connect');
      return socket;
    }),
  );
  const open = sockets.map(async (socket, index) => {
    let bytes = 0;
    let from = 0;
    let slow = false;
    const send = () => {
      slow = index < slowConnections || (slowEvery > 0 && sent % slowEvery === 0);
      sent++;
      from = measuring ? performance.now() : 0;
      socket.write(slow ? slowRequest : REQUEST);
    };
    const ended = new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('a connection was closed by the server')));
      socket.on('data', data => {
        bytes += data.length;
        if (bytes < answerBytes) return;
        bytes -= answerBytes;
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
