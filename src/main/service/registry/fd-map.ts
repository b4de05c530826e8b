/** Which slot each registered fd has: fds are small and dense, so a table of pages takes a tenth of what a Map does. */

const PAGE_BITS = 10;
const PAGE = 1 << PAGE_BITS;
const WITHIN = PAGE - 1;

export class FdMap {
  /** Slot numbers + 1; 0 is none. A page stays once it is there. */
  readonly #pages: Int32Array[] = [];
  #size = 0;

  /** How many fds have a slot. */
  get size(): number {
    return this.#size;
  }

  get(fd: number): number | undefined {
    const entry = this.#pages[fd >>> PAGE_BITS]?.[fd & WITHIN] ?? 0;
    return entry === 0 ? undefined : entry - 1;
  }

  set(fd: number, slot: number): void {
    let page = this.#pages[fd >>> PAGE_BITS];
    if (page === undefined) {
      page = new Int32Array(PAGE);
      this.#pages[fd >>> PAGE_BITS] = page;
    }
    if (page[fd & WITHIN] === 0) this.#size++;
    page[fd & WITHIN] = slot + 1;
  }

  delete(fd: number): void {
    const page = this.#pages[fd >>> PAGE_BITS];
    if (page === undefined || page[fd & WITHIN] === 0) return;
    page[fd & WITHIN] = 0;
    this.#size--;
  }

  /** The slots of all fds; what is added or deleted meanwhile may or may not be among them. */
  *slots(): IterableIterator<number> {
    // One very high fd leaves holes: only the pages that are there.
    for (const at of Object.keys(this.#pages)) {
      for (const entry of this.#pages[Number(at)] ?? []) if (entry !== 0) yield entry - 1;
    }
  }
}
