// The handler of servers/epoll-pool.js: edge-triggered, one read and one answer a run.
import { EPOLLRDHUP } from '../lib/ours.js';
import { answering, HEAD } from './answer.js';

const request = Buffer.alloc(16_384);
const answer = Buffer.from(HEAD + '0'.repeat(64));
let { ofRequest } = answering('sha256 0');

export function setup(data) {
  ({ ofRequest } = answering(data.work));
}

export default function handle(ready) {
  for (;;) {
    const n = ready.read(request);
    if (n < 0) return;
    if (n === 0) {
      ready.close();
      return;
    }
    answer.latin1Write(ofRequest(request.subarray(0, n)), HEAD.length);
    if (ready.write(answer) !== answer.length) throw new Error('no room for an answer');
    // All that was there, and no end yet: whatever comes now is another edge.
    if (n < request.length && (ready.events & EPOLLRDHUP) === 0) return;
  }
}
