/** A script's setup(): what it throws is the script's own, whatever code it has. */
import type { LoadScript } from '../../shared/load/script.js';

const thrown = new WeakSet<object>();

/** What setup() gives. */
export async function setUp(script: LoadScript): Promise<unknown> {
  try {
    return await script.setup?.();
  } catch (error) {
    if (typeof error === 'object' && error !== null) thrown.add(error);
    throw error;
  }
}

/** Whether a setup() has thrown it: then it says nothing of the options. */
export function isOfSetup(error: unknown): boolean {
  return typeof error === 'object' && error !== null && thrown.has(error);
}
