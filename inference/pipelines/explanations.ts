/** Sentences from numbers: the same findings give the same text, and no text contradicts the verdict. */
import type { Thresholds } from '../models/manifest.ts';
import type { InconclusiveReason, Verdict } from '../models/verdict.ts';
import type { Explanation } from './analysis.ts';

export interface ExplainedFindings {
  readonly score: number | null;
  readonly verdict: Verdict;
  readonly thresholds: Thresholds;
  readonly inconclusiveReasons: readonly InconclusiveReason[];
  readonly partScores: readonly number[];
  /** What a part is called: "region" of an image, "segment" of sound. */
  readonly part: string;
}

const reasons: Readonly<Record<InconclusiveReason, string>> = {
  low_resolution: 'The image is smaller than the model can judge. No verdict is given.',
  too_short: 'The media is shorter than the model can judge. No verdict is given.',
  silence: 'The file holds no audible sound. No verdict is given.',
  no_frames: 'The file holds no pictures. No verdict is given.',
  no_audio_track: 'The video has no sound track. No verdict is given.',
  out_of_distribution: 'The media is unlike what the model was trained on. No verdict is given.',
  fragile_verdict: 'The verdict changes when the media is changed slightly. No verdict is given.',
  no_face: 'Too few pictures show a face that the model can judge. No verdict is given.',
  no_speech: 'The file holds too little speech for the model to judge. No verdict is given.',
  too_few_faces: 'The same face is seen in fewer pictures than the model needs. No verdict is given.',
  too_few_blinks:
    'The person blinks less, or less visibly, than the model needs to see. No verdict is given.',
  too_few_models: 'Too few models gave a score. No verdict is given.',
  models_disagree: 'The models contradict each other. No verdict is given.',
};

/** Why there is no verdict. */
export function explainReason(code: InconclusiveReason): Explanation {
  return { code, text: reasons[code] };
}

export function explain(findings: ExplainedFindings): Explanation[] {
  if (findings.score === null) {
    return findings.inconclusiveReasons.map(explainReason);
  }
  const overall = {
    code: overallCodes[findings.verdict],
    text: overallText(findings),
    value: rounded(findings.score),
  };
  return findings.partScores.length > 1 ? [overall, partsExplanation(findings)] : [overall];
}

const overallCodes: Readonly<Record<Verdict, string>> = {
  DEEPFAKE: 'score_at_or_above_high',
  AUTHENTIC: 'score_at_or_below_low',
  SUSPICIOUS: 'score_between_thresholds',
  INCONCLUSIVE: 'inconclusive',
};

function overallText({ score, verdict, thresholds }: ExplainedFindings): string {
  const head = `The calibrated probability that this is fake is ${percent(score ?? 0)}`;
  if (verdict === 'DEEPFAKE')
    return `${head}, at or above the limit of ${percent(thresholds.high)} for a deepfake.`;
  if (verdict === 'AUTHENTIC')
    return `${head}, at or below the limit of ${percent(thresholds.low)} for authentic media.`;
  return `${head}, between the limits of ${percent(thresholds.low)} and ${percent(thresholds.high)}: the model cannot decide.`;
}

/** Counts only the parts that speak for the verdict, so that it adds to the first sentence. */
function partsExplanation({ verdict, thresholds, partScores, part }: ExplainedFindings): Explanation {
  const total = partScores.length;
  if (verdict === 'AUTHENTIC') {
    const count = partScores.filter((score) => score <= thresholds.low).length;
    return {
      code: 'parts_at_or_below_low',
      text: `${count} of ${total} ${part}s are at or below that limit by themselves.`,
      value: count,
    };
  }
  const highest = Math.max(...partScores);
  if (verdict === 'DEEPFAKE') {
    const count = partScores.filter((score) => score >= thresholds.high).length;
    const text = `${count} of ${total} ${part}s are at or above that limit by themselves; the highest, number ${partScores.indexOf(highest) + 1}, has ${percent(highest)}.`;
    return { code: 'parts_at_or_above_high', text, value: count };
  }
  const lowest = Math.min(...partScores);
  const text = `The ${total} ${part}s range from ${percent(lowest)} to ${percent(highest)}.`;
  return { code: 'parts_range', text, value: rounded(highest - lowest) };
}

export function percent(probability: number): string {
  return `${(100 * probability).toFixed(1)} %`;
}

export function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
