/** Detectors of packages on disk without a server around them. */

import { PixelBudget } from '../media/pixel-budget.ts';
import { sniffMedia } from '../media/sniff.ts';
import { loadPackage } from '../models/package.ts';
import type { Analysis, ProgressStep, WorkerEvent } from '../pipelines/analysis.ts';
import { analyzerOf } from '../pipelines/families.ts';
import { openGraphs } from '../pipelines/graphs.ts';
import { asFile, inTemporaryFolder } from './media.ts';

export interface Observed {
  readonly analysis: Analysis;
  readonly steps: readonly ProgressStep[];
  readonly events: readonly WorkerEvent[];
  /** Items of each run of any graph. */
  readonly runs: readonly number[];
}

/** What the package that `write` puts into a folder says of a file. */
export async function analysed(
  write: (folder: string) => Promise<unknown>,
  bytes: Uint8Array,
): Promise<Observed> {
  return inTemporaryFolder(async (folder) => {
    await write(folder);
    const model = await loadPackage(folder);
    const runs: number[] = [];
    const steps: ProgressStep[] = [];
    const events: WorkerEvent[] = [];
    const { classifier, ...others } = await openGraphs(model, {
      device: 'cpu',
      intraOpThreads: 1,
      onRun: (items) => runs.push(items),
    });
    const analyze = analyzerOf(model.manifest, classifier, others);
    const context = {
      signal: new AbortController().signal,
      pixelBudget: new PixelBudget(1e6),
      videoLimits: { maxSeconds: 60, maxPixels: 1e6, decoderThreads: 1 },
      emit: (event: WorkerEvent) => events.push(event),
      report: (step: ProgressStep) => steps.push(step),
    };
    const analysis = await asFile(bytes, async (path) =>
      analyze({ path, media: await sniffMedia({ path }) }, context),
    );
    return { analysis, steps, events, runs };
  });
}
