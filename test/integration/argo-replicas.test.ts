/** The arithmetic of replicas against that of argo-rollouts itself, which test/oracle/argo-rollouts builds, on random inputs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { ensureArgoOracle } from '../../hack/lib/argo-oracle.ts';
import { findProgram } from '../../hack/lib/process.ts';
import {
  type CanaryScale,
  type Counts,
  calculateReplicaCountsForBasicCanary,
  calculateReplicaCountsForTrafficRoutedCanary,
  type Limits,
  resolveFenceposts,
} from '../../operator/rollout/replicas.ts';

const INPUTS = 120_000;
const SEED = 20_260_801;

const hasGo = ['go', '/usr/local/go/bin/go'].some((path) => findProgram(path) !== undefined);
const skip = hasGo ? false : 'Go is missing, which builds the arithmetic of argo-rollouts';

const replicas = fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 1000 }));
const percent = fc.nat({ max: 100 });
const countOrPercent = fc.oneof(
  fc.nat({ max: 12 }),
  percent.map((share) => `${share}%`),
);
const pods = (most: number) =>
  fc
    .tuple(fc.nat({ max: most }), fc.nat({ max: most }))
    .map(([desired, available]) => ({ desired, available }));

const basicQuestion = replicas.chain((count) => {
  const most = count + 3;
  return fc.record({
    replicas: fc.constant(count),
    weight: percent,
    maxSurge: countOrPercent,
    maxUnavailable: countOrPercent,
    canary: pods(most),
    stable: fc.option(pods(most), { nil: undefined, freq: 20 }),
    others: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(pods(3), { maxLength: 2 }) },
    ),
    trafficRouted: fc.constant(false as const),
  });
});

const routedQuestion = fc.record({
  replicas,
  weight: percent,
  maxSurge: countOrPercent,
  maxUnavailable: countOrPercent,
  canary: pods(12),
  stable: pods(12),
  trafficRouted: fc.constant(true as const),
  // With dynamicStableScale Argo steps down on an abort by what is available, which is a decision of ours elsewhere.
  dynamicStableScale: fc.boolean(),
  setCanaryScale: fc.option<CanaryScale, undefined>(
    fc.oneof(fc.record({ replicas: fc.nat({ max: 20 }) }), fc.record({ weight: percent })),
    { nil: undefined },
  ),
  weights: fc.option(
    percent.map((canary) => ({ canary, stable: 100 - canary })),
    { nil: undefined },
  ),
  abort: fc.boolean(),
});

type Question = typeof basicQuestion | typeof routedQuestion extends fc.Arbitrary<infer T> ? T : never;
type Answer = Counts & Limits;

function ours(question: Question): Answer {
  const limits = resolveFenceposts(question.maxSurge, question.maxUnavailable, question.replicas);
  if (!question.trafficRouted) {
    return { ...calculateReplicaCountsForBasicCanary({ ...question, ...limits }), ...limits };
  }
  const { weight, abort, weights } = question;
  const counts = calculateReplicaCountsForTrafficRoutedCanary({
    ...question,
    weight: abort ? 0 : weight,
    actualWeight: weights?.canary,
  });
  return { ...counts, ...limits };
}

async function theirs(program: string, questions: readonly Question[]): Promise<Answer[]> {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines = questions.map((question) => `${JSON.stringify(question)}\n`);
  const asked = pipeline(Readable.from(lines), child.stdin);
  const answers: Answer[] = [];
  for await (const line of createInterface({ input: child.stdout })) answers.push(JSON.parse(line) as Answer);
  await asked;
  assert.deepEqual(await ended, [0, null]);
  return answers;
}

describe('replicas are counted as argo-rollouts counts them', { skip }, () => {
  let program = '';
  before(async () => {
    program = await ensureArgoOracle((line) => process.stderr.write(`${line}\n`));
  });

  const kinds: [string, fc.Arbitrary<Question>][] = [
    ['both revisions behind one Service', basicQuestion],
    [
      'a router splits the traffic',
      routedQuestion.filter(({ abort, dynamicStableScale }) => !(abort && dynamicStableScale)),
    ],
  ];
  for (const [name, question] of kinds) {
    it(name, async () => {
      const questions = fc.sample(question, { seed: SEED, numRuns: INPUTS });
      const answers = await theirs(program, questions);
      assert.equal(answers.length, INPUTS);
      const different = questions.flatMap((asked, index) => {
        const [expected, actual] = [answers[index], ours(asked)];
        return JSON.stringify(sorted(expected)) === JSON.stringify(sorted(actual))
          ? []
          : [{ asked, expected, actual }];
      });
      assert.deepEqual(different.slice(0, 3), [], `${different.length} of ${INPUTS} differ`);
    });
  }
});

const sorted = (answer: Answer | undefined) =>
  answer && [answer.canary, answer.stable, answer.maxSurge, answer.maxUnavailable];
