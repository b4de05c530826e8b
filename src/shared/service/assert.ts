/** Checks of what must hold in shared memory: on in tests, off in what ships. A word that is inconsistent must not go on. */

const isOn = process.env.EPOLL_POOL_ASSERT === '1';

/** @throws Error if `condition` is false, where checks are on */
export function mustHold(condition: boolean, rule: string): void {
  if (isOn && !condition) throw new Error(`epoll-pool: broken: ${rule}`);
}
