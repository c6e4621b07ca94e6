import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import { deepfakeModelSpec } from '../../api/deepfake-model.ts';
import type { KubeClient } from '../../runtime/client.ts';
import { ApiError } from '../../runtime/errors.ts';
import type { EventNote, EventRecorder } from '../../runtime/events.ts';
import { FakeClock } from '../../runtime/fake-clock.ts';
import { aModel, readyStatus } from '../builders.ts';
import type { DeepfakeModel } from '../kinds.ts';
import type { ModelPass } from './pass.ts';
import { Reporter } from './reporter.ts';
import type { ModelObservation } from './status.ts';

const { fetch: _, observedGeneration: __, ...artifact } = readyStatus();
const verified: ModelObservation = {
  fetch: { id: 'x', phase: 'Succeeded', attempts: 1 },
  artifact: artifact as NonNullable<ModelObservation['artifact']>,
  podRunning: true,
};

const fetching = (resourceVersion: string): DeepfakeModel => {
  const model = aModel('m', {
    status: { phase: 'Fetching', fetch: { id: 'x', phase: 'Running', attempts: 1 } },
  });
  return { ...model, metadata: { ...model.metadata, resourceVersion } };
};

/** What a reporter told after it was given `models` in turn, each by a pass that finds the package verified. */
async function toldOf(models: readonly DeepfakeModel[], write: () => Promise<object>): Promise<string[]> {
  const told: string[] = [];
  const client = { applyStatus: write } as unknown as KubeClient;
  const events = { record: (_kind: unknown, _model: unknown, { reason }: EventNote) => told.push(reason) };
  const clock = new FakeClock(0);
  const reporter = new Reporter({ client, clock, events: events as unknown as EventRecorder });
  for (const model of models) {
    const pass: ModelPass = {
      model,
      namespace: 'ns',
      spec: deepfakeModelSpec.parse(model.spec),
      claim: { name: 'm-weights', own: true },
      users: [],
      sharers: [{ model, used: false }],
      signal: new AbortController().signal,
      log: pino({ enabled: false }),
    };
    await reporter.report(pass, verified).catch(() => undefined);
  }
  return told;
}

const written = (resourceVersion: string) => async () => ({ metadata: { name: 'm', resourceVersion } });

it('news is told once, although the next pass begins before the cache knows what was written', async () => {
  assert.deepEqual(await toldOf([fetching('9'), fetching('9'), fetching('10')], written('11')), ['Verified']);
});

it('news is told again where the cache is newer: somebody else has written since', async () => {
  assert.deepEqual(await toldOf([fetching('9'), fetching('12')], written('11')), ['Verified', 'Verified']);
});

it('news that could not be written is told once it is', async () => {
  const answers = [
    async () => Promise.reject(new ApiError('PATCH', 503, 'ServiceUnavailable', 'later')),
    written('11'),
  ];
  const write = () => (answers.shift() ?? written('11'))();
  assert.deepEqual(await toldOf([fetching('9'), fetching('9')], write), ['Verified']);
});
