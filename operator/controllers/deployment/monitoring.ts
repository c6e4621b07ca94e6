/** How Prometheus Operator finds the pods, where a cluster has it. Pure. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import { LABEL } from '../../api/names.ts';
import type { Verdict } from '../../runtime/conditions.ts';
import type { Applied } from '../../runtime/object.ts';
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
  /** Whether the cluster has the kind. */
  readonly served: boolean;
  readonly problem: Problem | undefined;
}

export function monitoringCondition({ served, problem }: MonitoringObservation): Verdict {
  const type = 'MonitoringActive';
  if (!served) {
    const { apiVersion, kind } = POD_MONITOR;
    const message = `this cluster does not serve ${kind} of ${apiVersion}: it is made once Prometheus Operator is installed`;
    return { type, status: 'False', reason: 'KindNotInstalled', message };
  }
  if (problem) return { type, status: 'False', ...problem };
  return { type, status: 'True', reason: 'PodMonitorApplied', message: 'a PodMonitor selects the pods' };
}
