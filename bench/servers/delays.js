// A server whose latencies are known: it answers each request after a time of its own choice, and keeps a record of these times.
import { answering, HEAD } from './answer.js';
import { listen, work } from './serve.js';

/** Milliseconds; `share` is from 0 to 1, evenly. */
const DELAYS = {
  even: share => 1 + 19 * share,
  'one in fifty': share => (share < 0.02 ? 50 : 2),
};

const delayOf = DELAYS[work];
const { ofRequest } = answering('sha256 0');
let times = [];
let state = 1;

function onConnection(socket) {
  socket.on('data', request => {
    const from = performance.now();
    // The same sequence in every run (a Lehmer generator).
    state = (state * 48_271) % 2_147_483_647;
    const answer = HEAD + ofRequest(request);
    setTimeout(
      () => {
        times.push(performance.now() - from);
        socket.write(answer, 'latin1');
      },
      delayOf(state / 2_147_483_647),
    );
  });
  socket.on('error', () => {});
}

/** Of all since the last time that it was asked, in milliseconds. */
function p99() {
  const sorted = Float64Array.from(times).sort();
  times = [];
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
}

listen(onConnection, {}, { p99 });
