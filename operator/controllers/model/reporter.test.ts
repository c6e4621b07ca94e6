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

interface Version {
  readonly metadata: { readonly resourceVersion?: string };
}

/** What a reporter told, and of which versions it wrote, given `models` in turn, each by a pass that finds the package verified. */
async function reportOf(models: readonly DeepfakeModel[], write: () => Promise<object>) {
  const told: string[] = [];
  const versions: (string | undefined)[] = [];
  const applyStatus = (_kind: unknown, { metadata }: Version) => {
    versions.push(metadata.resourceVersion);
    return write();
  };
  const events = { record: (_kind: unknown, _model: unknown, { reason }: EventNote) => told.push(reason) };
  const reporter = new Reporter({
    client: { applyStatus } as unknown as KubeClient,
    clock: new FakeClock(0),
    events: events as unknown as EventRecorder,
  });
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
  return { told, versions };
}

const refusedOnce = (status: number, reason: string) => {
  const answers = [async () => Promise.reject(new ApiError('PATCH', status, reason, 'later'))];
  return () => (answers.shift() ?? (async () => ({})))();
};

it('a status is written to the version that the pass has seen, and the news told', async () => {
  const { told, versions } = await reportOf([fetching('9')], async () => ({}));
  assert.deepEqual(versions, ['9']);
  assert.deepEqual(told, ['Verified']);
});

for (const [what, status, reason] of [
  ['a pass on a cache that lags behind tells nothing', 409, 'Conflict'],
  ['news that could not be written is told once it is', 503, 'ServiceUnavailable'],
] as const) {
  it(what, async () => {
    const { told } = await reportOf([fetching('9'), fetching('10')], refusedOnce(status, reason));
    assert.deepEqual(told, ['Verified']);
  });
}

it('nothing is told of a model that is gone', async () => {
  assert.deepEqual((await reportOf([fetching('9')], refusedOnce(404, 'NotFound'))).told, []);
});
