/** Sentences from what an ensemble found: the same findings give the same text, and no text contradicts the verdict. Pure. */
import type { Explanation } from '../analysis.ts';
import { percent, rounded } from '../explanations.ts';
import type { AvMismatch } from './av-mismatch.ts';
import type { Group } from './ensemble.ts';
import type { Fusion, MemberScore } from './fuse.ts';

export interface MissingModel {
  readonly model: string;
  /** missing: it did not judge the file; failed: it could not; inconclusive: it saw nothing to judge. */
  readonly status: 'missing' | 'failed' | 'inconclusive';
  /** Stable: the reasons of the model, the code of an error, or why it was not asked. */
  readonly reason: string;
  /** For a person. */
  readonly message: string;
}

export interface FusedFindings {
  readonly group: Pick<Group, 'thresholds' | 'minModels'>;
  readonly fusion: Fusion;
  readonly scores: readonly MemberScore[];
  readonly missing: readonly MissingModel[];
  readonly avMismatch: AvMismatch | undefined;
}

export function explainFusion(findings: FusedFindings): Explanation[] {
  const { fusion, missing } = findings;
  const gaps = missing.map(({ model, status, reason }) => ({
    code: `model_${status}`,
    text: `${model} gave no score (${reason}).`,
  }));
  return [
    overall(findings),
    ...(fusion.verdict === 'INCONCLUSIVE' ? [] : [contributions(fusion)]),
    ...gaps,
    ...(fusion.modelsDisagree ? [disagreement(findings)] : []),
    ...mismatch(findings.avMismatch),
  ];
}

const codes = {
  DEEPFAKE: 'score_at_or_above_high',
  AUTHENTIC: 'score_at_or_below_low',
  SUSPICIOUS: 'score_between_thresholds',
} as const;

function overall({ fusion, group: { thresholds, minModels } }: FusedFindings): Explanation {
  const { verdict, score, method, contributions: members } = fusion;
  const answers = members.filter(({ logit }) => logit !== null).length;
  if (verdict === 'INCONCLUSIVE' || score === null) {
    const tooFew = `${answers} of ${members.length} models gave a score, and at least ${minModels} have to. No verdict is given.`;
    return fusion.inconclusiveReasons.includes('too_few_models')
      ? { code: 'too_few_models', text: tooFew, value: answers }
      : { code: 'models_disagree', text: 'The models contradict each other. No verdict is given.' };
  }
  const head = `The fused score (${method}) of ${answers} of ${members.length} models is ${percent(score)}`;
  const tails = {
    DEEPFAKE: `at or above the limit of ${percent(thresholds.high)} for a deepfake.`,
    AUTHENTIC: `at or below the limit of ${percent(thresholds.low)} for authentic media.`,
    SUSPICIOUS: `between the limits of ${percent(thresholds.low)} and ${percent(thresholds.high)}: the models together cannot decide.`,
  };
  return { code: codes[verdict], text: `${head}, ${tails[verdict]}`, value: rounded(score) };
}

function contributions({ contributions: members, logit }: Fusion): Explanation {
  const parts = [...members]
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
    .map(({ model, contribution }) => `${model} ${signed(contribution)}`);
  return {
    code: 'contributions',
    text: `Parts of the log odds of a fake, ${signed(logit ?? 0)} in all: ${parts.join(', ')}.`,
  };
}

function disagreement({ scores }: FusedFindings): Explanation {
  const named = (verdict: string) =>
    scores
      .filter((one) => one.verdict === verdict)
      .map(({ model }) => model)
      .join(', ');
  const text = `The models contradict each other: DEEPFAKE by ${named('DEEPFAKE')}, AUTHENTIC by ${named('AUTHENTIC')}.`;
  return { code: 'models_disagree', text };
}

function mismatch(found: AvMismatch | undefined): Explanation[] {
  if (found === undefined) return [];
  const { difference, pictureScore, soundScore, verdictsContradict } = found;
  const scores = `the pictures have ${percent(pictureScore)}, the sound ${percent(soundScore)}`;
  const text = verdictsContradict
    ? `Pictures and sound are judged differently: ${scores}. One of the two may not belong to the other.`
    : `Pictures and sound do not contradict each other: ${scores}.`;
  return [{ code: 'av_mismatch', text, value: rounded(difference) }];
}

function signed(number: number): string {
  return `${number < 0 ? '' : '+'}${number.toFixed(2)}`;
}
