/** Whether an answer is one that the pod may give to a file of a stranger. Pure. */
import { statusOf } from '../../../inference/errors.ts';
import { problem } from '../../../inference/http/openapi.ts';
import { analysisAnswer } from '../../../inference/http/views/analysis.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Judgement {
  /** The status with the verdict or the code of the error, for counting. */
  readonly outcome: string;
  readonly score: number | null;
  /** Address of the heat map, where there is one. */
  readonly visualization?: string | null | undefined;
  /** What is wrong with it, in words. */
  readonly problem?: string;
}

/** Of the same file by the same model: results of different batches differ in the last digits. */
const scoreTolerance = 1e-3;

export function judge({ status, text }: Answer): Judgement {
  const json = parsed(text);
  if (json === undefined)
    return broken(status, 'no JSON', `an answer that is no JSON: ${text.slice(0, 200)}`);
  return status === 200 ? judgeVerdict(json) : judgeRefusal(status, json);
}

function judgeVerdict(json: unknown): Judgement {
  const answer = analysisAnswer.safeParse(json);
  if (!answer.success)
    return broken(200, 'not the schema', `not the schema of a verdict: ${answer.error.message}`);
  const { verdict, score, visualization_path: visualization } = answer.data.data;
  const judgement = { outcome: `200 ${verdict}`, score, visualization };
  // A number that is not finite arrives as null.
  if ((score === null) !== (verdict === 'INCONCLUSIVE'))
    return { ...judgement, problem: `the verdict ${verdict} with the score ${score}` };
  return judgement;
}

function judgeRefusal(status: number, json: unknown): Judgement {
  const answer = problem.safeParse(json);
  if (!answer.success)
    return broken(status, 'not the schema', `not the schema of an error: ${answer.error.message}`);
  const { error, message } = answer.data;
  const judgement = { outcome: `${status} ${error}`, score: null };
  if (status >= 500) return { ...judgement, problem: `${status} ${error}: ${message}` };
  if (status < 400) return { ...judgement, problem: `the status ${status} of the error ${error}` };
  return judgement;
}

function broken(status: number, what: string, problem: string): Judgement {
  return { outcome: `${status} ${what}`, score: null, problem };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The server has no room at the moment; that says nothing of the file. */
export function isOverload(answer: Answer): boolean {
  return answer.status === statusOf('queue_full') && /"error":"(queue_full|not_ready)"/.test(answer.text);
}

/** What is wrong with two answers to the same file, or undefined. */
export function disagreement(first: Judgement, second: Judgement): string | undefined {
  if (first.outcome !== second.outcome) return `${first.outcome} at first, then ${second.outcome}`;
  if (Math.abs((first.score ?? 0) - (second.score ?? 0)) > scoreTolerance)
    return `the score ${first.score} at first, then ${second.score}`;
  return undefined;
}
