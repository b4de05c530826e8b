/** lines(): text by lines, in any pieces; the last may lack its end. */
import { lines } from 'epoll-pool/worker';
import { describe, expect, test } from 'vitest';
import { FakeServer } from './support/protocol.ts';
import { thrown } from './support/within.ts';

type Options = Parameters<typeof lines>[0];

async function read(pieces: Array<string | Uint8Array>, options?: Options): Promise<string[]> {
  const messages: string[] = [];
  const server = new FakeServer(lines(options), message => {
    messages.push(message);
  });
  for (const piece of pieces) await server.feed(piece);
  await server.finish();
  return messages;
}

const inBytes = (bytes: Buffer) => Array.from(bytes, byte => Uint8Array.of(byte));

describe('lines', () => {
  const cases: Array<[text: string, expected: string[]]> = [
    ['a\nb\n', ['a', 'b']],
    ['a\r\nb\r\n', ['a', 'b']],
    ['\n\r\n', ['', '']],
    ['a\rb\n', ['a\rb']],
    ['a\r\r\n', ['a\r']],
    ['whole\nlast', ['whole', 'last']],
    ['last\r', ['last\r']],
    ['', []],
    ['zwölf €\nBoxkämpfer', ['zwölf €', 'Boxkämpfer']],
  ];
  test.each(cases)('%j', async (text, expected) => {
    const bytes = Buffer.from(text);
    expect(await read([bytes])).toEqual(expected);
    expect(await read(inBytes(bytes))).toEqual(expected);
    const wide = Buffer.from(text, 'utf16le');
    expect(await read([wide], { encoding: 'utf16le' })).toEqual(expected);
    expect(await read(inBytes(wide), { encoding: 'ucs2' })).toEqual(expected);
  });

  test('in UTF-16 a byte of another character is no end', async () => {
    // ਊ is 0A 0A, Ā is 00 01, and between the two stands the pair 0A 00 at an odd place.
    const text = 'ਊĀ\nĊ\r\nend';
    for (const pieces of [[Buffer.from(text, 'utf16le')], inBytes(Buffer.from(text, 'utf16le'))]) {
      expect(await read(pieces, { encoding: 'utf16le' })).toEqual(['ਊĀ', 'Ċ', 'end']);
    }
  });

  test('other encodings', async () => {
    expect(await read([Buffer.from([0xe9, 10])], { encoding: 'latin1' })).toEqual(['é']);
    expect(await read([Buffer.from([0xe9, 13, 10, 1])], { encoding: 'hex' })).toEqual(['e9', '01']);
    expect(await read([Buffer.from([0xff, 10])], { encoding: undefined })).toEqual(['\ufffd']);
  });

  test('looks at no byte twice', () => {
    const protocol = lines();
    const input = Buffer.from('aaa\nb');
    const { connection } = new FakeServer(protocol, () => {});
    expect(protocol.frame(input, 0, connection)).toBe(4);
    expect(protocol.frame(input, 4, connection)).toBe(0);
  });
});

test('options are checked', () => {
  const call = (options: unknown) => thrown(() => Reflect.apply(lines, undefined, [options]));
  for (const options of [null, 1, 'utf8', { encoding: 1 }, { encoding: null }]) {
    expect(call(options)).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const encoding of ['', 'utf-7', 'buffer']) {
    expect(call({ encoding })).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  }
});
