/** The order of test files: those with slow tests first, so that nothing waits for the last of them at the end. */
import { readFileSync } from 'node:fs';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

export default class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const slow = new Set(sorted.filter(({ moduleId }) => isSlow(readFileSync(moduleId, 'utf8'))));
    return [...slow, ...sorted.filter(file => !slow.has(file))];
  }
}

function isSlow(source: string): boolean {
  return source.includes('@module-tag slow') || source.includes("['slow']");
}
