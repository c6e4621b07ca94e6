/** Metrics by which a rollout is judged, as a spec writes them and as status remembers them. */
import { z } from 'zod';
import { digest, dnsLabel, doc, mapList, objectName, timestamp } from '../schema.ts';

/** Go's notation, e.g. 90s, 1h30m. */
export const duration = (description: string) =>
  doc(
    z
      .string()
      .max(32)
      .regex(/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/),
    description,
  );

const share = (description: string) => doc(z.number().min(0).max(1), `${description} A share, 0..1.`);
const modelName = () => doc(dnsLabel(), 'One of spec.models. Default: the first.').optional();

const builtin = doc(
  z.object({
    metric: doc(
      z.enum(['errorRate', 'latencyP95', 'queueAge', 'restarts', 'gpuMemory']),
      'errorRate: share of requests answered with 5xx; latencyP95: seconds of a stage; queueAge: seconds that the oldest request waits; restarts: of containers since the pods began; gpuMemory: share in use.',
    ),
    stage: doc(
      z.enum(['upload', 'queue', 'decode', 'preprocess', 'infer', 'post', 'total']),
      'Stage of latencyP95. Default total.',
    ).optional(),
    max: doc(z.number().min(0), 'Above this the measurement fails.').optional(),
    maxRatio: doc(
      z.number().min(0),
      'Above this many times the value of the stable revision the measurement fails.',
    ).optional(),
    minCount: doc(
      z.int().min(0).max(1_000_000),
      'Requests of the canary below which it is inconclusive. Default 20; of no effect for queueAge, restarts, gpuMemory.',
    ).optional(),
  }),
  'Read from the pods of both revisions; no Prometheus is needed.',
  {
    rules: [
      { rule: 'has(self.max) || has(self.maxRatio)', message: 'max or maxRatio has to be set' },
      {
        rule: "!has(self.stage) || self.metric == 'latencyP95'",
        message: 'stage goes with latencyP95 alone',
      },
    ],
  },
);

const probeSet = doc(
  z.object({
    configMap: doc(
      z.object({ name: doc(objectName(), 'Name of a ConfigMap in the same namespace.') }),
      'Media as binaryData, with a key manifest.csv (path,label: real or fake).',
    ).optional(),
    pvc: doc(
      z.object({
        claimName: doc(objectName(), 'A claim in the same namespace.'),
        path: doc(z.string().min(1).max(1024), 'Folder on the claim. Default: its root.').optional(),
      }),
      'A folder with media and manifest.csv.',
    ).optional(),
    http: doc(
      z.object({
        url: doc(
          z
            .string()
            .max(2048)
            .regex(/^https?:\/\/.+/),
          'A .tar.gz with media and manifest.csv.',
        ),
        digest: doc(digest(), 'Of the archive: sha256 of its bytes.'),
      }),
      'Fetched, and checked by its digest.',
    ).optional(),
    model: modelName(),
    minAuc: share('Area under the ROC curve of the canary, at least.').optional(),
    maxAucDrop: share('How much less than that of the stable revision it may be.').optional(),
    minAccuracy: share("Accuracy at the package's upper threshold, at least.").optional(),
    maxScoreChange: share('Largest difference between the scores of the two revisions on a file.').optional(),
    maxFlips: share('Files whose verdict differs between the two revisions.').optional(),
    minFiles: doc(
      z.int().min(1).max(100_000),
      'Files that both revisions scored, below which it is inconclusive. Default 10.',
    ).optional(),
    timeoutSeconds: doc(z.int().min(10).max(86_400), 'Of the Job. Default 600.').optional(),
  }),
  'Labelled media that both revisions judge.',
  {
    rules: [
      {
        rule: '[has(self.configMap), has(self.pvc), has(self.http)].filter(x, x).size() == 1',
        message: 'exactly one of configMap, pvc and http has to be set',
      },
      {
        rule: 'has(self.minAuc) || has(self.maxAucDrop) || has(self.minAccuracy) || has(self.maxScoreChange) || has(self.maxFlips)',
        message:
          'a probe set without a bound decides nothing: set minAuc, maxAucDrop, minAccuracy, maxScoreChange or maxFlips',
      },
    ],
  },
);

const shadow = doc(
  z.object({
    model: modelName(),
    minAgreement: share('Mirrored requests for which both revisions gave the same verdict.').optional(),
    maxMeanScoreDifference: share('Mean of the absolute differences of scores.').optional(),
    minCount: doc(
      z.int().min(1).max(1_000_000),
      'Matched requests below which it is inconclusive. Default 50.',
    ).optional(),
  }),
  'Compares what both revisions said to the same live requests; needs a mirror route.',
  {
    rules: [
      {
        rule: 'has(self.minAgreement) || has(self.maxMeanScoreDifference)',
        message: 'minAgreement or maxMeanScoreDifference has to be set',
      },
    ],
  },
);

const drift = doc(
  z.object({
    model: modelName(),
    maxPsi: doc(
      z.number().min(0),
      'Population stability index of the score histograms, at most. 0.1 is small, 0.25 large.',
    ).optional(),
    maxKs: share(
      'Largest distance between the cumulative histograms (Kolmogorov-Smirnov, at bin edges).',
    ).optional(),
    minCount: doc(
      z.int().min(20).max(1_000_000),
      'Scores of each revision below which it is inconclusive. Default 200.',
    ).optional(),
  }),
  'Compares the distributions of scores of the two revisions.',
  { rules: [{ rule: 'has(self.maxPsi) || has(self.maxKs)', message: 'maxPsi or maxKs has to be set' }] },
);

