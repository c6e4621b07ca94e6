/** How a new revision takes over: spec.strategy. */
import { z } from 'zod';
import { countOrPercent, dnsLabel, doc, objectName, passthrough } from '../schema.ts';
import { duration, metrics } from './analysis.ts';

const percent = (description: string) => doc(z.int().min(0).max(100), description);
const surge = () =>
  countOrPercent(
    'Pods above the wanted number during a rollout, a count or a percentage. Default 25%.',
  ).optional();
const unavailable = () =>
  countOrPercent('Pods that may be missing during a rollout, a count or a percentage. Default 0.').optional();
const notBothZero = {
  rule: "!(has(self.maxSurge) && (string(self.maxSurge) == '0' || string(self.maxSurge) == '0%') && (!has(self.maxUnavailable) || string(self.maxUnavailable) == '0' || string(self.maxUnavailable) == '0%'))",
  message: 'maxSurge and maxUnavailable must not both be 0: no pod could be exchanged',
};
const seconds = (description: string) => doc(z.int().min(0).max(604_800), description);
const routeName = () => doc(dnsLabel(), 'Name of the route.');

const headerMatch = doc(
  z.object({
    headerName: doc(z.string().min(1).max(256), 'Name of the header.'),
    exact: doc(z.string().min(1).max(4096), 'Its value.').optional(),
    regex: doc(z.string().min(1).max(4096), 'A regular expression that its value matches.').optional(),
  }),
  'A header that a request carries.',
  {
    rules: [
      { rule: 'has(self.exact) != has(self.regex)', message: 'exactly one of exact and regex has to be set' },
    ],
  },
);

export type HeaderMatch = z.output<typeof headerMatch>;

const step = doc(
  z.object({
    setWeight: percent('Percent of the requests that the canary gets.').optional(),
    pause: doc(
      z.object({ duration: duration('Without it the rollout waits until somebody promotes it.').optional() }),
      'Waits, for a time or for a person.',
    ).optional(),
    analysis: doc(
      z.object({ metrics: metrics('All have to succeed.') }),
      'Measures, and goes on when all metrics succeed.',
    ).optional(),
    setCanaryScale: doc(
      z.object({
        replicas: doc(z.int().min(0).max(1000), 'Pods of the canary.').optional(),
        weight: percent('Pods of the canary in percent of the wanted number.').optional(),
        matchTrafficWeight: doc(z.boolean(), 'true: as many as the weight asks for again.').optional(),
      }),
      'Pods of the canary apart from its weight; with gatewayAPI.',
      {
        rules: [
          {
            rule: '[has(self.replicas), has(self.weight), has(self.matchTrafficWeight)].filter(x, x).size() == 1',
            message: 'exactly one of replicas, weight and matchTrafficWeight has to be set',
          },
        ],
      },
    ).optional(),
    setHeaderRoute: doc(
      z.object({
        name: routeName(),
        match: doc(z.array(headerMatch).max(8), 'All have to match. Empty: the route is taken away.', {
          'x-kubernetes-list-type': 'atomic',
        }).optional(),
      }),
      'Sends requests with these headers to the canary; with gatewayAPI.',
    ).optional(),
    setMirrorRoute: doc(
      z.object({
        name: routeName(),
        percentage: percent(
          'Share of the requests that is copied. 0: the route is taken away. Default 100.',
        ).optional(),
      }),
      'Copies requests to the canary, whose answers nobody gets; with gatewayAPI.',
    ).optional(),
  }),
  'One step.',
  {
    rules: [
      {
        rule: '[has(self.setWeight), has(self.pause), has(self.analysis), has(self.setCanaryScale), has(self.setHeaderRoute), has(self.setMirrorRoute)].filter(x, x).size() == 1',
        message:
          'exactly one of setWeight, pause, analysis, setCanaryScale, setHeaderRoute and setMirrorRoute has to be set',
      },
    ],
  },
);
export type CanaryStep = z.output<typeof step>;

const gatewayAPI = doc(
  z.object({
    httpRoute: doc(
      objectName(),
      'An HTTPRoute of yours in the same namespace: the weights of its rules that name the services of this ModelDeployment are set. Default: one is made.',
    ).optional(),
    parentRefs: doc(
      z.array(passthrough('A gateway.networking.k8s.io ParentReference.')).max(8),
      'Gateways of the route that is made.',
      {
        'x-kubernetes-list-type': 'atomic',
      },
    ).optional(),
    hostnames: doc(
      z.array(doc(z.string().min(1).max(253), 'A host name.')).max(16),
      'Of the route that is made.',
      {
        'x-kubernetes-list-type': 'set',
      },
    ).optional(),
  }),
  'The split is made by an HTTPRoute of the Gateway API.',
  {
    rules: [
      {
        rule: 'has(self.httpRoute) != has(self.parentRefs)',
        message: 'exactly one of httpRoute and parentRefs has to be set',
      },
      {
        rule: '!has(self.hostnames) || has(self.parentRefs)',
        message: 'hostnames belong to the route that is made with parentRefs',
      },
    ],
  },
);

