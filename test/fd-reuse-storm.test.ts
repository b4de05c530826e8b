/**
 * fds closed behind the service's back, their numbers used again at once, under 4 waiting threads: no stranger's event.
 *
 * @module-tag slow
 */
import { setImmediate as turn } from 'node:timers/promises';
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { signal } from './support/fds.ts';
import { start } from './support/service.ts';

const ROUNDS = 12_000;
const LANES = 32;

/** How a registration ends. */
const ENDS = ['closed', 'registered', 'unregistered', 'dup'] as const;

class Storm {
  readonly runs = new Int32Array(new SharedArrayBuffer(4 * (2 * ROUNDS + 1)));
  /** 1 once it has ended; the last word counts the runs that began after that. */
  readonly ended = new Int32Array(new SharedArrayBuffer(4 * (2 * ROUNDS + 2)));
  readonly expected = new Int32Array(2 * ROUNDS + 1);
  reused = 0;
  #ids = 0;
  #rounds = 0;

  get strays(): number {
    return Atomics.load(this.ended, this.ended.length - 1);
  }

  get isOver(): boolean {
    return this.#rounds >= ROUNDS;
  }

  nextRound(): number {
    return this.#rounds++;
  }

  nextId(): number {
    return ++this.#ids;
  }

  get ids(): number {
    return this.#ids;
  }

  /** Its one event was handled. */
  async taken(id: number): Promise<void> {
    const limit = performance.now() + 10_000;
    while (Atomics.load(this.runs, id) === 0) {
      if (performance.now() > limit) throw new Error(`registration ${id}: no run after 10 s`);
      await turn();
    }
  }
}

for (const [name, mode] of [
  ['level', 0],
  ['edge', EPOLLET],
  ['oneshot', EPOLLONESHOT],
] as const) {
  test(`${name}: ${ROUNDS} rounds`, { timeout: 60_000 }, async () => {
    const storm = new Storm();
    const { service, failures } = await start({
      threads: 4,
      handler: new URL('./fixtures/reuse-handler.mjs', import.meta.url),
      handlerData: { runs: storm.runs, ended: storm.ended },
    });
    const events = EPOLLIN | mode;

    const round = async (n: number): Promise<void> => {
      const end = ENDS[n % ENDS.length];
      const id = storm.nextId();
      const fd = sys.eventfd(0);
      await service.register(fd, { events, data: id });
      // One event, or none ever: then a run can only be a stranger's.
      if (n % 8 < 5) {
        storm.expected[id] = 1;
        signal(fd);
        await storm.taken(id);
      }
      const kept = end === 'dup' ? sys.dup(fd) : -1;
      if (end === 'unregistered') await service.unregister(fd);
      Atomics.store(storm.ended, id, 1);
      sys.close(fd);
      const stranger = sys.eventfd(1);
      if (stranger === fd) storm.reused++;
      if (end === 'registered' || end === 'dup') {
        const second = storm.nextId();
        storm.expected[second] = 1;
        await service.register(stranger, { events, data: second });
        // The kernel still has the old registration, and an event for it: for nobody, if its number has gone to another.
        if (kept >= 0 && stranger === fd) signal(kept);
        await storm.taken(second);
        await service.unregister(stranger);
        Atomics.store(storm.ended, second, 1);
      } else {
        await turn();
      }
      sys.close(stranger);
      if (kept >= 0) sys.close(kept);
    };

    const lanes = Array.from({ length: LANES }, async () => {
      while (!storm.isOver) await round(storm.nextRound());
    });
    await Promise.all(lanes);
    await service.close();
    expect(storm.strays).toBe(0);
    expect(Buffer.from(storm.runs.slice(0, storm.ids + 1).buffer)).toEqual(
      Buffer.from(storm.expected.slice(0, storm.ids + 1).buffer),
    );
    expect(failures).toEqual([]);
    expect(storm.reused).toBeGreaterThan(ROUNDS * 0.8);
  });
}
