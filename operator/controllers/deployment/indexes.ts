/** How the objects of a ModelDeployment are found from it, and it from them. */
import { LABEL } from '../../api/names.ts';
import { type KubeObject, keyText } from '../../runtime/object.ts';
import type { HorizontalPodAutoscaler, HttpRoute, ModelDeployment } from '../kinds.ts';
import { scaledDeployment } from './scaling.ts';
import { gatewayRouting } from './strategy.ts';

/** Index of children and pods by the ModelDeployment that they serve. */
export const BY_DEPLOYMENT = 'by-model-deployment';
export const deploymentKeyOfChild = ({ metadata }: KubeObject): string[] => {
  const name = metadata.labels?.[LABEL.modelDeployment];
  return name === undefined ? [] : [keyText({ namespace: metadata.namespace ?? '', name })];
};
/** An autoscaler concerns the ModelDeployment that made it and the one that it scales. */
export const deploymentKeysOfAutoscaler = (autoscaler: HorizontalPodAutoscaler): string[] => {
  const name = scaledDeployment(autoscaler);
  const scaled =
    name === undefined ? [] : [keyText({ namespace: autoscaler.metadata.namespace ?? '', name })];
  return [...new Set([...deploymentKeyOfChild(autoscaler), ...scaled])];
};

/** Index of Jobs and pods of measurements by the ModelDeployment that they judge. */
export const BY_PROBE = 'by-probe';
export { probeKeysOf } from '../../analysis/providers/probe-job.ts';

/** Index of ModelDeployments by the HTTPRoute that splits their requests: the user's, or the one that is made. */
export const BY_ROUTE = 'by-route';
export const routeKeysOfDeployment = ({ metadata, spec }: ModelDeployment): string[] => {
  const routing = gatewayRouting(spec);
  return routing
    ? [keyText({ namespace: metadata.namespace ?? '', name: routing.httpRoute ?? metadata.name })]
    : [];
};
export const routeKey = ({ metadata }: HttpRoute) =>
  keyText({ namespace: metadata.namespace ?? '', name: metadata.name });
