/** The order of test files: those with slow tests first, so that nothing waits for the last of them at the end. */
import { readFileSync } from 'node:fs';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

export default class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const order = [ALL_SLOW, SOME_SLOW, QUICK];
    const sorted = (await super.sort(files)).map(file => ({ file, kind: kindOf(file) }));
    // A process for each file, only to find that it has nothing to run, would take a twentieth of test:fast.
    const wanted = this.ctx.config.tagsFilter?.includes('!slow')
      ? sorted.filter(({ kind }) => kind !== ALL_SLOW)
      : sorted;
    return order.flatMap(kind => wanted.filter(one => one.kind === kind).map(({ file }) => file));
  }
}

const ALL_SLOW = 'all slow';
const SOME_SLOW = 'some slow';
const QUICK = 'quick';

function kindOf({ moduleId }: TestSpecification): string {
  const source = readFileSync(moduleId, 'utf8');
  if (source.includes('@module-tag slow')) return ALL_SLOW;
  return source.includes("['slow']") ? SOME_SLOW : QUICK;
}
