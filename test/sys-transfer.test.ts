/** read and write: what they return, and that they touch the bytes of the buffer given and no others. */

import { runInNewContext } from 'node:vm';
import * as sys from 'epoll-pool/sys';
import { describe, expect, test } from 'vitest';
import { pipe, socketpair } from './support/fds.ts';
import { run } from './support/run.ts';
import { thrown } from './support/within.ts';

/** Reads up to what the view holds from a pipe that has `bytes` 1, 2, 3 …; what came into the whole buffer. */
function readInto(view: NodeJS.ArrayBufferView, bytes: number): { n: number; whole: number[] } {
  const { readable, writable } = pipe();
  sys.write(
    writable,
    Uint8Array.from({ length: bytes }, (_, i) => i + 1),
  );
  const n = sys.read(readable, view);
  return { n, whole: [...new Uint8Array(view.buffer)] };
}

test('-1 when it would block, 0 at the end of the stream, EPIPE as an error', () => {
  const { readable, writable } = pipe();
  const buffer = new Uint8Array(8);
  expect(sys.read(readable, buffer)).toBe(-1);
  expect(sys.write(writable, new Uint8Array(3))).toBe(3);
  expect(sys.read(readable, buffer)).toBe(3);
  sys.close(writable);
  expect(sys.read(readable, buffer)).toBe(0);
  expect(sys.read(readable, buffer)).toBe(0);
  const [a, b] = socketpair();
  sys.close(b);
  expect(thrown(() => sys.write(a, buffer))).toMatchObject({
    name: 'EpollError',
    code: 'EPIPE',
    errno: -32,
    syscall: 'write',
    fd: a,
  });
});

test('a write into a full pipe takes what fits, then -1', () => {
  const { readable, writable } = pipe();
  const block = new Uint8Array(1_000_000);
  const first = sys.write(writable, block);
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThan(block.length);
  expect(sys.write(writable, block)).toBe(-1);
  expect(sys.read(readable, block)).toBe(first);
});

test('a broken pipe is no death by SIGPIPE', async () => {
  const result = await run(`
    const { readable, writable } = sys.pipe();
    sys.close(readable);
    try { sys.write(writable, new Uint8Array(1)); } catch (error) { console.log(error.code); }
  `);
  expect(result).toMatchObject({ code: 0, signal: null, stdout: 'EPIPE\n', stderr: '' });
});

test('an empty buffer reads and writes nothing', () => {
  const { readable, writable } = pipe();
  expect(sys.write(writable, new Uint8Array(0))).toBe(0);
  sys.write(writable, new Uint8Array([7]));
  expect(sys.read(readable, new Uint8Array(0))).toBe(0);
  expect(sys.read(readable, new DataView(new ArrayBuffer(4), 4))).toBe(0);
  const one = new Uint8Array(1);
  expect([sys.read(readable, one), one[0]]).toEqual([1, 7]);
});

describe('every kind of view, its own bytes and no others', () => {
  const kinds: Array<
    new (
      buffer: ArrayBuffer | SharedArrayBuffer,
      offset: number,
      length: number,
    ) => NodeJS.ArrayBufferView
  > = [
    ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
    ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView],
  ];
  for (const Kind of kinds) {
    for (const Memory of [ArrayBuffer, SharedArrayBuffer]) {
      test(`${Kind.name} on ${Memory.name}`, () => {
        const unit: unknown = Reflect.get(Kind, 'BYTES_PER_ELEMENT');
        const bytes = 2 * (typeof unit === 'number' ? unit : 1);
        const { n, whole } = readInto(new Kind(new Memory(64), 16, 2), 40);
        expect(n).toBe(bytes);
        expect(whole).toEqual(Array.from({ length: 64 }, (_, i) => (i >= 16 && i < 16 + bytes ? i - 15 : 0)));
        const { readable, writable } = pipe();
        const source = new Memory(64);
        new Uint8Array(source).set(Array.from({ length: 64 }, (_, i) => i));
        expect(sys.write(writable, new Kind(source, 16, 2))).toBe(bytes);
        const got = new Uint8Array(64);
        expect(sys.read(readable, got)).toBe(bytes);
        expect([...got.subarray(0, bytes)]).toEqual(Array.from({ length: bytes }, (_, i) => 16 + i));
      });
    }
  }

  test('Buffer, from the pool and a slice', () => {
    const pooled = Buffer.from('........');
    const { readable, writable } = pipe();
    sys.write(writable, Buffer.from('abcdefgh'));
    expect(sys.read(readable, pooled.subarray(2, 5))).toBe(3);
    expect(pooled.toString()).toBe('..abc...');
  });

  test('of another realm', () => {
    for (const kind of ['new Uint8Array(new ArrayBuffer(8), 2, 3)', 'new DataView(new ArrayBuffer(8), 2, 3)']) {
      expect(readInto(runInNewContext(kind), 8)).toEqual({ n: 3, whole: [0, 0, 1, 2, 3, 0, 0, 0] });
    }
  });
});

