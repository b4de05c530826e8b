// The handler of threads.js.
import { shared } from '../lib/threads.js';
import { hashTimes } from './hash.js';

let buffer = Buffer.alloc(0);
let hashes = 1;
let counts = shared(2);

export function setup(data) {
  buffer = Buffer.alloc(data.chunk);
  ({ hashes, counts } = data);
}

export default function hash(ready) {
  const n = ready.read(buffer);
  if (n < 0) return;
  if (n > 0) {
    hashTimes(buffer, hashes);
    Atomics.add(counts, 0, 1);
    return;
  }
  ready.close();
  if (Atomics.sub(counts, 1, 1) === 1) ready.post('done');
}
