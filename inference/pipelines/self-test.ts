/** Proves that this machine scores as the exporter did, through the code that requests take. It is also the warm-up. */
import { join } from 'node:path';
import { sniffMedia } from '../media/sniff.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Analysis, DetectorInput } from './analysis.ts';

/** @throws Error, one line, at the first golden file whose score is off by more than its tolerance */
export async function scoreGoldenFiles(
  model: NamedPackage,
  analyze: (input: DetectorInput) => Promise<Pick<Analysis, 'score' | 'inconclusiveReasons'>>,
): Promise<void> {
  for (const golden of model.manifest.golden) {
    const path = join(model.directory, golden.file);
    const { score, inconclusiveReasons } = await analyze({ path, media: await sniffMedia({ path }) });
    if (score !== null && Math.abs(score - golden.score) <= golden.tolerance) continue;
    const found =
      score === null ? `no score (${inconclusiveReasons.join(', ')})` : `the score ${score.toFixed(4)}`;
    throw new Error(
      `model "${model.name}": ${path} gives ${found}, but model.yaml expects ${golden.score} ± ${golden.tolerance}; this runtime does not reproduce the exporter's results: export the package again or use the runtime it was made for`,
    );
  }
}
