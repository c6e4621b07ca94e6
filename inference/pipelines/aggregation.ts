/** Many logits of one file to the one that is calibrated. */
import { mean } from './analysis.ts';

/**
 * `mean-score` averages the probabilities before calibration; `max` takes the part that looks most like a fake; `mean-and-max` is halfway
 * between that and the mean logit.
 */
export type Aggregation = 'mean-logit' | 'mean-score' | 'max' | 'mean-and-max';

/** Beyond this a probability is 0 or 1 in double precision. */
const extremeLogit = 700;

/**
 * @param logits not empty
 * @param scoreOf calibrated P(fake) of a logit: says which of two logits looks more like a fake
 */
export function aggregate(
  logits: ArrayLike<number>,
  aggregation: Aggregation,
  scoreOf: (logit: number) => number,
): number {
  switch (aggregation) {
    case 'mean-logit':
      return mean(logits);
    case 'mean-score':
      return meanScoreLogit(Array.from(logits));
    case 'max':
      return mostFake(logits, scoreOf);
    case 'mean-and-max':
      return (mean(logits) + mostFake(logits, scoreOf)) / 2;
  }
}

function mostFake(logits: ArrayLike<number>, scoreOf: (logit: number) => number): number {
  return Array.from(logits).reduce((most, logit) => (scoreOf(logit) > scoreOf(most) ? logit : most));
}

/** The logit of the mean of the sigmoids. Both sides are summed, so that neither is lost where it is close to 1. */
function meanScoreLogit(logits: readonly number[]): number {
  const bounded = logits.map((logit) => Math.max(-extremeLogit, Math.min(extremeLogit, logit)));
  const positive = bounded.reduce((sum, logit) => sum + 1 / (1 + Math.exp(-logit)), 0);
  const negative = bounded.reduce((sum, logit) => sum + 1 / (1 + Math.exp(logit)), 0);
  return Math.log(positive / negative);
}