describe('buffers that change', () => {
  const KINDS: Array<new (buffer: ArrayBuffer, offset?: number, length?: number) => NodeJS.ArrayBufferView> = [
    Uint8Array,
    DataView,
  ];
  // TypeScript's ES2023 does not know resizable buffers yet.
  const resizable = (length: number, max: number): ArrayBuffer =>
    Reflect.construct(ArrayBuffer, [length, { maxByteLength: max }]);
  const resize = (buffer: ArrayBuffer, length: number): unknown =>
    Reflect.apply(Reflect.get(buffer, 'resize'), buffer, [length]);

  test('detached: nothing to read into', () => {
    for (const Kind of KINDS) {
      const memory = new ArrayBuffer(16);
      const view = new Kind(memory);
      structuredClone(memory, { transfer: [memory] });
      const { readable, writable } = pipe();
      sys.write(writable, new Uint8Array(4));
      expect(sys.read(readable, view)).toBe(0);
      expect(sys.write(writable, view)).toBe(0);
    }
  });

  test('a view that follows its buffer’s length', () => {
    for (const Kind of KINDS) {
      const memory = resizable(8, 64);
      const view = new Kind(memory, 4);
      expect(readInto(view, 40)).toEqual({ n: 4, whole: [0, 0, 0, 0, 1, 2, 3, 4] });
      resize(memory, 16);
      expect(readInto(view, 40).n).toBe(12);
      resize(memory, 6);
      expect(readInto(view, 40).n).toBe(2);
      resize(memory, 2); // out of bounds now
      expect(readInto(view, 40)).toEqual({ n: 0, whole: [0, 0] });
    }
  });

  test('a view of fixed length whose buffer has shrunk', () => {
    for (const Kind of KINDS) {
      const memory = resizable(32, 64);
      const view = new Kind(memory, 8, 16);
      resize(memory, 20);
      expect(readInto(view, 40).n).toBe(0);
      resize(memory, 64);
      expect(readInto(view, 40).n).toBe(16);
    }
  });

  test('a growing shared buffer', () => {
    const memory: SharedArrayBuffer = Reflect.construct(SharedArrayBuffer, [8, { maxByteLength: 64 }]);
    const view = new Uint8Array(memory, 4);
    expect(readInto(view, 40).n).toBe(4);
    Reflect.apply(Reflect.get(memory, 'grow'), memory, [32]);
    expect(readInto(view, 40).n).toBe(28);
  });
});

describe('views that lie about their length', () => {
  class Liar extends Uint8Array {
    override get byteLength(): number {
      return 4096;
    }
    override get length(): number {
      return 4096;
    }
    override get byteOffset(): number {
      return 0;
    }
  }

  test('a subclass', () => {
    expect(readInto(new Liar(new ArrayBuffer(16), 4, 8), 40)).toEqual({
      n: 8,
      whole: [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0],
    });
  });

  test('a property of its own', () => {
    for (const view of [new Uint8Array(8), new DataView(new ArrayBuffer(8))]) {
      for (const name of ['byteLength', 'length', 'byteOffset']) Object.defineProperty(view, name, { value: 4096 });
      expect(readInto(view, 40).n).toBe(8);
    }
  });

  test('another kind’s prototype, or none', () => {
    for (const prototype of [DataView.prototype, Float64Array.prototype, null, Array.prototype]) {
      const view = new Uint8Array(8);
      Object.setPrototypeOf(view, prototype);
      const { readable, writable } = pipe();
      sys.write(writable, new Uint8Array(40).fill(9));
      expect(sys.read(readable, view)).toBe(8);
    }
  });
});
