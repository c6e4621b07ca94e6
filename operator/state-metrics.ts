/** DeepfakeModels and ModelDeployments as gauges, read off the stores at every scrape. */
import { Gauge, type Registry } from 'prom-client';
import type { DeepfakeModel, ModelDeployment } from './controllers/kinds.ts';

export interface State {
  readonly models: readonly DeepfakeModel[];
  readonly deployments: readonly ModelDeployment[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: (state: State) => readonly Sample[];
}

const OBJECT = ['namespace', 'name'] as const;
const MODEL_PHASES = ['Pending', 'Fetching', 'Ready', 'Failed'] as const;
const DEPLOYMENT_PHASES = ['Healthy', 'Progressing', 'Paused', 'Degraded'] as const;

export const STATE_FAMILIES: readonly Family[] = [
  {
    name: 'deepfake_deepfakemodel_info',
    help: 'A DeepfakeModel, and the package that it holds.',
    labels: [...OBJECT, 'modality', 'version', 'digest'],
    samples: ({ models }) =>
      models.map((model) => ({
        labels: {
          ...nameOf(model),
          modality: model.spec.modality ?? '',
          version: model.status?.card?.version ?? '',
          digest: model.status?.digest ?? '',
        },
        value: 1,
      })),
  },
  {
    name: 'deepfake_deepfakemodel_size_bytes',
    help: 'Size of the verified package.',
    labels: OBJECT,
    samples: ({ models }) => numbers(models, ({ status }) => status?.sizeBytes),
  },
  phases('deepfake_deepfakemodel_status_phase', MODEL_PHASES, ({ models }) => models),
  conditions('deepfake_deepfakemodel_status_condition', ({ models }) => models),
  {
    name: 'deepfake_modeldeployment_info',
    help: 'A ModelDeployment, and what it runs on.',
    labels: [...OBJECT, 'device'],
    samples: ({ deployments }) =>
      deployments.map((deployment) => ({
        labels: { ...nameOf(deployment), device: deployment.spec.device ?? 'cpu' },
        value: 1,
      })),
  },
  phases('deepfake_modeldeployment_status_phase', DEPLOYMENT_PHASES, ({ deployments }) => deployments),
  conditions('deepfake_modeldeployment_status_condition', ({ deployments }) => deployments),
  ...(['replicas', 'readyReplicas', 'availableReplicas', 'updatedReplicas'] as const).map(
    (field): Family => ({
      name: `deepfake_modeldeployment_status_${snakeCase(field)}`,
      help: `Pods of a ModelDeployment, as status.${field} counts them.`,
      labels: OBJECT,
      samples: ({ deployments }) => numbers(deployments, ({ status }) => status?.[field]),
    }),
  ),
  {
    name: 'deepfake_operator_rollout_phase',
    help: '1 for where the rollout of a ModelDeployment stands that has a strategy with revisions.',
    labels: [...OBJECT, 'phase'],
    samples: ({ deployments }) =>
      deployments.filter(rollsOut).flatMap((deployment) => {
        const now = rolloutPhase(deployment);
        return ROLLOUT_PHASES.map((phase) => ({
          labels: { ...nameOf(deployment), phase },
          value: phase === now ? 1 : 0,
        }));
      }),
  },
  {
    name: 'deepfake_operator_rollout_weight',
    help: 'Percent of the requests of a track, as last asked for.',
    labels: [...OBJECT, 'track'],
    samples: ({ deployments }) =>
      deployments.filter(rollsOut).flatMap((deployment) => {
        const { stable = 100, canary = 0 } = deployment.status?.canary?.weights ?? {};
        return Object.entries({ stable, canary }).map(([track, value]) => ({
          labels: { ...nameOf(deployment), track },
          value,
        }));
      }),
  },
  {
    name: 'deepfake_operator_rollout_step',
    help: 'Index of the step that is being taken; the number of steps when all are.',
    labels: OBJECT,
    samples: ({ deployments }) =>
      numbers(deployments.filter(rollsOut), ({ status }) => status?.currentStepIndex),
  },
  {
    name: 'deepfake_operator_rollout_analysis_measurements',
    help: 'Measurements of the rollout that is under way, or of the last one, by what came of them.',
    labels: [...OBJECT, 'analysis', 'metric', 'result'],
    samples: ({ deployments }) => deployments.flatMap(measurements),
  },
];

const ROLLOUT_PHASES = ['Stable', 'Progressing', 'Paused', 'Aborted'] as const;
const RESULTS = ['successful', 'failed', 'inconclusive', 'error'] as const;

const rollsOut = ({ spec }: ModelDeployment) =>
  spec.strategy?.canary !== undefined || spec.strategy?.blueGreen !== undefined;

function rolloutPhase({ status }: ModelDeployment): (typeof ROLLOUT_PHASES)[number] {
  if (status?.abort) return 'Aborted';
  if (status?.stableRevision !== undefined && status.stableRevision === status.currentRevision)
    return 'Stable';
  return status?.phase === 'Paused' ? 'Paused' : 'Progressing';
}

const measurements = (deployment: ModelDeployment): Sample[] =>
  (deployment.status?.canary?.analysis ?? []).flatMap(({ id, metrics = [] }) =>
    metrics.flatMap((metric) =>
      RESULTS.map((result) => ({
        labels: { ...nameOf(deployment), analysis: id, metric: metric.name, result },
        value: metric[result] ?? 0,
      })),
    ),
  );

export class StateMetrics {
  #read: () => State | undefined = () => undefined;

  constructor(registry: Registry) {
    for (const { name, help, labels, samples } of STATE_FAMILIES) {
      const read = () => this.#read();
      new Gauge({
        name,
        help,
        labelNames: labels,
        registers: [registry],
        collect() {
          this.reset();
          const state = read();
          for (const sample of state ? samples(state) : []) this.set(sample.labels, sample.value);
        },
      });
    }
  }

  /** @param read says undefined while this process does not lead: two replicas would tell everything twice */
  watch(read: () => State | undefined): void {
    this.#read = read;
  }
}

type Reported = DeepfakeModel | ModelDeployment;

const nameOf = ({ metadata: { namespace = '', name } }: Reported) => ({ namespace, name });

function numbers<T extends Reported>(
  objects: readonly T[],
  numberOf: (object: T) => number | undefined,
): Sample[] {
  return objects.flatMap((object) => {
    const value = numberOf(object);
    return value === undefined ? [] : [{ labels: nameOf(object), value }];
  });
}

function phases(
  name: string,
  known: readonly string[],
  objectsOf: (state: State) => readonly Reported[],
): Family {
  return {
    name,
    help: '1 for the phase that the object is in.',
    labels: [...OBJECT, 'phase'],
    samples: (state) =>
      objectsOf(state).flatMap((object) =>
        known.map((phase) => ({
          labels: { ...nameOf(object), phase },
          value: object.status?.phase === phase ? 1 : 0,
        })),
      ),
  };
}

function conditions(name: string, objectsOf: (state: State) => readonly Reported[]): Family {
  return {
    name,
    help: '1 for the status and reason that a condition has.',
    labels: [...OBJECT, 'condition', 'status', 'reason'],
    samples: (state) =>
      objectsOf(state).flatMap((object) =>
        (object.status?.conditions ?? []).map(({ type, status, reason }) => ({
          labels: { ...nameOf(object), condition: type, status, reason },
          value: 1,
        })),
      ),
  };
}

function snakeCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
