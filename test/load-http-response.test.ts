/** Where HTTP/1.x responses end: every framing of RFC 9112, cut at every byte. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMPLETE, FAILED, ResponseFramer, type ResponseFramerOptions } from '../dist/load/http-response.js';

interface Read {
  /** status, bytes, and ' close' */
  readonly responses: string[];
  /** What is wrong; 'open' when the connection goes on. */
  readonly end: string;
}

/** What comes of these chunks, each at an offset of its own in a larger buffer. The connection ends after them. */
function read(chunks: readonly Uint8Array[], options?: ResponseFramerOptions): Read {
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
function readAnyhow(text: string, options?: ResponseFramerOptions): Read {
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
function withoutRest(read: Read): Read {
  return { ...read, end: read.end.replace(/, .*/, '') };
}

function cutEvery(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < bytes.length; i += size) chunks.push(bytes.subarray(i, i + size));
  return chunks;
}

const sized = 'HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello';
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n6;a="b;c"\r\npedia \r\n0\r\n\r\n';

describe('a body', () => {
  const cases: Record<string, [text: string, end: string]> = {
    'by Content-Length': [sized, 'open'],
    'of length 0': ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'open'],
    'with blanks around its length': ['HTTP/1.1 200 OK\r\ncontent-LENGTH: \t 2 \t\r\n\r\nab', 'open'],
    'with no blank before its length': ['HTTP/1.1 200 OK\r\nContent-Length:2\r\n\r\nab', 'open'],
    'with the same length twice': ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nab', 'open'],
    'in chunks, with an extension': [chunked, 'open'],
    'in chunks, with blanks after the size': [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2  \r\nab\r\n00\r\n\r\n',
      'open',
    ],
    'in chunks, with trailers that mean nothing': [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\nConnection: close\r\nTrailer: x\r\n y\r\n\r\n',
      'open',
    ],
    'in chunks of upper and lower case sizes': [
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\nA\r\n${'x'.repeat(10)}\r\n0b\r\n${'y'.repeat(11)}\r\n0\r\n\r\n`,
      'open',
    ],
    'that was compressed, then chunked': [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
      'open',
    ],
    'that was compressed and chunked by two headers': [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'open',
    ],
    'in chunks, whatever its Content-Length says': [
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n',
      'open',
    ],
    'with lines that end in LF alone': ['HTTP/1.1 200 OK\nContent-Length: 2\n\nab', 'open'],
    'in chunks, with lines that end in LF alone': [
      'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2;x\nab\n1\nc\n0\n\n',
      'open',
    ],
    'to the end of the connection': ['HTTP/1.1 200 OK\r\nX: y\r\n\r\nany \0 bytes', 'closed'],
    'to the end of the connection, empty': ['HTTP/1.1 200 OK\r\n\r\n', 'closed'],
    'that was compressed, but not chunked': [
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc',
      'closed',
    ],
    'whose coding only looks chunked': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\nabc', 'closed'],
  };
  test.each(Object.entries(cases))('%s', (_name, [text, end]) => {
    const close = end === 'closed' ? ' close' : '';
    expect(readAnyhow(text)).toEqual({ responses: [`200 ${text.length}${close}`], end });
  });
});

describe('no body', () => {
  test.each([204, 304])('after status %i, whatever its headers say', status => {
    const text = `HTTP/1.1 ${status} X\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expect(readAnyhow(text + text)).toEqual({
      responses: [`${status} ${text.length}`, `${status} ${text.length}`],
      end: 'open',
    });
  });

  test('after HEAD, whatever its headers say', () => {
    const texts = ['Content-Length: 7\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n'];
    const heads = texts.map(header => `HTTP/1.1 200 OK\r\n${header}\r\n`);
    expect(readAnyhow(heads.join(''), { head: true })).toEqual({
      responses: ['200 38', '200 47', '200 38 close'],
      end: 'closed',
    });
  });

  test('of 1xx responses: they are passed over, their bytes counted', () => {
    const interim =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 99\r\nConnection: close\r\n\r\n';
    expect(readAnyhow(interim + sized)).toEqual({ responses: [`200 ${interim.length + sized.length}`], end: 'open' });
  });
});

