/** One buffer used many times over: wherever its memory went in the meantime, it is the one that is read and written. */
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { pipe } from './support/fds.ts';
import { ended, startFile } from './support/run.ts';

const views: Record<string, () => NodeJS.ArrayBufferView> = {
  'a small array, which V8 keeps among its objects at first': () => new Uint8Array(8),
  'a part of a larger one': () => new Uint8Array(64).subarray(24, 32),
  'a DataView': () => new DataView(new ArrayBuffer(64), 8, 8),
  'a Buffer of the pool': () => Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]),
  'shared memory': () => new Int32Array(new SharedArrayBuffer(64), 16, 2),
  'a large array': () => new Uint8Array(2 ** 21),
};

/** Eight bytes of the view at the same place in its buffer. */
function bytesOf(view: NodeJS.ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, 8);
}

test.each(Object.entries(views))('%s', (_, make) => {
  const { readable, writable } = pipe();
  const [from, to] = [make(), make()];
  for (let i = 1; i <= 50; i++) {
    bytesOf(from).fill(i);
    expect(sys.write(writable, new Uint8Array(bytesOf(from).buffer, from.byteOffset, 8))).toBe(8);
    expect(sys.read(readable, to)).toBe(8);
    expect([...bytesOf(to)]).toEqual(Array(8).fill(i));
    bytesOf(from).fill(i + 100);
    const n = sys.write(writable, from);
    for (let left = n; left > 0; ) left -= sys.read(readable, to);
    if (n === 8) expect([...bytesOf(to)]).toEqual(Array(8).fill(i + 100));
  }
});

test('what is detached between two reads is read into no more, wherever its memory is now', () => {
  const { readable, writable } = pipe();
  const view = new Uint8Array(16);
  for (let i = 0; i < 3; i++) {
    sys.write(writable, Uint8Array.of(1, 2, 3));
    expect(sys.read(readable, view)).toBe(3);
  }
  const moved = new Uint8Array(structuredClone(view.buffer, { transfer: [view.buffer] }));
  sys.write(writable, Uint8Array.of(7, 8, 9));
  expect(sys.read(readable, view)).toBe(0);
  expect(sys.write(writable, view)).toBe(0);
  expect([...moved.subarray(0, 4)]).toEqual([1, 2, 3, 0]);
  expect(sys.read(readable, moved)).toBe(3);
  expect([...moved.subarray(0, 4)]).toEqual([7, 8, 9, 0]);
});

test('what shrinks and grows between two reads', () => {
  const { readable, writable } = pipe();
  const buffer: ArrayBuffer = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 1 << 20 }]);
  const resize = (bytes: number): unknown => Reflect.get(buffer, 'resize').call(buffer, bytes);
  const tracking = new Uint8Array(buffer);
  const fixed = new Uint8Array(buffer, 4, 8);
  for (const bytes of [16, 16, 0, 16, 8, 1 << 20, 1 << 20, 12]) {
    resize(bytes);
    for (const view of [tracking, tracking, fixed, fixed]) {
      tracking.fill(0);
      sys.write(writable, Uint8Array.of(1, 2, 3));
      const room = view.byteLength;
      expect(sys.read(readable, view)).toBe(Math.min(room, 3));
      if (room > 0) expect([...new Uint8Array(buffer, view.byteOffset, 3)]).toEqual([1, 2, 3]);
      else expect(sys.read(readable, new Uint8Array(3))).toBe(3);
    }
  }
});

test.each([
  // Scavenges move what is young, and are quick.
  ['the young and, now and then, all', '--compact-on-every-full-gc', 3000],
  // Each collection is of everything, and moves all that it can.
  ['all, each time', '--stress-compaction', 300],
])('collections that move what can be moved: %s', { timeout: 70_000, tags: ['slow'] }, async (_, flag, rounds) => {
  const source = `
    import * as sys from 'epoll-pool/sys';
    const { readable, writable } = sys.pipe();
    const keep = [];
    let wrong = 0, made = [];
    for (let i = 1; i <= ${rounds}; i++) {
      if (i % 10 === 1) {
        // New, among garbage: the next collections move all of it.
        for (let k = 0; k < 50; k++) keep[(i + k) % 500] = new Uint8Array(8).fill(255);
        made = [new Uint8Array(8), new Uint8Array(8)];
      }
      const [from, to] = made;
      from.fill(i % 251);
      if (sys.write(writable, from) !== 8 || sys.read(readable, to) !== 8) wrong++;
      for (const byte of to) if (byte !== i % 251) wrong++;
      if (i % 3 === 0) gc({ type: 'minor' });
      if (i % 50 === 0) gc();
    }
    for (const other of keep) if (other !== undefined) for (const byte of other) if (byte !== 255) wrong++;
    process.stdout.write(String(wrong));
  `;
  const flags = ['--expose-gc', flag, '--input-type=module', '-e', source];
  expect(await startFile(flags, 60_000).result).toEqual(ended('0'));
});
