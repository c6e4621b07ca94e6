/** Windows of what was seen of faces over time: which there are (pure), what the graph says of each, and what they say together (pure). */
import type { WindowAggregation, WindowParameters } from '../../models/parameters/face-cues.ts';
import { aggregate } from '../aggregation.ts';
import { type Findings, mean } from '../analysis.ts';
import { itemsAtATime } from '../batches.ts';
import { spread } from '../sequences.ts';

/** Windows that are held as tensors at a time, at most. */
const maxWindowsPerBatch = 4;

/**
 * Where windows of consecutive items begin: none holds items of two people.
 * @param subjects of the items, in order
 */
export function windowPositions(
  subjects: readonly number[],
  { sequence, stride, maxWindows }: WindowParameters,
): number[] {
  const starts = subjects.flatMap((subject, start) => {
    if (subjects[start + sequence - 1] !== subject) return [];
    return (start - subjects.indexOf(subject)) % stride === 0 ? [start] : [];
  });
  if (starts.length <= maxWindows) return starts;
  return spread(0, starts.length - 1, maxWindows).map((index) => starts[index] ?? 0);
}

/** What was seen of a person in a frame. */
export interface SeenItem {
  readonly subject: number;
  readonly frame: number;
}

export interface ItemFormat<Item> {
  readonly itemShape: readonly number[];
  /** Writes an item's numbers, row-major. */
  readonly write: (item: Item, target: Float32Array) => void;
}

export interface JudgedWindow {
  /** Frames of its first and its last item. */
  readonly first: number;
  readonly last: number;
  readonly logit: number;
}

/**
 * @param items in order of time
 * @param logits of windows `[n, sequence, ...itemShape]`
 * @returns in order of time; none where no person has enough items
 */
export async function judgeWindows<Item extends SeenItem>(
  items: readonly Item[],
  parameters: WindowParameters,
  { itemShape, write }: ItemFormat<Item>,
  logits: (windows: Float32Array, windowShape: readonly number[]) => Promise<ArrayLike<number>>,
): Promise<JudgedWindow[]> {
  const { sequence } = parameters;
  const itemLength = itemShape.reduce((product, side) => product * side, 1);
  const starts = windowPositions(
    items.map(({ subject }) => subject),
    parameters,
  );
  const windowsPerBatch = itemsAtATime(sequence * itemLength, maxWindowsPerBatch);
  const judged: JudgedWindow[] = [];
  for (let first = 0; first < starts.length; first += windowsPerBatch) {
    const windows = starts
      .slice(first, first + windowsPerBatch)
      .map((start) => items.slice(start, start + sequence));
    const batch = new Float32Array(windows.length * sequence * itemLength);
    for (const [place, item] of windows.flat().entries())
      write(item, batch.subarray(place * itemLength, (place + 1) * itemLength));
    const answer = await logits(batch, [sequence, ...itemShape]);
    judged.push(
      ...windows.map((window, index) => ({
        first: window.at(0)?.frame ?? 0,
        last: window.at(-1)?.frame ?? 0,
        logit: answer[index] ?? NaN,
      })),
    );
  }
  return judged;
}

/**
 * @param windows not empty
 * @param moments of all frames, in seconds
 */
export function windowFindings(
  windows: readonly JudgedWindow[],
  moments: readonly number[],
  aggregation: WindowAggregation,
  scoreOf: (logit: number) => number,
) {
  const judged = windows.map(({ first, last, logit }) => ({
    last,
    start_s: moments[first] ?? 0,
    end_s: moments[last] ?? 0,
    score: scoreOf(logit),
  }));
  return {
    logit: aggregate(
      windows.map(({ logit }) => logit),
      aggregation,
      scoreOf,
    ),
    inconclusiveReasons: [],
    partScores: judged.map(({ score }) => score),
    frames: judged.map(({ last, end_s, score }) => ({ index: last, t_s: end_s, score })),
    segments: judged.map(({ start_s, end_s, score }) => ({ start_s, end_s, score })),
  } satisfies Partial<Findings>;
}

/** @param scores not empty */
export function windowCounts(scores: readonly number[], high: number) {
  return { suspicious: scores.filter((score) => score >= high).length, average: mean(scores) };
}

export interface WindowScoring {
  /** Calibrated P(fake) of a logit. */
  readonly scoreOf: (logit: number) => number;
  /** From this score on a window counts as suspicious. */
  readonly high: number;
}
