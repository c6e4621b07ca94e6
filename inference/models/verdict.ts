/** From a graph's logit to a verdict: pure functions of the package's calibration and thresholds. */
import type { Calibration, Manifest, Thresholds } from './manifest.ts';

export type Verdict = 'AUTHENTIC' | 'SUSPICIOUS' | 'DEEPFAKE' | 'INCONCLUSIVE';
export type Prediction = 'REAL' | 'FAKE';

/** What a detector says when it cannot judge, instead of guessing. */
export type InconclusiveReason = 'low_resolution' | 'too_short' | 'silence' | 'no_frames' | 'no_audio_track';

/**
 * The calibrated probability, 0..1, that the media is fake.
 * @param logit output index 0 of the classifier, before calibration
 */
export function calibratedScore(logit: number, model: Pick<Manifest, 'output' | 'calibration'>): number {
  const towardsFake = model.output.positive === 'fake' ? logit : -logit;
  return sigmoid(calibratedLogit(towardsFake, model.calibration));
}

function calibratedLogit(logit: number, calibration: Calibration): number {
  switch (calibration.method) {
    case 'platt':
      return calibration.slope * logit + calibration.intercept;
    case 'temperature':
      return logit / calibration.temperature;
    case 'none':
      return logit;
  }
}

function sigmoid(x: number): number {
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
