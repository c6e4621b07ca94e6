/** Whether a verdict outlives small changes that leave what the image shows as it is. */

import { readImageHeader } from '../../media/image.ts';
import { type Perturbation, perturbations, perturbedImage } from '../../media/perturbed-image.ts';
import { release } from '../../media/release.ts';
import type { Verdict } from '../../models/verdict.ts';
import {
  type Analysis,
  type DetectorContext,
  type DetectorInput,
  type Explanation,
  timed,
} from '../analysis.ts';
import { percent, rounded } from '../explanations.ts';
import { imageRequestOf } from '../images.ts';
import type { Check } from './check.ts';

export type Timings = Analysis['timingsMs'];

export interface Rescored {
  readonly analyses: readonly Pick<Analysis, 'score' | 'verdict'>[];
  /** Of all copies together; to make one counts as preprocessing. */
  readonly timingsMs: Timings;
}

/**
 * Judges the first so many copies, one after the other.
 * @throws what `analyze` throws; the signal's reason between two copies
 */
export async function rescored(
  input: DetectorInput,
  context: DetectorContext,
  runs: number,
  analyze: (input: DetectorInput, context: DetectorContext) => Promise<Analysis>,
): Promise<Rescored> {
  const analyses: Analysis[] = [];
  const timingsMs = { decode: 0, preprocess: 0, infer: 0 };
  for (const perturbation of perturbations.slice(0, runs)) {
    context.signal.throwIfAborted();
    const copy = await timed(() => copyOf(input, context, perturbation));
    const { content, mime } = copy.value;
    const analysis = await analyze({ path: input.path, content, media: { kind: 'image', mime } }, context);
    release(content);
    analyses.push(analysis);
    timingsMs.decode += analysis.timingsMs.decode;
    timingsMs.preprocess += analysis.timingsMs.preprocess + copy.ms;
    timingsMs.infer += analysis.timingsMs.infer;
  }
  return { analyses, timingsMs };
}

async function copyOf(
  input: DetectorInput,
  { pixelBudget, signal }: DetectorContext,
  perturbation: Perturbation,
) {
  const request = imageRequestOf(input, pixelBudget);
  const { width, height } = await readImageHeader(request);
  return pixelBudget.within(width * height, () => {
    signal.throwIfAborted();
    return perturbedImage(request, perturbation);
  });
}

/** What the copies say of the verdict of the file. Copies without a score, as those that became too small, say nothing. */
export function perturbationCheck(
  { score, verdict }: { readonly score: number; readonly verdict: Verdict },
  copies: Rescored['analyses'],
  abstains: boolean,
): Check {
  const judged = copies.flatMap((copy) => (copy.score === null ? [] : [{ ...copy, score: copy.score }]));
  const isDecided = verdict === 'AUTHENTIC' || verdict === 'DEEPFAKE';
  const found = {
    runs: judged.length,
    // SUSPICIOUS is no verdict that could be lost.
    flips: isDecided ? judged.filter((copy) => copy.verdict !== verdict).length : 0,
    lowest: Math.min(score, ...judged.map((copy) => copy.score)),
    highest: Math.max(score, ...judged.map((copy) => copy.score)),
  };
  return {
    reason: 'fragile_verdict',
    hasFailed: found.flips > 0,
    abstains,
    signals: {
      perturbation_runs: found.runs,
      perturbation_flips: found.flips,
      perturbation_min_score: found.lowest,
      perturbation_max_score: found.highest,
    },
    explanation: explanationOf({ ...found, isDecided }),
  };
}

interface Found {
  readonly runs: number;
  readonly flips: number;
  readonly lowest: number;
  readonly highest: number;
  readonly isDecided: boolean;
}

/** Beside a verdict, whatever it is. */
function explanationOf({ runs, flips, lowest, highest, isDecided }: Found): Explanation {
  if (runs === 0)
    return {
      code: 'not_perturbed',
      text: 'No changed copy of the image could be judged: whether the verdict is stable is not known.',
      value: 0,
    };
  const range = `the scores range from ${percent(lowest)} to ${percent(highest)}`;
  const copies = `${runs} slightly changed ${runs === 1 ? 'copy' : 'copies'}`;
  if (!isDecided)
    return {
      code: 'perturbed_scores',
      text: `With ${copies} of the image ${range}.`,
      value: rounded(highest - lowest),
    };
  return flips === 0
    ? { code: 'stable_verdict', text: `The verdict is the same for ${copies}; ${range}.`, value: 0 }
    : {
        code: 'fragile_verdict',
        text: `The verdict is lost in ${flips} of ${copies}; ${range}.`,
        value: flips,
      };
}