describe('whether the connection stays', () => {
  const cases: Array<[version: string, connection: string, stays: boolean]> = [
    ['1.1', 'keep-alive', true],
    ['1.1', 'close', false],
    ['1.1', 'CLOSE', false],
    ['1.1', 'keep-alive,close', false],
    ['1.1', 'x, Close , y', false],
    ['1.1', 'closed', true],
    ['1.1', 'clos', true],
    ['1.1', 'close;x', true],
    ['1.1', 'upgrade', true],
    ['1.1', '', true],
    ['1.0', '', false],
    ['1.0', 'close', false],
    ['1.0', 'Keep-Alive', true],
    ['1.0', 'keep-alive\r\nConnection: close', false],
    ['1.0', 'keep-aliv', false],
    ['1.0', 'keep-alive\r\nTransfer-Encoding: gzip, chunked', false],
    ['1.1', 'x\r\nConnectionx: close', true],
    ['1.1', 'x\r\nContent: close', true],
    ['1.1', 'x\r\nProxy-Connection: close', true],
  ];
  test.each(cases)('HTTP/%s, Connection: %s: %s', (version, connection, stays) => {
    const body = connection.includes('chunked') ? '0\r\n\r\n' : 'ab';
    const length = connection.includes('chunked') ? '' : 'Content-Length: 2\r\n';
    const text = `HTTP/${version} 200 OK\r\nConnection: ${connection}\r\n${length}\r\n${body}`;
    const responses = [`200 ${text.length}${stays ? '' : ' close'}`];
    expect(readAnyhow(text)).toEqual({ responses, end: stays ? 'open' : 'closed' });
  });

  test('bytes after a response that closes are left alone', () => {
    const text = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';
    expect(readAnyhow(`${text}garbage`)).toEqual({ responses: [`200 ${text.length} close`], end: 'closed, 7 more' });
  });
});

describe('one after the other', () => {
  test('responses of every kind in one chunk', () => {
    const none = 'HTTP/1.1 204 No Content\r\n\r\n';
    const missing = 'HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx';
    const responses = [sized, chunked, none, sized, missing, chunked];
    const expected = responses.map(text => `${text.slice(9, 12)} ${text.length}`);
    expect(readAnyhow(responses.join(''))).toEqual({ responses: expected, end: 'open' });
  });

  test('headers that repeat, then differ in what they say at the same length', () => {
    const same = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab';
    const other = 'HTTP/1.1 500 OK\r\nContent-Length: 3\r\n\r\nabc';
    const close = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nrest';
    const texts = [same, same, other, other, ...Array<string>(60).fill(sized), same, close];
    const expected = texts.map(text => `${text.slice(9, 12)} ${text.length}`);
    expected.push(`${expected.pop() ?? ''} close`);
    expect(read([Buffer.from(texts.join(''))])).toEqual({ responses: expected, end: 'closed' });
  });

  test('headers that always differ', () => {
    const texts = Array.from(
      { length: 300 },
      (_, i) => `HTTP/1.1 200 OK\r\nE: ${1000 + i}\r\nContent-Length: 1\r\n\r\nx`,
    );
    const { responses } = read([Buffer.from(texts.join(''))]);
    expect(responses).toEqual(texts.map(text => `200 ${text.length}`));
  });

  test('a body longer than 4 GiB, counted exactly', () => {
    const framer = new ResponseFramer();
    const words = new Float64Array(ResponseFramer.WORDS);
    const piece = Buffer.alloc(1 << 24);
    const head = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5368709121\r\n\r\n');
    expect(framer.next(words, 0, head, 0, head.length)).not.toBe(COMPLETE);
    for (let i = 0; i < 320; i++) expect(framer.next(words, 0, piece, 0, piece.length)).not.toBe(COMPLETE);
    expect(framer.next(words, 0, piece, 5, piece.length)).toBe(COMPLETE);
    expect([framer.bytes, framer.offset]).toEqual([head.length + 5 * 2 ** 30 + 1, 6]);
  });
});

