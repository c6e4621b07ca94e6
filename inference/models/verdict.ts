/** From a graph's logit to a verdict: pure functions of the package's calibration and thresholds. */
import type { Calibration, Manifest, OutputMeaning, Thresholds } from './manifest.ts';

export type Verdict = 'AUTHENTIC' | 'SUSPICIOUS' | 'DEEPFAKE' | 'INCONCLUSIVE';
export type Prediction = 'REAL' | 'FAKE';

/** What a detector says when it cannot judge, instead of guessing. */
export type InconclusiveReason =
  | 'low_resolution'
  | 'too_short'
  | 'silence'
  | 'no_frames'
  | 'no_audio_track'
  | 'no_speech'
  | 'no_face'
  | 'too_few_faces'
  | 'too_few_blinks'
  | 'out_of_distribution'
  | 'fragile_verdict'
  /** Of several models: too few answered, or they contradict each other. */
  | 'too_few_models'
  | 'models_disagree';

type ScoreMeaning = Pick<Manifest, 'calibration'> & { readonly output: Pick<OutputMeaning, 'positive'> };

/** Probabilities that a graph computed itself are kept this far from 0 and 1, or their logits would be infinite. */
const smallestProbability = 1e-7;

/**
 * The logit of what `output` calls positive.
 * @param row all output values of one item
 * @returns NaN where the row has no such index or a probability is outside 0..1
 */
export function logitOf(row: Float32Array, { activation, index }: OutputMeaning): number {
  const value = row[index] ?? NaN;
  switch (activation) {
    case 'sigmoid':
      return value;
    case 'softmax':
      return value - logSumExp(row.filter((_, other) => other !== index));
    case 'none':
      return logitOfProbability(value);
  }
}

function logSumExp(values: Float32Array): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

function logitOfProbability(probability: number): number {
  return probability >= 0 && probability <= 1 ? boundedLogit(probability, smallestProbability) : NaN;
}

/** Log odds of a probability that is kept `smallest` away from 0 and 1. */
export function boundedLogit(probability: number, smallest: number): number {
  const kept = Math.min(1 - smallest, Math.max(smallest, probability));
  return Math.log(kept / (1 - kept));
}

/**
 * The calibrated probability, 0..1, that the media is fake.
 * @param logit of what the package's output calls positive, before calibration
 */
export function calibratedScore(logit: number, model: ScoreMeaning): number {
  const towardsFake = model.output.positive === 'fake' ? logit : -logit;
  return scoreOf(towardsFake, model.calibration);
}

function scoreOf(logit: number, calibration: Calibration): number {
  switch (calibration.method) {
    case 'platt':
      return sigmoid(calibration.slope * logit + calibration.intercept);
    case 'temperature':
      return sigmoid(logit / calibration.temperature);
    case 'isotonic':
      return interpolated(logit, calibration.points);
    case 'none':
      return sigmoid(logit);
  }
}

/** @returns NaN for a logit that is no number, so that it is found out like that of every other method */
function interpolated(logit: number, points: Extract<Calibration, { method: 'isotonic' }>['points']): number {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined || Number.isNaN(logit)) return NaN;
  if (logit <= first.logit) return first.score;
  if (logit >= last.logit) return last.score;
  const next = points.findIndex((point) => point.logit > logit);
  const [below, above] = [points[next - 1] ?? first, points[next] ?? last];
  const share = (logit - below.logit) / (above.logit - below.logit);
  return below.score + share * (above.score - below.score);
}

/** Without overflow on either side. */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** Both thresholds belong to the decided side: score <= low is AUTHENTIC and score >= high is DEEPFAKE. */
export function verdictOf(score: number | null, thresholds: Thresholds): Verdict {
  if (score === null) return 'INCONCLUSIVE';
  if (score >= thresholds.high) return 'DEEPFAKE';
  return score <= thresholds.low ? 'AUTHENTIC' : 'SUSPICIOUS';
}

/** The forced choice between two labels. It agrees with every decided verdict; null when nothing could be analysed. */
export function predictionOf(score: number | null, thresholds: Thresholds): Prediction | null {
  switch (verdictOf(score, thresholds)) {
    case 'INCONCLUSIVE':
      return null;
    case 'DEEPFAKE':
      return 'FAKE';
    case 'AUTHENTIC':
      return 'REAL';
    case 'SUSPICIOUS':
      return score !== null && score >= 0.5 ? 'FAKE' : 'REAL';
  }
}

/** The probability, 0..1, of the predicted label; 0 when nothing could be analysed. */
export function confidenceOf(score: number | null, prediction: Prediction | null): number {
  if (score === null || prediction === null) return 0;
  return prediction === 'FAKE' ? score : 1 - score;
}

export type ConfidenceLevel = 'low' | 'medium' | 'high';

/** How far a score is from the toss of a coin, in words; low when nothing could be analysed. */
export function confidenceLevelOf(score: number | null): ConfidenceLevel {
  const distance = score === null ? 0 : Math.abs(score - 0.5);
  if (distance > 0.3) return 'high';
  return distance < 0.2 ? 'low' : 'medium';
}
