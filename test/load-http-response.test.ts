/** Where HTTP/1.x responses end: every framing of RFC 9112, cut at every byte. */
import { describe, expect, test } from 'vitest';
import { COMPLETE, ResponseFramer } from '../dist/shared/load/http-response.js';
import { chunked, read, readAnyhow, sized } from './load-framing.ts';

describe('a body', () => {
  const cases: Record<string, [text: string, end: string]> = {
    'by Content-Length': [sized, 'open'],
    'of length 0': ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'open'],
    'with blanks around its length': ['HTTP/1.1 200 OK\r\ncontent-LENGTH: \t 2 \t\r\n\r\nab', 'open'],
    'with no blank before its length': ['HTTP/1.1 200 OK\r\nContent-Length:2\r\n\r\nab', 'open'],
    'with the same length twice': ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nab', 'open'],
    'with the same length in a list': ['HTTP/1.1 200 OK\r\nContent-Length: 2, 2 ,02\r\n\r\nab', 'open'],
    'by Content-Length, coded in no way': [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nab',
      'open',
    ],
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
    'to the end of the connection, coded in no way': [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nab',
      'closed',
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

  test('empty lines between them are nothing', () => {
    const texts = ['\r\n', sized, '\r\n\r\n', chunked, '\r\n', sized, '\r\n'];
    const expected = texts.filter(text => text.length > 4).map(text => `200 ${text.length}`);
    expect(readAnyhow(texts.join(''))).toEqual({ responses: expected, end: 'open' });
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