const prometheus = doc(
  z.object({
    address: doc(
      z
        .string()
        .max(2048)
        .regex(/^https?:\/\/.+/),
      'Address of a Prometheus.',
    ),
    query: doc(
      z.string().min(1).max(8192),
      'PromQL, an instant query. {{name}}, {{namespace}}, {{canaryRevision}} and {{stableRevision}} are put in.',
    ),
    timeoutSeconds: doc(z.int().min(1).max(300), 'Default 30.').optional(),
  }),
  'An instant query of a Prometheus; judged by successCondition and failureCondition.',
);

const condition = (description: string) => doc(z.string().min(1).max(1024), description).optional();

export const metric = doc(
  z.object({
    name: doc(dnsLabel(), 'Of the metric in status and events.'),
    interval: duration(
      'Between two measurements. Without it there is one, or count of them without a rest.',
    ).optional(),
    initialDelay: duration('Before the first measurement.').optional(),
    count: doc(
      z.int().min(1).max(10_000),
      'Measurements in all. Default 1 without interval; with one, a step measures once and a background analysis until the rollout ends.',
    ).optional(),
    successCondition: condition(
      'CEL over `result`, e.g. `result[0] >= 0.95`: true is a success. For prometheus.',
    ),
    failureCondition: condition('CEL over `result`: true is a failure. For prometheus.'),
    failureLimit: doc(
      z.int().min(0).max(1000),
      'More failed measurements than this fail the analysis.',
    ).default(0),
    inconclusiveLimit: doc(
      z.int().min(0).max(1000),
      'More inconclusive measurements than this make the analysis inconclusive, which pauses the rollout.',
    ).default(0),
    consecutiveErrorLimit: doc(
      z.int().min(0).max(1000),
      'More measurements in a row that could not be taken than this end the analysis in error.',
    ).default(4),
    builtin: builtin.optional(),
    probeSet: probeSet.optional(),
    shadow: shadow.optional(),
    drift: drift.optional(),
    prometheus: prometheus.optional(),
  }),
  'What is measured, how often, and what is wrong.',
  {
    rules: [
      {
        rule: '[has(self.builtin), has(self.probeSet), has(self.shadow), has(self.drift), has(self.prometheus)].filter(x, x).size() == 1',
        message: 'exactly one of builtin, probeSet, shadow, drift and prometheus has to be set',
      },
      {
        rule: '!has(self.prometheus) || has(self.successCondition) || has(self.failureCondition)',
        message: 'a prometheus metric needs successCondition or failureCondition',
      },
      {
        rule: 'has(self.prometheus) || !(has(self.successCondition) || has(self.failureCondition))',
        message:
          'successCondition and failureCondition go with prometheus; the other metrics have bounds of their own',
      },
      {
        rule: '!has(self.count) || self.count == 1 || has(self.interval) || has(self.probeSet)',
        message: 'several measurements need an interval',
      },
    ],
  },
);
export type Metric = z.output<typeof metric>;

export const metrics = (description: string) => mapList(metric, 'name', 8, description).min(1);

const phases = ['Pending', 'Running', 'Successful', 'Failed', 'Inconclusive', 'Error'] as const;
const phase = (description: string) => doc(z.enum(phases), description);
const tally = (description: string) => doc(z.int().min(0).max(1_000_000), description).optional();

const measurement = doc(
  z.object({
    phase: phase('What came of it.'),
    startedAt: timestamp('When it began.'),
    finishedAt: timestamp('When it ended.').optional(),
    value: doc(z.string().max(1024), 'What was measured, as compact JSON or a number.').optional(),
    message: doc(z.string().max(1024), 'Why it is not a success.').optional(),
    /** Of a measurement that runs elsewhere: the name of its Job. */
    job: doc(objectName(), 'The Job that measures.').optional(),
  }),
  'One measurement.',
);
export type Measurement = z.output<typeof measurement>;

const metricResult = doc(
  z.object({
    name: doc(dnsLabel(), 'Of the metric.'),
    phase: phase('Where it stands.'),
    message: doc(z.string().max(1024), 'Why it is so, for a person.').optional(),
    count: tally('Measurements that ended without an error.'),
    successful: tally('Of these, successful.'),
    failed: tally('Of these, failed.'),
    inconclusive: tally('Of these, inconclusive.'),
    error: tally('Measurements that could not be taken.'),
    consecutiveError: tally('Of these, the last ones in a row.'),
    measurements: doc(z.array(measurement).max(5), 'The last ones, the newest last.', {
      'x-kubernetes-list-type': 'atomic',
    }).optional(),
  }),
  'A metric of an analysis.',
);
export type MetricResult = z.output<typeof metricResult>;

export const analysisRun = doc(
  z.object({
    id: doc(z.string().max(63), '`background`, or `step-N`.'),
    revision: doc(z.string().max(16), 'The revision that is judged.'),
    step: doc(z.int().min(0).max(1000), 'Index of the step that asked for it.').optional(),
    phase: phase('Where it stands.'),
    message: doc(z.string().max(1024), 'Why it is so, for a person.').optional(),
    startedAt: timestamp('When it began.'),
    finishedAt: timestamp('When it ended.').optional(),
    metrics: mapList(metricResult, 'name', 8, 'By metric.').optional(),
  }),
  'An analysis of this rollout.',
);
export type AnalysisRun = z.output<typeof analysisRun>;
