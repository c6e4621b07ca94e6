// A node:test reporter that writes one JSON object with the run's counts, for the summary over several runs.
import type { TestEvent } from 'node:test/reporters';

/** Counts of one `node --test` run. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Yields the counts when the whole run's summary arrives; files' own summaries are passed over. */
export async function* countReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type !== 'test:summary' || event.data.file !== undefined) continue;
    const { passed, failed, cancelled, skipped, todo } = event.data.counts as Record<string, number>;
    const counts: Counts = {
      passed: passed ?? 0,
      failed: (failed ?? 0) + (cancelled ?? 0),
      skipped: (skipped ?? 0) + (todo ?? 0),
    };
    yield JSON.stringify(counts);
  }
}

// biome-ignore lint/style/noDefaultExport: node --test-reporter takes the default export
export default countReporter;
