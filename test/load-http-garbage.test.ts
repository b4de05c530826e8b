/** What is no HTTP/1.x is told, with its kind, however it is cut; headers have a limit; nothing throws. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutEvery, read, readAnyhow, sized, withoutRest } from './load-framing.ts';

describe('what is no HTTP/1.x', () => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const inChunks = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
  const cases: Array<[problem: string, text: string]> = [
    ['version', 'garbage'],
    ['version', ' HTTP/1.1 200 OK\r\n\r\n'],
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
    ['content-length', `${ok}Content-Length: 2, 3\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 2,\r\n\r\n`],
    ['content-length', `${ok}Content-Length: ,2\r\n\r\n`],
    ['content-length', `${ok}Content-Length: 2, 2\r\nContent-Length: 3\r\n\r\n`],
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
    ['header', `${ok}Transfer-Encoding: chunked\r\nX: y\r\n\r\n0\r\n folded\r\n\r\n`],
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
