// The CPU-bound part of threads.js.
import * as crypto from 'node:crypto';

const sha256 =
  crypto.hash === undefined
    ? data => crypto.createHash('sha256').update(data).digest('hex')
    : data => crypto.hash('sha256', data, 'hex');

/** SHA-256 of the same bytes, several times over: long inputs, so that it is the processor's work and not the allocator's. */
export function hashTimes(data, times) {
  let digest = '';
  for (let i = 0; i < times; i++) digest = sha256(data);
  return digest;
}
