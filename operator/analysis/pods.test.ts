/** Analyses of real pods: what they measure is what the pods did. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { flatImage } from '../../inference/testing/media.ts';
import { type Pod as RunningPod, upload, withPods } from '../../inference/testing/pods.ts';
import type { Metric } from '../api/rollout/analysis.ts';
import { aModelDeployment, IMAGE } from '../controllers/builders.ts';
import type { Pod } from '../controllers/kinds.ts';
import { FakeClock } from '../runtime/fake-clock.ts';
import { Analyses, type AnalysesInput } from './analyses.ts';

const asPod = (name: string, { server }: RunningPod): Pod =>
  ({
    metadata: { name, uid: name },
    spec: {
      containers: [
        { name: 'inference', ports: [{ name: 'http', containerPort: Number(new URL(server.url).port) }] },
      ],
    },
    status: {
      podIP: '127.0.0.1',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ restartCount: 0 }],
    },
  }) as unknown as Pod;

const image = (level: number) => flatImage({ width: 256, height: 256, level, format: 'png' });

/** Sends images to a pod, with ids that a mirroring proxy would give to both. */
async function send(pod: RunningPod, levels: readonly number[]): Promise<void> {
  for (const [index, level] of levels.entries()) {
    const options = { fields: { model: 'picture' }, headers: { 'x-request-id': `mirrored-${index}` } };
    const answer = await upload(pod, await image(level), options);
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  }
}

type Phases = Record<string, readonly [phase: string, value: string | undefined]>;

/** What became of each metric, when the canary and the stable pod were sent images between two looks. */
async function analysed(
  metrics: readonly Partial<Metric>[],
  canaryLevels: readonly number[],
  stableLevels: readonly number[],
): Promise<Phases> {
  return withPods([{ CACHE_BACKEND: 'off' }, { CACHE_BACKEND: 'off' }], async (canary, stable) => {
    assert.ok(canary && stable);
    const spec = {
      models: [{ name: 'picture' }],
      strategy: { canary: { steps: [{ analysis: { metrics } }] } },
    };
    const clock = new FakeClock(Date.parse('2026-01-01T00:00:00Z'));
    const analyses = new Analyses({ clock });
    const input: Omit<AnalysesInput, 'previous'> = {
      owner: aModelDeployment(spec),
      wanted: [{ id: 'step-0', step: 0 }],
      canary: { revision: 'new', pods: [asPod('canary', canary)], url: canary.server.url },
      stable: { revision: 'old', pods: [asPod('stable', stable)], url: stable.server.url },
      probeJobs: [],
      probePods: [],
      image: IMAGE,
      signal: AbortSignal.timeout(60_000),
    };
    const baseline = await analyses.run({ ...input, previous: [] });
    await send(canary, canaryLevels);
    await send(stable, stableLevels);
    clock.advance(60_000);
    const { analysis } = await analyses.run({ ...input, previous: baseline.analysis });
    return Object.fromEntries(
      (analysis[0]?.metrics ?? []).map(({ name, phase, measurements = [] }) => [
        name,
        [phase, measurements.at(-1)?.value],
      ]),
    );
  });
}

const rate = (name: string, builtin: object): Partial<Metric> =>
  ({ name, interval: '1m', builtin: { minCount: 5, ...builtin } }) as Partial<Metric>;
const late = (name: string, rest: object): Partial<Metric> =>
  ({ name, initialDelay: '1m', ...rest }) as Partial<Metric>;

describe('analyses of real pods', () => {
  const mixed = Array.from({ length: 24 }, (_, index) => (index % 2 === 0 ? 20 : 235));

  test('that do the same succeed', async () => {
    const phases = await analysed(
      [
        rate('errors', { metric: 'errorRate', max: 0, maxRatio: 1 }),
        rate('latency', { metric: 'latencyP95', max: 30 }),
        rate('infer', { metric: 'latencyP95', stage: 'infer', max: 30 }),
        late('queue', { builtin: { metric: 'queueAge', max: 5 } }),
        late('restarts', { builtin: { metric: 'restarts', max: 0 } }),
        late('drift', { drift: { maxPsi: 0.01, maxKs: 0.01, minCount: 20 } }),
        late('shadow', { shadow: { minAgreement: 1, maxMeanScoreDifference: 0, minCount: 24 } }),
      ],
      mixed,
      mixed,
    );
    assert.deepEqual(
      Object.entries(phases).map(([name, [phase]]) => `${name} ${phase}`),
      ['errors', 'latency', 'infer', 'queue', 'restarts', 'drift', 'shadow'].map(
        (name) => `${name} Successful`,
      ),
    );
    assert.equal(phases['errors']?.[1], '{"canary":0,"stable":0,"requests":24}');
    assert.equal(phases['drift']?.[1], '{"psi":0,"ks":0,"canary":24,"stable":24}');
    assert.equal(phases['shadow']?.[1], '{"matched":24,"agreement":1,"meanScoreDifference":0}');
  });

  test('whose scores are others are caught by drift', async () => {
    const bright = mixed.map(() => 235);
    const { drift } = await analysed([late('drift', { drift: { maxKs: 0.2, minCount: 20 } })], bright, mixed);
    assert.deepEqual(drift?.[0], 'Failed');
    assert.match(drift?.[1] ?? '', /"ks":0\.5/);
  });

  test('that got other media under the same ids match nothing', async () => {
    const { shadow } = await analysed(
      [late('shadow', { shadow: { minAgreement: 1, minCount: 1 } })],
      [20, 20, 20],
      [235, 235, 235],
    );
    assert.deepEqual(shadow, ['Inconclusive', '{"matched":0}']);
  });

  test('that got too few requests are inconclusive', async () => {
    const { errors } = await analysed([rate('errors', { metric: 'errorRate', max: 1 })], [20, 20], []);
    assert.deepEqual(errors, ['Inconclusive', '{"canary":0,"requests":2}']);
  });
});
