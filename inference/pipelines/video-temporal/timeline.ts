/** What the scores of windows say together, and beside the verdict of the whole clip. Pure functions of numbers. */
import { verdictOf } from '../../models/verdict.ts';
import { type Explanation, type Judged, mean } from '../analysis.ts';
import { percent, rounded } from '../explanations.ts';
import { rollingAverage } from '../video-frames/scores.ts';

/** @param scores not empty, in order of time */
export function timelineSignals(scores: readonly number[], high: number, rollingWindows: number) {
  const average = mean(scores);
  return {
    windows_analysed: scores.length,
    rolling_average_scores: rollingAverage(scores, rollingWindows),
    final_average_score: average,
    max_score: Math.max(...scores),
    min_score: Math.min(...scores),
    score_variance: mean(scores.map((score) => (score - average) ** 2)),
    suspicious_frames_count: scores.filter((score) => score >= high).length,
  };
}

/**
 * Says where the windows and the clip as a whole disagree: the verdict is that of the whole clip, which no window sees.
 * @param scores of windows, not empty
 */
export function timelineRemarks(scores: readonly number[], { verdict, thresholds }: Judged): Explanation[] {
  const { low, high } = thresholds;
  const average = mean(scores);
  const ofWindows = verdictOf(average, thresholds);
  if (ofWindows !== verdict) {
    const where = {
      DEEPFAKE: `at or above the limit of ${percent(high)} for a deepfake`,
      AUTHENTIC: `at or below the limit of ${percent(low)} for authentic media`,
      SUSPICIOUS: `between the limits of ${percent(low)} and ${percent(high)}`,
      INCONCLUSIVE: '',
    }[ofWindows];
    const text = `The ${scores.length} windows have ${percent(average)} on average, ${where}. They and the clip as a whole disagree; ${wholeClip}`;
    return [{ code: 'timeline_disagrees', text, value: rounded(average) }];
  }
  const suspicious = scores.filter((score) => score >= high);
  if (verdict !== 'AUTHENTIC' || suspicious.length === 0) return [];
  const text = `${suspicious.length} of ${scores.length} windows are at or above the limit of ${percent(high)} for a deepfake by themselves. The clip as a whole is not; ${wholeClip}`;
  return [{ code: 'windows_disagree', text, value: suspicious.length }];
}

const wholeClip = 'the verdict is that of the clip as a whole.';
