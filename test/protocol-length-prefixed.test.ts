/** lengthPrefixed(): messages behind their length, in any pieces. */
import { lengthPrefixed } from 'epoll-pool/worker';
import { expect, test } from 'vitest';
import { FakeServer } from './support/protocol.ts';
import { thrown } from './support/within.ts';

type Options = Parameters<typeof lengthPrefixed>[0];

async function read(pieces: Uint8Array[], options?: Options) {
  const messages: string[] = [];
  const server = new FakeServer(lengthPrefixed(options), message => {
    messages.push(message.toString());
  });
  for (const piece of pieces) await server.feed(piece);
  await server.finish();
  return { messages, outcome: server.outcome };
}

const forms: Array<[options: Options, prefix: number[]]> = [
  [undefined, [0, 0, 1, 2]],
  [{}, [0, 0, 1, 2]],
  [{ bytes: 4, littleEndian: false }, [0, 0, 1, 2]],
  [{ bytes: 4, littleEndian: true }, [2, 1, 0, 0]],
  [{ bytes: 2 }, [1, 2]],
  [{ bytes: 2, littleEndian: true }, [2, 1]],
];
test.each(forms)('%j', async (options, prefix) => {
  const message = 'x'.repeat(258);
  const empty = prefix.map(() => 0);
  const bytes = Buffer.concat([Buffer.from(prefix), Buffer.from(message), Buffer.from(empty), Buffer.from(prefix)]);
  const expected = { messages: [message, ''], outcome: 'open' }; // what has not come whole is dropped
  expect(await read([bytes], options)).toEqual(expected);
  expect(
    await read(
      Array.from(bytes, byte => Uint8Array.of(byte)),
      options,
    ),
  ).toEqual(expected);
});

test('one byte, in either order', async () => {
  for (const littleEndian of [true, false, undefined]) {
    const bytes = Buffer.from([255, ...Buffer.from('y'.repeat(255))]);
    expect((await read([bytes], { bytes: 1, littleEndian })).messages).toEqual(['y'.repeat(255)]);
  }
});

test('a length is told before the message is there, however great', async () => {
  const protocol = lengthPrefixed();
  const { connection } = new FakeServer(protocol, () => {});
  expect(protocol.frame(Buffer.from([255, 255, 255]), 0, connection)).toBe(0);
  expect(protocol.frame(Buffer.from([255, 255, 255, 255]), 3, connection)).toBe(2 ** 32 + 3);
  expect((await read([Buffer.from([255, 255, 255, 255])])).outcome).toBe('too-long');
});

test('options are checked', () => {
  const call = (options: unknown) => thrown(() => Reflect.apply(lengthPrefixed, undefined, [options]));
  for (const options of [null, 4, { bytes: '4' }, { bytes: null }, { littleEndian: 1 }, { littleEndian: 'false' }]) {
    expect(call(options)).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const bytes of [0, 3, 8, -1, 1.5, Number.NaN]) {
    expect(call({ bytes })).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  }
});
