// What every server does with a request, and what it answers: the same work, whoever does it.
import * as crypto from 'node:crypto';

/** One-shot where Node has it (20.12). */
const sha256 =
  crypto.hash === undefined
    ? data => crypto.createHash('sha256').update(data).digest('hex')
    : data => crypto.hash('sha256', data, 'hex');

const NOTHING = '0'.repeat(64);
const SLOW_MS = 20;
const S = 's'.charCodeAt(0);
const K = 'k'.charCodeAt(0);
const END = 0x0a0d0a0d; // "\r\n\r\n", read as a little-endian number

/** What stands before the digest in every answer of a server that speaks HTTP by hand. */
export const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n';

/** The same of one that closes then. */
export const CLOSING_HEAD = HEAD.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');

/** Headers for a server that has HTTP from a library. */
export const HEADERS = { 'content-type': 'text/plain', 'content-length': '64' };

/** 4 kB of JSON, as an API is sent it. */
const DOCUMENT = JSON.stringify(
  Array.from({ length: 41 }, (_, id) => ({
    id: id * 7919,
    name: `name number ${id}`,
    tags: ['one', 'another'],
    score: id * 1.25,
    open: id % 2 === 0,
  })),
);

/**
 * @param {string} work for each request: 'sha256 20', a chain of so many, the first of the request and each other of the one
 *   before, in hex; 'json 4', JSON.parse of 4 kB so many times, and a little JSON.stringify
 * @returns {{ofRequest: (bytes: Uint8Array) => string, ofTarget: (target: string) => string}} the 64 characters that are
 *   answered to one whole request, or to one that was parsed. Paths that begin with an s cost 20 ms instead, with a k one
 *   scrypt. Clients send no request before the last was answered, in one write that arrives whole; anything else throws.
 */
export function answering(work) {
  const [kind, times] = work.split(' ');
  const compute = kind === 'json' ? () => parse(Number(times)) : data => chain(data, Number(times));
  return {
    ofRequest(request) {
      const bytes = Buffer.from(request.buffer, request.byteOffset, request.byteLength);
      if (bytes.length < 16 || bytes.readInt32LE(bytes.length - 4) !== END) throw new Error('not one whole request');
      return costly(bytes[5]) ?? compute(bytes);
    },
    ofTarget: target => costly(target.charCodeAt(1)) ?? compute(target),
  };
}

function costly(letter) {
  if (letter === S) return spin();
  return letter === K ? crypto.scryptSync('password', 'salt', 32).toString('hex') : undefined;
}

function chain(data, times) {
  if (times === 0) return NOTHING;
  let digest = sha256(data);
  for (let i = 1; i < times; i++) digest = sha256(digest);
  return digest;
}

function parse(times) {
  if (times === 0) return NOTHING;
  let sum = 0;
  let last = '';
  for (let i = 0; i < times; i++) {
    const document = JSON.parse(DOCUMENT);
    sum += document.length;
    last = JSON.stringify(document[i % document.length].tags);
  }
  return `${last}${sum}`.padEnd(64, '.');
}

function spin() {
  let digest = NOTHING;
  for (const until = performance.now() + SLOW_MS; performance.now() < until; ) digest = sha256(digest);
  return digest;
}