const trafficRouting = doc(
  z.object({
    replicas: doc(
      z.object({}),
      'Both revisions stand behind one Service: the split follows the ready pods.',
    ).optional(),
    gatewayAPI: gatewayAPI.optional(),
  }),
  'How requests are split. Default: replicas.',
  {
    rules: [
      {
        rule: 'has(self.replicas) != has(self.gatewayAPI)',
        message: 'exactly one of replicas and gatewayAPI has to be set',
      },
    ],
  },
);

const scaleDownDelaySeconds = () =>
  seconds('How long the pods of the old revision stay after a promotion. Default 30.').optional();
const abortScaleDownDelaySeconds = () =>
  seconds('How long the pods of an aborted revision stay; 0: until the next rollout. Default 30.').optional();

const canary = doc(
  z.object({
    steps: doc(z.array(step).max(32), 'Taken one after the other. Empty: straight to the new revision.', {
      'x-kubernetes-list-type': 'atomic',
    }).default([]),
    analysis: doc(
      z.object({
        metrics: metrics('Any that fails aborts the rollout.'),
        startingStep: doc(
          z.int().min(0).max(31),
          'Index of the step from which on it measures. Default 0.',
        ).optional(),
      }),
      'Measures in the background for as long as the rollout lasts.',
    ).optional(),
    trafficRouting: trafficRouting.optional(),
    maxSurge: surge(),
    maxUnavailable: unavailable(),
    dynamicStableScale: doc(
      z.boolean(),
      'true: the stable revision shrinks as its weight does; with gatewayAPI.',
    ).optional(),
    scaleDownDelaySeconds: scaleDownDelaySeconds(),
    abortScaleDownDelaySeconds: abortScaleDownDelaySeconds(),
    insufficientGPU: doc(
      z.enum(['NoSurge', 'Fail']),
      'Where no accelerator is free for an additional pod. NoSurge: an old pod goes first; Fail: the rollout stops with InsufficientGPU. Default NoSurge.',
    ).optional(),
  }),
  'The new revision proves itself step by step.',
  {
    rules: [
      notBothZero,
      {
        rule: '(has(self.trafficRouting) && has(self.trafficRouting.gatewayAPI)) || !self.steps.exists(s, has(s.setCanaryScale) || has(s.setHeaderRoute) || has(s.setMirrorRoute))',
        message: 'setCanaryScale, setHeaderRoute and setMirrorRoute need trafficRouting.gatewayAPI',
      },
      {
        rule: '(has(self.trafficRouting) && has(self.trafficRouting.gatewayAPI)) || !has(self.dynamicStableScale)',
        message: 'dynamicStableScale needs trafficRouting.gatewayAPI',
      },
    ],
  },
);
export type CanaryStrategy = z.output<typeof canary>;

const blueGreen = doc(
  z.object({
    autoPromotion: doc(z.boolean(), 'false: waits for a person before it switches. Default true.').optional(),
    prePromotionAnalysis: doc(
      z.object({ metrics: metrics('All have to succeed before the switch.') }),
      'Measured before the new revision gets requests.',
    ).optional(),
    scaleDownDelaySeconds: scaleDownDelaySeconds(),
    abortScaleDownDelaySeconds: abortScaleDownDelaySeconds(),
  }),
  'The new revision is started in full beside the old one, then all requests are switched over at once.',
);
export type BlueGreenStrategy = z.output<typeof blueGreen>;

const rollingUpdate = doc(
  z.object({ maxSurge: surge(), maxUnavailable: unavailable() }),
  'Pods are exchanged a few at a time.',
  { rules: [notBothZero] },
);

export const strategy = doc(
  z.object({
    rollingUpdate: rollingUpdate.optional(),
    canary: canary.optional(),
    blueGreen: blueGreen.optional(),
  }),
  'How a new revision takes over. Default: rollingUpdate.',
  {
    rules: [
      {
        rule: '[has(self.rollingUpdate), has(self.canary), has(self.blueGreen)].filter(x, x).size() == 1',
        message: 'exactly one of rollingUpdate, canary and blueGreen has to be set',
      },
    ],
  },
);
