/** Reads responses from text cut in every way, for the tests of framing. */
import { expect } from 'vitest';
import { COMPLETE, FAILED, ResponseFramer, type ResponseFramerOptions } from '../dist/shared/load/http-response.js';

export interface Read {
  /** status, bytes, and ' close' */
  readonly responses: string[];
  /** What is wrong; 'open' when the connection goes on. */
  readonly end: string;
}

/** What comes of these chunks, each at an offset of its own in a larger buffer. The connection ends after them. */
export function read(chunks: readonly Uint8Array[], options?: ResponseFramerOptions): Read {
  const framer = new ResponseFramer(options);
  const at = ResponseFramer.WORDS;
  const words = new Float64Array(new SharedArrayBuffer(8 * 3 * ResponseFramer.WORDS));
  const responses: string[] = [];
  const note = () => responses.push(`${framer.status} ${framer.bytes}${framer.close ? ' close' : ''}`);
  const result = (end: string): Read => {
    expect([...words.subarray(0, at), ...words.subarray(2 * at)].every(word => word === 0)).toBe(true);
    return { responses, end };
  };
  for (const chunk of chunks) {
    const buffer = Buffer.concat([Buffer.from('\r\n0'), chunk, Buffer.from('\r\n\r\nHTTP')]);
    let offset = 3;
    const end = 3 + chunk.length;
    for (;;) {
      const outcome = framer.next(words, at, buffer, offset, end);
      if (outcome === FAILED) return result(framer.problem);
      if (outcome !== COMPLETE) break;
      note();
      offset = framer.offset;
      if (framer.close) return result(offset === end ? 'closed' : `closed, ${end - offset} more`);
    }
  }
  const outcome = framer.end(words, at);
  if (outcome === FAILED) return result(framer.problem);
  if (outcome === COMPLETE) note();
  return result(outcome === COMPLETE ? 'closed' : 'open');
}

/** The same however it is cut: whole, in two at every position, in single bytes, in threes. */
export function readAnyhow(text: string, options?: ResponseFramerOptions): Read {
  const bytes = Buffer.from(text, 'latin1');
  const whole = read([bytes], options);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const two = read([bytes.subarray(0, cut), bytes.subarray(cut)], options);
    expect({ cut, ...withoutRest(two) }).toEqual({ cut, ...withoutRest(whole) });
  }
  for (const size of [1, 3]) expect(withoutRest(read(cutEvery(bytes, size), options))).toEqual(withoutRest(whole));
  return whole;
}

/** Bytes after a response that closes are not looked at, so how many there are depends on the cut. */
export function withoutRest(read: Read): Read {
  return { ...read, end: read.end.replace(/, .*/, '') };
}

export function cutEvery(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < bytes.length; i += size) chunks.push(bytes.subarray(i, i + size));
  return chunks;
}

export const sized = 'HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello';
export const chunked =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n6;a="b;c"\r\npedia \r\n0\r\n\r\n';
