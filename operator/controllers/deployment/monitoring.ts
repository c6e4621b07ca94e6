/** How Prometheus Operator finds the pods, where a cluster has it. Pure. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { LABEL } from '../../api/names.ts';
import type { Verdict } from '../../runtime/conditions.ts';
import type { Applied } from '../../runtime/object.ts';
import type { KindState } from '../../runtime/optional-informer.ts';
import { type ModelDeployment, POD_MONITOR } from '../kinds.ts';
import type { Problem } from '../problems.ts';
import { childMetadata, ownerReferences, podSelector } from './names.ts';

/** undefined: nobody asked for one. */
export function desiredPodMonitor(
  owner: ModelDeployment,
  { monitoring }: ModelDeploymentSpec,
): Applied | undefined {
  if (!monitoring?.podMonitor) return undefined;
  const { labels, interval } = monitoring.podMonitor;
  const { name } = owner.metadata;
  const { apiVersion, kind } = POD_MONITOR;
  return {
    apiVersion,
    kind,
    metadata: { ...childMetadata(owner, name, labels), ownerReferences: ownerReferences(owner) },
    spec: {
      selector: { matchLabels: podSelector(name) },
      podTargetLabels: [LABEL.modelDeployment, LABEL.track, LABEL.revision],
      podMetricsEndpoints: [{ port: 'http', path: '/metrics', interval }],
    },
  } as Applied;
}

/** What came of a PodMonitor that is wanted. */
export interface MonitoringObservation {
  /** What is known of the kind in this cluster. */
  readonly kind: KindState;
  readonly problem: Problem | undefined;
}

const { apiVersion: GROUP_VERSION, kind: KIND } = POD_MONITOR;
const KIND_VERDICTS: Readonly<Record<Exclude<KindState, 'served'>, Omit<Verdict, 'type'>>> = {
  absent: {
    status: 'False',
    reason: 'KindNotInstalled',
    message: `this cluster does not serve ${KIND} of ${GROUP_VERSION}: it is made once Prometheus Operator is installed`,
  },
  unlisted: {
    status: 'Unknown',
    reason: 'KindNotListed',
    message: `the operator could not list ${KIND} of ${GROUP_VERSION} yet: if that lasts, look whether its role allows it`,
  },
  unknown: {
    status: 'Unknown',
    reason: 'KindNotKnown',
    message: `the API server has not said yet whether it serves ${KIND} of ${GROUP_VERSION}`,
  },
};

export function monitoringCondition({ kind, problem }: MonitoringObservation): Verdict {
  const type = 'MonitoringActive';
  if (kind !== 'served') return { type, ...KIND_VERDICTS[kind] };
  if (problem) return { type, status: 'False', ...problem };
  return { type, status: 'True', reason: 'PodMonitorApplied', message: 'a PodMonitor selects the pods' };
}
