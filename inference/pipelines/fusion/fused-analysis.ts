/** The analysis of several models together, in the words of the analysis of one. Pure. */
import type { Judge } from '../../models/judge.ts';
import type { NamedPackage } from '../../models/package.ts';
import type { Analysis } from '../analysis.ts';
import { explainTraces } from '../forensic-analysis.ts';
import { type AvMismatch, avMismatchOf } from './av-mismatch.ts';
import { type Group, groupDigest, groupName } from './ensemble.ts';
import { explainFusion, type MissingModel } from './explanations.ts';
import { type Fusion, fuse } from './fuse.ts';

export interface MemberAnalysis {
  readonly model: NamedPackage;
  readonly analysis: Analysis;
}

export interface FusedAnalysis {
  readonly judge: Judge;
  readonly analysis: Analysis;
  readonly fusion: Fusion;
  readonly avMismatch: AvMismatch | undefined;
  /** All without a score: those given, and those that found nothing to judge. */
  readonly missing: readonly MissingModel[];
}

/**
 * @param members those that came to an end, inconclusive or not; at least one
 * @param absent those that did not
 */
export function fusedAnalysis(
  group: Group,
  members: readonly MemberAnalysis[],
  absent: readonly MissingModel[],
): FusedAnalysis {
  const scores = members.map(({ model, analysis: { score, verdict } }) => ({
    model: model.name,
    // A model of both tracks speaks for neither of them.
    modality: model.manifest.pipeline.type === 'video-audio' ? undefined : model.manifest.modality,
    score,
    verdict,
  }));
  const fusion = fuse(group, scores);
  const avMismatch = avMismatchOf(scores);
  const missing = [...inconclusive(members), ...absent];
  const analyses = members.map(({ analysis }) => analysis);
  const isVideo = ({ properties }: Analysis) => properties !== undefined && 'frame_count' in properties;
  const properties = (analyses.find(isVideo) ?? analyses.find((one) => one.properties))?.properties;
  const dimensions = analyses.find((one) => one.dimensions)?.dimensions;
  const forensicReport = analyses.find((one) => one.forensicReport)?.forensicReport;
  // Every member has looked for the same traces of the same file.
  const ofTheFile = forensicReport?.warnings ?? [];
  return {
    judge: judgeOf(group, members),
    fusion,
    avMismatch,
    missing,
    analysis: {
      score: fusion.verdict === 'INCONCLUSIVE' ? null : fusion.score,
      verdict: fusion.verdict,
      inconclusiveReasons: fusion.inconclusiveReasons,
      explanations: [
        ...explainFusion({ group, fusion, scores, missing, avMismatch }),
        ...(forensicReport === undefined ? [] : explainTraces(forensicReport)),
      ],
      signals: {},
      ...(dimensions === undefined ? {} : { dimensions }),
      ...(properties === undefined ? {} : { properties }),
      ...(forensicReport === undefined ? {} : { forensicReport }),
      notes: [
        ...members.flatMap(({ model, analysis }) =>
          analysis.notes.filter((note) => !ofTheFile.includes(note)).map((note) => `${model.name}: ${note}`),
        ),
        ...ofTheFile,
        ...(fusion.modelsDisagree ? ['The models contradict each other: see models.'] : []),
        ...missing.map(({ model, status, reason }) => `${model} gave no score (${status}: ${reason}).`),
      ],
      timingsMs: {
        decode: sum(analyses.map(({ timingsMs }) => timingsMs.decode)),
        preprocess: sum(analyses.map(({ timingsMs }) => timingsMs.preprocess)),
        infer: sum(analyses.map(({ timingsMs }) => timingsMs.infer)),
      },
    },
  };
}

function inconclusive(members: readonly MemberAnalysis[]): MissingModel[] {
  return members
    .filter(({ analysis: { score } }) => score === null)
    .map(({ model, analysis: { inconclusiveReasons, explanations } }) => ({
      model: model.name,
      status: 'inconclusive',
      reason: inconclusiveReasons.join(', '),
      message: explanations.map(({ text }) => text).join(' '),
    }));
}

/** As trustworthy as its weakest member; calibrated only where its weights were fitted to labels. */
function judgeOf(group: Group, members: readonly MemberAnalysis[]): Judge {
  const packages = members.map(({ model }) => model);
  const digest = groupDigest(group, packages);
  const precisions = new Set(packages.map(({ precision }) => precision));
  const [precision] = precisions;
  const isDemonstration = packages.some(({ manifest: { card } }) => card.status === 'demonstration');
  const name = groupName(group);
  return {
    name,
    digest,
    precision: precision === undefined || precisions.size > 1 ? 'mixed' : precision,
    manifest: {
      name,
      version: versionOf(digest),
      thresholds: group.thresholds,
      modality: [...new Set(packages.map(({ manifest }) => manifest.modality))].join(' and '),
      calibration: { method: group.combination.method === 'logistic' ? 'logistic' : 'none' },
      card: { status: isDemonstration ? 'demonstration' : 'validated' },
    },
  };
}

/** Another one whenever a weight, a threshold or a package is another one. */
export function versionOf(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
