/** What goes through a thread's port to the main thread. */
import type { PackedError } from './error-transfer.js';

export type Parcel =
  | { readonly post: unknown }
  /** What a handler threw. */
  | { readonly error: PackedError };