describe('what is no HTTP/1.x', () => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const inChunks = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
  const cases: Array<[problem: string, text: string]> = [
    ['version', 'garbage'],
    ['version', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['version', 'HTTP/2 200 OK\r\n\r\n'],
    ['version', 'http/1.1 200 OK\r\n\r\n'],
    ['version', 'HTTP/1.x 200 OK\r\n\r\n'],
    ['version', 'HTTP/1.12 200 OK\r\n\r\n'],
    ['version', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['status-code', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['status-code', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['status-code', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['status-code', 'HTTP/1.1 OK\r\n\r\n'],
    ['header', 'HTTP/1.1 200 O\0K\r\n\r\n'],
    ['header', 'HTTP/1.1 200 OK\rX: y\r\n\r\n'],
    ['header', `${ok}no colon\r\n\r\n`],
    ['header', `${ok}nocolon\r\n\r\n`],
    ['header', `${ok}Content-Length : 3\r\n\r\nabc`],
    ['header', `${ok}: empty name\r\n\r\n`],
    ['header', `${ok} folded first line\r\n\r\n`],
    ['header', `${ok}Content-Length: 3\r\n 4\r\n\r\nabc`],
    ['header', `${ok}Connection: keep-alive,\r\n close\r\n\r\n`],
    ['header', `${ok}X: a\rb\r\n\r\n`],
    ['header', `${ok}X: a\x01b\r\n\r\n`],
    ['header', `${ok}Connection: a\0b\r\n\r\n`],
    ['header', `${ok}X: y\r\n\rx`],
    ['content-length', `${ok}Content-Length: \r\n\r\n`],
    ['content-length', `${ok}Content-Length: -1\r\n\r\n`],
    ['content-length', `${ok}Content-Length: +1\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 1e3\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 0x10\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 1 2\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 2, 2\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 9007199254740992\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\n`],
    ['chunk', `${inChunks}x\r\n`],
    ['chunk', `${inChunks}\r\n`],
    ['chunk', `${inChunks}-1\r\n`],
    ['chunk', `${inChunks}20000000000000\r\n`],
    ['chunk', `${inChunks}2\r\nabc\r\n0\r\n\r\n`],
    ['chunk', `${inChunks}2\r\nab\rx`],
    ['chunk', `${inChunks}2\rab`],
    ['chunk', `${inChunks}2;a\0b\r\n`],
    ['header', `${inChunks}0\r\nno trailer\r\n\r\n`],
    ['header', `${inChunks}0\r\n folded\r\n\r\n`],
    ['upgrade', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
    ['truncated', 'H'],
    ['truncated', ok],
    ['truncated', `${ok}Content-Length: 3\r\n\r\nab`],
    ['truncated', `${inChunks}5\r\nabc`],
    ['truncated', `${inChunks}0\r\n`],
    ['truncated', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ];
  test.each(cases)('%s: %j', (problem, text) => {
    expect(readAnyhow(text)).toEqual({ responses: [], end: problem });
    expect(readAnyhow(sized + text)).toEqual({ responses: [`200 ${sized.length}`], end: problem });
  });
});

describe('the limit of headers', () => {
  const options = { maxHeaderBytes: 64 };
  const exactly = (bytes: number) => `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(bytes - 24)}\r\n\r\n`;
  test('is exact', () => {
    expect(exactly(64)).toHaveLength(64);
    expect(readAnyhow(exactly(64), options)).toEqual({ responses: ['200 64 close'], end: 'closed' });
    expect(readAnyhow(exactly(65), options)).toEqual({ responses: [], end: 'header-size' });
  });

  test('ends headers without end, 1xx without end, extensions and trailers without end', () => {
    const chunks = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (const [begin, repeat] of [
      ['HTTP/1.1 200 OK\r\n', 'X: y\r\n'],
      ['', 'HTTP/1.1 100 Continue\r\n\r\n'],
      [`${chunks}1;`, 'x'],
      [`${chunks}0\r\n`, 'X: y\r\n'],
      [chunks, '0'],
    ] as const) {
      expect(readAnyhow(begin + repeat.repeat(100), options).end).toBe('header-size');
    }
  });

  test('does not add up over chunks or responses', () => {
    const many = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1;abc\r\nx\r\n'.repeat(40)}0\r\n\r\n`;
    expect(readAnyhow(many + many, options).responses).toHaveLength(2);
  });

  test('is 64 KiB by default', () => {
    expect(read([Buffer.from(exactly(65_536))]).end).toBe('closed');
    expect(read([Buffer.from(exactly(65_537))]).end).toBe('header-size');
  });
});

describe('whatever comes', () => {
  const body = fc.string({ unit: 'binary-ascii', maxLength: 40 });
  const header = fc.constantFrom(
    '',
    'Server: x\r\n',
    'Cookie: a=b; c\r\n',
    'Connection: keep-alive\r\n',
    'T: 1\r\n',
    'c:\r\n',
  );
  const response = fc.oneof(
    fc
      .tuple(header, body, header)
      .map(([a, b, c]) => `HTTP/1.1 200 OK\r\n${a}Content-Length: ${b.length}\r\n${c}\r\n${b}`),
    fc.tuple(header, fc.array(body, { maxLength: 4 })).map(([a, parts]) => {
      const chunks = parts.filter(part => part !== '').map(part => `${part.length.toString(16)};e\r\n${part}\r\n`);
      return `HTTP/1.1 201 Created\r\n${a}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n${a}\r\n`;
    }),
    header.map(a => `HTTP/1.1 100 \r\n${a}\r\nHTTP/1.1 204 \r\n${a}\r\n`),
  );
  const cuts = fc.array(fc.nat(2000), { maxLength: 12 });
  const split = (bytes: Uint8Array, at: readonly number[]): Uint8Array[] => {
    const sorted = [0, ...at.map(cut => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b);
    return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end));
  };

  test('responses are found whole, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(response, { maxLength: 8 }), cuts, (texts, at) => {
        const expected = texts.map(text => `${/HTTP\/1\.1 ([2-5]\d\d)/.exec(text)?.[1]} ${text.length}`);
        expect(read(split(Buffer.from(texts.join(''), 'latin1'), at))).toEqual({ responses: expected, end: 'open' });
      }),
      { numRuns: 500 },
    );
  });

  test('broken responses are broken in the same way, however they are cut', () => {
    const noise = fc.constantFrom(
      '\r',
      '\n',
      '\r\n',
      '\0',
      ' ',
      ':',
      ',',
      'HTTP/1.1 ',
      'Content-Length: 3\r\n',
      'x',
      '0\r\n\r\n',
      'é',
    );
    fc.assert(
      fc.property(response, response, noise, fc.nat(300), cuts, (first, second, bad, place, at) => {
        const text = first + second;
        const cut = Math.min(place, text.length);
        const bytes = Buffer.from(text.slice(0, cut) + bad + text.slice(cut), 'latin1');
        const options = { maxHeaderBytes: 100 };
        const whole = withoutRest(read([bytes], options));
        expect(withoutRest(read(split(bytes, at), options))).toEqual(whole);
        expect(withoutRest(read(cutEvery(bytes, 1), options))).toEqual(whole);
      }),
      { numRuns: 1000 },
    );
  });

  test('any bytes are taken without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, begin) => {
        const all = begin ? Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n'), bytes]) : bytes;
        expect(withoutRest(read(cutEvery(all, 1)))).toEqual(withoutRest(read([all])));
      }),
      { numRuns: 500 },
    );
  });
});
