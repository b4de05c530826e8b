/** A folder for what all test files of a run share, and build once: gone after the run. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    readonly scratch: string;
  }
}

export default function setup(project: TestProject): () => void {
  const scratch = mkdtempSync(join(tmpdir(), 'epoll-pool-tests-'));
  // Some tests run what is in it as another user.
  chmodSync(scratch, 0o755);
  project.provide('scratch', scratch);
  return () => rmSync(scratch, { recursive: true, force: true });
}
