/** The schema of `model.yaml`: the contract between a package and the program. Unknown keys are errors. */
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { checkGraphs } from './graphs.ts';
import { pipelineSchema } from './pipeline-parameters.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');
const relativePath = z
  .string()
  .max(255)
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/,
    'must be a path inside the package',
  );
const text = z.string().min(1).max(1000);
const probability = z.number().min(0).max(1);

const output = z.strictObject({
  /** What the value at `index` speaks for. */
  positive: z.enum(['fake', 'real']),
  /** What turns the graph's values into probabilities; `none` where the graph has done it already. */
  activation: z.enum(['sigmoid', 'softmax', 'none']),
  index: z.int().min(0).max(9999).default(0),
});

const calibration = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('platt'), slope: z.number().positive(), intercept: z.number() }),
  z.strictObject({ method: z.literal('temperature'), temperature: z.number().positive() }),
  z.strictObject({ method: z.literal('none') }),
]);

const thresholds = z
  .strictObject({ low: probability, high: probability })
  .refine((value) => value.low < value.high, { message: 'low must be below high' });

const goldenTolerance = z.number().positive().max(0.5);

/** The same graph with smaller numbers, and what it changes about the score where it changes it. */
const variant = z.strictObject({
  precision: z.enum(['int8', 'fp16']),
  file: relativePath,
  sha256,
  calibration: calibration.optional(),
  thresholds: thresholds.optional(),
  goldenTolerance: goldenTolerance.optional(),
});

const graph = z.strictObject({
  file: relativePath,
  sha256,
  input: z.string().min(1),
  output: z.string().min(1),
  /** Another output, `[n, h, w]` or `[n, 1, h, w]`: how much each place spoke for the score. Where the graph looked, for people. */
  heatmap: z.string().min(1).optional(),
  variants: z
    .array(variant)
    .max(2)
    .refine((list) => new Set(list.map(({ precision }) => precision)).size === list.length, {
      message: 'there are two of the same precision',
    })
    .optional(),
});

/** A head that joins sound to pictures: `input` takes the features of the frames, these take the rest. */
const joint = z.strictObject({
  /** Features of the windows of the sound. */
  sound: z.string().min(1),
  /** 1 for what the file has and 0 for what it lacks: pictures, sound. */
  presence: z.string().min(1),
});

/** A graph whose output are features and not a score. */
const featureGraph = graph.omit({ heatmap: true });

const evaluationRow = z.strictObject({
  dataset: text,
  metric: text,
  value: z.number(),
  low: z.number().optional(),
  high: z.number().optional(),
  positives: z.int().nonnegative().optional(),
  negatives: z.int().nonnegative().optional(),
  note: text.optional(),
});

const manifestSchema = z
  .strictObject({
    formatVersion: z.literal(1),
    name: z
      .string()
      .max(63)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be lower-case letters, digits and dashes'),
    version: z
      .string()
      .max(64)
      .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/, 'must be a semantic version'),
    modality: z.enum(['image', 'audio', 'video']),
    description: text,
    pipeline: pipelineSchema,
    graphs: z.strictObject({
      classifier: graph.extend({ joint: joint.optional() }),
      encoder: featureGraph.optional(),
      audio: featureGraph.optional(),
    }),
    output,
    calibration,
    thresholds,
    golden: z
      .array(
        z.strictObject({
          file: relativePath,
          sha256,
          score: probability,
          tolerance: goldenTolerance,
        }),
      )
      .min(1)
      .max(32),
    card: z.strictObject({
      license: text,
      status: z.enum(['validated', 'demonstration']),
      intendedUse: text,
      limitations: text,
      trainingData: text,
      evaluation: z.array(evaluationRow).max(200),
    }),
  })
  .refine((value) => value.pipeline.type.startsWith(value.modality), {
    path: ['pipeline', 'type'],
    message: 'does not belong to the modality',
  })
  .superRefine(checkGraphs);

/** A validated `model.yaml`. */
export type Manifest = z.infer<typeof manifestSchema>;
export type Modality = Manifest['modality'];
export type OutputMeaning = Manifest['output'];
export type Calibration = Manifest['calibration'];
export type Thresholds = Manifest['thresholds'];

/**
 * Reads the text of a `model.yaml`.
 * @throws Error whose message lists every problem in one line, each with its path in the document.
 */
export function parseManifest(source: string): Manifest {
  const document = readYaml(source);
  const result = manifestSchema.safeParse(document);
  if (result.success) return result.data;
  throw new Error(
    result.error.issues.map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`).join('; '),
  );
}

function readYaml(source: string): unknown {
  try {
    return parse(source, { maxAliasCount: 0 });
  } catch (error) {
    throw new Error(`not YAML: ${messageOf(error).split('\n', 1)[0]}`, { cause: error });
  }
}
