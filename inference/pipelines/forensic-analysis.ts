/** An analyzer that reports a file's provenance and traces beside the score, where a request asks for it. Else nothing is done. */
import { type LumaPatches, lumaPatches } from '../dsp/luma-patches.ts';
import type { Raster } from '../dsp/tiles.ts';
import { type ForensicReport, forensicReport } from '../forensics/report.ts';
import { decodeStoredImage, readImageDescription } from '../media/image.ts';
import type { DetectorContext, DetectorInput, Explanation, Observer } from './analysis.ts';
import type { CheckedAnalyze } from './checks/checked.ts';
import { patchesOf } from './checks/distribution.ts';
import { imageRequestOf } from './images.ts';

export function withForensics(analyze: CheckedAnalyze): CheckedAnalyze {
  return async (input, context, extras) => {
    if (extras.forensics !== true) return analyze(input, context, extras);
    const keeper = new PatchKeeper();
    const analysis = await analyze(input, { ...context, observer: keeper }, extras);
    const report = await reportOf(input, context, keeper);
    return {
      ...analysis,
      forensicReport: report,
      explanations: [...analysis.explanations, ...explainTraces(report)],
      notes: [...analysis.notes, ...report.warnings],
    };
  };
}

/** Keeps what little of the pixels the report needs while the detector has them. */
class PatchKeeper implements Observer {
  patches: LumaPatches | undefined;

  pixels(raster: Raster): void {
    this.patches ??= lumaPatches(raster);
  }

  features(): void {}
}

function reportOf(
  input: DetectorInput,
  context: DetectorContext,
  keeper: PatchKeeper,
): Promise<ForensicReport> {
  const { signal, emit, pixelBudget } = context;
  const upright = async () => {
    keeper.patches ??= await patchesOf(input, context);
    return keeper.patches;
  };
  const describe = () => readImageDescription(imageRequestOf(input, pixelBudget));
  return forensicReport({
    ...input,
    signal,
    onExit: (exit) => emit({ type: 'ffmpeg_exit', exit }),
    upright,
    stored: async () =>
      (await describe()).isTurned ? patchesOf(input, context, decodeStoredImage) : upright(),
    exifBlock: async () => (await describe()).exif,
  });
}

/** What a reader of the verdict should know of the file. None of it speaks for one side. */
export function explainTraces({ provenance, forensics }: ForensicReport): Explanation[] {
  const explanations: Explanation[] = [];
  if (provenance.c2pa?.present === true)
    explanations.push({
      code: 'c2pa_present',
      text: 'The file carries Content Credentials (C2PA). Their signature was not checked, and the score does not depend on them.',
    });
  const double = forensics?.jpeg?.double_compression;
  if (double?.likely === true)
    explanations.push({
      code: 'double_compression',
      text: 'The JPEG coefficients have the rhythm of an earlier save with other settings, as sharing and editing leave it. The score does not depend on it.',
      value: Math.round(double.evidence * 1e4) / 1e4,
    });
  return explanations;
}
