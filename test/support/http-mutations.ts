/** HTTP requests, and what becomes of them when bytes, words and lines are changed: the same for the same seed. */

/** A 32-bit xorshift generator. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % limit;
  }

  of<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }
}

const REQUESTS: readonly [string, ...string[]] = [
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /a/b?c=d&e=%20f HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: test/1.0 (x; y)\r\nAccept: */*\r\nCookie: a=1; b=2\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: x\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET http://example.com/a HTTP/1.1\r\nHost: example.com\r\nConnection: Keep-Alive, TE\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
  'HEAD /x HTTP/1.1\r\nhOsT:x\r\nX-Empty:\r\nX-Tab:\ta\tb \r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello',
  'PUT /p HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain; charset="utf-8"\r\nContent-Length:  0012 \r\n\r\nhello, world',
  'POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n',
  'POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n00A;name=value;q="a b"\r\n0123456789\r\n1\r\n\n\r\n0;last\r\nT: a\r\nU:\r\n\r\n',
  'PATCH /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab',
  'DELETE /d HTTP/1.1\r\nHost: x\r\nX: \x80\xff\r\n\r\n',
];

const PIECES: readonly [string, ...string[]] = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '\0',
  '\x7f',
  '\xe9',
  '0',
  '1',
  '5',
  'f',
  '-',
  '+',
  '"',
  '#',
  '?',
  '/',
  '//',
  '*',
  '%',
  '\\',
  '@',
  '[',
  '_',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/1.2',
  'HTTP/0.9',
  'http/1.1',
  'ICE/1.0',
  'RTSP/1.0',
  'GET',
  'POST',
  'CONNECT',
  'PRI',
  'FOO',
  'get',
  'chunked',
  'gzip',
  'identity',
  'close',
  'keep-alive',
  'upgrade',
  '100-continue',
  '99999999999999999999',
  'ffffffffffffffffff',
  '0x5',
  '1_0',
];
const LINES: readonly [string, ...string[]] = [
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 3\r\n',
  'Content-Length:\r\n',
  'Content-Length: 5, 5\r\n',
  'Content-Length : 5\r\n',
  'Content_Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding: chunked, gzip\r\n',
  'Transfer-Encoding: xchunked\r\n',
  'Transfer-Encoding:\r\n',
  'Transfer-Encoding: \x0bchunked\r\n',
  'Transfer-Encoding: chunked;a=b\r\n',
  'Transfer-Encoding: "chunked"\r\n',
  'TE: chunked\r\n',
  'Host: y\r\n',
  'Host: a b\r\n',
  'Host: a/b\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Expect: 100-continue\r\n',
  'Expect: other\r\n',
  ' folded\r\n',
  '\tfolded\r\n',
  ': empty\r\n',
  'no colon\r\n',
  'X: a\nY: b\r\n',
  'X: a\rY: b\r\n',
  'X: y\n',
  'X\0: y\r\n',
  'X: \0\r\n',
  'X Y: z\r\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  '5;\r\nhello\r\n',
  '5 \r\nhello\r\n',
  ' 5\r\nhello\r\n',
  '5\nhello\r\n',
  '5\r\nhello\n',
  '5\r\nhelloX\r\n',
  '5;a\nb\r\nhello\r\n',
  '5;a="\n"\r\nhello\r\n',
  '5\rhello\r\n',
];

/** One to three requests one after the other, with up to four changes. */
export function mutated(chance: Chance): Buffer {
  let text = '';
  for (let count = 1 + (chance.below(3) >> 1) + (chance.below(4) >> 1); count > 0; count--) text += chance.of(REQUESTS);
  for (let changes = chance.below(5); changes > 0; changes--) text = changed(text, chance);
  return Buffer.from(text, 'latin1');
}

function changed(text: string, chance: Chance): string {
  const at = chance.below(text.length + 1);
  const length = 1 + chance.below(chance.below(4) === 0 ? 12 : 2);
  const to = Math.min(at + length, text.length);
  switch (chance.below(9)) {
    case 0:
      return text.slice(0, at) + chance.of(PIECES) + text.slice(at);
    case 1:
      return text.slice(0, at) + chance.of(PIECES) + text.slice(to);
    case 2:
      return text.slice(0, at) + text.slice(to);
    case 3:
      return text.slice(0, to) + text.slice(at);
    case 4:
      return text.slice(0, at) + String.fromCharCode(chance.below(256)) + text.slice(at + 1);
    case 5:
      return text.slice(0, at);
    case 6: {
      // Another case of a letter, or a bit.
      const c = text.charCodeAt(at) || 0;
      return text.slice(0, at) + String.fromCharCode((c ^ (1 << chance.below(8))) & 255) + text.slice(at + 1);
    }
    default: {
      const line = text.indexOf('\n', at) + 1;
      return text.slice(0, line) + chance.of(LINES) + text.slice(line);
    }
  }
}
