/**
 * A service's registrations as a part of the package itself has them, which has thousands: no promise, no object and no turn of the
 * event loop for each. What its handler asks for is not waited for: it is to ask for nothing.
 */
import * as L from '../../shared/service/layout.js';
import type { Waking } from '../../shared/service/waking.js';
import { controlError, NO_ROOM, type Registry } from './registry/registry.js';
import { full } from './registry/requests.js';

export class Direct {
  readonly #registry: Registry;
  readonly #waking: Waking;
  readonly #capacity: number;

  constructor(registry: Registry, waking: Waking, capacity: number) {
    this.#registry = registry;
    this.#waking = waking;
    this.#capacity = capacity;
  }

  /** @returns the registration's id @throws EpollError, RangeError ERR_OUT_OF_RANGE as of WaitService.register */
  register(fd: number, events: number, low: number, high: number): number {
    const registry = this.#registry;
    const code = registry.add(fd, events, low, high);
    if (code !== 0) throw code === NO_ROOM ? full(this.#capacity) : controlError(code, fd);
    return registry.table.idOf(registry.added);
  }

  /** `done` is called once no run is under way, which may be now. 0, or the negative errno, and then it never is. */
  unregister(fd: number, id: number, done: () => void): number {
    return this.#registry.remove(fd, id, false, done);
  }

  /** One more run; nothing if it has ended. */
  wake(id: number): void {
    const slot = L.slotOf(id);
    this.#waking.wakeId(slot, id);
  }
}
