// The CPU-bound part of threads.js.
import * as crypto from 'node:crypto';

const sha256 =
  crypto.hash === undefined
    ? data => crypto.createHash('sha256').update(data).digest('hex')
    : data => crypto.hash('sha256', data, 'hex');

/** A chain of SHA-256. @param {number} hashes at least 1 */
export function hashChain(data, hashes) {
  let digest = sha256(data);
  for (let i = 1; i < hashes; i++) digest = sha256(digest);
  return digest;
}
