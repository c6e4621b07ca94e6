/** How long pods may take to become ready, by what they load. Pure. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { ServedModel } from './models.ts';

/** Pulling libraries from a cold disk and starting workers on a crowded node, s. */
const START_S = 240;
/** Until a model reproduced its golden scores in every worker, s. TensorRT builds its engines first. */
const WARM_UP_S = { cpu: 60, cuda: 60, tensorrt: 600 } as const;
/** Every byte is hashed and loaded. Network volumes under load do no worse, bytes per second. */
const READ_RATE = 20 * 1024 ** 2;
const STARTUP_PERIOD_S = 2;
/** Between a ready pod and a Deployment that knows of it, s. */
const ROLLOUT_MARGIN_S = 60;

type Device = ModelDeploymentSpec['device'];

/** How long a pod with these models may take from its start until it is ready, s. */
export function startupBudgetS(models: readonly Pick<ServedModel, 'sizeBytes'>[], device: Device): number {
  const seconds = models.map(({ sizeBytes }) => WARM_UP_S[device] + sizeBytes / READ_RATE);
  return Math.ceil(seconds.reduce((sum, each) => sum + each, START_S));
}

/** The deadline of the spec, unless pods may rightly take longer than that, s. */
export const progressDeadlineS = (
  spec: Pick<ModelDeploymentSpec, 'progressDeadlineSeconds'>,
  budgetS: number,
) => Math.max(spec.progressDeadlineSeconds, budgetS + ROLLOUT_MARGIN_S);

/** Once a pod has started, readiness is asked often, and liveness never depends on load. */
export const probes = (budgetS: number) => ({
  startupProbe: {
    ...probe('ready'),
    periodSeconds: STARTUP_PERIOD_S,
    failureThreshold: Math.ceil(budgetS / STARTUP_PERIOD_S),
  },
  readinessProbe: { ...probe('ready'), periodSeconds: 5, failureThreshold: 2 },
  livenessProbe: { ...probe('live'), periodSeconds: 10, failureThreshold: 6 },
});

function probe(what: 'ready' | 'live') {
  return { httpGet: { path: `/health/${what}`, port: 'http' }, timeoutSeconds: 5 };
}
